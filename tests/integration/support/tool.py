"""The podproxy process under test."""
import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from .cases import check, eventually
from .servers import unused_port


def yaml(value, indent: int = 0) -> str:
    """Mappings, sequences of scalars or of mappings, and scalars; text is quoted."""
    pad, lines = "  " * indent, []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += [f"{pad}{key}:", yaml(item, indent + 1)]
        elif isinstance(item, list):
            lines += [f"{pad}{key}:" + ("" if item else " []"), *(f"{pad}  - {json.dumps(entry)}" for entry in item)]
        else:
            lines.append(f"{pad}{key}: {json.dumps(item)}")
    return "\n".join(lines)


def environment(folder: Path) -> dict:
    """Nothing of the caller's: no kubeconfig, no proxy, a home of its own."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(folder), "LC_ALL": "C.UTF-8",
            **{name: value for name, value in os.environ.items() if name.endswith(("SAN_OPTIONS", "SYMBOLIZER_PATH"))}}


def run_once(binary: Path, folder: Path, *arguments: str, timeout: float = 15, env: dict | None = None) -> subprocess.CompletedProcess:
    """Runs the program to its end, which it should reach by itself."""
    return subprocess.run([str(binary), *arguments], capture_output=True, text=True, cwd=folder, env=environment(folder) | (env or {}), timeout=timeout)


class Program:
    """A process under test, whose output goes to a file `log` in its folder. It ends with the tests, even when those are killed.

    `without` names capabilities that it does not get and `user` another account, where the tests run as root; `more` goes to Popen.
    """

    def __init__(self, command: list, folder: Path, *, without: tuple[str, ...] = (), user: int | None = None, extra: dict | None = None, **more):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.log_file = folder, folder / "log"
        self.name = Path(command[0]).name
        prefix = []
        if setpriv := shutil.which("setpriv"):
            prefix = [setpriv, "--pdeathsig", "KILL", *([f"--bounding-set=-{',-'.join(without)}"] if without else []),
                      *([f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user is not None else [])]
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen([*prefix, *map(str, command)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
                                            env=environment(folder) | (extra or {}), **more)

    def await_ready(self, ready, seconds: float = 15) -> None:
        """Until `ready` is true; a program that is not, or ends meanwhile, is ended."""
        def attempt() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} has ended with {self.process.returncode}: {self.log()[-2000:]}")
            return ready()
        try:
            eventually(seconds, f"{self.name} listens", attempt)
        except BaseException:
            self.stop()
            raise

    def alive(self) -> bool:
        return self.process.poll() is None

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def log_since(self, position: int) -> str:
        return self.log()[position:]

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self) -> int:
        """Resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> int:
        return self.process.wait(seconds)

    def stop(self) -> None:
        if self.alive():
            self.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            check(self.alive() or self.process.returncode == 0, f"{self.name} ended with {self.process.returncode}: {self.log()[-2000:]}")
        self.stop()


class Podproxy(Program):
    """A process with a configuration of its own. Every listener is on, on a free port of 127.0.0.1; the one of HTTP also elsewhere, if asked for.

    `preload` is a library that stands before the system's.
    """

    def __init__(self, binary: Path, folder: Path, kubeconfigs: list[Path], without: tuple[str, ...] = (),
                 preload: Path | None = None, http_host: str = "127.0.0.1", **settings):
        self.mixed, self.http, self.pac = (("127.0.0.1", unused_port()) for _ in range(3))
        self.config = {
            "listenAddress": "%s:%d" % self.mixed, "httpListenAddress": "%s:%d" % (http_host, self.http[1]), "pacListenAddress": "%s:%d" % self.pac,
            "skipDefaultKubeconfig": True, "skipKubeconfigEnv": True, "kubeconfigs": [str(k) for k in kubeconfigs],
            "log": {"level": "debug", "format": "json"}, **settings,
        }
        folder.mkdir(parents=True, exist_ok=True)
        config_file = folder / "config.yaml"
        config_file.write_text(yaml(self.config) + "\n")
        super().__init__([binary, "--config", config_file], folder, without=without, extra={"LD_PRELOAD": str(preload)} if preload else None)
        self.await_ready(self._listens)

    def _listens(self) -> bool:
        for address in (self.mixed, self.http, self.pac):
            socket.create_connection(address, 1).close()
        return True


def wait_for_log(proxy: Program, position: int, *parts: str, seconds: float = 5) -> None:
    """Waits until one of the parts is in the log after the position."""
    eventually(seconds, f"the log says one of {parts}", lambda: any(p.lower() in proxy.log_since(position).lower() for p in parts))

