"""Cold starts of wake-proxy on a real engine: nobody is refused, no byte is lost or doubled."""
import random
import shutil
import socket
import threading
import time

from support import clients, wake
from support.cases import Skip, case, check, check_contains, check_equal, eventually, within

conversations = {
    "client speaks first": ("echo", wake.client_first), "server speaks first": ("banner", wake.server_first), "half-close": ("sum", wake.half_close),
    "TLS": ("tls", wake.tls), "HTTP/2": ("http", None), "UDP": ("udp", wake.udp),
}


@case("cold starts without a lost byte", group="wake", each=list(conversations), seconds=6 * 3600)
def cold_starts(world, kind):
    service, talk = conversations[kind]
    if kind == "HTTP/2":
        program = shutil.which("h2load")
        if not program:
            raise Skip("h2load is not installed (package nghttp2-client)")
        talk = lambda port: wake.http2(port, program)  # noqa: E731
    workers = 3
    containers, where = [], {}
    for i in range(workers):
        container, where[f"cold{i}"] = wake.serving(world.engine, f"cold{i}", only=(service,))
        containers.append(container)
    groups = {c.name: (c,) for c in containers}
    config, listens = wake.settings_for(groups, where, idle="1ms")
    problems: list[str] = []
    left = [world.starts]
    lock = threading.Lock()

    def work(container, port: int, events) -> None:
        done = 0
        while True:
            with lock:
                if left[0] <= 0 or problems:
                    return
                left[0] -= 1
            try:
                talk(port)
                done += 1
                # Sometimes the next client comes as soon as the process has ended, while the engine is still at it.
                events.wait(container.name, "die", done)
                if done % 4 == 0:
                    await_stopped(container)
            except Exception as problem:
                problems.append(f"{container.name}, start {done + 1}: {type(problem).__name__}: {problem}")
                return

    def await_stopped(container) -> None:
        eventually(5, "the container has stopped", lambda: not container.runs())

    with world.engine.events() as events, world.wake(config, listens=wake.tcp_ports(listens), level="info") as proxy:
        wake.in_parallel([(work, c, listens[c.name][service], events) for c in containers])
        check(not problems, "; ".join(problems) + f"\n{proxy.log()[-1500:]}")
        for container in containers:
            eventually(5, "the last one is put to rest", lambda: not container.runs())
        starts = sum(events.count(c.name, "start") for c in containers)
        check_equal("starts", starts, world.starts)
        check_equal("stops", sum(events.count(c.name, "die") for c in containers), world.starts)


@case("200 connects at once on a cold container: one start, all are answered", group="wake", each=["at once", "after 400 ms"])
def crowd(world, listens_when):
    options = ("--after", "400") if listens_when != "at once" else ()
    container, where = wake.serving(world.engine, "crowd", *options, only=("echo",))
    config, listens = wake.settings_for({"crowd": (container,)}, {"crowd": where})
    port = listens["crowd"]["echo"]
    with world.engine.events() as events, world.wake(config, listens=[port]):
        socks = [wake.connect(port) for _ in range(200)]
        wanted = {}
        for i, sock in enumerate(socks):
            wanted[sock] = f"client {i} ".encode() + wake.content(100)
            sock.sendall(wanted[sock])
        for sock in socks:
            check_equal("the echo", clients.read_exactly(sock, len(wanted[sock])), wanted[sock])
        for sock in socks:
            wake.finish(sock)
            sock.close()
        check_equal("starts", events.count("crowd", "start"), 1)


@case("clients that come at every moment of a stop", group="wake", seconds=60)
def during_the_stop(world):
    container, where = wake.serving(world.engine, "edge", only=("echo",))
    config, listens = wake.settings_for({"edge": (container,)}, {"edge": where}, idle="30ms")
    port = listens["edge"]["echo"]
    with world.wake(config, listens=[port], level="info"):
        for i in range(40):
            wake.client_first(port, 2000)
            time.sleep(0.02 + i * 0.003)  # the stop begins after 30 ms and takes about 50


@case("a client that leaves while it waits is not waited for", group="wake")
def leaves(world):
    container, where = wake.serving(world.engine, "left", "--after", "300", only=("echo",))
    config, listens = wake.settings_for({"left": (container,)}, {"left": where}, idle="200ms")
    port = listens["left"]["echo"]
    with world.engine.events() as events, world.wake(config, listens=[port]) as proxy:
        before = proxy.descriptors()
        gone = [wake.connect(port) for _ in range(20)]
        for i, sock in enumerate(gone):
            sock.sendall(b"nobody wants the answer")
            clients.reset(sock) if i % 2 else sock.close()
        stays = wake.connect(port)
        wake.ask(stays, b"I wait")
        stays.close()
        wake.await_rest(container)
        eventually(5, "no descriptor is left", lambda: proxy.descriptors() <= before + 2)
        check_equal("starts", events.count("left", "start"), 1)


@case("early bytes are kept in order, and no more of them than allowed", group="wake", seconds=60)
def early_bytes(world):
    container, where = wake.serving(world.engine, "early", "--after", "500", only=("echo",))
    config, listens = wake.settings_for({"early": (container,)}, {"early": where})
    port, data = listens["early"]["echo"], wake.content(8 << 20)
    with world.wake(config, listens=[port], level="info") as proxy:
        before = proxy.memory()
        many = [wake.connect(port) for _ in range(20)]
        feeders = [threading.Thread(target=sock.sendall, args=(data,), daemon=True) for sock in many]
        for feeder in feeders:
            feeder.start()
        time.sleep(0.4)  # all that fits has been sent, and nobody listens yet
        check(proxy.memory() - before < 8 << 20, f"20 waiting clients cost {proxy.memory() - before} bytes")
        for sock in many:
            check_equal("the echo", clients.read_exactly(sock, len(data)) == data, True)
            sock.close()


@case("more clients than may wait are refused at once, and those before them are served", group="wake")
def too_many(world):
    container, where = wake.serving(world.engine, "full", "--after", "500", only=("echo",))
    config, listens = wake.settings_for({"full": (container,)}, {"full": where}, mostWaiting=5)
    port = listens["full"]["echo"]
    with world.wake(config, listens=[port]) as proxy:
        waiting = [wake.connect(port) for _ in range(5)]
        eventually(3, "five wait", lambda: proxy.log().count("accept") >= 0)
        time.sleep(0.1)
        more = [wake.connect(port) for _ in range(3)]
        with within(2, "the refusal"):
            for sock in more:
                check(wake.closed_within(sock, 2), "one more than allowed is not refused")
        for sock in waiting:
            wake.ask(sock, b"early bird")
        check_contains("the log", proxy.log(), "waiting")


@case("a server that is slow to listen costs its own time and not a fixed pause", group="wake", each=[0, 500])
def pace(world, milliseconds):
    container, where = wake.serving(world.engine, "pace", "--after", str(milliseconds), only=("echo",))
    config, listens = wake.settings_for({"pace": (container,)}, {"pace": where})
    port = listens["pace"]["echo"]

    def bare() -> None:
        container.start()
        while True:
            try:
                with socket.create_connection(("127.0.0.1", where["echo"])) as sock:
                    return wake.ask(sock, b"x")
            except ConnectionRefusedError:
                time.sleep(0.001)

    def through() -> None:
        with wake.connect(port) as sock:
            wake.ask(sock, b"x")

    with world.wake(config, listens=[port], level="info"):
        took = {bare: [], through: []}
        for _ in range(5):
            for way in (bare, through):
                took[way].append(wake.seconds_of(way))
                container.stop()
                time.sleep(0.05)  # the events of the stop have arrived
        extra = min(took[through]) - min(took[bare])
        check(extra < 0.1, f"at best {min(took[bare]) * 1e3:.0f} ms bare and {min(took[through]) * 1e3:.0f} ms through wake-proxy")


@case("many different clients at random, for some seconds", group="wake", seconds=60)
def mixture(world):
    container, where = wake.serving(world.engine, "mix")
    config, listens = wake.settings_for({"mix": (container,)}, {"mix": where}, idle="20ms")
    listens = listens["mix"]
    talks = [lambda: wake.client_first(listens["echo"], 3000), lambda: wake.server_first(listens["banner"]), lambda: wake.half_close(listens["sum"]),
             lambda: wake.tls(listens["tls"]), lambda: wake.udp(listens["udp"], 10)]
    problems: list[str] = []
    end = time.monotonic() + 6

    def work() -> None:
        dice = random.Random()
        while time.monotonic() < end and not problems:
            try:
                dice.choice(talks)()
                time.sleep(dice.choice((0, 0, 0.02, 0.1, 0.2)))
            except Exception as problem:
                problems.append(f"{type(problem).__name__}: {problem}")

    with world.wake(config, listens=wake.tcp_ports({"mix": listens}), level="info") as proxy:
        wake.in_parallel([(work,)] * 4)
        check(not problems, "; ".join(problems) + f"\n{proxy.log()[-1500:]}")
