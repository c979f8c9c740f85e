"""The wake-proxy process under test, and what its cases say to servers in containers."""
import hashlib
import itertools
import json
import os
import random
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

from engines import settings as engine_settings

from . import clients
from .cases import check, check_equal, eventually
from .tool import Program


class WakeProxy(Program):
    """With a configuration file, or with arguments only. `docker` is the engine's address; it is waited for the TCP ports of `listens`."""

    def __init__(self, binary: Path, folder: Path, config: dict | None, arguments: tuple[str, ...] = (), *, docker: str | None = None,
                 listens: list[int] | None = None, level: str = "debug", **more):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        command: list = [binary]
        if config is not None:
            file = folder / "wake-proxy.yaml"
            file.write_text(json.dumps({"log": {"level": level}, **config}, indent=1) + "\n")
            file.chmod(0o644)
            command += ["--config", file]
        extra = {"DOCKER_HOST": docker or f"unix://{engine_settings.docker_socket}", **more.pop("extra", {})}
        super().__init__([*command, *arguments], folder, extra=extra, **more)
        self.ports = listens or []
        self.await_ready(self._listens)

    def _listens(self) -> bool:
        # Looked up rather than tried: a connection would wake somebody.
        listening = tcp_listeners()
        return all(port in listening for port in self.ports)


def tcp_listeners() -> set[int]:
    """The TCP ports that somebody listens on, in the network of this thread."""
    found = set()
    for table in ("/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found.add(int(fields[1].rpartition(":")[2], 16))
    return found


_ports = itertools.count(10_000)  # the engine's network is ours alone; below those that the kernel gives to clients


def ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses, for TCP and UDP."""
    return [next(_ports) for _ in range(count)]


# --- containers and configurations ------------------------------------------------------------------------------------

services = ("echo", "banner", "sum", "tls", "http", "udp")


def port_of(listen: int, group: str, inner: int, protocol: str = "tcp", **more) -> dict:
    """A port of the configuration: 127.0.0.1:LISTEN wakes the group and leads to 127.0.0.1:INNER."""
    return {"listen": f"127.0.0.1:{listen}/{protocol}", "group": group, "to": f"127.0.0.1:{inner}", **more}


def serving(engine, name: str, *options: str, only: tuple[str, ...] = services, **more):
    """A container with those services on ports of its own. Returns it, and the port of each service."""
    where = dict(zip(only, ports(len(only))))
    container = engine.create(name, *options, *(f"{service}=127.0.0.1:{port}" for service, port in where.items()), **more)
    return container, where


def settings_for(groups: dict[str, tuple], where: dict[str, dict[str, int]], **of_groups) -> tuple[dict, dict[str, dict[str, int]]]:
    """A configuration in which each service of each group has a port to be woken by. Returns it, and these ports."""
    listens = {name: dict(zip(inner, ports(len(inner)))) for name, inner in where.items()}
    config = {
        "groups": {name: {"containers": [c.name for c in members], **of_groups} for name, members in groups.items()},
        "ports": [port_of(listens[name][service], name, inner, "udp", udpSession="100ms") if service == "udp" else port_of(listens[name][service], name, inner)
                  for name in groups for service, inner in where[name].items()],
    }
    return config, listens


def tcp_ports(listens: dict[str, dict[str, int]]) -> list[int]:
    return [port for group in listens.values() for service, port in group.items() if service != "udp"]


# --- conversations: each raises when a byte is refused, lost, doubled or changed --------------------------------------

def connect(port: int, timeout: float = 20) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def content(size: int) -> bytes:
    return random.randbytes(size)


def ask(sock: socket.socket, data: bytes) -> None:
    """The data has to come back, whole and once."""
    sock.sendall(data)
    check_equal("the echo", clients.read_exactly(sock, len(data)) == data, True)


def finish(sock: socket.socket) -> None:
    """After our end of stream has to come the server's, and nothing before it."""
    sock.shutdown(socket.SHUT_WR)
    check_equal("what follows the end of stream", clients.read_to_end(sock), b"")


def client_first(port: int, size: int = 20_000) -> None:
    """To `echo`: bytes at once, in three pieces."""
    with connect(port) as sock:
        data = content(size)
        for piece in (data[:1], data[1:1000], data[1000:]):
            sock.sendall(piece)
        check_equal("the echo", clients.read_exactly(sock, size) == data, True)
        finish(sock)


def server_first(port: int) -> str:
    """To `banner`: says nothing before the greeting has come. Returns the server's name."""
    with connect(port) as sock:
        line = clients.read_line(sock)
        check(line.startswith(b"220 "), f"the greeting is {line!r}")
        ask(sock, content(5000))
        finish(sock)
        return line[4:].strip().decode()


def half_close(port: int) -> None:
    """To `sum`: it answers only after our end of stream, which is sent at once."""
    with connect(port) as sock:
        data = content(30_000)
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        check_equal("the sum", clients.read_to_end(sock).decode(), f"{len(data)} {hashlib.sha256(data).hexdigest()}\n")


def tls(port: int, name: str = "shop.test") -> str:
    """To `tls`. Returns the server's name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(connect(port), server_hostname=name) as sock:
        line = clients.read_line(sock).decode()
        check_equal("the name in the handshake", line.split()[1], name)
        ask(sock, content(10_000))
        return line.split()[0]


def http2(port: int, h2load: str) -> None:
    """To `http`, without TLS: 24 requests over 3 connections, 4 at a time in each, at once."""
    done = subprocess.run([h2load, "-n", "24", "-c", "3", "-m", "4", "-T", "20", f"http://127.0.0.1:{port}/bytes?n=5000"], capture_output=True,
                          text=True, timeout=30)
    check(done.returncode == 0 and "24 done, 24 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout and "24 2xx" in done.stdout and
          "(120000) data" in done.stdout, f"h2load says: {done.stdout}{done.stderr}")


def udp(port: int, count: int = 20) -> None:
    """To `udp`: datagrams sent at once have to come back in order; the server counts them too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.connect(("127.0.0.1", port))
        sent = [f"{i}:".encode() + content(100) for i in range(1, count + 1)]
        for datagram in sent:
            sock.send(datagram)
        for i, datagram in enumerate(sent, 1):
            check_equal(f"answer {i}", sock.recv(1 << 16), f"{i} ".encode() + datagram)


class WebSocket:
    """A client of RFC 6455 that sends short frames."""

    def __init__(self, port: int, path: str = "/ws"):
        self.sock = connect(port)
        self.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
        head = clients.read_head(self.sock).decode()
        check(head.startswith("HTTP/1.1 101 ") and "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head, f"the upgrade was refused: {head}")

    def exchange(self, opcode: int, payload: bytes) -> tuple[int, bytes]:
        mask = os.urandom(4)
        self.sock.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))
        first, size = clients.read_exactly(self.sock, 2)
        return first & 0x0F, clients.read_exactly(self.sock, size)

    def ping(self) -> None:
        payload = os.urandom(8)
        check_equal("the pong", self.exchange(0x9, payload), (0xA, payload))

    def echo(self, text: str) -> None:
        check_equal("the message", self.exchange(0x1, text.encode()), (0x1, text.encode()))

    def close(self) -> None:
        self.sock.close()


def closed_within(sock: socket.socket, seconds: float) -> bool:
    """Whether the far side ends the connection in that time, without a byte."""
    sock.settimeout(seconds)
    try:
        return sock.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def seconds_of(action) -> float:
    start = time.monotonic()
    action()
    return time.monotonic() - start


def nobody_runs(containers) -> bool:
    return all(not c.runs() for c in containers)


def await_rest(container, seconds: float = 10) -> None:
    eventually(seconds, f"{container.name} is put to rest", lambda: container.state() in ("exited", "paused", "created"))


def in_parallel(jobs: list[tuple]) -> None:
    """Each job, a function and its arguments, in a thread of its own; until all have ended."""
    threads = [threading.Thread(target=function, args=arguments, daemon=True) for function, *arguments in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
