"""What the benchmark asks of the machine: CPU time and memory of process trees, quiet, a network of its own."""
import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_ticks = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name, so that [0] is the state and [1] the parent."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(root: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(_stat(int(entry))[1]), []).append(int(entry))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of the whole tree: of what lives to the nanosecond, of children that have ended to the tick."""
    total = 0.0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            # The kernel's clock of another process, the form that clock_getcpuclockid(3) gives.
            total += time.clock_gettime((~pid << 3) | 2)
            fields = _stat(pid)
            total += (int(fields[13]) + int(fields[14])) / _ticks
    return total


@dataclass
class Footprint:
    rss: int  # bytes; pages that processes share count once (Pss) where there is more than one process
    dirty: int  # private and written to
    descriptors: int
    threads: int
    processes: int


def footprint(root: int) -> Footprint:
    found = Footprint(0, 0, 0, 0, 0)
    pids = tree(root)
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            descriptors = len(os.listdir(f"/proc/{pid}/fd"))
            threads = len(os.listdir(f"/proc/{pid}/task"))
        except OSError:
            continue
        values = {line.split()[0]: int(line.split()[1]) * 1024 for line in rollup.splitlines()[1:]}
        found.rss += values["Rss:" if len(pids) == 1 else "Pss:"]
        found.dirty += values["Private_Dirty:"]
        found.descriptors += descriptors
        found.threads += threads
        found.processes += 1
    return found


def cpus() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def _busy() -> tuple[float, float]:
    """Seconds that all CPUs have been busy, and that the hypervisor has taken, since the start of the machine."""
    fields = [int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _, _, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq) / _ticks, steal / _ticks


class Watch:
    """How much others used the machine while we measured."""

    def __init__(self) -> None:
        self.start = time.monotonic()
        self.busy, self.steal = _busy()
        self.own = cpu_seconds(os.getpid())

    def others(self) -> float:
        """Their share of all CPUs, 0 to 1, with what the hypervisor took."""
        busy, steal = _busy()
        own = cpu_seconds(os.getpid()) - self.own
        wall = (time.monotonic() - self.start) * os.cpu_count()
        return max(0.0, (busy - self.busy - own + steal - self.steal) / wall)


def wait_for_quiet(limit: float, share: float = 0.04) -> float:
    """Returns when others use less than that share of the CPUs, or after `limit` seconds; says what they use."""
    end = time.monotonic() + limit
    while True:
        watch = Watch()
        time.sleep(0.5)
        others = watch.others()
        if others <= share or time.monotonic() >= end:
            return others


@contextlib.contextmanager
def private_network():
    """A network namespace with nothing but loopback, so that no packet filter and nobody's ports are in the way. As root only."""
    if os.geteuid() != 0:
        yield False
        return
    with open("/proc/self/ns/net") as before:
        if _libc.unshare(_CLONE_NEWNET) != 0:
            yield False
            return
        try:
            with socket.socket() as s:
                request = struct.pack("16sH14x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
                fcntl.ioctl(s, 0x8914, request)  # SIOCSIFFLAGS
            # Ports of closed connections rest for a while; more of them are needed than the default range has.
            with contextlib.suppress(OSError):
                Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("1024 65535\n")
            yield True
        finally:
            if _libc.setns(before.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")


@dataclass
class Account:
    """Who a server runs as. A uid of its own, because limits such as pipe-user-pages-soft count per uid."""
    name: str
    uid: int | None = None

    def options(self) -> dict:
        return {} if self.uid is None else {"user": self.uid, "group": self.uid, "extra_groups": []}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(command: list, *, account: Account = Account("root"), on: list[int] | None = None, files: int | None = None, **more) -> subprocess.Popen:
    """Starts a program in a process group of its own, on some CPUs, with a limit of descriptors."""
    def before_exec() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # nothing of ours outlives us
        if on:
            os.sched_setaffinity(0, on)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1] if files is None else files
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    return subprocess.Popen([str(part) for part in command], start_new_session=True, preexec_fn=before_exec, **account.options(), **more)


def stop(process: subprocess.Popen) -> None:
    """Ends the process and its group, which we started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def listens(port: int) -> bool:
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0
