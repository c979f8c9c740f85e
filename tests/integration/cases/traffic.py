"""What flows through a connection into a pod, over each carrier and in each shape of sessions."""
import hashlib
import os
import socket
import struct
import threading
import time

from support import clients, servers
from support.cases import case, check, check_contains, check_equal, eventually, within

shapes = [(carrier, sessions) for carrier in ("websocket", "spdy") for sessions in ("exclusive", "shared")]


def started(world, shape):
    """A podproxy for the shape, shared by the cases of this file."""
    name = "/".join(shape)
    if name not in world.shared or not world.shared[name].alive():
        world.shared[name] = world.start(carrier=shape[0], sessions=shape[1])
    return world.shared[name]


@case("32 MiB arrive unchanged", group="cluster", each=shapes, seconds=60)
def download(world, shape):
    answer = clients.fetch_checked(started(world, shape).mixed, f"http://web.shop.kube/bytes?n={32 << 20}&seed=7", timeout=30)
    check_equal("size", len(answer.body), 32 << 20)


@case("32 MiB are sent unchanged", group="cluster", each=shapes, seconds=60)
def upload(world, shape):
    body = servers.content(32 << 20)
    answer = clients.fetch(started(world, shape).mixed, "http://web.shop.kube/sink", method="POST", body=body, timeout=30)
    check_equal("SHA-256", answer.json["sha256"], hashlib.sha256(body).hexdigest())


@case("both directions at once", group="cluster", each=shapes, seconds=60)
def both_directions(world, shape):
    body = servers.content(8 << 20)
    with clients.socks(started(world, shape).mixed, "web.shop.kube", 7) as sock:
        sender = threading.Thread(target=sock.sendall, args=(body,), daemon=True)
        sender.start()
        check(clients.read_exactly(sock, len(body)) == body, "the echo differs")
        sender.join()


@case("small messages, one after the other, on one connection", group="cluster", each=shapes)
def small_messages(world, shape):
    with clients.socks(started(world, shape).mixed, "db-0.db.shop.kube", 9000) as sock:
        for size in [*range(1, 200), 32767, 32768, 32769, 65535, 65536]:
            data = os.urandom(size)
            sock.sendall(data)
            check(clients.read_exactly(sock, size) == data, f"the echo of {size} bytes differs")


@case("a server that speaks first", group="cluster", each=shapes)
def greeting(world, shape):
    for how in clients.ways.values():
        with how(started(world, shape).mixed, "web.shop.kube", 25) as sock:
            check_contains("the greeting", clients.read_line(sock).decode(), "220 web-")
            sock.sendall(b"hello\nquit\n")
            check_equal("what follows, to the end", clients.read_to_end(sock), b"hello\n")


@case("a server that sends and closes: all bytes, then the end", group="cluster", each=shapes)
def server_closes(world, shape):
    with clients.socks(started(world, shape).mixed, "web.shop.kube", 19) as sock:
        sock.sendall(b"1048576\n")
        with within(5, "the end"):
            data = clients.read_to_end(sock)
    check_equal("size", len(data), 1 << 20)


@case("a server that resets: what it has said, then the end", group="cluster", each=shapes)
def server_resets(world, shape):
    with clients.socks(started(world, shape).mixed, "web.shop.kube", 14) as sock, within(6, "the end"):
        check_equal("the banner", clients.read_exactly(sock, 7), b"banner\n")
        try:
            check_equal("more", clients.read_to_end(sock), b"")
        except ConnectionResetError:
            pass


@case("a server that hangs up at once", group="cluster", each=shapes)
def server_hangs_up(world, shape):
    try:
        with clients.socks(started(world, shape).mixed, "web.shop.kube", 16) as sock, within(6, "the end"):
            check_equal("data", clients.read_to_end(sock), b"")
    except (clients.Reply, ConnectionResetError):
        pass


@case("the client's end of stream: the echo of all it has sent, then the end", group="cluster", each=shapes)
def client_half_closes(world, shape):
    data = servers.content(200_000)
    with clients.socks(started(world, shape).mixed, "web.shop.kube", 7) as sock, within(6, "the end"):
        sock.sendall(data)
        got = clients.read_exactly(sock, len(data))
        sock.shutdown(socket.SHUT_WR)
        got += clients.read_to_end(sock)
    check(got == data, f"{len(got)} bytes came back of {len(data)}")


@case("clients that close or reset leave no descriptor behind", group="cluster", each=shapes, seconds=60)
def no_leak(world, shape):
    proxy = started(world, shape)
    clients.fetch(proxy.mixed, "http://web.shop.kube/")
    before = proxy.descriptors()
    for number in range(60):
        sock = clients.socks(proxy.mixed, "web.shop.kube", 7)
        sock.sendall(b"x")
        clients.read_exactly(sock, 1)
        clients.reset(sock) if number % 2 else sock.close()
    eventually(15, f"at most {before + 20} descriptors are open", lambda: proxy.descriptors() <= before + 20)


@case("server-sent events come one by one", group="cluster", each=["socks", "forward"])
def events(world, how):
    if how == "socks":
        sock, target = clients.socks(world.proxy.mixed, "web.shop.kube", 80), "/events?n=4&ms=400"
    else:
        sock, target = socket.create_connection(world.proxy.http, 10), "http://web.shop.kube/events?n=4&ms=400"
    with sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: web.shop.kube\r\nAccept: text/event-stream\r\n\r\n".encode())
        clients.read_head(sock)
        times, seen = [], b""
        while len(times) < 4:
            part = sock.recv(4096)
            check(part, "the stream ended early")
            seen += part
            times += [time.monotonic()] * (seen.count(b"data: event") - len(times))
    check(times[-1] - times[0] > 0.8, "the events came all at once")


@case("WebSocket through the forwarding proxy", group="cluster", each=["forward", "connect"])
def websocket(world, how):
    if how == "forward":
        sock, target = socket.create_connection(world.proxy.http, 10), "http://web.shop.kube/ws"
    else:
        sock, target = clients.connect(world.proxy.mixed, "web.shop.kube", 80), "/ws"
    with sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: web.shop.kube\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
        head = clients.read_head(sock).decode()
        check_contains("status", head.split("\r\n")[0], " 101 ")
        check_contains("the accept key", head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        for size in (5, 126, 70_000):
            data, mask = os.urandom(size), os.urandom(4)
            length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + struct.pack(">H", size) if size < 65536 else \
                bytes([0x80 | 127]) + struct.pack(">Q", size)
            sock.sendall(b"\x82" + length + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(data)))
            skip = 2 if size < 126 else 4 if size < 65536 else 10
            check(clients.read_exactly(sock, skip + size)[skip:] == data, f"the echo of {size} bytes differs")


@case("chunks and a trailer pass the forwarding proxy", group="cluster")
def chunks(world):
    done = clients.curl("--proxy", "http://%s:%d" % world.proxy.mixed, "-D", "-", "-o", "/dev/null", "http://web.shop.kube/bytes?n=500000&chunked=1")
    check_equal("curl's exit code", (done.returncode, done.stderr), (0, ""))
    answer = clients.fetch(world.proxy.mixed, "http://web.shop.kube/bytes?n=500000&chunked=1", how="forward")
    whole = clients.fetch(world.proxy.mixed, "http://web.shop.kube/bytes?n=500000", how="forward")
    check(answer.body == whole.body, "the chunked body differs")


@case("one connection to the HTTP proxy serves several pods and a local server", group="cluster")
def kept_connection(world):
    with servers.pages() as port, socket.create_connection(world.proxy.http, 15) as sock:
        for host, pod in (("web.shop.kube", "web-"), ("db-0.db.shop.kube:8080", "db-0"), ("web.shop.kube", "web-"), ("db-1.db.shop.kube:8080", "db-1")):
            check(clients.request(sock, "GET", f"http://{host}/", host=host).json["pod"].startswith(pod), f"{host}: another pod")
            check_equal("local", clients.request(sock, "GET", f"http://127.0.0.1:{port}/x", host="x").json["target"], "/x")


@case("a connection that is silent for a while still works", group="cluster", each=["websocket", "spdy"])
def silence(world, carrier):
    with clients.socks(started(world, (carrier, "exclusive")).mixed, "web.shop.kube", 7) as sock:
        for _ in range(2):
            sock.sendall(b"hello")
            check_equal("echo", clients.read_exactly(sock, 5), b"hello")
            time.sleep(5)
