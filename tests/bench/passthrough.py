"""Passthrough on loopback: bulk, new connections, latency, idle connections, running out of descriptors, half-close."""
import json
import select
import socket
import struct
import subprocess
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from machine import Account, Watch, cpu_seconds, footprint, start, stop, wait_for_quiet
from report import Results
from servers import Forwarder, Running, Server


@dataclass
class Plan:
    servers: list[Server]
    load: Path  # the program bench_load
    folder: Path
    rounds: int = 5
    seconds: float = 1.0
    streams: tuple[int, ...] = (1, 8, 200)
    clients: int = 64
    idle: int = 9900
    files: int | None = None  # None: as many as this process may have
    full_files: int = 1000  # the limit in the test of running out
    patience: float = 2.0  # seconds without progress after which connections count as waiting
    quiet: float = 60.0  # seconds to wait for a quiet machine, before each round
    addresses: int = 8
    sources: int = 0  # client addresses, where ports could run out
    say: object = print


@dataclass
class Row:
    server: Server
    via: str
    running: Running | None = None

    @property
    def name(self) -> str:
        return self.server.name if self.via == "direct" else f"{self.server.name} {self.via}"

    def target(self, port: int, plan: Plan) -> list:
        if isinstance(self.server, Forwarder):
            return ["--via", "direct", "--port", self.server.way_to(port), "--sources", plan.sources]
        return ["--via", self.via, "--proxy", self.running.port, "--port", port, "--addresses", plan.addresses, "--sources", plan.sources]


def rows_of(servers: list[Server]) -> list[Row]:
    return [Row(server, via) for server in servers for via in server.ways]


class Origin:
    def __init__(self, plan: Plan, on: list[int] | None) -> None:
        self.process = start([plan.load, "origin", "--addresses", plan.addresses], on=on, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ports = json.loads(self.process.stdout.readline())

    def __getitem__(self, kind: str) -> int:
        return self.ports[kind]

    def __enter__(self) -> "Origin":
        return self

    def __exit__(self, *_) -> None:
        stop(self.process)


def run_load(plan: Plan, on: list[int] | None, arguments: list) -> dict:
    process = start([plan.load, *arguments], on=on, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        stop(process)
        return {"failed": 1, "failure": "the load did not end within 60 s"}
    if process.returncode != 0:
        return {"failed": 1, "failure": err.decode(errors="replace").strip() or f"the load ended with {process.returncode}"}
    return json.loads(out)


def until_idle(pid: int, limit: float) -> None:
    end = time.monotonic() + limit
    idle = 0
    while idle < 3 and time.monotonic() < end:
        before = cpu_seconds(pid)
        time.sleep(0.03)
        idle = idle + 1 if cpu_seconds(pid) - before < 0.001 else 0


class Interleaved:
    """Servers that run side by side, measured in turns; only one of them has something to do at a time."""

    def __init__(self, section: str, setting: str, plan: Plan, results: Results, account: Account,
                 server_cpus: list[int] | None, load_cpus: list[int] | None) -> None:
        self.section, self.setting, self.plan, self.results = section, setting, plan, results
        self.account, self.server_cpus, self.load_cpus = account, server_cpus, load_cpus

    def add(self, row: Row, column: str, value: float | None) -> None:
        self.results.add(self.section, self.setting, row.name, column, value)

    def problem(self, row: Row, what: str) -> None:
        self.results.problem(f"{self.section}, {self.setting}, {row.name}: {what}")

    def measure(self, row: Row, arguments: list) -> tuple[dict, float]:
        """A run of the load, and the CPU time that it cost the server."""
        pid = row.running.process.pid if row.running.process else None
        before = cpu_seconds(pid) if pid else 0.0
        result = run_load(self.plan, self.load_cpus, arguments)
        # What is in the buffers of 200 streams when the load ends keeps a server busy for a second or two. It belongs to this
        # measurement, and not to the next one.
        if pid:
            until_idle(pid, 5)
        used = cpu_seconds(pid) - before if pid else 0.0
        if result["failed"]:
            self.problem(row, f"{result['failed']} failed: {result['failure']}")
        return result, used

    def run(self, body) -> None:
        """Calls body(row, origin) for every row in every round; each round begins with another row."""
        plan = self.plan
        with ExitStack() as stack:
            origin = stack.enter_context(Origin(plan, self.load_cpus))
            rows = []
            for server in plan.servers:
                server.aim(origin.ports)
                try:
                    running = stack.enter_context(Running(server, plan.folder, account=self.account, on=self.server_cpus, files=plan.files))
                except RuntimeError as error:
                    self.results.problem(f"{self.section}, {self.setting}: {error}")
                    continue
                rows += [Row(server, via, running) for via in server.ways]
            for turn in range(plan.rounds):
                before = wait_for_quiet(plan.quiet) if plan.quiet else None
                watch = Watch()
                shift = turn % len(rows)
                for row in rows[shift:] + rows[:shift]:
                    body(row, origin)
                    if not row.running.alive():
                        self.problem(row, "the server has ended")
                        rows = [other for other in rows if other.running is not row.running]
                self.results.conditions.append(
                    {"section": self.section, "setting": self.setting, "round": turn, "others_before": before, "others_during": watch.others()})
                plan.say(f"{self.section}, {self.setting}: round {turn + 1} of {plan.rounds}")


def bulk(run: Interleaved) -> None:
    def body(row: Row, origin: Origin) -> None:
        for direction, port in (("down", origin["source"]), ("up", origin["sink"])):
            for streams in run.plan.streams:
                result, used = run.measure(row, [
                    "bulk", *row.target(port, run.plan), "--streams", streams, "--seconds", run.plan.seconds, *(["--up"] if direction == "up" else [])])
                moved = result.get("bytes", 0)
                run.add(row, f"{direction} {streams}", moved / 2**20 / result["seconds"] if moved else None)
                run.add(row, f"cpu {direction} {streams}", used / (result["total"] / 2**30) if moved and used else None)
    run.run(body)


def new(run: Interleaved) -> None:
    def body(row: Row, origin: Origin) -> None:
        result, used = run.measure(row, [
            "new", *row.target(origin["echo"], run.plan), "--clients", run.plan.clients, "--seconds", run.plan.seconds])
        done = result.get("connections", 0)
        run.add(row, "rate", done / result["seconds"] if done else None)
        run.add(row, "cpu", used / (done / 1e4) if done and used else None)
        for what in ("ready", "first"):
            for rank in ("p50", "p99"):
                run.add(row, f"{what} {rank}", result.get(f"{what}_us", {}).get(rank))
    run.run(body)


def latency(run: Interleaved) -> None:
    def body(row: Row, origin: Origin) -> None:
        result, _ = run.measure(row, ["new", *row.target(origin["echo"], run.plan), "--clients", 1, "--seconds", run.plan.seconds])
        for what in ("ready", "first"):
            for rank in ("p50", "p90", "p99"):
                run.add(row, f"{what} {rank}", result.get(f"{what}_us", {}).get(rank))
        result, _ = run.measure(row, ["ping", *row.target(origin["echo"], run.plan), "--seconds", run.plan.seconds])
        for rank in ("p50", "p99"):
            run.add(row, f"trip {rank}", result.get("trip_us", {}).get(rank))
    run.run(body)


class Holder:
    """bench_load hold: keeps tunnels open and does as it is told."""

    def __init__(self, plan: Plan, row: Row, port: int, on: list[int] | None) -> None:
        self.process = start([plan.load, "hold", *row.target(port, plan)], on=on, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, command: str, *numbers) -> dict:
        self.process.stdin.write(" ".join([command, *map(str, numbers)]).encode() + b"\n")
        self.process.stdin.flush()
        # The load stops by itself after seconds without progress; this is for the case that something is badly wrong.
        if not select.select([self.process.stdout], [], [], 180)[0]:
            raise RuntimeError(f"bench_load: no answer to '{command}'")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"bench_load ended at '{command}'")
        return json.loads(line)

    def __enter__(self) -> "Holder":
        return self

    def __exit__(self, *_) -> None:
        stop(self.process)


def one_by_one(run: Interleaved, rounds: int, files: int | None, body) -> None:
    """Calls body(row, running, origin) with a fresh server each time, so that its memory begins small."""
    with Origin(run.plan, None) as origin:
        for turn in range(rounds):
            if run.plan.quiet:
                wait_for_quiet(min(run.plan.quiet, 10))
            for row in rows_of(run.plan.servers):
                row.server.aim(origin.ports)
                try:
                    with Running(row.server, run.plan.folder, account=run.account, files=files) as row.running:
                        body(row, origin)
                        if not row.running.alive():
                            run.problem(row, "the server has ended")
                except RuntimeError as error:
                    run.problem(row, str(error))
            run.plan.say(f"{run.section}, {run.setting}: round {turn + 1} of {rounds}")


def idle(run: Interleaved) -> None:
    def body(row: Row, origin: Origin) -> None:
        if row.running.process is None:
            return
        pid = row.running.process.pid
        with Holder(run.plan, row, origin["echo"], None) as load:
            # What the first connections cost once is not a cost of each.
            load("open", 20, 5)
            load("probe", 0, 5)
            before = footprint(pid)
            opened = load("open", run.plan.idle - 20, 10)
            time.sleep(0.5)
            after = footprint(pid)
            used, since = cpu_seconds(pid), time.monotonic()
            time.sleep(run.plan.patience / 2)
            used = (cpu_seconds(pid) - used) / (time.monotonic() - since)
            probe = load("probe", 0, 10)
            live = opened["ready"]
            run.add(row, "ready", live)
            run.add(row, "answered", probe["answered"])
            if live > 20:
                run.add(row, "rss", (after.rss - before.rss) / (live - 20))
                run.add(row, "dirty", (after.dirty - before.dirty) / (live - 20))
                run.add(row, "files", (after.descriptors - before.descriptors) / (live - 20))
            run.add(row, "tasks", after.threads)
            run.add(row, "cpu idle", used * 100)
            if live < run.plan.idle or probe["answered"] < probe["asked"] or probe["asked"] < live:
                run.problem(row, f"{live} of {run.plan.idle} opened, {probe['answered']} of {live} answered; {probe['failure']}")
    one_by_one(run, min(run.plan.rounds, 3), run.plan.files, body)


def full(run: Interleaved) -> None:
    """More clients than descriptors: do those that are connected live, do the others wait, does it recover?"""
    limit = run.plan.full_files
    # No server can do with less than two descriptors per connection, so a third of these cannot be served.
    clients = limit * 3 // 4

    def body(row: Row, origin: Origin) -> None:
        if row.running.process is None:
            return
        pid = row.running.process.pid
        with Holder(run.plan, row, origin["echo"], None) as load:
            opened = load("open", clients, run.plan.patience)
            used, since = cpu_seconds(pid), time.monotonic()
            time.sleep(run.plan.patience / 2)
            used = (cpu_seconds(pid) - used) / (time.monotonic() - since)
            probe = load("probe", 0, run.plan.patience)
            run.add(row, "ready", opened["ready"])
            run.add(row, "waiting", opened["waiting"])
            run.add(row, "refused", opened["failed"])
            run.add(row, "answered", probe["answered"])
            run.add(row, "cpu", used * 100)
            freed = probe["ready"] // 2
            closed = load("close", freed)
            after = load("wait", 0, run.plan.patience)
            run.add(row, "served after", after["ready"] - closed["ready"])
            again = load("probe", 0, run.plan.patience)
            run.add(row, "answered after", again["answered"])
            run.add(row, "lives", 1 if row.running.alive() else 0)
    one_by_one(run, 1, limit, body)


def tunnel(row: Row, port: int) -> socket.socket:
    """A connection to 127.0.0.1:port, as a plain program makes it."""
    s = socket.create_connection(("127.0.0.1", row.running.port or port), timeout=5)
    if row.via == "socks5":
        s.sendall(b"\x05\x01\x00")
        s.recv(2, socket.MSG_WAITALL)
        s.sendall(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + struct.pack(">H", port))
        if s.recv(10, socket.MSG_WAITALL)[1:2] != b"\x00":
            raise OSError("SOCKS5 request refused")
    elif row.via == "connect":
        s.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (port, port))
        head = b""
        while b"\r\n\r\n" not in head:
            part = s.recv(1)
            if not part:
                raise OSError("CONNECT refused")
            head += part
    return s


def half_close(run: Interleaved) -> None:
    """100,000 bytes, an end of stream, and then the whole answer?"""
    sent = bytes(range(250)) * 400

    class Late(threading.Thread):
        """An origin that answers only after the end of stream."""

        def __init__(self) -> None:
            super().__init__(daemon=True)
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.port = self.listener.getsockname()[1]

        def run(self) -> None:
            while True:
                try:
                    s, _ = self.listener.accept()
                except OSError:
                    return
                with s:
                    s.settimeout(5)
                    got = b""
                    try:
                        while part := s.recv(65536):
                            got += part
                        s.sendall(got)
                    except OSError:
                        pass

    late = Late()
    late.start()

    def body(row: Row, origin: Origin) -> None:
        got = b""
        try:
            with tunnel(row, late.port) as s:
                s.sendall(sent)
                s.shutdown(socket.SHUT_WR)
                while part := s.recv(65536):
                    got += part
        except OSError:
            pass
        run.add(row, "kept", 1 if got == sent else 0)

    one_by_one(run, 1, run.plan.files, body)
    late.listener.close()
