"""Everything that is done to the machine, and how it is undone.

All runs in namespaces of its own: network (so bridges, addresses and packet filter rules touch nobody's), mounts (the fixed places of an
engine are fresh folders in memory) and processes. The first process of the last one holds them: when it is killed, the kernel ends
all others, engines, containers and their helpers, and what they mounted and configured is gone. What is left are cgroups and our
folder `run`.
"""
import ctypes
import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from . import Failed, Unavailable, settings

# What engines keep in fixed places, or get from this program: private and in memory.
private_folders = ("/var/lib/docker", "/var/lib/containers", "/run/docker", "/run/containerd", "/run/containers", "/run/libpod", "/run/netns", "/run/crun")
packages = {"dockerd": "docker.io", "containerd": "containerd", "runc": "runc", "unshare": "util-linux", "nsenter": "util-linux", "mount": "mount",
            "ip": "iproute2", "iptables": "iptables"}
_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
search = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"])


def find(program: str) -> str | None:
    return shutil.which(program, path=search)


def require() -> None:
    """Raises Unavailable, with one sentence, when no engine can run on this machine."""
    if os.uname().sysname != "Linux":
        raise Unavailable("a container engine needs Linux")
    if os.geteuid() != 0:
        raise Unavailable("a container engine needs root: it makes namespaces, mounts and cgroups")
    held = int(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff:")), 16)
    for number, capability in ((12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN")):
        if not held >> number & 1:
            raise Unavailable(f"a container engine needs {capability}")
    if missing := sorted({package for program, package in packages.items() if not find(program)}):
        raise Unavailable(f"not installed: {' '.join(missing)} (scripts/setup --only engine)")


# --- processes --------------------------------------------------------------------------------------------------------

def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_time(pid: int) -> int | None:
    """When the process was started, in clock ticks since the boot; None when there is none, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" and int(fields[17]) <= 1 else int(fields[19])


def _record(name: str) -> dict | None:
    try:
        record = json.loads((settings.run / f"{name}.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return record if record["boot"] == _boot() else None


def _remember(name: str, pid: int, command: list[str]) -> None:
    (settings.run / f"{name}.json").write_text(
        json.dumps({"boot": _boot(), "pid": pid, "start": _start_time(pid), "command": [str(word) for word in command]}))


def running(name: str) -> int | None:
    """The process number, as seen from here, of a program that was started and still runs."""
    record = _record(name)
    return record["pid"] if record and record["start"] is not None and _start_time(record["pid"]) == record["start"] else None


def _only_child(parent: int) -> int | None:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1]) == parent:
                    return int(entry)
            except (OSError, IndexError):
                pass
    return None


def _spawn(name: str, command: list) -> subprocess.Popen:
    settings.logs.mkdir(parents=True, exist_ok=True)
    with open(settings.logs / f"{name}.log", "ab") as log:
        return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
                                env={"PATH": search, "HOME": "/root", "LC_ALL": "C.UTF-8"})


def start(name: str, command: list) -> None:
    """Starts a program in the namespaces; its output goes to logs/NAME.log."""
    holder = running("holder")
    if holder is None:
        raise Failed("the namespaces of the engine are gone")
    entry = _spawn(name, ["nsenter", "--target", holder, "--net", "--mount", "--pid", "--", *command])
    # nsenter waits for the program, which is its child; a signal has to go to that.
    child = []
    wait(f"{name} starts", 5, lambda: entry.poll() is not None or child.append(_only_child(entry.pid)) or child[-1])
    if entry.poll() is not None:
        raise Failed(f"{name} has ended with {entry.returncode}: {last_log(name)}")
    _remember(name, child[-1], command)


def signal_to(name: str, which: signal.Signals) -> None:
    if pid := running(name):
        os.kill(pid, which)


def stop(name: str, *, patience: float = 10, first: signal.Signals = signal.SIGTERM) -> None:
    """Ends a program, in the hard way after `patience` seconds. Its record stays, so that it can be started again."""
    signal_to(name, first)
    end = time.monotonic() + patience
    while running(name):
        if time.monotonic() > end:
            signal_to(name, signal.SIGKILL)
            end += 5
        time.sleep(0.01)


def restart(name: str, *, kill: bool = False, extra: list | None = None) -> None:
    """Starts a program again with the command it had, and with further arguments for this time."""
    record = _record(name)
    if record is None:
        raise Failed(f"{name} was not started here")
    stop(name, first=signal.SIGKILL if kill else signal.SIGTERM)
    start(name, [*record["command"], *(extra or [])])
    if extra:  # the next time is without them again
        _remember(name, running(name) or 0, record["command"])


def last_log(name: str, lines: int = 8) -> str:
    try:
        return "\n".join((settings.logs / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


# --- namespaces -------------------------------------------------------------------------------------------------------

def prepare() -> None:
    """Makes the namespaces, when they are not there yet."""
    if running("holder"):
        return
    clean()
    settings.run.mkdir(parents=True)
    shutil.rmtree(settings.logs, ignore_errors=True)
    cgroups = [str(top) for top in _cgroup_tops() if not top.exists()]
    made = []  # the ones to remove again, deepest first
    for folder in map(Path, private_folders):
        made += [str(f) for f in (folder, *folder.parents) if not f.exists() and str(f) not in made]
        folder.mkdir(parents=True, exist_ok=True)
    (settings.run / "machine.json").write_text(json.dumps({"folders": made, "cgroups": cgroups}))
    hide = " && ".join(f"mount -t tmpfs -o mode=711 {settings.name} {folder}" for folder in private_folders)
    # The shell takes in the orphans of its namespace, as a first process has to.
    hold = f"{hide} && ip link set dev lo up && echo ready && {{ sleep infinity & wait; }}"
    entry = _spawn("holder", ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--propagation", "private", "--kill-child=KILL",
                              "sh", "-c", hold])
    wait("the namespaces", 5, lambda: entry.poll() is not None or "ready" in last_log("holder"))
    child = _only_child(entry.pid)
    if entry.poll() is not None or child is None:
        raise Unavailable(f"no namespaces can be made here: {last_log('holder')}")
    _remember("holder", child, [])


@contextmanager
def network():
    """The calling thread, and what it starts meanwhile, is in the network of the engines."""
    holder = running("holder")
    if holder is None:
        raise Failed("the namespaces of the engine are gone")
    with open("/proc/thread-self/ns/net") as before, open(f"/proc/{holder}/ns/net") as there:
        if _libc.setns(there.fileno(), _CLONE_NEWNET):
            raise Failed(f"the network of the engine can't be entered: {os.strerror(ctypes.get_errno())}")
        try:
            yield
        finally:
            if _libc.setns(before.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")


def _cgroup_tops() -> list[Path]:
    """What dockerd and podman make for their containers: with cgroup v1 one for each controller."""
    base = Path("/sys/fs/cgroup")
    roots = [base] if (base / "cgroup.controllers").exists() else [d for d in base.iterdir() if d.is_dir() and not d.is_symlink()]
    return [root / name for root in roots for name in (settings.name, "libpod_parent")]


def _cgroups(ours: list[str]) -> list[Path]:
    """All that the containers were in, the deepest first."""
    return [Path(folder) for top in ours for folder, _, _ in os.walk(top, topdown=False)]


def clean() -> bool:
    """Undoes everything, whatever state it is in. Returns whether there was anything."""
    if not settings.run.exists():
        return False
    stop("holder", patience=0, first=signal.SIGKILL)
    try:
        made = json.loads((settings.run / "machine.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        made = {"folders": [], "cgroups": []}
    end = time.monotonic() + 5
    while (groups := _cgroups(made["cgroups"])) and time.monotonic() < end:  # a group empties shortly after its last process has died
        for group in groups:
            try:
                group.rmdir()
            except OSError:
                pass
        time.sleep(0.02)
    for folder in made["folders"]:
        try:
            os.rmdir(folder)
        except OSError:
            pass  # somebody else uses it by now
    shutil.rmtree(settings.run)
    return True


# --- waiting ----------------------------------------------------------------------------------------------------------

def wait(what: str, seconds: float, condition) -> None:
    """Polls until the condition holds. Exceptions of the condition count as "not yet"."""
    end = time.monotonic() + seconds
    problem = None
    while time.monotonic() < end:
        try:
            if condition():
                return
        except Exception as error:  # whatever a half-started server does
            problem = error
        time.sleep(0.01)
    raise Failed(f"{what}: not after {seconds:g} s" + (f" ({problem})" if problem else "") + f"; logs are in {settings.logs}")
