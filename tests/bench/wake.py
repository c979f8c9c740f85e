"""wake-proxy: what it adds to the start of a container, and what it costs while the container runs, beside other forwarders."""
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

import machine
import passthrough
from machine import Account, Watch, start, stop, wait_for_quiet
from report import Results, number, table
from servers import Direct, ForwardYardstick, Haproxy, Nginx, Running, WakeProxy, find

here = Path(__file__).resolve().parent
warm_sections = {"wake bulk": passthrough.bulk, "wake new": passthrough.new, "wake latency": passthrough.latency, "wake idle": passthrough.idle}
cold = "wake cold"
servers_in_containers = {"listens at once": 0, "listens after 500 ms": 500}  # milliseconds
crowd = 200
at_once = f"{crowd} clients at once"


# --- while the container runs -----------------------------------------------------------------------------------------

@contextmanager
def fake_engine(folder: Path):
    """An engine that says its container runs: which one it is makes no difference to bytes that flow past it."""
    path = folder / "engine.sock"
    process = start([sys.executable, "-B", here / "fake_engine.py", path, "origin"], stdout=subprocess.PIPE)
    try:
        if process.stdout.readline() != b"serving\n":
            raise RuntimeError("the fake engine does not start")
        yield path
    finally:
        stop(process)
        path.unlink(missing_ok=True)


def warm(o, plan, results: Results, ours: dict[str, Path], yardstick: Path, accounts, pins) -> None:
    # Each forwarder listens on one address, and asks the origin from one.
    plan = replace(plan, addresses=1)
    with fake_engine(plan.folder) as engine:
        chosen = [Direct(), ForwardYardstick("yardstick", yardstick), *(WakeProxy(name, program, engine, "origin") for name, program in ours.items())]
        for name, kind in (("haproxy", Haproxy), ("nginx", Nginx)):
            if o.smoke:
                continue
            if program := find(name):
                chosen.append(kind(name, program))
            else:
                results.problem(f"{name} is not measured: it is not installed (scripts/setup --only bench)")
        plan = replace(plan, servers=chosen)
        default_pins = {"wake bulk": ["two"], "wake new": ["two"], "wake latency": ["one"]}
        for section, body in warm_sections.items():
            places = pins(o, ["free"] if o.smoke else default_pins[section], results) if section in default_pins else [("not pinned", None, None)]
            for account in accounts:
                for name, server_cpus, load_cpus in places:
                    body(passthrough.Interleaved(section, f"as {account.name}, {name}", plan, results, account, server_cpus, load_cpus))


# --- while it starts --------------------------------------------------------------------------------------------------

def first_answer(port: int, patience: float = 30) -> float:
    """Seconds from the connect to the first byte of an echo."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), patience) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.sendall(b"x")
        if s.recv(1) != b"x":
            raise OSError("the connection was ended without an answer")
    return time.monotonic() - began


def bare_answer(container, port: int) -> float:
    """The same for who starts the container itself and tries its port all the time: what the engine and the server need."""
    began = time.monotonic()
    container.start()
    while True:
        try:
            first_answer(port)
            return time.monotonic() - began
        except ConnectionRefusedError:
            time.sleep(0.0005)


def answers_at_once(port: int, count: int, patience: float = 30) -> list[float]:
    """When each of so many clients, who connect together, has its answer; in seconds after the first connect."""
    poller = select.epoll()
    waiting = {}
    began = time.monotonic()
    for _ in range(count):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(("127.0.0.1", port))
        waiting[s.fileno()] = s
        poller.register(s.fileno(), select.EPOLLOUT)
    answered = []
    while waiting and time.monotonic() < began + patience:
        for fd, events in poller.poll(1):
            if events & select.EPOLLIN:
                s = waiting.pop(fd)
                try:
                    if s.recv(1) == b"x":
                        answered.append(time.monotonic() - began)
                except OSError:
                    pass
                s.close()
            elif events & select.EPOLLOUT and not events & (select.EPOLLHUP | select.EPOLLERR):
                waiting[fd].send(b"x")
                poller.modify(fd, select.EPOLLIN)
            else:
                waiting.pop(fd).close()
    for s in waiting.values():
        s.close()
    poller.close()
    return answered


@contextmanager
def engine(results: Results, say):
    """A real engine, in whose network this thread is meanwhile; None where there is none."""
    sys.path.insert(0, str(here.parent / "integration/engine"))
    from engines import Failed, Unavailable, docker, host
    try:
        mine = docker.up(say)
    except (Unavailable, Failed) as problem:
        results.problem(f"{cold} is not measured: {problem}")
        yield None
        return
    try:
        with host.network():
            yield docker.engine()
    finally:
        if mine:
            host.clean()


def starts(plan, results: Results, ours: dict[str, Path], say) -> None:
    from_here = Account("root")
    with engine(results, say) as docker, ExitStack() as stack:
        if docker is None:
            return
        containers, ways = {}, {}
        for setting, after in servers_in_containers.items():
            inner = machine.free_port()
            containers[setting] = docker.create(f"bench-{after}", "--after", str(after), f"echo=127.0.0.1:{inner}"), inner
            stack.callback(containers[setting][0].remove)
            for name, program in ours.items():
                server = WakeProxy(name, program, docker.path, f"bench-{after}")
                server.aim({"echo": inner})
                # Whoever looks whether it listens wakes the container.
                ways[name, setting] = stack.enter_context(Running(server, plan.folder, account=from_here))
        time.sleep(0.5)

        def rest(container) -> None:
            container.stop()
            time.sleep(0.1)  # the news of it have arrived

        for container, _ in containers.values():
            rest(container)

        def quietly(running: bool) -> None:
            for way in ways.values():
                way.process.send_signal(signal.SIGCONT if running else signal.SIGSTOP)

        rounds = plan.rounds if plan.quiet == 0 else max(plan.rounds * 3, 5)
        for turn in range(rounds):
            before = wait_for_quiet(min(plan.quiet, 20)) if plan.quiet else None
            watch = Watch()
            for setting, (container, inner) in containers.items():
                # Nobody else asks the engine anything while it is measured alone.
                quietly(False)
                alone = bare_answer(container, inner)
                results.add(cold, setting, "engine and server alone", "first", alone * 1e3)
                quietly(True)
                time.sleep(0.1)
                rest(container)
                for name in ours:
                    port = ways[name, setting].server.way_to(inner)
                    took = first_answer(port)
                    results.add(cold, setting, name, "first", took * 1e3)
                    results.add(cold, setting, name, "more", (took - alone) * 1e3)
                    rest(container)
            container, inner = containers["listens at once"]
            bare_answer(container, inner)
            answered = answers_at_once(inner, crowd)
            results.add(cold, at_once, "the server itself, running", "answered", len(answered))
            results.add(cold, at_once, "the server itself, running", "first", min(answered) * 1e3)
            results.add(cold, at_once, "the server itself, running", "spread", (max(answered) - min(answered)) * 1e3)
            rest(container)
            for name in ours:
                answered = answers_at_once(ways[name, "listens at once"].server.way_to(inner), crowd)
                results.add(cold, at_once, name, "answered", len(answered))
                results.add(cold, at_once, name, "first", min(answered) * 1e3 if answered else None)
                results.add(cold, at_once, name, "spread", (max(answered) - min(answered)) * 1e3 if answered else None)
                rest(container)
            results.conditions.append({"section": cold, "setting": "", "round": turn, "others_before": before, "others_during": watch.others()})
            plan.say(f"{cold}: round {turn + 1} of {rounds}")


# --- tables and goals -------------------------------------------------------------------------------------------------

def print_all(plan, results: Results, ours: dict[str, Path], say) -> None:
    def each(section, title, columns, ratios=True):
        for setting, rows in results.samples.get(section, {}).items():
            say(f"\n### {title}, {setting}\n")
            say(table(results, section, setting, columns, list(rows), ratios=ratios))

    for setting in servers_in_containers:
        if rows := results.samples.get(cold, {}).get(setting):
            say(f"\n### A container that is started by a connection; its server {setting}\n")
            say(table(results, cold, setting, {"first": "connect to first byte, ms", "more": "more than the engine and the server alone, ms"}, list(rows), ratios=False))
    if rows := results.samples.get(cold, {}).get(at_once):
        say(f"\n### A container that is started by {at_once}\n")
        say(table(results, cold, at_once, {"answered": "answered", "first": "first answer, ms", "spread": "last answer after the first, ms"}, list(rows), ratios=False))
    ways = [(d, s) for d in ("down", "up") for s in plan.streams]
    each("wake latency", "A container that runs: latency, one client, microseconds",
         {"first p50": "connect to first byte p50", "first p90": "p90", "first p99": "p99", "trip p50": "64 bytes there and back p50", "trip p99": "p99"})
    each("wake new", f"A container that runs: new connections, {plan.clients} clients",
         {"rate": "per second", "cpu": "CPU s per 10,000", "first p50": "first byte p50, us", "first p99": "p99"})
    each("wake bulk", "A container that runs: bulk, MiB/s", {f"{d} {s}": f"{s} {d}" for d, s in ways})
    each("wake bulk", "A container that runs: bulk, CPU seconds of the proxy per GiB", {f"cpu {d} {s}": f"{s} {d}" for d, s in ways})
    each("wake idle", f"A container that runs: {plan.idle:,} idle connections",
         {"ready": "opened", "answered": "answered", "rss": "RSS, bytes each", "dirty": "private dirty, bytes each", "files": "descriptors each",
          "tasks": "threads", "cpu idle": "CPU while idle, %"}, ratios=False)


def goals(plan, results: Results, ours: dict[str, Path]) -> list[tuple[str, str, bool]]:
    checked = []
    for name in ours:
        for setting in servers_in_containers:
            if more := results.get(cold, setting, name, "more"):
                checked.append((f"{name}, start, {setting}: more than the engine and the server alone", f"{number(median(more))} ms, wanted <= 10 ms",
                                median(more) <= 10))
        if spread := results.get(cold, at_once, name, "spread"):
            answered = results.get(cold, at_once, name, "answered")
            checked.append((f"{name}, start, {at_once}: last answer after the first", f"{number(min(answered))} answered, {number(median(spread))} ms, "
                            "wanted <= 30 ms", median(spread) <= 30 and min(answered) == crowd))

        def ratio(section, column, limit, least, text):
            for setting in results.samples.get(section, {}):
                found = results.ratio(section, setting, name, column, "yardstick")
                if found is not None:
                    checked.append((f"{name}, {section}, {setting}: {text}", f"{found:.2f}x, wanted {'>=' if least else '<='} {limit}x",
                                    found >= limit if least else found <= limit))
        ratio("wake latency", "first p50", 1.1, False, "connect to first byte p50")
        ratio("wake latency", "trip p50", 1.1, False, "round trip p50")
        for direction in ("down", "up"):
            for streams in plan.streams:
                ratio("wake bulk", f"{direction} {streams}", 0.95, True, f"{direction}, {streams} streams")
        for setting in results.samples.get("wake idle", {}):
            rss, answered = results.get("wake idle", setting, name, "rss"), results.get("wake idle", setting, name, "answered")
            if rss:
                checked.append((f"{name}, wake idle, {setting}: RSS per connection", f"{number(max(rss))} bytes, wanted <= 2048", max(rss) <= 2048))
                checked.append((f"{name}, wake idle, {setting}: alive", f"{number(min(answered))} of {plan.idle:,}", min(answered) >= plan.idle))
    return checked
