"""Destinations outside of any cluster are dialled directly."""
import hashlib
import socket
import threading

from support import clients, servers
from support.cases import Skip, case, check, check_contains, check_equal, check_in, eventually, within


def _ports(world):
    return {"socks": world.local.mixed, "connect": world.local.mixed, "forward": world.local.mixed, "connect http": world.local.http}


@case("a page by curl", group="local", each=["--socks5-hostname", "--socks5", "--proxy", "--proxytunnel", "--preproxy"])
def page_by_curl(world, option):
    mixed = "%s:%d" % world.local.mixed
    with servers.pages() as port:
        arguments = {"--proxy": ["--proxy", f"http://{mixed}"], "--proxytunnel": ["--proxytunnel", "--proxy", f"http://{mixed}"],
                     "--preproxy": ["--preproxy", f"socks5h://{mixed}"]}.get(option, [option, mixed])
        done = clients.curl(*arguments, "--noproxy", "", f"http://127.0.0.1:{port}/hello")
        check_equal("curl's exit code", done.returncode, 0)
        check_contains("the page", done.stdout, '"/hello"')


@case("16 MiB arrive unchanged", group="local", each=["socks", "connect", "forward"])
def large_download(world, how):
    with servers.pages() as port:
        answer = clients.fetch_checked(world.local.mixed, f"http://localhost:{port}/bytes?n={16 << 20}", how=how)
        check_equal("size", len(answer.body), 16 << 20)


@case("16 MiB are sent unchanged", group="local", each=["socks", "connect", "forward"])
def large_upload(world, how):
    body = servers.content(16 << 20)
    with servers.pages() as port:
        answer = clients.fetch(world.local.mixed, f"http://localhost:{port}/", how=how, method="POST", body=body)
        check_equal("SHA-256", answer.json["sha256"], hashlib.sha256(body).hexdigest())


@case("the address is sent as", group="local", each=["IPv4", "IPv6", "name"])
def address_kinds(world, kind):
    address = "::1" if kind == "IPv6" else "127.0.0.1"
    try:
        with servers.tcp(servers.echo, address) as port, \
                clients.socks(world.local.mixed, "localhost" if kind == "name" else address, port) as sock:
            sock.sendall(b"hello")
            check_equal("echo", clients.read_exactly(sock, 5), b"hello")
    except OSError as problem:
        if kind == "IPv6" and problem.errno == 99:
            raise Skip("no IPv6 on the loopback interface") from None
        raise


@case("the end of the client's stream is passed on and the answer still comes", group="local", each=["socks", "connect"])
def half_close(world, how):
    data = servers.content(100_000)
    with servers.tcp(servers.count_to_end) as port, clients.ways[how](world.local.mixed, "127.0.0.1", port) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        check_equal("answer", clients.read_to_end(sock).decode(), f"100000 {hashlib.sha256(data).hexdigest()}\n")


@case("the end of the server's stream is passed on while the client still sends", group="local", each=["socks", "connect"])
def half_close_other_way(world, how):
    received, done = bytearray(), threading.Event()

    def server(connection):
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(1 << 16):
            received.extend(part)
        done.set()

    with servers.tcp(server) as port, clients.ways[how](world.local.mixed, "127.0.0.1", port) as sock:
        check_equal("the server's last words", clients.read_to_end(sock), b"bye")
        sock.sendall(b"still here")
        sock.shutdown(socket.SHUT_WR)
        check(done.wait(5), "the server has not seen the end")
        check_equal("received after the server's end", bytes(received), b"still here")


@case("a server's reset reaches the client", group="local", each=["socks", "connect"])
def reset_from_server(world, how):
    with servers.tcp(lambda connection: (connection.recv(1), clients.reset(connection))) as port, \
            clients.ways[how](world.local.mixed, "127.0.0.1", port) as sock:
        sock.sendall(b"x")
        try:
            check_equal("data", clients.read_to_end(sock), b"")
        except ConnectionResetError:
            pass


@case("a refused port is told as such", group="local", each=["socks", "connect", "forward"])
def refused(world, how):
    port = servers.unused_port()
    with within(3, "the answer"):
        if how == "socks":
            code = clients.outcome(lambda: clients.socks(world.local.mixed, "127.0.0.1", port))
            check_equal("reply", code, clients.refused)
        elif how == "connect":
            check_in("status", clients.outcome(lambda: clients.connect(world.local.mixed, "127.0.0.1", port)), (502, 503))
        else:
            check_in("status", clients.fetch(world.local.mixed, f"http://127.0.0.1:{port}/", how=how).status, (502, 503))


@case("a name that does not exist is told as such", group="local", each=["socks", "connect", "forward"])
def unknown_name(world, how):
    name = "no-such-host.invalid"
    if how == "socks":
        check_equal("reply", clients.outcome(lambda: clients.socks(world.local.mixed, name, 80, 25)), clients.host_unreachable)
    elif how == "connect":
        check_in("status", clients.outcome(lambda: clients.connect(world.local.mixed, name, 80, 25)), (502, 503, 504))
    else:
        check_in("status", clients.fetch(world.local.mixed, f"http://{name}/", how=how, timeout=25).status, (502, 503, 504))


@case("an unknown cluster is an ordinary name, and does not exist", group="local")
def unknown_cluster(world):
    check_equal("reply", clients.outcome(lambda: clients.socks(world.local.mixed, "web.shop.no-such-cluster", 80, 25)), clients.host_unreachable)


@case("several requests, to several servers, over one connection to the HTTP proxy", group="local")
def kept_connection(world):
    with servers.pages() as one, servers.pages() as two, socket.create_connection(world.local.http, 10) as sock:
        for port in (one, two, one, two):
            answer = clients.request(sock, "GET", f"http://127.0.0.1:{port}/from-{port}", host=f"127.0.0.1:{port}")
            check_equal("target", answer.json["target"], f"/from-{port}")


@case("headers of the connection stay behind, the others pass, and Via is added", group="local")
def forwarded_headers(world):
    with servers.pages() as port:
        sent = {"Connection": "close, X-Secret", "X-Secret": "1", "Proxy-Connection": "keep-alive", "Proxy-Authorization": "Basic eDp5",
                "Keep-Alive": "timeout=5", "TE": "gzip, trailers", "X-Kept": "yes", "Accept-Language": "de"}
        answer = clients.fetch(world.local.http, f"http://127.0.0.1:{port}/", how="forward", headers=sent)
        got = {name.lower(): value for name, value in answer.json["headers"].items()}
        for name in ("x-secret", "proxy-connection", "proxy-authorization", "keep-alive"):
            check(name not in got, f"{name} was passed on: {got.get(name)}")
        check(got.get("te") in (None, "trailers"), f"te was passed on: {got.get('te')}")  # we do pass trailers on, and may say so
        check_equal("X-Kept", got.get("x-kept"), "yes")
        check_equal("Accept-Language", got.get("accept-language"), "de")
        check("via" in got, "no Via was added to the request")


@case("a chunked body is passed on", group="local")
def chunked_body(world):
    data = servers.content(300_000)
    with servers.pages() as port, socket.create_connection(world.local.http, 10) as sock:
        sock.sendall(f"POST http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for at in range(0, len(data), 7001):
            part = data[at:at + 7001]
            sock.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        sock.sendall(b"0\r\n\r\n")
        head = clients.read_head(sock).decode()
        check_contains("status", head.split("\r\n")[0], " 200 ")
        size = int(next(line.split(":")[1] for line in head.split("\r\n") if line.lower().startswith("content-length:")))
        check_contains("the answer", clients.read_exactly(sock, size).decode(), hashlib.sha256(data).hexdigest())


@case("a request that waits for 100-continue gets its answer", group="local")
def expect_continue(world):
    with servers.pages() as port:
        done = clients.curl("--proxy", "http://%s:%d" % world.local.mixed, "--noproxy", "", "-H", "Expect: 100-continue",
                            "--data-binary", "x" * 5000, f"http://127.0.0.1:{port}/")
        check_equal("curl's exit code", done.returncode, 0)
        check_contains("the answer", done.stdout, '"bytes": 5000')


@case("a handshake that comes byte by byte, and one that comes with the data in one piece", group="local")
def handshake_shapes(world):
    with servers.tcp(servers.echo) as port:
        with socket.create_connection(world.local.mixed, 10) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in b"\x05\x01\x00":
                sock.send(bytes([byte]))
            check_equal("method", clients.read_exactly(sock, 2), b"\x05\x00")
            for byte in b"\x05\x01\x00" + clients.socks_address("127.0.0.1", port):
                sock.send(bytes([byte]))
            check_equal("reply", clients.read_socks_reply(sock), 0)
            sock.sendall(b"slow")
            check_equal("echo", clients.read_exactly(sock, 4), b"slow")
        with socket.create_connection(world.local.mixed, 10) as sock:
            sock.sendall(b"\x05\x01\x00" + b"\x05\x01\x00" + clients.socks_address("127.0.0.1", port) + b"early")
            check_equal("method", clients.read_exactly(sock, 2), b"\x05\x00")
            check_equal("reply", clients.read_socks_reply(sock), 0)
            check_equal("echo", clients.read_exactly(sock, 5), b"early")
        with socket.create_connection(world.local.mixed, 10) as sock:
            sock.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\nearly".encode())
            check_contains("status", clients.read_head(sock).decode(), " 200 ")
            check_equal("echo", clients.read_exactly(sock, 5), b"early")


@case("what SOCKS5 does not do here is refused as the RFC says", group="local")
def socks_refusals(world):
    def reply(request):
        with socket.create_connection(world.local.mixed, 10) as sock:
            sock.sendall(b"\x05\x01\x00" + request)
            check_equal("method", clients.read_exactly(sock, 2), b"\x05\x00")
            return clients.read_socks_reply(sock)
    address = clients.socks_address("127.0.0.1", 80)
    check_equal("BIND", reply(b"\x05\x02\x00" + address), clients.unknown_command)
    check_equal("UDP ASSOCIATE", reply(b"\x05\x03\x00" + address), clients.unknown_command)
    check_equal("an unknown address type", reply(b"\x05\x01\x00\x09\x01\x02\x03\x04\x00\x50"), clients.unknown_address)
    with socket.create_connection(world.local.mixed, 10) as sock:
        sock.sendall(b"\x05\x01\x01")  # GSSAPI only
        check_equal("no acceptable method", clients.read_exactly(sock, 2), b"\x05\xff")


@case("64 connections at once, and no descriptor is left behind", group="local", seconds=60)
def many(world):
    proxy = world.local
    before = proxy.descriptors()
    problems = []

    def work(port, number):
        try:
            for how in ("socks", "connect", "forward", "socks"):
                clients.fetch_checked(proxy.mixed, f"http://127.0.0.1:{port}/bytes?n={100_000 + number}", how=how, timeout=40)
        except Exception as problem:
            problems.append(f"{number}: {problem!r}")

    with servers.pages() as port:
        threads = [threading.Thread(target=work, args=(port, n), daemon=True) for n in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    check_equal("problems", problems, [])
    eventually(10, f"at most {before + 8} descriptors are open", lambda: proxy.descriptors() <= before + 8)
