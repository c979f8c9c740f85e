#!/usr/bin/env python3
"""Measures podproxy and wake-proxy beside a yardstick and beside other proxies. docs/performance.md says what the figures mean."""
import argparse
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import machine
import passthrough
import wake
from machine import Account
from report import Results, number, table
from servers import Dante, Direct, Microsocks, Podproxy, Yardstick, find

repo = Path(__file__).resolve().parent.parent.parent
sections = ["bulk", "new", "latency", "idle", "full", "half-close", "wake-start", "wake-run", "cluster"]
account_uid = 54123  # of nobody else


def options() -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    p.add_argument("--section", action="append", metavar="NAME", help=f"only these (comma-separated): {', '.join(sections)}; wake: both of it; default: all but cluster")
    p.add_argument("--server", action="append", metavar="NAME", help="only these: direct, yardstick, podproxy, microsocks, dante")
    p.add_argument("--podproxy", action="append", metavar="[NAME=]PATH", help="the program to measure; may be repeated to compare builds")
    p.add_argument("--wake-proxy", action="append", metavar="[NAME=]PATH", help="the same for the section wake")
    p.add_argument("--setting", action="append", default=[], metavar="KEY=VALUE", help="a top-level key for podproxy's configuration")
    p.add_argument("--account", choices=["root", "user", "both"], help="who the servers run as: root, a user of its own, or one after the other (the default); needs root")
    p.add_argument("--pin", metavar="one,two,free", help="all on one CPU; the server on one and the load on another; not pinned")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    p.add_argument("--idle", type=int, default=9900, help="connections of the section idle")
    p.add_argument("--quiet-wait", type=float, default=60, metavar="SECONDS", help="how long to wait for a quiet machine before each round")
    p.add_argument("--bin", type=Path, default=repo / "build/release/bin", help="where bench_yardstick and bench_load are")
    p.add_argument("--json", type=Path, help="write all samples to this file")
    p.add_argument("--text", type=Path, help="write the tables to this file too")
    p.add_argument("--smoke", action="store_true", help="a few seconds: does everything work? Figures mean nothing")
    o = p.parse_args()

    def listed(values, known, default):
        chosen = [x for value in values or [] for x in value.split(",")] or default
        for x in chosen or []:
            if x not in known:
                p.error(f"unknown: {x}; known are {', '.join(known)}")
        return chosen

    o.section = listed(o.section, [*sections, "wake"], [s for s in sections if s != "cluster"])
    if "wake" in o.section:
        o.section += ["wake-start", "wake-run"]
    o.server = listed(o.server, ["direct", "yardstick", "podproxy", "microsocks", "dante"], None)
    o.pin = listed([o.pin] if o.pin else [], ["one", "two", "free"], None)
    if o.rounds < 1 or o.seconds <= 0 or o.idle < 1:
        p.error("--rounds, --seconds and --idle must be positive")
    return o


def copied(program: Path, folder: Path, name: str) -> Path:
    """In a place where every account may run it, and no build may change it meanwhile."""
    if not program.is_file():
        sys.exit(f"bench: {program} is not there; scripts/bench builds it")
    to = folder / name
    shutil.copyfile(program, to)
    to.chmod(0o755)
    return to


def podproxies(o: argparse.Namespace, folder: Path) -> list[Podproxy]:
    settings = dict(part.split("=", 1) for part in o.setting)
    found = []
    for part in o.podproxy or ([str(o.bin / "podproxy")] if (o.bin / "podproxy").exists() else []):
        name, _, path = part.rpartition("=")
        found.append(Podproxy(copied(Path(path), folder, name or "podproxy"), name or "podproxy", settings))
    return found


def wake_proxies(o: argparse.Namespace, folder: Path, results: Results) -> dict[str, Path]:
    given = o.wake_proxy or ([str(o.bin / "wake-proxy")] if (o.bin / "wake-proxy").exists() else [])
    if not given:
        results.problem(f"wake-proxy is not measured: it is not in {o.bin}")
    parts = [part.rpartition("=") for part in given]
    return {name or "wake-proxy": copied(Path(path), folder, name or "wake-proxy") for name, _, path in parts}


def servers(o: argparse.Namespace, folder: Path, results: Results) -> list:
    wanted = o.server or (["direct", "yardstick", "podproxy"] if o.smoke else ["direct", "yardstick", "podproxy", "microsocks", "dante"])
    chosen = []
    for name in wanted:
        if name == "direct":
            chosen.append(Direct())
        elif name == "yardstick":
            chosen.append(Yardstick(copied(o.bin / "bench_yardstick", folder, "bench_yardstick")))
        elif name == "podproxy":
            ours = podproxies(o, folder)
            if not ours:
                results.problem(f"podproxy is not measured: it is not in {o.bin}")
            chosen += ours
        else:
            program = find("microsocks") if name == "microsocks" else find("danted") or find("sockd")
            if program:
                chosen.append((Microsocks if name == "microsocks" else Dante)(name, program))
            else:
                results.problem(f"{name} is not measured: it is not installed (scripts/setup --only bench)")
    return chosen


def accounts(o: argparse.Namespace) -> list[Account]:
    if os.geteuid() != 0:
        return [Account("user")]
    known = {"root": [Account("root")], "user": [Account("user", account_uid)]}
    account = o.account or ("user" if o.smoke else "both")
    return known["root"] + known["user"] if account == "both" else known[account]


def pins(o: argparse.Namespace, default: list[str], results: Results) -> list[tuple[str, list[int] | None, list[int] | None]]:
    cpus = machine.cpus()
    known = {"one": ("one CPU", cpus[:1], cpus[:1]), "free": ("not pinned", None, None)}
    if len(cpus) > 1:
        known["two"] = ("two CPUs", cpus[:1], cpus[1:2])
    elif "two" in (o.pin or default):
        results.problem("there is only one CPU: nothing is measured on two")
    return [known[name] for name in o.pin or default if name in known]


def print_passthrough(o, plan, results: Results, say) -> None:
    names = [row.name for row in passthrough.rows_of(plan.servers)]

    def each(section, title, tables):
        for setting in results.samples.get(section, {}):
            for heading, columns, ratios in tables:
                say(f"\n### {title}, {setting}: {heading}\n")
                rows = [n for n in names if n in results.samples[section][setting]]
                if not any(results.get(section, setting, row, column) for row in rows for column in columns):
                    continue
                say(table(results, section, setting, columns, rows, ratios=ratios))

    ways = [(d, s) for d in ("down", "up") for s in plan.streams]
    each("bulk", "Bulk", [
        ("MiB/s", {f"{d} {s}": f"{s} {d}" for d, s in ways}, True),
        ("CPU seconds of the proxy per GiB", {f"cpu {d} {s}": f"{s} {d}" for d, s in ways}, True)])
    each("new", f"New connections, {plan.clients} clients", [
        ("all", {"rate": "per second", "cpu": "CPU s per 10,000", "ready p50": "tunnel ready p50, us", "ready p99": "p99",
                 "first p50": "first byte p50, us", "first p99": "p99"}, True)])
    each("latency", "Latency, one client", [
        ("microseconds", {"ready p50": "tunnel ready p50", "ready p90": "p90", "ready p99": "p99", "first p50": "first byte p50", "first p99": "p99",
                          "trip p50": "64 bytes there and back p50", "trip p99": "p99"}, True)])
    each("idle", f"{plan.idle:,} idle connections", [
        ("per connection", {"ready": "opened", "answered": "answered", "rss": "RSS, bytes each", "dirty": "private dirty, bytes each",
                            "files": "descriptors each", "tasks": "threads", "cpu idle": "CPU while idle, %"}, False)])
    each("full", f"{plan.full_files} descriptors, {plan.full_files * 3 // 4} clients", [
        ("connections", {"ready": "served", "waiting": "waiting", "refused": "refused", "answered": "served ones that answer", "cpu": "CPU while full, %",
                         "served after": "more served after half were closed", "answered after": "answer then", "lives": "server lives"}, False)])
    each("half-close", "Half-close", [("1: the answer after our end of stream arrives whole", {"kept": "kept"}, False)])


# What podproxy promises, measured against the yardstick: (section, setting's end, column, factor, at most?)
def goals(o, plan, results: Results, names: list[str]) -> list[tuple[str, str, bool]]:
    checked = []

    def check(row, section, setting, column, limit, least, text):
        ratio = results.ratio(section, setting, row, column, "yardstick" + row[row.rindex(" "):])
        if ratio is not None:
            checked.append((f"{row}, {section}, {setting}: {text}", f"{ratio:.2f}x, wanted {'>=' if least else '<='} {limit}x",
                            ratio >= limit if least else ratio <= limit))

    for name in names:
        for via in ("socks5", "connect"):
            row = f"{name} {via}"
            for setting in results.samples.get("bulk", {}):
                for d in ("down", "up"):
                    for s in plan.streams:
                        check(row, "bulk", setting, f"{d} {s}", 0.95, True, f"{d}, {s} streams")
                        check(row, "bulk", setting, f"cpu {d} {s}", 1.1, False, f"CPU per GiB {d}, {s} streams")
            for setting in results.samples.get("new", {}):
                check(row, "new", setting, "rate", 0.9, True, "connections/s")
                check(row, "new", setting, "cpu", 1.15, False, "CPU per connection")
            for setting in results.samples.get("latency", {}):
                if "one CPU" in setting:
                    check(row, "latency", setting, "ready p50", 1.1, False, "tunnel ready p50")
                    check(row, "latency", setting, "ready p99", 1.1, False, "tunnel ready p99")
            for setting in results.samples.get("idle", {}):
                rss, ready = results.get("idle", setting, row, "rss"), results.get("idle", setting, row, "ready")
                answered = results.get("idle", setting, row, "answered")
                if rss:
                    checked.append((f"{row}, idle, {setting}: RSS per connection", f"{number(max(rss))} bytes, wanted <= 2048", max(rss) <= 2048))
                    checked.append((f"{row}, idle, {setting}: alive", f"{number(min(answered))} of {plan.idle:,}", min(answered + ready) >= plan.idle))
            for setting in results.samples.get("full", {}):
                get = lambda column: (results.get("full", setting, row, column) or [0])[0]
                if results.get("full", setting, row, "ready"):
                    ok = get("lives") == 1 and get("refused") == 0 and get("answered") == get("ready") and get("served after") > 0 and get("cpu") < 10
                    checked.append((f"{row}, full, {setting}: accepting pauses and recovers", f"{number(get('ready'))} served, {number(get('waiting'))} waited, "
                                    f"{number(get('served after'))} later, {number(get('cpu'))} % CPU meanwhile", ok))
            for setting in results.samples.get("half-close", {}):
                kept = results.get("half-close", setting, row, "kept")
                if kept:
                    checked.append((f"{row}, half-close, {setting}", "kept" if min(kept) else "lost", min(kept) == 1))
    return checked


def main() -> int:
    o = options()
    results = Results()
    lines: list[str] = []

    def say(text: str = "") -> None:
        print(text, flush=True)
        lines.append(text)

    def progress(text: str) -> None:
        print(f"... {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    results.about = {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %Z"), "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": os.cpu_count(), "cpu": next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?"),
        "rounds": o.rounds, "seconds": o.seconds, "arguments": sys.argv[1:]}
    with tempfile.TemporaryDirectory(prefix="podproxy-bench.") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        (folder / "any").mkdir()
        (folder / "any").chmod(0o777)
        code = measure(o, results, folder, say, progress)
    if o.json:
        o.json.write_text(results.json() + "\n")
    if o.text:
        o.text.write_text("\n".join(lines) + "\n")
    return code


def measure(o, results: Results, folder: Path, say, progress) -> int:
    chosen = servers(o, folder, results) if set(o.section) - {"cluster", "wake", "wake-start", "wake-run"} else []
    plan = passthrough.Plan(
        servers=chosen, load=copied(o.bin / "bench_load", folder, "bench_load"), folder=folder, rounds=o.rounds, seconds=o.seconds, idle=o.idle,
        quiet=o.quiet_wait, say=progress)
    if o.smoke:
        plan = replace(plan, rounds=1, seconds=0.1, streams=(1, 8), clients=16, idle=200, full_files=128, patience=0.8, quiet=0)
    about = results.about
    say(f"{about['date']}, {about['system']}, {about['cpus']} CPUs ({about['cpu']}), {plan.rounds} rounds of {number(plan.seconds)} s\n"
        "Cells: median of the rounds [least..most] (median of the ratios to the yardstick, round by round)")

    cluster_goals = []
    if "cluster" in o.section:
        import cluster
        cluster_goals = cluster.run(o, plan, results, podproxies(o, folder), say, progress)

    waking = wake_proxies(o, folder, results) if {"wake-start", "wake-run"} & set(o.section) else {}
    if waking and "wake-start" in o.section and not o.smoke:
        wake.starts(plan, results, waking, progress)

    functions = {"bulk": passthrough.bulk, "new": passthrough.new, "latency": passthrough.latency, "idle": passthrough.idle,
                 "full": passthrough.full, "half-close": passthrough.half_close}
    default_pins = {"bulk": ["two", "free"], "new": ["two"], "latency": ["one"]}
    with machine.private_network() as private:
        if not private:
            plan = replace(plan, sources=8)
        for section in [s for s in o.section if s in functions]:
            for account in accounts(o):
                if section in default_pins:
                    places = pins(o, ["free"] if o.smoke else default_pins[section], results)
                else:
                    places = [("not pinned", None, None)]
                for name, server_cpus, load_cpus in places:
                    run = passthrough.Interleaved(section, f"as {account.name}, {name}", plan, results, account, server_cpus, load_cpus)
                    functions[section](run)
        if "wake-run" in o.section:
            wake.warm(o, plan, results, waking, copied(o.bin / "bench_yardstick", folder, "bench_yardstick"), accounts(o), pins)
    print_passthrough(o, plan, results, say)
    if waking:
        wake.print_all(plan, results, waking, say)

    def others(c: dict) -> float:
        return max(c["others_before"] or 0, c["others_during"])

    alone = [c for c in results.conditions if c["section"] != "cluster"]
    noisy = [c for c in alone if others(c) > 0.05]
    if noisy:
        say(f"\nThe machine was not quiet: in {len(noisy)} of {len(alone)} rounds others used more than 5 % of the CPUs, up to {max(map(others, noisy)):.0%}.")
    elif alone:
        say("\nThe machine was quiet: in no round did others use more than 5 % of the CPUs.")
    checked = goals(o, plan, results, [s.name for s in plan.servers if isinstance(s, Podproxy)]) + wake.goals(plan, results, waking) + cluster_goals
    if checked and not o.smoke:
        met = sum(ok for _, _, ok in checked)
        say(f"\n### Goals: {met} of {len(checked)} are met\n")
        say("\n".join(f"- {'met' if ok else 'NOT MET'}: {what}: {value}" for what, value, ok in checked))
    if results.problems:
        say("\n### Problems\n")
        say("\n".join(f"- {p}" for p in dict.fromkeys(results.problems)))
    results.about["goals"] = [{"what": w, "value": v, "met": ok} for w, v, ok in checked]
    if o.smoke:
        bad = [p for p in results.problems if "not measured" not in p]
        wrong = [w for w, _, ok in checked if not ok and any(k in w for k in ("full,", "half-close", "alive"))]
        for what in wrong:
            say(f"wrong: {what}")
        return 1 if bad or wrong else 0
    return 0


if __name__ == "__main__":
    # An end by signal runs the same clean-up as an error.
    for number_of_signal in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number_of_signal, lambda n, _: sys.exit(128 + n))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
