"""Small clients: SOCKS5 (RFC 1928), CONNECT, requests to an HTTP proxy, curl."""
import hashlib
import http.client
import json
import shutil
import socket
import struct
import subprocess
import urllib.parse

from .cases import Skip

succeeded, general_failure, not_allowed, network_unreachable, host_unreachable, refused, ttl_expired, unknown_command, unknown_address = range(9)
reply_names = ("succeeded", "general failure", "not allowed", "network unreachable", "host unreachable", "connection refused", "TTL expired",
               "command not supported", "address type not supported")


class Reply(Exception):
    """The proxy answered, and not with success. `code` is a SOCKS reply or an HTTP status."""

    def __init__(self, code: int, text: str = ""):
        self.code, self.text = code, text
        known = reply_names[code] if code < len(reply_names) else ""
        super().__init__(f"the proxy answered {code} {text or known}".strip())


def read_exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = sock.recv(min(size - len(data), 1 << 18))
        if not part:
            raise EOFError(f"the connection ended after {len(data)} of {size} bytes")
        data += part
    return bytes(data)


def read_to_end(sock: socket.socket) -> bytes:
    data = bytearray()
    while part := sock.recv(1 << 18):
        data += part
    return bytes(data)


def read_line(sock: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        line += read_exactly(sock, 1)
    return line


def socks_address(host: str, port: int) -> bytes:
    """An IPv4 or IPv6 address is sent as such, everything else as a name."""
    for family, kind in ((socket.AF_INET, 1), (socket.AF_INET6, 4)):
        try:
            return bytes([kind]) + socket.inet_pton(family, host) + struct.pack(">H", port)
        except OSError:
            pass
    name = host.encode()
    return bytes([3, len(name)]) + name + struct.pack(">H", port)


def read_socks_reply(sock: socket.socket) -> int:
    version, code, _, kind = read_exactly(sock, 4)
    if version != 5:
        raise ValueError(f"the reply has version {version}")
    size = {1: 4, 4: 16}.get(kind) or read_exactly(sock, 1)[0]
    read_exactly(sock, size + 2)
    return code


def socks(proxy: tuple[str, int], host: str, port: int, timeout: float = 15) -> socket.socket:
    """A connection to host:port through SOCKS5 without authentication. Raises Reply when the proxy refuses."""
    sock = socket.create_connection(proxy, timeout)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(b"\x05\x01\x00")
        if (method := read_exactly(sock, 2)) != b"\x05\x00":
            raise ValueError(f"the answer to the greeting is {method!r}")
        sock.sendall(b"\x05\x01\x00" + socks_address(host, port))
        if code := read_socks_reply(sock):
            raise Reply(code)
        return sock
    except BaseException:
        sock.close()
        raise


def read_head(sock: socket.socket, limit: int = 1 << 16) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        if len(head) > limit:
            raise ValueError("the head of the answer is too long")
        head += read_exactly(sock, 1)
    return head


def connect(proxy: tuple[str, int], host: str, port: int, timeout: float = 15) -> socket.socket:
    """A connection to host:port through CONNECT. Raises Reply when the proxy refuses."""
    sock = socket.create_connection(proxy, timeout)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        head = read_head(sock).decode("latin-1")
        status = int(head.split(None, 2)[1])
        if not 200 <= status < 300:
            size = next((int(l.split(":")[1]) for l in head.split("\r\n") if l.lower().startswith("content-length:")), 0)
            raise Reply(status, read_exactly(sock, size).decode(errors="replace"))
        return sock
    except BaseException:
        sock.close()
        raise


ways = {"socks": socks, "connect": connect}


class Answer:
    """An HTTP answer that has been read to its end."""

    def __init__(self, response: http.client.HTTPResponse):
        self.status, self.headers = response.status, response.headers
        self.body = response.read()

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def json(self) -> dict:
        return json.loads(self.body)


def request(sock: socket.socket, method: str, target: str, *, host: str, body: bytes | None = None, headers: dict | None = None) -> Answer:
    """One request over a connection that is there already; the connection stays open."""
    connection = http.client.HTTPConnection(host)
    connection.sock = sock
    connection.request(method, target, body=body, headers=headers or {})
    response = connection.getresponse()
    answer = Answer(response)
    connection.sock = None  # it is the caller's
    return answer


def fetch(proxy: tuple[str, int], url: str, *, how: str = "socks", method: str = "GET", body: bytes | None = None,
          headers: dict | None = None, timeout: float = 15) -> Answer:
    """One request through the proxy: "socks", "connect", or "forward" (absolute form to an HTTP proxy)."""
    parts = urllib.parse.urlsplit(url)
    port, path = parts.port or 80, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if how == "forward":
        with socket.create_connection(proxy, timeout) as sock:
            return request(sock, method, url, host=parts.netloc, body=body, headers=headers)
    with ways[how](proxy, parts.hostname, port, timeout) as sock:
        return request(sock, method, path, host=parts.netloc, body=body, headers=headers)


def fetch_checked(proxy: tuple[str, int], url: str, **how) -> Answer:
    """A fetch whose body has to have the SHA-256 that the answer's head names."""
    answer = fetch(proxy, url, **how)
    if answer.status != 200:
        raise AssertionError(f"{url}: {answer.status} {answer.text[:200]}")
    got, expected = hashlib.sha256(answer.body).hexdigest(), answer.headers["Content-Sha256"]
    if got != expected:
        raise AssertionError(f"{url}: {len(answer.body)} bytes with SHA-256 {got}, expected {expected}")
    return answer


def curl(*arguments: str, timeout: float = 30) -> subprocess.CompletedProcess:
    program = shutil.which("curl")
    if not program:
        raise Skip("curl is not installed")
    return subprocess.run([program, "-sS", "--max-time", str(timeout), *arguments], capture_output=True, text=True, timeout=timeout + 5,
                          env={"PATH": "/usr/bin:/bin", "NO_PROXY": ""})


def outcome(action) -> int:
    """The code with which the proxy refuses; 0 when it does not."""
    try:
        action().close()
        return 0
    except Reply as reply:
        return reply.code


def reset(sock: socket.socket) -> None:
    """Closes with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
