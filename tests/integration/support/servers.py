"""Servers on this machine, for what does not go into a cluster. All on port 0 of a loopback address."""
import hashlib
import http.server
import json
import socket
import threading
from contextlib import contextmanager


class _Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _send(self, body: bytes, kind: str = "application/json", **headers) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            data = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return data
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/bytes":
            body = content(int(query.removeprefix("n=")))
            self._send(body, "application/octet-stream", Content_Sha256=hashlib.sha256(body).hexdigest())
        else:
            self._send(json.dumps({"target": self.path, "method": self.command, "headers": dict(self.headers)}).encode())

    do_HEAD = do_OPTIONS = do_DELETE = do_GET

    def do_POST(self):
        body = self._body()
        self._send(json.dumps({"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(), "headers": dict(self.headers)}).encode())

    do_PUT = do_POST


def content(size: int) -> bytes:
    """The same bytes each time, and none of them twice: lost or doubled parts change the hash."""
    return hashlib.shake_128(b"podproxy").digest(size)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def pages(address: str = "127.0.0.1"):
    """An HTTP server; yields its port."""
    class Server(_Server):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = Server((address, 0), _Pages)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def tcp(handle, address: str = "127.0.0.1"):
    """A TCP server that calls `handle(connection)` in a thread per connection; yields its port."""
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.bind((address, 0))
    listener.listen(128)

    def serve(connection):
        with connection:
            try:
                handle(connection)
            except OSError:
                pass

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def echo(connection: socket.socket) -> None:
    while data := connection.recv(1 << 16):
        connection.sendall(data)


def count_to_end(connection: socket.socket) -> None:
    """Reads to the end of stream, then answers: only a half-close that is passed on gets the answer."""
    digest, size = hashlib.sha256(), 0
    while data := connection.recv(1 << 16):
        digest.update(data)
        size += len(data)
    connection.sendall(f"{size} {digest.hexdigest()}\n".encode())


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
