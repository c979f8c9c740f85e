"""What wake-proxy does as a program: options, settings, logs, signals, sockets of a service manager, `check`. The engine is one in memory."""
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from support import wake
from support.cases import Skip, case, check, check_contains, check_equal, eventually
from support.servers import unused_port
from support.tool import run_once

fake_engine = Path(__file__).resolve().parents[2] / "bench" / "fake_engine.py"


def program(world) -> Path:
    if "wake-proxy" not in world.programs:
        raise Skip("there is no program wake-proxy")
    return world.programs["wake-proxy"]


@contextmanager
def engine(world, *names: str):
    """An engine with containers of these names, each in a group of its name. Gives its address."""
    path = world.new_folder() / "engine.sock"
    process = subprocess.Popen([sys.executable, str(fake_engine), str(path), *names], stdout=subprocess.PIPE, text=True)
    try:
        check_equal("the engine", process.stdout.readline().strip(), "serving")
        yield f"unix://{path}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def echo():
    """The server of all containers. Gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        def talk(sock):
            with sock:
                while data := sock.recv(65536):
                    sock.sendall(data)

        def serve():
            while True:
                try:
                    sock, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=(sock,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def classic(port: int, to: int, group: str = "shop", *more: str) -> tuple[str, ...]:
    return ("--port", str(port), "--host", f"127.0.0.1:{to}", "--group", group, *more)


def start(world, docker: str, *arguments: str, config: dict | None = None, listens: list[int] | None = None, **more) -> wake.WakeProxy:
    return wake.WakeProxy(program(world), world.new_folder(), config, arguments, docker=docker, listens=listens, **more)


@case("--version and -V, --help and -h", group="local")
def version(world):
    for option in ("--version", "-V"):
        done = run_once(program(world), world.new_folder(), option)
        check_equal("exit code", done.returncode, 0)
        check(re.search(r"wake-proxy \d+\.\d+\.\d+", done.stdout), f"no version in {done.stdout!r}")
    for option in ("--help", "-h"):
        done = run_once(program(world), world.new_folder(), option)
        check_equal("exit code", done.returncode, 0)
        for word in ("-p,--port", "--host", "-g,--group", "--idle", "--no-health", "--config", "check"):
            check_contains("the help", done.stdout, word)


@case("wrong options and settings are told, all at once, and end it", group="local")
def wrong(world):
    def ends_with(code: int, *arguments: str) -> str:
        done = run_once(program(world), world.new_folder(), *arguments)
        check_equal(f"exit code of {arguments}", done.returncode, code)
        return done.stderr

    check_contains("the message", ends_with(2, "--prot", "1"), "--prot")
    missing = ends_with(1, "--port", "5001")
    check_contains("the message", missing, "wake-proxy: --host is missing: --port, --host and --group belong together")
    check_contains("the message", missing, "--group is missing")
    check_contains("the message", ends_with(1, *classic(70000, 1)), "--port must be a number from 1 to 65535")
    check_contains("the message", ends_with(1, *classic(1, 1), "--idle", "soon"), "--idle must be a time")
    check_contains("the message", ends_with(1, "--config", "none.yaml"), "none.yaml: can't be read")
    file = world.new_folder() / "w.yaml"
    file.write_text("groups:\n  a: {listen: 80, idel: 5m}\n  b: {listen: 80}\n")
    text = ends_with(1, "--config", str(file))
    check_contains("the message", text, "w.yaml:2:19: unknown key 'groups.a.idel', did you mean 'groups.a.idle'?")
    check_contains("the message", text, "port 80/tcp is wanted by the groups 'a' and 'b'")


@case("the options of the original: the connection is served, and the log says that the port is open to all", group="local")
def original(world):
    port = unused_port()
    with engine(world, "shop") as docker, echo() as to, start(world, docker, *classic(port, to), listens=[port], extra={"RUST_LOG": "debug"}) as proxy:
        eventually(10, "a client is served", lambda: wake.client_first(port, 1000) is None)
        check_contains("the log", proxy.log(), "this port is open to other machines")
        check_contains("the log", proxy.log(), "DEBUG")


@case("--listen narrows the port, and nothing is said then", group="local")
def narrow(world):
    port = unused_port()
    with engine(world, "shop") as docker, echo() as to, start(world, docker, *classic(port, to), "--listen", "127.0.0.1", listens=[port]) as proxy:
        eventually(10, "a client is served", lambda: wake.client_first(port, 1000) is None)
        check("open to other machines" not in proxy.log(), "the port is on loopback")


@case("the level of the log by option and environment", group="local")
def levels(world):
    for arguments, extra, debug in (((), {}, False), (("--log-level", "debug"), {}, True), ((), {"WAKE_PROXY_LOG": "debug"}, True),
                                    (("--log-level", "info"), {"WAKE_PROXY_LOG": "debug"}, False)):
        port = unused_port()
        with engine(world, "shop") as docker, echo() as to, start(world, docker, *classic(port, to), *arguments, listens=[port], extra=extra) as proxy:
            eventually(10, "a client is served", lambda: wake.client_first(port, 1000) is None)
            eventually(5, "ready", lambda: "ready" in proxy.log())
            check_equal(f"debug lines with {arguments} and {extra}", "DEBUG" in proxy.log(), debug)


@case("no engine: one line that says where, a client is turned away, and it goes on", group="local")
def no_engine(world):
    port = unused_port()
    path = world.new_folder() / "none.sock"
    config = {"groups": {"shop": {"listen": f"127.0.0.1:{port}:127.0.0.1:1", "startLimit": 1}}}
    with start(world, f"unix://{path}", config=config, listens=[port]) as proxy:
        eventually(5, "a line", lambda: str(path) in proxy.log())
        with wake.connect(port) as sock:
            check(wake.closed_within(sock, 10), "the client is neither served nor refused")
        check(proxy.alive(), "it has ended")


@case("no such group: the client is turned away with a line that names it, and another group is served", group="local")
def no_group(world):
    missing, good = unused_port(), unused_port()
    with engine(world, "shop") as docker, echo() as to:
        config = {"groups": {"nobody": {"listen": f"127.0.0.1:{missing}:127.0.0.1:{to}", "startLimit": 1}, "shop": {"listen": f"127.0.0.1:{good}:127.0.0.1:{to}"}}}
        with start(world, docker, config=config, listens=[missing, good]) as proxy:
            eventually(10, "the other group is served", lambda: wake.client_first(good, 1000) is None)
            with wake.connect(missing) as sock:
                check(wake.closed_within(sock, 10), "the client is neither served nor refused")
            eventually(5, "a line", lambda: [line for line in proxy.log().splitlines() if "nobody" in line and ("WARN" in line or "ERROR" in line)])
            wake.client_first(good, 1000)


@case("a port that somebody else has: a line, and the others are open; without any it ends", group="local")
def taken(world):
    port = unused_port()
    with engine(world, "shop") as docker, echo() as to, socket.create_server(("127.0.0.1", 0)) as other:
        has = other.getsockname()[1]
        ports = [f"127.0.0.1:{has}:127.0.0.1:{to}", f"127.0.0.1:{port}:127.0.0.1:{to}"]
        with start(world, docker, config={"groups": {"shop": {"listen": ports}}}, listens=[port]) as proxy:
            eventually(10, "the other port is served", lambda: wake.client_first(port, 1000) is None)
            check_contains("the log", proxy.log(), str(has))
        done = run_once(program(world), world.new_folder(), *classic(has, to), "--listen", "127.0.0.1", env={"DOCKER_HOST": docker})
        check_equal("exit code", done.returncode, 1)
        check_contains("the message", done.stderr, str(has))


@case("SIGTERM: no new clients, an open connection may end; SIGHUP: a line", group="local")
def signals(world):
    port = unused_port()
    with engine(world, "shop") as docker, echo() as to, start(world, docker, *classic(port, to), listens=[port]) as proxy:
        eventually(10, "a client is served", lambda: wake.client_first(port, 1000) is None)
        proxy.process.send_signal(signal.SIGHUP)
        eventually(5, "a line", lambda: "settings are read at the start only" in proxy.log())
        with wake.connect(port) as sock:
            wake.ask(sock, b"before")
            proxy.terminate()
            eventually(5, "a line", lambda: "shutting down" in proxy.log())
            eventually(5, "the port is closed", lambda: port not in wake.tcp_listeners())
            wake.ask(sock, b"after")
        check_equal("exit code", proxy.wait(10), 0)
        check_contains("the log", proxy.log(), "bye")


@case("a second SIGTERM ends at once", group="local")
def twice(world):
    port = unused_port()
    with engine(world, "shop") as docker, echo() as to, start(world, docker, *classic(port, to), listens=[port]) as proxy:
        eventually(10, "a client is served", lambda: wake.client_first(port, 1000) is None)
        with wake.connect(port) as sock:
            wake.ask(sock, b"x")
            proxy.terminate()
            eventually(5, "a line", lambda: "shutting down" in proxy.log())
            proxy.terminate()
            proxy.wait(5)


class Manager:
    """What systemd does for a socket unit: opens the port, hands it over as descriptor 3, and hears of readiness."""

    def __init__(self, world, docker: str, arguments: tuple[str, ...], sockets: list[socket.socket]):
        self.world, self.docker, self.arguments, self.sockets = world, docker, arguments, sockets
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.name = f"\0wake-tool-{os.getpid()}-{id(self)}"
        self.notify.bind(self.name)
        self.notify.settimeout(15)

    def launch(self) -> subprocess.Popen:
        # LISTEN_PID has to be the pid of the program itself, so a shell sets it and turns into it.
        numbers = [fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 100) for s in self.sockets]
        moves = " ".join(f"{3 + i}<&{number}" for i, number in enumerate(numbers))
        closes = " ".join(f"{number}<&-" for number in numbers)
        command = f'export LISTEN_PID=$$ LISTEN_FDS={len(numbers)}; exec "$0" "$@" {moves} {closes}'
        folder = self.world.new_folder()
        try:
            with open(folder / "log", "ab") as log:
                return subprocess.Popen(["bash", "-c", command, str(program(self.world)), *self.arguments], pass_fds=numbers, stdout=log, stderr=log, cwd=folder,
                                        env={"PATH": os.environ["PATH"], "DOCKER_HOST": self.docker, "NOTIFY_SOCKET": "@" + self.name[1:]})
        finally:
            for number in numbers:
                os.close(number)

    def heard(self) -> str:
        return self.notify.recv(4096).decode()


@case("sockets of a service manager: a restart refuses nobody", group="local", seconds=60)
def activation(world):
    with engine(world, "shop") as docker, echo() as to, socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        manager = Manager(world, docker, (*classic(port, to), "--listen", "127.0.0.1"), [listening])
        first = manager.launch()
        try:
            check_contains("the manager", manager.heard(), "READY=1")
            wake.client_first(port, 1000)
            first.terminate()
            check_contains("the manager", manager.heard(), "STOPPING=1")
            check_equal("exit code", first.wait(15), 0)
            # Nobody accepts now, and the client is not refused.
            with wake.connect(port) as sock:
                sock.sendall(b"while nobody was there")
                second = manager.launch()
                try:
                    check_contains("the manager", manager.heard(), "READY=1")
                    got = b""
                    while len(got) < 22:
                        got += sock.recv(100)
                    check_equal("the echo", got, b"while nobody was there")
                finally:
                    second.kill()
                    second.wait()
        finally:
            first.kill()
            first.wait()


@case("status page, metrics and health; buttons are off", group="local")
def status(world):
    port, page = unused_port(), unused_port()
    with engine(world, "shop") as docker, echo() as to, start(world, docker, *classic(port, to), "--status", f"127.0.0.1:{page}", listens=[port, page]):
        eventually(10, "a client is served", lambda: wake.client_first(port, 1000) is None)

        def get(path: str) -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{page}{path}", timeout=10) as answer:
                return answer.read().decode()

        check_contains("the page", get("/"), "shop")
        check_equal("the groups", [g["name"] for g in json.loads(get("/api/status"))["groups"]], ["shop"])
        check_contains("the metrics", get("/metrics"), 'podproxy_wake_connections_total{group="shop"')
        get("/healthz")
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{page}/api/groups/shop/stop", method="POST", headers={"X-Podproxy-Action": "1"}, data=b"")
            urllib.request.urlopen(request, timeout=10)
            check(False, "a button has worked")
        except urllib.error.HTTPError as refused:
            check(400 <= refused.code < 500, f"the answer is {refused.code}")


@case("check: a line for each finding, and the exit code", group="local")
def checks(world):
    port = unused_port()
    with engine(world, "shop", "db") as docker, socket.create_server(("127.0.0.1", 0)) as other:
        has = other.getsockname()[1]

        def checked(*arguments: str, where: str = docker) -> tuple[int, str]:
            done = run_once(program(world), world.new_folder(), "check", *arguments, env={"DOCKER_HOST": where}, timeout=30)
            check_equal("what is not a finding", [line for line in done.stdout.splitlines() if not re.match(r"(ok    |warn  |error ) ", line)], [])
            return done.returncode, done.stdout

        code, text = checked(*classic(port, 1), "--listen", "127.0.0.1")
        check_equal(f"exit code of {text}", code, 0)
        check_contains("the engine", text, "ok     provider 'docker': docker 1.41 at unix://")
        check_contains("the members", text, "ok     group 'shop': shop (running)")
        check_contains("the port", text, f"ok     port 127.0.0.1:{port}/tcp: free, wakes shop")
        check_contains("the permission", text, "ok     provider 'docker': containers may be asked to start")
        code, text = checked(*classic(port, 1, "nobody"))
        check_equal("exit code", code, 1)
        check_contains("the members", text, "error  group 'nobody': nothing belongs to it: label a container podproxy.wake.group=nobody")
        code, text = checked(*classic(has, 1), "--listen", "127.0.0.1")
        check_equal("exit code", code, 1)
        check_contains("the port", text, f"error  port 127.0.0.1:{has}/tcp: can't be listened on")
        code, text = checked(*classic(port, 1), where="unix:///nowhere/docker.sock")
        check_equal("exit code", code, 1)
        check_contains("the engine", text, "error  provider 'docker': ", "/nowhere/docker.sock")
        code, text = checked("--port", "x")
        check_equal("exit code", code, 1)
        file = world.new_folder() / "w.yaml"
        file.write_text(f"groups:\n  shop: {{listen: '127.0.0.1:{port}', containers: [shop, gone]}}\n")
        code, text = checked("--config", str(file))
        check_equal("exit code", code, 1)
        check_contains("the missing container", text, "error  group 'shop': 'gone' is not there")
        check_contains("a group without a port", text, "warn   group 'db': no port leads to it")
