"""What can be wrong around wake-proxy: one clear line for each, with names, and it goes on."""
import json
import socket
import time

from engines import settings as engine_settings
from support import clients, wake
from support.cases import case, check, check_contains, check_equal, eventually, within
from support.tool import run_once


def lines_with(proxy, *words: str) -> list[str]:
    return [line for line in proxy.log().splitlines() if all(word.lower() in line.lower() for word in words)]


def one_line(proxy, *words: str, seconds: float = 5) -> str:
    """The one line of the log that has all the words. It must not be repeated all the time."""
    eventually(seconds, f"a line with {words}", lambda: lines_with(proxy, *words))
    found = lines_with(proxy, *words)
    warnings = [line for line in found if "debug" not in line.lower()]
    check(len(warnings) <= 3, f"{len(warnings)} lines say it: {warnings[:4]}")
    return (warnings or found)[0]


class Beside:
    """A good group beside the bad one: it has to be served whatever happens to the other."""

    def __init__(self, world, config: dict):
        container, where = wake.serving(world.engine, "fine", only=("echo",))
        more, listens = wake.settings_for({"fine": (container,)}, {"fine": where})
        config.setdefault("groups", {}).update(more["groups"])
        config.setdefault("ports", []).extend(more["ports"])
        self.port = listens["fine"]["echo"]

    def works(self) -> None:
        wake.client_first(self.port, 1000)


def refused(port: int, seconds: float) -> None:
    """A client of that port is turned away, and not held for ever."""
    with within(seconds, "the refusal"), wake.connect(port) as sock:
        sock.sendall(b"hello")
        check(wake.closed_within(sock, seconds), "the client is neither served nor refused")


@case("no engine at that address: it says so, refuses clients, and works when the engine comes", group="wake", seconds=60)
def no_socket(world):
    container, where = wake.serving(world.engine, "late", only=("echo",))
    config, listens = wake.settings_for({"late": (container,)}, {"late": where}, startLimit="2s")
    port, path = listens["late"]["echo"], world.new_folder() / "engine.sock"
    with world.wake(config, listens=[port], docker=f"unix://{path}") as proxy:
        check_contains("the line", one_line(proxy, str(path)), "no such file", "does not exist", "not there")
        refused(port, 5)
        path.symlink_to(engine_settings.docker_socket)
        eventually(20, "a client is served", lambda: wake.client_first(port, 100) is None)


@case("no permission for the engine's socket: one line that says which and what to do", group="wake")
def no_permission(world):
    container, where = wake.serving(world.engine, "locked", only=("echo",))
    config, listens = wake.settings_for({"locked": (container,)}, {"locked": where}, startLimit="2s")
    port = listens["locked"]["echo"]
    # The folder of the engine's own socket is nobody's but root's; so a door is made that everybody sees and nobody may open.
    path = world.new_folder() / "engine.sock"
    path.parent.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()
        path.chmod(0o600)
        with world.wake(config, listens=[port], docker=f"unix://{path}", user=54123) as proxy:
            check_contains("the line", one_line(proxy, str(path)), "permission")
            refused(port, 5)


@case("no container belongs to the group: one line, a refusal after the limit, and it works when there is one", group="wake")
def no_such_group(world):
    inner, listen = wake.ports(2)
    config = {"groups": {"nobody": {"startLimit": "2s"}}, "ports": [wake.port_of(listen, "nobody", inner)]}
    beside = Beside(world, config)
    with world.wake(config, listens=[listen, beside.port]) as proxy:
        refused(listen, 4)
        check_contains("the line", one_line(proxy, "nobody", "belongs"), "container")
        beside.works()
        world.engine.create("comes", f"echo=127.0.0.1:{inner}", labels={"podproxy.wake.group": "nobody"})
        time.sleep(0.2)
        wake.client_first(listen, 1000)


@case("a container that is named and missing", group="wake")
def no_such_container(world):
    inner, listen = wake.ports(2)
    config = {"groups": {"lost": {"containers": ["is-not-there"], "startLimit": "2s"}}, "ports": [wake.port_of(listen, "lost", inner)]}
    with world.wake(config, listens=[listen]) as proxy:
        refused(listen, 4)
        check(lines_with(proxy, "is-not-there"), f"the container is not named in\n{proxy.log()[-1000:]}")


@case("a container that ends at once: its name, its exit code and its last line", group="wake")
def ends_at_once(world):
    inner, listen = wake.ports(2)
    container = world.engine.create("broken", "--say", "the database is upside down", "--exit-after", "0", "--code", "3")
    config = {"groups": {"broken": {"containers": ["broken"], "startAttempts": 2, "firstBackoff": "50ms", "mostBackoff": "200ms"}},
              "ports": [wake.port_of(listen, "broken", inner)]}
    beside = Beside(world, config)
    with world.engine.events() as events, world.wake(config, listens=[listen, beside.port]) as proxy:
        refused(listen, 5)
        line = one_line(proxy, "the database is upside down")
        check_contains("the line", line, "broken")
        check_contains("the line", line, "code 3", "status 3", "exited 3", "with 3", "(3)")
        check_equal("starts", events.count("broken", "start"), 2)
        # No start storm: of 20 who come together, each is refused after the same two attempts.
        many = [wake.connect(listen) for _ in range(20)]
        for sock in many:
            check(wake.closed_within(sock, 5), "one of many is neither served nor refused")
        check_equal("starts", events.count("broken", "start"), 4)
        beside.works()
    check_equal("state", container.state(), "exited")


@case("a container that crashes later, while it is waited for its port", group="wake")
def ends_soon(world):
    inner, listen = wake.ports(2)
    world.engine.create("tired", "--say", "I am going to lie down", "--exit-after", "300", "--after", "5000", f"echo=127.0.0.1:{inner}")
    config = {"groups": {"tired": {"containers": ["tired"], "startAttempts": 1}}, "ports": [wake.port_of(listen, "tired", inner)]}
    with world.wake(config, listens=[listen]) as proxy:
        refused(listen, 5)
        check_contains("the line", one_line(proxy, "I am going to lie down"), "tired")


@case("an image that can't be started at all", group="wake")
def cannot_start(world):
    inner, listen = wake.ports(2)
    made = world.engine.call("POST", "/containers/create", {"Image": engine_settings.image, "Entrypoint": ["/no/such/program"], "HostConfig": {"NetworkMode": "host"}},
                             query={"name": "hollow"})
    check(made["Id"], "no container")
    config = {"groups": {"hollow": {"containers": ["hollow"], "startAttempts": 2, "firstBackoff": "50ms"}}, "ports": [wake.port_of(listen, "hollow", inner)]}
    with world.wake(config, listens=[listen]) as proxy:
        refused(listen, 5)
        check_contains("the line", one_line(proxy, "/no/such/program"), "hollow")


@case("a health check that never passes: refused after the limit, with the name and what the check says", group="wake")
def never_healthy(world):
    inner, listen = wake.ports(2)
    world.engine.create("pale", "--say", "I do not feel well", f"echo=127.0.0.1:{inner}", health={"interval": 100, "retries": 3})
    config = {"groups": {"pale": {"containers": ["pale"], "startLimit": "2s", "startAttempts": 1}}, "ports": [wake.port_of(listen, "pale", inner)]}
    beside = Beside(world, config)
    with world.wake(config, listens=[listen, beside.port]) as proxy:
        refused(listen, 6)
        line = next(iter(lines_with(proxy, "pale", "healthy")), "")
        check(line, f"nothing about its health in\n{proxy.log()[-1500:]}")
        check(lines_with(proxy, "I do not feel well"), "its last line is not told")
        beside.works()


@case("a port that never opens: refused after the limit", group="wake")
def never_open(world):
    inner, listen = wake.ports(2)
    world.engine.create("deaf", "--say", "I listen to nobody")
    config = {"groups": {"deaf": {"containers": ["deaf"], "startLimit": "1s"}}, "ports": [wake.port_of(listen, "deaf", inner)]}
    with world.wake(config, listens=[listen]) as proxy:
        refused(listen, 4)
        check(lines_with(proxy, str(inner)), f"the port is not named in\n{proxy.log()[-1500:]}")
        check(lines_with(proxy, "deaf"), "the group is not named")


@case("labels with nonsense: a line for each, with the container's name; the rest of its labels holds", group="wake")
def nonsense(world):
    listen, inner = wake.ports(2)
    world.engine.create("odd", f"echo=127.0.0.1:{inner}", labels={
        "podproxy.wake.listen": f"127.0.0.1:{listen}:{inner}", "podproxy.wake.host": "127.0.0.1", "podproxy.wake.idle": "a while",
        "podproxy.wake.idel": "5", "podproxy.wake.action": "explode"})
    with world.wake(listens=[listen]) as proxy:
        for label in ("podproxy.wake.idle'", "podproxy.wake.idel'", "podproxy.wake.action'"):
            check_contains("the line", one_line(proxy, label), "odd")
        wake.client_first(listen, 1000)


@case("two groups want one port: the first has it, one line names both, and both go on", group="wake")
def two_on_one_port(world):
    listen, other, first, second = wake.ports(4)
    world.engine.create("alpha", f"echo=127.0.0.1:{first}", labels={"podproxy.wake.listen": f"127.0.0.1:{listen}:{first}", "podproxy.wake.host": "127.0.0.1"})
    world.engine.create("beta", f"echo=127.0.0.1:{second}", labels={
        "podproxy.wake.listen": f"127.0.0.1:{listen}:{second},127.0.0.1:{other}:{second}", "podproxy.wake.host": "127.0.0.1"})
    with world.wake(listens=[listen, other]) as proxy:
        check_contains("the line", one_line(proxy, str(listen), "alpha", "beta"), "group")
        wake.client_first(listen, 1000)
        wake.client_first(other, 1000)


@case("a port that somebody else has: one line, and the other ports work", group="wake")
def taken(world):
    listen, inner = wake.ports(2)
    config = {"groups": {"late": {}}, "ports": [wake.port_of(listen, "late", inner)]}
    beside = Beside(world, config)
    with socket.create_server(("127.0.0.1", listen)), world.wake(config, listens=[beside.port]) as proxy:
        check_contains("the line", one_line(proxy, str(listen)), "in use")
        beside.works()


@case("a configuration with mistakes: all of them at once, with line and column, exit code 2 or 1", group="wake")
def bad_file(world):
    folder = world.new_folder()
    (folder / "wake.yaml").write_text("groups:\n  web:\n    idel: 5m\n    action: explode\nports:\n- listen: 70000\n  group: wbe\n")
    done = run_once(world.programs["wake-proxy"], folder, "--config", "wake.yaml")
    check(done.returncode in (1, 2), f"exit code {done.returncode}")
    for words in ("wake.yaml:3:", "idel", "wake.yaml:4:", "explode", "wake.yaml:6:", "wbe"):
        if words != "explode":
            check_contains("the message", done.stderr, words)


@case("check tells what it would do, and what is wrong", group="wake")
def check_command(world):
    inner, listen = wake.ports(2)
    world.engine.create("checked", f"echo=127.0.0.1:{inner}", labels={"podproxy.wake.group": "shop"})
    folder = world.new_folder()
    environment = {"DOCKER_HOST": f"unix://{engine_settings.docker_socket}"}
    config = {"groups": {"shop": {}}, "ports": [wake.port_of(listen, "shop", inner)]}
    (folder / "good.yaml").write_text(json.dumps(config))
    good = run_once(world.programs["wake-proxy"], folder, "check", "--config", "good.yaml", env=environment)
    check_equal("exit code", (good.returncode, good.stderr), (0, ""))
    for words in ("shop", "checked", str(listen)):
        check_contains("what it says", good.stdout, words)
    config["groups"]["empty"] = {"containers": ["is-not-there"]}
    config["ports"].append(wake.port_of(wake.ports(1)[0], "empty", inner))
    (folder / "bad.yaml").write_text(json.dumps(config))
    bad = run_once(world.programs["wake-proxy"], folder, "check", "--config", "bad.yaml", env=environment)
    check(bad.returncode != 0, f"exit code 0 with a missing container: {bad.stdout}")
    check_contains("what it says", bad.stdout + bad.stderr, "is-not-there")
    none = run_once(world.programs["wake-proxy"], folder, "check", "--config", "good.yaml", env={"DOCKER_HOST": "unix:///no/such/socket"})
    check(none.returncode != 0, "exit code 0 without an engine")
    check_contains("what it says", none.stdout + none.stderr, "/no/such/socket")


@case("first bytes that are nonsense, and clients that hang up at every moment", group="wake", seconds=60)
def rude_clients(world):
    container, where = wake.serving(world.engine, "web", only=("http",))
    config, listens = wake.settings_for({"web": (container,)}, {"web": where}, idle="100ms")
    config["ports"][0].update(waitPage=True, noWake={"paths": ["/healthz"], "names": ["monitor.test"]}, firstBytesLimit="300ms")
    port = listens["web"]["http"]
    with world.wake(config, listens=[port], level="info") as proxy:
        before = proxy.descriptors()
        for data in (b"", b"\0", b"G", b"GET / HT", b"GET /" + b"a" * 100_000, b"\x16\x03\x01\xff\xff" + bytes(2000), bytes(range(256)) * 50,
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\nHost: " + b"x" * 70_000):
            for how in ("close", "reset", "half"):
                sock = wake.connect(port)
                try:
                    sock.sendall(data)
                    if how == "half":
                        sock.shutdown(socket.SHUT_WR)
                        time.sleep(0.05)
                except OSError:
                    pass
                clients.reset(sock) if how == "reset" else sock.close()
        eventually(15, "no descriptor is left", lambda: proxy.descriptors() <= before + 3)
        done = clients.curl("-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{port}/")
        check_equal("a good client", done.stdout, "200")
