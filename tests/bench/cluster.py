"""Into a pod of the real cluster of the integration tests: podproxy beside kubectl port-forward, beside a proxy that begins
anew for every connection, and beside the pod itself."""
import os
import re
import select
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from machine import Account, Watch, cpu_seconds, start, stop, wait_for_quiet
from passthrough import run_load
from report import Results, number, table
from servers import Podproxy, Running, Server

here = Path(__file__).resolve().parent
command = here.parent / "integration/cluster/cluster"
namespace, service, context = "shop", "web", "kube"
section, setting = "cluster", "one pod's service"

# What the pods serve: the Service's port, and the pod's.
echo, source, sink = (7, 9000), (19, 9002), (80, 8080)
bulk_bytes = 512 << 20


@dataclass
class Way:
    """A way to the pod, for the load: arguments by what is wanted of it."""
    name: str
    via: str
    process: subprocess.Popen | None
    proxy: int = 0
    host: str = ""
    service_ports: bool = False
    local: dict[int, int] = field(default_factory=dict)  # pod's port -> port of kubectl
    count: int = 40  # new connections per round
    once: bool = False  # slow: burst and bulk in the first round only

    def target(self, ports: tuple[int, int]) -> list:
        if self.local:
            return ["--via", "direct", "--port", self.local[ports[1]]]
        port = ports[0] if self.service_ports else ports[1]
        return ["--via", self.via, "--proxy", self.proxy, "--host", self.host, "--port", port]


def ask(*arguments: str, timeout: float = 900) -> subprocess.CompletedProcess:
    return subprocess.run([command, *arguments], capture_output=True, text=True, timeout=timeout)


def settings() -> dict[str, str]:
    lines = ask("env").stdout.splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def kubectl_forward(stack: ExitStack, folder: Path, kubectl: Path, kubeconfig: Path, pod: str, websocket: bool) -> Way:
    ports = [p for _, p in (echo, source, sink)]
    process = start(
        [kubectl, f"--kubeconfig={kubeconfig}", "-n", namespace, "port-forward", "--address=127.0.0.1", f"pod/{pod}", *(f":{p}" for p in ports)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "KUBECTL_PORT_FORWARD_WEBSOCKETS": "true" if websocket else "false"})
    stack.callback(stop, process)
    local: dict[int, int] = {}
    end = time.monotonic() + 20
    text = b""
    while len(local) < len(ports):
        if time.monotonic() > end or not select.select([process.stdout], [], [], max(0, end - time.monotonic()))[0]:
            raise RuntimeError(f"kubectl port-forward does not start: {text.decode(errors='replace')}")
        part = os.read(process.stdout.fileno(), 65536)
        if not part:
            raise RuntimeError(f"kubectl port-forward has ended: {text.decode(errors='replace')}")
        text += part
        local = {int(to): int(port) for port, to in re.findall(rb"Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)", text)}
    # It writes a line for each connection, and stops when nobody reads them.
    drain = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL, start_new_session=True)
    stack.callback(stop, drain)
    return Way(f"kubectl {'websocket' if websocket else 'spdy'}", "direct", process, local=local)


class PerConnection(Server):
    def __init__(self, program: Path, kubeconfig: Path) -> None:
        super().__init__("per connection", program)
        self.kubeconfig = kubeconfig

    def command(self, folder, port, account):
        return [self.program, "--kubeconfig", self.kubeconfig, "--listen", f"127.0.0.1:{port}"]


def paths(stack: ExitStack, plan, ours: list[Podproxy], kubeconfigs: Path, kubectl: Path, results: Results) -> list[Way]:
    kubeconfig = kubeconfigs / f"{context}.yaml"

    def get(*arguments: str) -> str:
        return subprocess.run([kubectl, f"--kubeconfig={kubeconfig}", "-n", namespace, "get", *arguments], capture_output=True, text=True,
                              check=True, timeout=30).stdout

    pods = get("pods", "-l", f"app={service}", "--field-selector=status.phase=Running",
               "-o", r'jsonpath={range .items[*]}{.metadata.name} {.status.podIP}{"\n"}{end}').split("\n")
    pod, address = pods[0].split()
    found = [Way("the pod itself", "direct", None, host=address)]
    for websocket in (False, True):
        found.append(kubectl_forward(stack, plan.folder, kubectl, kubeconfig, pod, websocket))
    name = f"{service}.{namespace}.{context}"
    for server in ours:
        for carrier in ("spdy", "websocket"):
            one = Podproxy(server.program, f"{server.name}-{carrier}", {**server.settings, "kubeconfigs": f'["{kubeconfig}"]', "carrier": carrier})
            try:
                running = stack.enter_context(Running(one, plan.folder, account=Account("root")))
            except RuntimeError as error:
                results.problem(f"cluster: {error}")
                continue
            found.append(Way(f"{server.name} {carrier}", "socks5", running.process, running.port, name, service_ports=True))
    program = plan.folder / "perconnection"
    built = subprocess.run(["go", "build", "-p", str(max(1, (os.cpu_count() or 2) // 2)), "-o", program, "."], cwd=here / "perconnection",
                           capture_output=True, text=True)
    if built.returncode:
        results.problem(f"cluster: the proxy that begins anew for every connection does not build: {built.stderr[-500:]}")
    else:
        running = stack.enter_context(Running(PerConnection(program, kubeconfig), plan.folder, account=Account("root")))
        found.append(Way("per connection spdy", "socks5", running.process, running.port, name, count=15, once=True))
    return found


def measure(path: Way, plan, results: Results, first_round: bool) -> None:
    def load(arguments: list, *, tolerate: bool = False) -> dict:
        result = run_load(plan, None, arguments)
        if result["failed"] and not tolerate:
            results.problem(f"cluster, {path.name}: {arguments[0]}: {result['failed']} failed: {result['failure']}")
        return result

    def add(column: str, value: float | None) -> None:
        results.add(section, setting, path.name, column, value)

    def settle() -> None:
        # The node needs up to a second to end a stream that we have closed.
        time.sleep(1.2)

    load(["new", *path.target(echo), "--count", 5])  # warm
    result = load(["new", *path.target(echo), "--count", path.count])
    add("first p50", result.get("first_us", {}).get("p50", 0) / 1e3 or None)
    add("first p99", result.get("first_us", {}).get("p99", 0) / 1e3 or None)
    settle()
    if first_round or not path.once:
        result = load(["new", *path.target(echo), "--clients", 64, "--count", 64])
        add("burst", result["seconds"] * 1e3 if result.get("connections") == 64 else None)
        add("burst answered", result.get("connections", 0))
        settle()
    result = load(["ping", *path.target(echo), "--seconds", plan.seconds])
    add("trip p50", result.get("trip_us", {}).get("p50", 0) / 1e3 or None)
    add("trip p99", result.get("trip_us", {}).get("p99", 0) / 1e3 or None)
    if first_round or not path.once:
        for column, ports, up in (("down", source, []), ("up", sink, ["--up"])):
            before = cpu_seconds(path.process.pid) if path.process else 0.0
            result = load(["transfer", *path.target(ports), "--bytes", bulk_bytes, *up])
            whole = not result["failed"]
            add(column, bulk_bytes / 2**20 / result["seconds"] if whole else None)
            add(f"cpu {column}", (cpu_seconds(path.process.pid) - before) / (bulk_bytes / 2**30) if whole and path.process else None)
            settle()


def run(o, plan, results: Results, ours: list[Podproxy], say, progress) -> list[tuple[str, str, bool]]:
    if not ours:
        results.problem("cluster: there is no podproxy; only the others are measured")
    was_up = ask("status").returncode == 0
    for step in ("up", "work"):
        done = ask(step, timeout=3600)
        if done.returncode != 0:
            results.problem(f"cluster: not measured: {(done.stderr or done.stdout).strip()[-500:]}")
            return []
    here_settings = settings()
    folder = Path(here_settings["PODPROXY_CLUSTER"])
    rows: list[Way] = []
    try:
        with ExitStack() as stack:
            rows = paths(stack, plan, ours, folder / "kubeconfig", folder / "bin/kubectl", results)
            for turn in range(plan.rounds):
                before = wait_for_quiet(min(plan.quiet, 10), 0.15) if plan.quiet else None  # the cluster itself is never quite still
                watch = Watch()
                shift = turn % len(rows)
                for path in rows[shift:] + rows[:shift]:
                    measure(path, plan, results, turn == 0)
                results.conditions.append(
                    {"section": section, "setting": setting, "round": turn, "others_before": before, "others_during": watch.others()})
                progress(f"cluster: round {turn + 1} of {plan.rounds}")
    finally:
        if not was_up:
            ask("down")
    names = [path.name for path in rows]
    say("\n### Into a pod\n")
    say(table(results, section, setting, {
        "first p50": "new connection to first byte p50, ms", "first p99": "p99", "burst": "64 at once, ms until the last", "burst answered": "answered",
        "trip p50": "64 bytes there and back p50, ms", "trip p99": "p99"}, names, ratios=False))
    say("\n### Into a pod: one stream, 512 MiB\n")
    say(table(results, section, setting, {"down": "down, MiB/s", "up": "up, MiB/s", "cpu down": "CPU s/GiB down", "cpu up": "up"}, names, ratios=False))
    rounds = [c for c in results.conditions if c["section"] == section]
    say(f"\nBefore the rounds the cluster and others used {max(c['others_before'] or 0 for c in rounds):.0%} of the CPUs at most (while we measure, the "
        "cluster works for us).")
    return goals(results, [server.name for server in ours])


def goals(results: Results, ours: list[str]) -> list[tuple[str, str, bool]]:
    checked = []
    for name in ours:
        for carrier in ("spdy", "websocket"):
            row, other = f"{name} {carrier}", f"kubectl {carrier}"
            for column, limit, least, text in (("first p50", 1.0, False, "new connection to first byte p50"), ("trip p50", 0.8, False, "round trip p50"),
                                               ("down", 1.1, True, "down"), ("up", 1.1, True, "up")):
                ratio = results.ratio(section, setting, row, column, other)
                if ratio is not None:
                    values = median(results.get(section, setting, row, column)), median(results.get(section, setting, other, column))
                    checked.append((f"{row}, cluster: {text}", f"{number(values[0])} beside kubectl's {number(values[1])}: {ratio:.2f}x, wanted "
                                    f"{'>=' if least else '<='} {limit}x", ratio >= limit if least else ratio <= limit))
            burst, answered = results.get(section, setting, row, "burst"), results.get(section, setting, row, "burst answered")
            if answered:
                checked.append((f"{row}, cluster: 64 at once", f"{number(min(answered))} answered, {number(median(burst)) if burst else '-'} ms, wanted <= 150 ms",
                                min(answered) == 64 and bool(burst) and median(burst) <= 150))
    return checked
