"""Everything that is done to the machine, with a record of it that makes it possible to undo exactly that.

The records are files below `settings.run`: one `NAME.json` per process (with its start time, since numbers are used
again), `machine.json` for the rest. They name the boot they belong to: after a reboot there is nothing to end.

The container runtime and the kubelet run in a mount namespace of their own, in which the fixed places that they use
(/var/lib/kubelet, /run/containerd, ...) are private. So a Kubernetes or containerd of the machine's owner is not disturbed, and
all mounts of the pods vanish with the last process of the namespace.
"""
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from . import Failed, Unavailable, settings

private_folders = ("/var/lib/kubelet", "/var/lib/cni", "/var/log/containers", "/run/containerd", "/var/run/netns")
plugin_folders = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
packages = {
    "etcd": "etcd-server", "containerd": "containerd", "containerd-shim-runc-v2": "containerd", "ctr": "containerd", "runc": "runc",
    "ip": "iproute2", "openssl": "openssl", "unshare": "util-linux", "nsenter": "util-linux", "mount": "mount",
}
sysctls = ("net/ipv4/ip_forward", "vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops")  # the ones kubelet and CNI set


# --- what has to be there ---------------------------------------------------------------------------------------------

def require() -> None:
    """Raises Unavailable, with one sentence, when the cluster cannot run on this machine."""
    if os.uname().sysname != "Linux":
        raise Unavailable("a cluster needs Linux")
    if os.geteuid() != 0:
        raise Unavailable("a cluster needs root: it makes network namespaces, mounts and cgroups")
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    held = int(status["CapEff"], 16)
    for number, capability in ((12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN")):
        if not held >> number & 1:
            raise Unavailable(f"a cluster needs {capability}")
    missing = sorted({package for program, package in packages.items() if not shutil.which(program)})
    if not plugins():
        missing.append("containernetworking-plugins")
    if missing:
        raise Unavailable(f"not installed: {' '.join(missing)} (scripts/setup --only cluster)")


def plugins() -> str | None:
    return next((folder for folder in plugin_folders if os.access(f"{folder}/bridge", os.X_OK)), None)


def require_free_ports() -> None:
    for port in range(settings.first_port, settings.first_port + 7):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise Failed(f"port {port} on 127.0.0.1 is taken ({error.strerror}): set PODPROXY_CLUSTER_PORT to another first port") from None


# --- processes --------------------------------------------------------------------------------------------------------

def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_time(pid: int) -> int | None:
    """When the process was started, in clock ticks since the boot; None when there is none, or only its remains.

    A killed process is a zombie as soon as its first thread has ended; its sockets are open until the last one has.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, threads, started = fields[0], int(fields[17]), int(fields[19])
    return None if state in "ZX" and threads <= 1 else started


def _record(name: str) -> dict | None:
    try:
        record = json.loads((settings.run / f"{name}.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return record if record["boot"] == _boot() else None


def running(name: str) -> int | None:
    """The process number of a component that was started and still runs."""
    record = _record(name)
    return record["pid"] if record and _start_time(record["pid"]) == record["start"] else None


def start(name: str, command: list[str], *, private_mounts: bool = False) -> None:
    settings.run.mkdir(parents=True, exist_ok=True)
    settings.logs.mkdir(parents=True, exist_ok=True)
    full = command
    if private_mounts:
        holder = running("mounts")
        if holder is None:
            raise Failed("the mount namespace of the node is gone")
        full = ["nsenter", f"--mount=/proc/{holder}/ns/mnt", "--", *command]
    with open(settings.logs / f"{name}.log", "ab") as log:
        process = subprocess.Popen(full, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/")
    record = {"boot": _boot(), "pid": process.pid, "start": _start_time(process.pid), "command": command, "private_mounts": private_mounts}
    (settings.run / f"{name}.json").write_text(json.dumps(record))


def _await_end(pid: int, started: int | None, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while _start_time(pid) == started and started is not None:
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    try:
        os.waitpid(pid, os.WNOHANG)  # when it was this very process that started it
    except ChildProcessError:
        pass
    return True


def stop(name: str, *, patience: float = 2, first: signal.Signals = signal.SIGTERM) -> None:
    """Ends a component, in the hard way after `patience` seconds, and removes its record."""
    record = _record(name)
    if record and _start_time(record["pid"]) == record["start"] is not None:
        os.kill(record["pid"], first)
        if not _await_end(record["pid"], record["start"], patience):
            os.kill(record["pid"], signal.SIGKILL)
            _await_end(record["pid"], record["start"], 5)
    (settings.run / f"{name}.json").unlink(missing_ok=True)


def restart(name: str, *, patience: float = 10, first: signal.Signals = signal.SIGTERM, extra: list[str] | None = None) -> None:
    """Starts a component again with the command it had, and with further arguments for this time."""
    record = _record(name)
    if record is None:
        raise Failed(f"{name} was not started here")
    stop(name, patience=patience, first=first)
    start(name, record["command"] + (extra or []), private_mounts=record["private_mounts"])
    if extra:  # the next restart is without them again
        changed = _record(name)
        changed["command"] = record["command"]
        (settings.run / f"{name}.json").write_text(json.dumps(changed))


# --- mounts, cgroups, bridge, kernel settings -------------------------------------------------------------------------

def _machine_record() -> dict:
    try:
        record = json.loads((settings.run / "machine.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return record if record.get("boot") == _boot() else {}


def _remember(**facts) -> None:
    settings.run.mkdir(parents=True, exist_ok=True)
    (settings.run / "machine.json").write_text(json.dumps({**_machine_record(), "boot": _boot(), **facts}))


def _ip(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True)


def _cgroup_roots() -> list[Path]:
    """The hierarchies that have controllers: one with cgroup v2, one per controller with v1."""
    base = Path("/sys/fs/cgroup")
    if (base / "cgroup.controllers").exists():
        return [base]
    return [d for d in sorted(base.iterdir()) if (d / "tasks").exists() and not d.is_symlink()]


def prepare() -> None:
    """Makes the mount namespace, the bridge and the cgroup. Each is recorded before it is made."""
    _remember(sysctls={name: Path("/proc/sys", name).read_text().strip() for name in sysctls if Path("/proc/sys", name).exists()})

    folders = []  # the ones to remove again, deepest first
    for folder in map(Path, private_folders):
        folders += [str(f) for f in (folder, *folder.parents) if not f.exists()]
    _remember(folders=folders)
    for folder in private_folders:
        Path(folder).mkdir(parents=True, exist_ok=True)
    hide = " && ".join(f"mount -t tmpfs -o mode=755 pptest {folder}" for folder in private_folders)
    start("mounts", ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"{hide} && echo ready && exec sleep infinity"])
    wait("the mount namespace", 5, lambda: "ready" in (settings.logs / "mounts.log").read_text())

    shown = _ip("-j", "link", "show", "dev", settings.bridge)
    if shown.returncode == 0:
        if json.loads(shown.stdout)[0].get("ifalias") != _bridge_alias:
            raise Failed(f"a network interface {settings.bridge} is there and not ours: set PODPROXY_CLUSTER_NAME to another name")
    else:
        _ip("link", "add", settings.bridge, "type", "bridge")
        _ip("link", "set", "dev", settings.bridge, "alias", _bridge_alias)
    _ip("address", "replace", f"{settings.node_ip}/24", "dev", settings.bridge)
    done = _ip("link", "set", "dev", settings.bridge, "up")
    if done.returncode:
        raise Unavailable(f"no network bridge can be made here: {done.stderr.strip()}")

    for root in _cgroup_roots():
        group = root / settings.cgroup
        group.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):  # v1 starts with none, and then nothing can run in it
            if (group / file).exists() and not (group / file).read_text().strip() and (root / file).exists():
                (group / file).write_text((root / file).read_text())
        if (root / "cgroup.subtree_control").exists():
            wanted = [c for c in (root / "cgroup.controllers").read_text().split() if c in ("cpu", "cpuset", "memory", "pids", "io", "hugetlb")]
            for level in (root, group):
                for controller in wanted:
                    try:
                        (level / "cgroup.subtree_control").write_text(f"+{controller}")
                    except OSError:
                        pass  # not delegated to us; the kubelet says so if it needs it


_bridge_alias = "podproxy integration tests"


def _groups() -> list[Path]:
    """All cgroups of the pods, the deepest first."""
    found = []
    for root in [*_cgroup_roots(), Path("/sys/fs/cgroup/unified")]:  # the last one is runc's choice in a mixed set-up
        top = root / settings.cgroup
        if top.is_dir():
            found += [Path(folder) for folder, _, _ in os.walk(top, topdown=False)]
    return found


def _kill_containers() -> None:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        pids = set()
        for group in _groups():
            try:
                pids.update(map(int, (group / "cgroup.procs").read_text().split()))
            except OSError:
                pass  # gone, or a threaded group
        pids = {pid for pid in pids if pid and _start_time(pid) is not None}
        if not pids:
            return
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.02)


def _kill_shims() -> None:
    """containerd's helpers, one per pod: known by the address of our containerd in their command."""
    address = str(settings.run / "containerd.sock").encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"containerd-shim-runc-v2") and address in words:
                try:
                    os.kill(int(entry.name), signal.SIGKILL)
                except ProcessLookupError:
                    pass


def clean() -> bool:
    """Undoes everything that is recorded. Asks none of the components: a crashed or stuck one is ended as well as a healthy one.

    Returns whether there was anything.
    """
    if not settings.run.exists():
        return False
    record = _machine_record()
    stop("kubelet", patience=0.5)
    stop("kube-scheduler", patience=0.3)
    stop("kube-controller-manager", patience=0.3)
    stop("kube-apiserver", patience=0.3)
    if record:
        _kill_containers()
        _kill_shims()
    stop("containerd", patience=1)
    stop("etcd", patience=0, first=signal.SIGKILL)  # its data is thrown away
    stop("mounts", patience=0, first=signal.SIGKILL)
    if record:
        shown = _ip("-j", "link", "show", "dev", settings.bridge)
        if shown.returncode == 0 and json.loads(shown.stdout)[0].get("ifalias") == _bridge_alias:
            _ip("link", "delete", "dev", settings.bridge)
        end = time.monotonic() + 5
        while (groups := _groups()) and time.monotonic() < end:  # a group empties shortly after its last process has died
            for group in groups:
                try:
                    group.rmdir()
                except OSError:
                    pass
            time.sleep(0.02)
        for name, value in record.get("sysctls", {}).items():
            file = Path("/proc/sys", name)
            if file.read_text().strip() != value:
                file.write_text(value)
        for folder in record.get("folders", []):
            try:
                os.rmdir(folder)
            except OSError:
                pass  # somebody else uses it by now
    _remove_tree(settings.run)
    return True


def _remove_tree(folder: Path) -> None:
    """Removes a folder, but nothing that is mounted below it (there should be nothing)."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    libc = ctypes.CDLL(None, use_errno=True)
    for point in sorted((m for m in mounted if m.startswith(f"{folder}/")), reverse=True):
        libc.umount2(point.encode(), 2)  # MNT_DETACH
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise Failed(f"{folder} could not be removed")


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
        time.sleep(0.05)
    raise Failed(f"{what}: not after {seconds:g} s" + (f" ({problem})" if problem else "") + f"; logs are in {settings.logs}")
