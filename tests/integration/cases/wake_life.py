"""What wake-proxy does with containers while they live: health, idle time, groups, labels, engines that go and come back."""
import json
import re
import shutil
import socket
import subprocess
import threading
import time

from engines import Unavailable, docker, podman, settings as engine_settings
from support import clients, wake
from support.cases import Skip, case, check, check_contains, check_equal, eventually, within
from support.tool import wait_for_log


def one(world, name: str, *options: str, only: tuple[str, ...] = ("echo",), of_group: dict | None = None, **more):
    """A container, a group of the same name, and a configuration for it: container, configuration, ports to wake it by."""
    container, where = wake.serving(world.engine, name, *options, only=only, **more)
    config, listens = wake.settings_for({name: (container,)}, {name: where}, **(of_group or {}))
    return container, config, listens[name]


def ask_once(port: int, text: bytes = b"hello") -> None:
    with wake.connect(port) as sock:
        wake.ask(sock, text)


# --- health -----------------------------------------------------------------------------------------------------------

@case("the first connection waits for the container's health check", group="wake")
def waits_for_health(world):
    container, config, listens = one(world, "sick", "--healthy-after", "600", health={"interval": 100, "retries": 100})
    with world.wake(config, listens=[listens["echo"]]):
        took = wake.seconds_of(lambda: ask_once(listens["echo"]))
        check(0.6 <= took < 3, f"the answer came after {took:.2f} s")
        check_equal("health", container.health(), "healthy")


@case("health: false does not wait for it", group="wake")
def without_health(world):
    container, config, listens = one(world, "sick", health={"interval": 100, "retries": 1000}, of_group={"health": False})
    with world.wake(config, listens=[listens["echo"]]):
        with within(2, "the answer"):
            ask_once(listens["echo"])
        check(container.health() != "healthy", "it is healthy after all")


@case("a container that crashes twice and then works: the client is served", group="wake")
def crashes_twice(world):
    container, config, listens = one(world, "weak", "--exit-after", "0", "--crashes", "2", of_group={"firstBackoff": "50ms"})
    with world.engine.events() as events, world.wake(config, listens=[listens["echo"]]):
        with within(5, "the answer"):
            ask_once(listens["echo"])
        check_equal("starts", events.count("weak", "start"), 3)


@case("a container that dies under a connection: it ends, and the next client wakes it again", group="wake")
def dies(world):
    container, config, listens = one(world, "dies")
    with world.wake(config, listens=[listens["echo"]]):
        sock = wake.connect(listens["echo"])
        wake.ask(sock, b"first")
        container.kill()
        check(wake.closed_within(sock, 3), "the connection outlives its server")
        ask_once(listens["echo"])
        check(container.runs(), "it was not started again")


# --- idle -------------------------------------------------------------------------------------------------------------

@case("an open connection keeps it awake, even when it is silent", group="wake")
def silent(world):
    container, config, listens = one(world, "silent", of_group={"idle": "300ms"})
    with world.wake(config, listens=[listens["echo"]]):
        sock = wake.connect(listens["echo"])
        wake.ask(sock, b"and now nothing")
        since = container.started_at()
        time.sleep(2)
        check(container.runs() and container.started_at() == since, "it was stopped under an open connection")
        wake.ask(sock, b"still there")
        sock.close()
        with within(3, "the stop"):
            wake.await_rest(container)


@case("a client that connects and never speaks keeps it awake too", group="wake")
def mute(world):
    container, config, listens = one(world, "mute", of_group={"idle": "300ms"})
    with world.wake(config, listens=[listens["echo"]]):
        sock = wake.connect(listens["echo"])
        eventually(5, "it runs", container.runs)
        time.sleep(1.5)
        check(container.runs(), "it was stopped under an open connection")
        wake.ask(sock, b"at last")
        sock.close()


@case("a WebSocket that only pings keeps it awake", group="wake")
def pings(world):
    container, config, listens = one(world, "ws", only=("http",), of_group={"idle": "300ms"})
    with world.wake(config, listens=[listens["http"]]):
        channel = wake.WebSocket(listens["http"])
        channel.echo("hello")
        since = container.started_at()
        for _ in range(4):
            time.sleep(0.5)
            channel.ping()
        check_equal("started at", container.started_at(), since)
        channel.echo("still there")
        channel.close()
        wake.await_rest(container)


@case("use: bytes cuts a connection that has been silent for the idle time, use: connections does not", group="wake", each=["bytes", "connections"])
def use_of_bytes(world, rule):
    container, config, listens = one(world, "bytes", of_group={"idle": "400ms", "use": rule})
    with world.wake(config, listens=[listens["echo"]]):
        sock = wake.connect(listens["echo"])
        for _ in range(8):
            wake.ask(sock, b"busy")
            time.sleep(0.15)
        check(container.runs(), "it was stopped while bytes moved")
        check_equal("cut", wake.closed_within(sock, 1.5), rule == "bytes")
        sock.close()


@case("idle time without any client: what was started from outside is put to rest too", group="wake")
def from_outside(world):
    container, config, listens = one(world, "outside", of_group={"idle": "500ms"})
    with world.wake(config, listens=[listens["echo"]]):
        container.start()
        with within(4, "the stop"):
            wake.await_rest(container)


@case("action: pause freezes it, and a client finds it as it was", group="wake")
def pauses(world):
    container, config, listens = one(world, "frozen", of_group={"idle": "200ms", "action": "pause"})
    with world.engine.events() as events, world.wake(config, listens=[listens["echo"]]):
        ask_once(listens["echo"])
        for _ in range(3):
            eventually(5, "it is paused", lambda: container.state() == "paused")
            with within(1, "the answer"):
                ask_once(listens["echo"])
        check_equal("starts", events.count("frozen", "start"), 1)


@case("action: pause with a health check: a client does not wait for the next one, which is far away", group="wake")
def pauses_healthy(world):
    container, config, listens = one(world, "chilled", "--healthy-after", "0", health={"interval": 3000, "retries": 3},
                                     of_group={"idle": "200ms", "action": "pause"})
    with world.wake(config, listens=[listens["echo"]]):
        ask_once(listens["echo"])  # after 3 seconds: engines check for the first time after one interval
        check_equal("health", container.health(), "healthy")
        for _ in range(2):
            eventually(5, "it is paused", lambda: container.state() == "paused")
            with within(1, "the answer"):
                ask_once(listens["echo"])


@case("action: throttle leaves it running with less", group="wake")
def throttles(world):
    container, config, listens = one(world, "slow", of_group={"idle": "200ms", "action": "throttle", "idleCpus": 0.1, "activeCpus": 1})
    cpus = lambda: container.inspect()["HostConfig"]["NanoCpus"]  # noqa: E731
    with world.wake(config, listens=[listens["echo"]]):
        for _ in range(2):
            sock = wake.connect(listens["echo"])
            wake.ask(sock, b"hello")
            eventually(5, "it has its CPU", lambda: cpus() == 1_000_000_000)
            sock.close()
            eventually(5, "it is throttled", lambda: cpus() == 100_000_000)
            check(container.runs(), "it was stopped")


@case("a container that ignores SIGTERM is killed after stopTimeout, and a client meanwhile is served afterwards", group="wake")
def ignores_term(world):
    container, config, listens = one(world, "stubborn", "--ignore-term", of_group={"idle": "100ms", "stopTimeout": "1s"})
    with world.engine.events() as events, world.wake(config, listens=[listens["echo"]]):
        ask_once(listens["echo"])
        events.wait("stubborn", "kill")  # SIGTERM
        with within(4, "the answer"):
            ask_once(listens["echo"])
        check_equal("starts", events.count("stubborn", "start"), 2)


# --- groups and labels ------------------------------------------------------------------------------------------------

@case("labels are enough", group="wake")
def labels_only(world):
    listen, inner = wake.ports(2)
    labels = {"podproxy.wake.listen": f"127.0.0.1:{listen}:{inner}", "podproxy.wake.host": "127.0.0.1", "podproxy.wake.idle": "300ms"}
    with world.wake():
        container = world.engine.create("labelled", f"echo=127.0.0.1:{inner}", labels=labels)  # after wake-proxy has started
        eventually(5, "its port is listened on", lambda: listen in wake.tcp_listeners())
        ask_once(listen)
        wake.await_rest(container)
        ask_once(listen)


@case("labels: a container is reached at its own address in the engine's bridge", group="wake")
def own_address(world):
    listen, inner = wake.ports(2)
    labels = {"podproxy.wake.listen": f"127.0.0.1:{listen}:{inner}", "podproxy.wake.idle": "300ms"}
    container = world.engine.create("bridged", f"echo=:{inner}", labels=labels, network="bridge")
    with world.wake(listens=[listen]):
        for _ in range(3):
            ask_once(listen)
            wake.await_rest(container)
    check_equal("address at rest", container.address(), "")


@case("the options and the label of proxytainer as they were", group="wake")
def as_proxytainer(world):
    listen, inner = wake.ports(2)
    container = world.engine.create("old", f"echo=127.0.0.1:{inner}", labels={"proxytainer.group": "mygroup"})
    with world.wake(arguments=("--port", str(listen), "--host", f"localhost:{inner}", "--group", "mygroup", "--idle", "1"), listens=[listen]):
        ask_once(listen)
        with within(4, "the stop"):
            wake.await_rest(container)
        ask_once(listen)


@case("a container with other labels is another configuration", group="wake")
def labels_change(world):
    first, second, inner = wake.ports(3)
    def make(listen):
        return world.engine.create("changing", f"echo=127.0.0.1:{inner}", labels={
            "podproxy.wake.listen": f"127.0.0.1:{listen}:{inner}", "podproxy.wake.host": "127.0.0.1"})
    container = make(first)
    with world.wake(listens=[first]):
        ask_once(first)
        container.remove()
        make(second)
        eventually(10, "the new port is listened on", lambda: second in wake.tcp_listeners())
        ask_once(second)


@case("a group with depends_on: started in order, each when the one before is healthy, stopped in reverse", group="wake", seconds=60)
def in_order(world):
    inner, listen = wake.ports(2)
    def make(name, needs, *options, **more):
        return world.engine.create(name, *options, labels={
            "podproxy.wake.group": "shop", "com.docker.compose.project": "shop", "com.docker.compose.service": name,
            "com.docker.compose.depends_on": needs}, **more)
    db = make("db", "", "--healthy-after", "300", health={"interval": 100, "retries": 50})
    setup = make("setup", "db:service_healthy:false", "--exit-after", "200", "--code", "0")
    web = make("web", "setup:service_completed_successfully:false,db:service_started:false", f"echo=127.0.0.1:{inner}")
    config = {"groups": {"shop": {"idle": "400ms"}}, "ports": [wake.port_of(listen, "shop", inner)]}
    with world.engine.events() as events, world.wake(config, listens=[listen]):
        ask_once(listen)
        starts = [(name, what) for _, name, what in events.all if what in ("start", "die")]
        check_equal("order", starts, [("db", "start"), ("setup", "start"), ("setup", "die"), ("web", "start")])
        check_equal("health of the database", db.health(), "healthy")
        for container in (web, db):
            wake.await_rest(container)
        stops = [name for _, name, what in events.all if what == "die" and name != "setup"]
        check_equal("order of the stops", stops, ["web", "db"])
        ask_once(listen)  # and once more
    check(setup.state() == "exited", "the job runs")


@case("one of a group crashes: its name and its last line are told, and the next client wakes the group again", group="wake")
def half_a_group(world):
    inner, listen = wake.ports(2)
    labels = {"podproxy.wake.group": "pair"}
    world.engine.create("good", "--after", "300", f"echo=127.0.0.1:{inner}", labels=labels)  # so that nobody is served before the other has ended
    world.engine.create("bad", "--say", "out of matches", "--exit-after", "0", labels=labels)
    config = {"groups": {"pair": {"startAttempts": 2, "firstBackoff": "50ms"}}, "ports": [wake.port_of(listen, "pair", inner)]}
    with world.engine.events() as events, world.wake(config, listens=[listen]) as proxy:
        # It may have been seen running for a moment: then the client is served by the others, as long as they are left alone.
        for _ in range(2):
            with within(10, "the end of the wait"), wake.connect(listen) as sock:
                sock.sendall(b"x")
                try:
                    check(sock.recv(1) in (b"", b"x"), "something else came back")
                except ConnectionResetError:
                    pass
            line = eventually(2, "a line about it", lambda: next((x for x in proxy.log().splitlines() if "out of matches" in x), ""))
            check_contains("the line", line, "bad")
            time.sleep(0.3)  # until the end of that one is known
        eventually(2, "the second client has waked the group", lambda: events.count("bad", "start") >= 2)


# --- the engine and its containers go and come back -------------------------------------------------------------------

@case("the engine is killed and comes back: connections stay, who waits is served", group="wake", seconds=60, each=["killed", "stopped"])
def engine_restarts(world, how):
    awake, config, listens = one(world, "awake", of_group={"idle": "300ms"})
    asleep, more, others = one(world, "asleep")
    config["groups"].update(more["groups"])
    config["ports"] += more["ports"]
    with world.wake(config, listens=[listens["echo"], others["echo"]]) as proxy:
        sock = wake.connect(listens["echo"])
        wake.ask(sock, b"before")
        position = len(proxy.log())
        docker.stop(kill=how == "killed")
        try:
            wait_for_log(proxy, position, "engine", "docker")
            wake.ask(sock, b"without an engine")
            ask_once(listens["echo"], b"a new one to what runs")
            waiting = wake.connect(others["echo"])
            waiting.sendall(b"I can wait")
            time.sleep(0.7)
        finally:
            docker.restart()
        with within(15, "the answer"):
            check_equal("the echo", clients.read_exactly(waiting, 10), b"I can wait")
        wake.ask(sock, b"afterwards")
        sock.close()
        wake.await_rest(awake)
        check(proxy.alive(), "wake-proxy has ended")


@case("docker rm and a new container of that name under traffic: nobody is refused", group="wake", seconds=60)
def recreated(world):
    inner, listen = wake.ports(2)
    make = lambda: world.engine.create("anew", f"echo=127.0.0.1:{inner}")  # noqa: E731
    container = make()
    config = {"groups": {"anew": {"containers": ["anew"], "idle": "5s"}}, "ports": [wake.port_of(listen, "anew", inner)]}
    problems: list[str] = []
    answered = cut = 0
    end = threading.Event()

    def work() -> None:
        nonlocal answered, cut
        while not end.is_set():
            try:
                sock = wake.connect(listen)
            except OSError as problem:
                problems.append(f"refused: {problem}")
                return
            with sock:
                try:
                    wake.ask(sock, b"?")
                    answered += 1
                except (OSError, EOFError):
                    cut += 1  # it was in use when its server was removed
            time.sleep(0.01)

    with world.engine.events() as events, world.wake(config, listens=[listen]) as proxy:
        ask_once(listen)
        workers = [threading.Thread(target=work, daemon=True) for _ in range(4)]
        for worker in workers:
            worker.start()
        for _ in range(4):
            time.sleep(0.4)
            container.remove()
            container = make()
            eventually(5, "the new one runs", container.runs)
        time.sleep(0.3)
        end.set()
        for worker in workers:
            worker.join(20)
        check(not problems, "; ".join(problems))
        check(answered > 100 and cut <= 16, f"{answered} answered, {cut} cut (at most 4 clients at each of 4 removals can be)\n{proxy.log()[-1500:]}")
        check_equal("starts", events.count("anew", "start"), 5)


@case("a container paused by somebody else is waked for a client", group="wake")
def paused_by_others(world):
    container, config, listens = one(world, "held")
    with world.wake(config, listens=[listens["echo"]]):
        ask_once(listens["echo"])
        container.pause()
        time.sleep(0.1)
        with within(5, "the answer"):
            ask_once(listens["echo"])


@case("an engine reached by TCP and TLS", group="wake", seconds=60)
def engine_with_tls(world):
    if not shutil.which("openssl"):
        raise Skip("openssl is not installed")
    folder = world.new_folder()
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca-key.pem", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority")
    (folder / "extra").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n")
    for name in ("server", "client"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}-key.pem", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-out", f"{name}-cert.pem", "-days", "2",
                "-extfile", "extra")
    shutil.copyfile(folder / "client-cert.pem", folder / "cert.pem")
    shutil.copyfile(folder / "client-key.pem", folder / "key.pem")
    container, config, listens = one(world, "secure", of_group={"idle": "300ms"})
    port = wake.ports(1)[0]
    docker.restart(extra=["--host", f"tcp://127.0.0.1:{port}", "--tlsverify", "--tlscacert", folder / "ca.pem", "--tlscert", folder / "server-cert.pem",
                          "--tlskey", folder / "server-key.pem"])
    try:
        with world.wake(config, listens=[listens["echo"]], docker=f"tcp://127.0.0.1:{port}",
                        extra={"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(folder)}):
            ask_once(listens["echo"])
            wake.await_rest(container)
            ask_once(listens["echo"])
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "x.pem", "-out", "ca.pem", "-days", "2", "-subj", "/CN=somebody else")
        with world.wake(config, listens=[listens["echo"]], docker=f"tcp://127.0.0.1:{port}",
                        extra={"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(folder)}) as proxy:
            wait_for_log(proxy, 0, "certificate")
    finally:
        docker.restart()


@case("podman, by the API that it shares with Docker", group="wake", seconds=90)
def with_podman(world):
    try:
        mine = podman.up(lambda text: None)
    except Unavailable as missing:
        raise Skip(str(missing)) from None
    engine = podman.engine()
    try:
        container, where = wake.serving(engine, "pod", only=("echo", "banner", "udp"))
        config, listens = wake.settings_for({"pod": (container,)}, {"pod": where}, idle="300ms")
        listens = listens["pod"]
        with world.wake(config, listens=[listens["echo"], listens["banner"]], docker=f"unix://{engine_settings.podman_socket}"):
            for _ in range(5):
                wake.client_first(listens["echo"])
                wake.await_rest(container)
                wake.server_first(listens["banner"])
                wake.await_rest(container)
            wake.udp(listens["udp"])
            wake.await_rest(container)
            sock = wake.connect(listens["echo"])
            wake.ask(sock, b"silent from here")
            time.sleep(1)
            check(container.runs(), "it was stopped under an open connection")
            sock.close()
    finally:
        engine.remove_all()
        if mine:
            podman.down()


# --- ports ------------------------------------------------------------------------------------------------------------

@case("the PROXY protocol tells the server the client's address", group="wake", each=["v1", "v2"])
def proxy_protocol(world, version):
    container, config, listens = one(world, "told")
    config["ports"][0]["proxyProtocol"] = version
    port = listens["echo"]
    with world.wake(config, listens=[port]):
        for _ in range(2):  # cold and warm
            with wake.connect(port) as sock:
                sock.sendall(b"hello")
                mine = sock.getsockname()[1]
                if version == "v1":
                    expected = f"PROXY TCP4 127.0.0.1 127.0.0.1 {mine} {port}\r\n".encode()
                else:
                    expected = (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + bytes((127, 0, 0, 1)) * 2 + mine.to_bytes(2, "big") + port.to_bytes(2, "big"))
                check_equal("what the server got", clients.read_exactly(sock, len(expected) + 5), expected + b"hello")
                wake.finish(sock)


@case("two groups on one port, by the name in the TLS handshake", group="wake")
def by_name(world):
    groups, where = {}, {}
    for name in ("shop", "blog"):
        container, where[name] = wake.serving(world.engine, name, "--name", name, only=("tls",))
        groups[name] = container
    listen = wake.ports(1)[0]
    config = {"groups": {name: {"containers": [name]} for name in groups},
              "ports": [{"listen": f"127.0.0.1:{listen}", "targets": [
                  {"names": [f"{name}.test"], "group": name, "to": f"127.0.0.1:{where[name]['tls']}"} for name in groups]}]}
    with world.wake(config, listens=[listen]):
        check_equal("who answers for blog.test", wake.tls(listen, "blog.test"), "blog")
        check(not groups["shop"].runs(), "the other group was started")
        check_equal("who answers for shop.test", wake.tls(listen, "shop.test"), "shop")
        with wake.connect(listen) as sock:
            sock.sendall(b"\x16\x03\x01\x00\x05hello")
            check(wake.closed_within(sock, 8), "garbage is not refused")
        check_equal("and again", wake.tls(listen, "blog.test"), "blog")


@case("two groups on one port, by the Host of HTTP", group="wake")
def by_host(world):
    where = {}
    for name in ("shop", "blog"):
        _, where[name] = wake.serving(world.engine, name, "--name", name, only=("http",))
    listen = wake.ports(1)[0]
    config = {"groups": {name: {"containers": [name]} for name in where},
              "ports": [{"listen": f"127.0.0.1:{listen}", "targets": [
                  {"names": [f"{name}.test"], "group": name, "to": f"127.0.0.1:{where[name]['http']}"} for name in where]}]}
    with world.wake(config, listens=[listen]):
        for name in ("blog", "shop"):
            done = clients.curl("-H", f"Host: {name}.test", f"http://127.0.0.1:{listen}/")
            check_equal("curl", done.returncode, 0)
            check_equal("who answers", json.loads(done.stdout)["name"], name)


browser = ("-A", "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0", "-H", "Accept: text/html,application/xhtml+xml,*/*;q=0.8", "-H", "Sec-Fetch-Mode: navigate",
           "-H", "Sec-Fetch-Dest: document")


@case("the wait page: a browser gets a page that reloads itself, then the real one; a program is held", group="wake")
def wait_page(world):
    container, config, listens = one(world, "page", "--after", "700", only=("http",))
    config["ports"][0]["waitPage"] = True
    url = f"http://127.0.0.1:{listens['http']}/some/where"
    with world.wake(config, listens=[listens["http"]]):
        with within(0.5, "the wait page"):
            done = clients.curl("-i", *browser, url)
        check_equal("curl", done.returncode, 0)
        check_contains("the page", done.stdout, "text/html")
        check(re.search(r"^HTTP/1\.1 503 ", done.stdout), f"the status: {done.stdout[:80]}")
        check(re.search(r"(?im)^(refresh|retry-after): ", done.stdout) or "http-equiv" in done.stdout.lower(), f"nothing reloads: {done.stdout[:600]}")
        held = clients.curl(url)
        check_equal("who asks as a program is held", json.loads(held.stdout)["target"], "/some/where")
        real = clients.curl(*browser, url)
        check_equal("the real page", json.loads(real.stdout)["name"], json.loads(held.stdout)["name"])


@case("who may not connect does not, and does not wake anybody", group="wake")
def filters(world):
    container, config, listens = one(world, "guarded", only=("http",))
    config["ports"][0]["allow"] = ["127.0.0.1"]
    config["ports"][0]["noWake"] = {"paths": ["/healthz"], "agents": ["UptimeRobot"]}
    port = listens["http"]
    with world.wake(config, listens=[port]):
        with socket.socket() as other:
            other.bind(("127.0.0.9", 0))
            other.settimeout(3)
            try:
                other.connect(("127.0.0.1", port))
                other.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                check(other.recv(1) == b"", "who is not allowed gets an answer")
            except ConnectionError:
                pass
        for words in ((f"http://127.0.0.1:{port}/healthz",), ("-A", "UptimeRobot/2.0", f"http://127.0.0.1:{port}/")):
            done = clients.curl("-o", "/dev/null", "-w", "%{http_code}", *words)
            check(done.stdout in ("503", "000"), f"a monitor gets {done.stdout}")
        check(not container.runs(), "it was waked")
        check_equal("a real client", clients.curl("-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{port}/").stdout, "200")
        check_equal("a monitor while it runs", clients.curl("-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{port}/healthz").stdout, "200")


@case("a UDP server in the engine's bridge", group="wake")
def udp_bridge(world):
    listen = wake.ports(1)[0]
    container = world.engine.create("dns", "udp=:53", network="bridge")
    config = {"groups": {"dns": {"containers": ["dns"], "idle": "300ms"}},
              "ports": [{"listen": f"127.0.0.1:{listen}/udp", "group": "dns", "to": "53", "udpSession": "200ms"}]}
    with world.wake(config) as proxy:
        eventually(5, "it is ready", lambda: "ready" in proxy.log())
        for _ in range(2):
            wake.udp(listen, 10)
            wake.await_rest(container)


@case("a published port: docker-proxy accepts before the server listens, and nobody notices", group="wake")
def published(world):
    listen, outer = wake.ports(2)
    container = world.engine.create("behind", "--after", "300", "banner=:80", network="bridge", ports={"80/tcp": outer})
    config = {"groups": {"behind": {"containers": ["behind"], "idle": "300ms"}}, "ports": [wake.port_of(listen, "behind", outer)]}
    with world.wake(config, listens=[listen]):
        for _ in range(3):
            wake.server_first(listen)
            wake.await_rest(container)


# --- the program ------------------------------------------------------------------------------------------------------

def page(port: int, path: str):
    return clients.request(socket.create_connection(("127.0.0.1", port), 5), "GET", path, host="127.0.0.1")


@case("/healthz, /metrics and the status page tell what is going on", group="wake")
def status(world):
    container, config, listens = one(world, "shown", of_group={"idle": "300ms"})
    port = wake.ports(1)[0]
    config["statusListenAddress"] = f"127.0.0.1:{port}"
    with world.wake(config, listens=[port, listens["echo"]]):
        check_equal("healthz", page(port, "/healthz").status, 200)
        sock = wake.connect(listens["echo"])
        wake.ask(sock, b"hello")
        metrics = page(port, "/metrics").text
        check_contains("the metrics", metrics, 'group="shown"')
        check(re.search(r"(?m)^\w*wake\w*starts\w*\{[^}]*shown[^}]*\} 1$", metrics), f"no start is counted in {metrics[:1500]}")
        check_contains("the page", page(port, "/").text, "shown")
        sock.close()
        wake.await_rest(container)
        check_equal("a button that is off", clients.request(socket.create_connection(("127.0.0.1", port), 5), "POST", "/api/groups/shown/wake", host="127.0.0.1").status
                    in (403, 404, 405), True)


@case("SIGTERM: waiting clients and open connections may finish, containers stay as they are", group="wake", seconds=40)
def terminated(world):
    container, config, listens = one(world, "drained", "--after", "300")
    with world.wake(config, listens=[listens["echo"]]) as proxy:
        waiting = wake.connect(listens["echo"])
        waiting.sendall(b"hello")
        eventually(3, "it runs", container.runs)
        proxy.terminate()
        check_equal("the echo", clients.read_exactly(waiting, 5), b"hello")
        wake.finish(waiting)
        waiting.close()
        check_equal("exit code", proxy.wait(15), 0)
    check(container.runs(), "the container was stopped")


# Passes sockets as a service manager does: descriptors from 3 on, LISTEN_FDS, and LISTEN_PID of the very process that gets them.
ACTIVATED = """import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="wake")
os.execv(sys.argv[2], sys.argv[2:])
"""


@case("socket activation: a restart of wake-proxy loses no connection", group="wake", seconds=90)
def activation(world):
    container, where = wake.serving(world.engine, "kept", only=("echo",))
    config, listens = wake.settings_for({"kept": (container,)}, {"kept": where}, idle="10s")
    port = listens["kept"]["echo"]
    folder = world.new_folder()
    (folder / "wake-proxy.yaml").write_text(json.dumps({**config, "log": {"level": "debug"}}))
    listener = socket.create_server(("127.0.0.1", port), backlog=512)
    listener.set_inheritable(True)
    problems: list[str] = []
    answered = 0
    end = threading.Event()

    def work() -> None:
        nonlocal answered
        while not end.is_set():
            try:
                wake.client_first(port, 1000)
                answered += 1
            except (OSError, EOFError, AssertionError) as problem:
                problems.append(f"{type(problem).__name__}: {problem}")
            time.sleep(0.005)

    def start():
        from support.tool import Program
        program = ["python3", "-c", ACTIVATED, str(listener.fileno()), str(world.programs["wake-proxy"]), "--config", str(folder / "wake-proxy.yaml")]
        return Program(program, world.new_folder(), pass_fds=[listener.fileno()], extra={"DOCKER_HOST": f"unix://{engine_settings.docker_socket}"})

    proxy = start()
    try:
        wake.client_first(port, 1000)
        workers = [threading.Thread(target=work, daemon=True) for _ in range(3)]
        for worker in workers:
            worker.start()
        for _ in range(4):
            time.sleep(0.3)
            proxy.terminate()
            check_equal("exit code", proxy.wait(15), 0)
            proxy = start()
        time.sleep(0.5)
        end.set()
        for worker in workers:
            worker.join(20)
        check(not problems, f"{len(problems)} failed: {problems[:3]}\n{proxy.log()[-1500:]}")
        check(answered > 50, f"only {answered} connections were made")
    finally:
        proxy.stop()
        listener.close()
