"""What a client or a file may do wrong: a clear message or a correct protocol error, at a bounded cost."""
import os
import resource
import socket
import time

from support import clients, servers
from support.cases import case, check, check_contains, check_equal, check_in, eventually, within
from support.tool import run_once, yaml


def _still_works(proxy) -> None:
    with servers.pages() as port:
        check_equal("another request afterwards", clients.fetch(proxy.mixed, f"http://127.0.0.1:{port}/").status, 200)


def _answer_to(address, data: bytes, seconds: float = 10) -> bytes:
    """What comes back until the proxy closes; a reset counts as a close."""
    with socket.create_connection(address, seconds) as sock:
        answer = b""
        try:
            sock.sendall(data)
            while part := sock.recv(1 << 16):
                answer += part
        except (ConnectionResetError, BrokenPipeError):
            pass
        return answer


@case("first bytes that are neither SOCKS nor HTTP", group="local",
      each=["zero", "binary", "TLS", "SOCKS4 BIND", "SSH", "HTTP/2", "newlines", "one letter and the end"])
def garbage(world, kind):
    data = {
        "zero": b"\0" * 64, "binary": bytes(range(255, 0, -1)) * 20, "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(200),
        "SOCKS4 BIND": b"\x04\x02\x00\x50\x7f\x00\x00\x01me\0", "SSH": b"SSH-2.0-OpenSSH_9.2p1\r\n",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "newlines": b"\r\n" * 2000, "one letter and the end": b"G",
    }[kind]
    for address in (world.local.mixed, world.local.http):
        with socket.create_connection(address, 15) as sock:
            try:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                answer = clients.read_to_end(sock)
            except OSError:  # cut off at once: reset, broken pipe, or no longer connected at the shutdown
                answer = b""
        check(answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5", b"HTTP/1.0 4", b"\x00\x5b", b"\x05\xff")), f"the answer is {answer[:80]!r}")
    _still_works(world.local)


@case("a header of 1 MiB", group="local")
def huge_header(world):
    proxy = world.local
    before = proxy.memory()
    for _ in range(20):
        with within(10, "the refusal"):
            answer = _answer_to(proxy.http, b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + b"x" * (1 << 20) + b"\r\n\r\n")
            check(answer == b"" or answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400")), f"the answer is {answer[:80]!r}")
    check(proxy.memory() - before < 8 << 20, f"memory grew by {proxy.memory() - before} bytes")
    _still_works(proxy)


@case("a request line of 1 MiB, and a million header lines", group="local")
def other_huge_heads(world):
    for data in (b"GET http://127.0.0.1/" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 200_000 + b"\r\n"):
        answer = _answer_to(world.local.mixed, data)
        check(answer == b"" or answer.startswith((b"HTTP/1.1 4",)), f"the answer is {answer[:80]!r}")
    _still_works(world.local)


@case("requests that two servers could read in two ways", group="local",
      each=["length and chunks", "two lengths", "space before the colon", "a folded line", "chunked twice", "no host", "two hosts", "bare line feeds in a name"])
def smuggling(world, kind):
    with servers.pages() as port:
        head = f"POST http://127.0.0.1:{port}/ HTTP/1.1\r\n".encode()
        host = f"Host: 127.0.0.1:{port}\r\n".encode()
        data = {
            "length and chunks": head + host + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "two lengths": head + host + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
            "space before the colon": head + host + b"Content-Length : 0\r\n\r\n",
            "a folded line": head + host + b"X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
            "chunked twice": head + host + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            "no host": head + b"Content-Length: 0\r\n\r\n",
            "two hosts": head + host + host + b"Content-Length: 0\r\n\r\n",
            "bare line feeds in a name": head + host + b"X\nY: b\r\nContent-Length: 0\r\n\r\n",
        }[kind]
        answer = _answer_to(world.local.http, data)
        check_in("the answer", answer.split(b"\r\n")[0][:12], (b"HTTP/1.1 400", b"HTTP/1.1 501"))


@case("requests that are HTTP and not for a proxy", group="local")
def not_for_a_proxy(world):
    for line in (b"GET /some/page HTTP/1.1", b"GET https://127.0.0.1/ HTTP/1.1", b"GET ftp://127.0.0.1/ HTTP/1.1", b"CONNECT 127.0.0.1 HTTP/1.1",
                 b"CONNECT 127.0.0.1:99999 HTTP/1.1", b"CONNECT http://127.0.0.1:80/ HTTP/1.1", b"GET http:///x HTTP/1.1"):
        with socket.create_connection(world.local.http, 10) as sock:
            sock.sendall(line + b"\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            status = int(clients.read_head(sock).split()[1])
        check(400 <= status < 600, f"{line!r}: {status}")


@case("a SOCKS5 request with an empty name, a port of 0, a name with a zero byte", group="local")
def odd_socks_requests(world):
    for address in (b"\x03\x00\x00\x50", b"\x01\x7f\x00\x00\x01\x00\x00", b"\x03\x03a\x00b\x00\x50", b"\x03\xff" + b"a" * 255 + b"\x00\x50"):
        with socket.create_connection(world.local.mixed, 20) as sock:
            sock.sendall(b"\x05\x01\x00\x05\x01\x00" + address)
            check_equal("method", clients.read_exactly(sock, 2), b"\x05\x00")
            try:
                check(clients.read_socks_reply(sock) != 0, f"{address!r} succeeded")
            except (EOFError, ConnectionResetError):
                pass
    _still_works(world.local)


@case("names of a known cluster that are no addresses", group="local")
def odd_cluster_names(world):
    for name in ("a.b.c.d.e.kube", ".kube", "a..kube", "x" * 200 + ".kube"):
        with within(5, name):
            code = clients.outcome(lambda: clients.socks(world.local.mixed, name, 80))
            check(code != 0, f"{name} succeeded")
    _still_works(world.local)


@case("200 clients that connect and say nothing do not keep others out, and are let go", group="local", seconds=90)
def silent_clients(world):
    proxy = world.local
    silent = [socket.create_connection(proxy.mixed, 5) for _ in range(200)]
    half = socket.create_connection(proxy.http, 5)
    half.sendall(b"GET http://127.0.0.1/ HTTP/1.1\r\nHos")
    started = time.monotonic()
    _still_works(proxy)
    check(time.monotonic() - started < 3, "another client had to wait")
    for sock in (silent[0], silent[-1], half):
        sock.settimeout(75)
        try:
            while sock.recv(4096):
                pass
        except ConnectionResetError:
            pass
    for sock in (*silent, half):
        sock.close()


@case("a cluster that cannot be reached", group="local", each=["socks", "connect", "forward"])
def unreachable_cluster(world, how):
    with within(20, "the answer"):
        if how == "socks":
            check_in("reply", clients.outcome(lambda: clients.socks(world.local.mixed, "web.shop.kube", 80, 30)),
                     (clients.general_failure, clients.network_unreachable, clients.host_unreachable, clients.ttl_expired))
        elif how == "connect":
            check_in("status", clients.outcome(lambda: clients.connect(world.local.mixed, "web.shop.kube", 80, 30)), (502, 503, 504))
        else:
            check_in("status", clients.fetch(world.local.mixed, "http://web.shop.kube/", how=how, timeout=30).status, (502, 503, 504))
    _still_works(world.local)


def _refuses_to_start(world, text: str, *parts: str) -> None:
    folder = world.new_folder()
    (folder / "config.yaml").write_text(text)
    done = run_once(world.binary, folder, "--config", "config.yaml")
    check(done.returncode > 0, f"exit code {done.returncode}")
    said = done.stderr + done.stdout
    for part in parts:
        check_contains("the message", said, part)
    check("terminate called" not in said, "an exception has ended the program")


@case("a configuration that is no YAML names the file and the place", group="local")
def bad_yaml(world):
    _refuses_to_start(world, "listenAddress: [127.0.0.1\nlog: }\n", "config.yaml:")


@case("a misspelt key is named, with the right one", group="local")
def misspelt_key(world):
    _refuses_to_start(world, f"log:\n  level: info\nlistenAdress: 127.0.0.1:{servers.unused_port()}\n", "config.yaml:3", "listenAddress")


@case("a value that cannot be is named with its place", group="local",
      each=["listenAddress: here", "listenAddress: 127.0.0.1:99999", "log: {level: loud}", "log: {format: xml}", "kubeconfigs: 7", "carrier: pigeon",
            "sessions: none", "connectGrace: soon", "skipKubeconfigEnv: perhaps", "log: 3"])
def bad_value(world, line):
    _refuses_to_start(world, f"skipDefaultKubeconfig: true\n{line}\n", "config.yaml:2")


@case("a configuration file that is not there is named", group="local")
def missing_configuration(world):
    done = run_once(world.binary, world.new_folder(), "--config", "/no/such/config.yaml")
    check(done.returncode > 0, f"exit code {done.returncode}")
    check_contains("the message", done.stderr + done.stdout, "/no/such/config.yaml")


@case("a port that is taken is named", group="local", each=["listenAddress", "httpListenAddress", "pacListenAddress"])
def port_taken(world, key):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = "127.0.0.1:%d" % holder.getsockname()[1]
        world.local  # writes the kubeconfig
        config = {"listenAddress": f"127.0.0.1:{servers.unused_port()}", "skipDefaultKubeconfig": True, "skipKubeconfigEnv": True,
                  "kubeconfigs": [str(world.folder / "nowhere.yaml")], key: address}
        _refuses_to_start(world, yaml(config), address)


@case("a kubeconfig that cannot be used is named, and the others are", group="local",
      each=["missing", "a folder", "no YAML", "empty", "no permission", "a context without cluster", "a missing certificate", "a broken certificate"])
def bad_kubeconfig(world, kind):
    folder = world.new_folder()
    bad, without = folder / "bad.yaml", ()
    whole = (world.local and world.folder / "nowhere.yaml").read_text()
    texts = {
        "no YAML": "clusters: [", "empty": "", "no permission": whole.replace("kube", "locked"),
        "a context without cluster": whole.replace("name: kube", "name: broken").replace("cluster: none", "cluster: missing"),
        "a missing certificate": whole.replace("name: kube", "name: broken").replace("}\ncontexts", ", certificate-authority: no-such-file.crt}\ncontexts"),
        "a broken certificate": whole.replace("name: kube", "name: broken").replace("}\ncontexts", ", certificate-authority-data: bm9uZQ==}\ncontexts"),
    }
    if kind == "a folder":
        bad.mkdir()
    elif kind != "missing":
        bad.write_text(texts[kind])
    if kind == "no permission":
        bad.chmod(0)
        if os.geteuid() == 0:  # root may read everything, as long as it has its capabilities
            without = ("dac_override", "dac_read_search")
    try:
        with world.start([world.folder / "nowhere.yaml", bad], without=without) as proxy:
            _still_works(proxy)
            if kind != "empty":
                name = "broken" if kind.startswith("a context") or "certificate" in kind else "bad.yaml"
                if name == "broken":
                    code = clients.outcome(lambda: clients.socks(proxy.mixed, "web.shop.broken", 80, 25))
                    check(code != 0, "a connection into the broken cluster succeeded")
                check_contains("the log", proxy.log(), name, "bad.yaml")
    except RuntimeError as ended:
        check_contains("the message", str(ended), "bad.yaml", "broken")
        check("terminate called" not in str(ended), "an exception has ended the program")


@case("descriptors run out: nothing ends, and it goes on when there are some again", group="local", seconds=60)
def no_descriptors(world):
    with servers.tcp(servers.echo) as port, world.start([world.folder / "nowhere.yaml"] if world.local else None) as proxy:
        with clients.socks(proxy.mixed, "127.0.0.1", port) as kept:
            kept.sendall(b"1")
            clients.read_exactly(kept, 1)
            soft = proxy.descriptors() + 10
            resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (soft, soft))
            crowd = [socket.create_connection(proxy.mixed, 5) for _ in range(40)]
            time.sleep(0.5)
            before = proxy.cpu_seconds()
            time.sleep(1)
            check(proxy.cpu_seconds() - before < 0.3, "it spins while it cannot accept")
            kept.sendall(b"2")
            check_equal("the open connection", clients.read_exactly(kept, 1), b"2")
            for sock in crowd:
                sock.close()
            eventually(15, "a new connection works", lambda: clients.socks(proxy.mixed, "127.0.0.1", port, 5).close() is None)
