"""The proxies that are measured, each started on a port of 127.0.0.1."""
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path

from machine import Account, free_port, listens, start, stop


@dataclass
class Server:
    name: str
    program: str | Path | None  # None: no proxy at all
    ways: list[str] = field(default_factory=lambda: ["socks5"])

    def command(self, folder: Path, port: int, account: Account) -> list:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin")}


class Direct(Server):
    def __init__(self) -> None:
        super().__init__("direct", None, ["direct"])


class Yardstick(Server):
    def __init__(self, program: Path) -> None:
        super().__init__("yardstick", program, ["socks5", "connect"])

    def command(self, folder, port, account):
        return [self.program, "--port", port]


class Podproxy(Server):
    """With its default settings, and no cluster: everything passes through."""

    def __init__(self, program: Path, name: str = "podproxy", settings: dict[str, str] | None = None) -> None:
        super().__init__(name, program, ["socks5", "connect"])
        self.settings = settings or {}

    def command(self, folder, port, account):
        settings = {"listenAddress": f'"127.0.0.1:{port}"', "skipDefaultKubeconfig": "true", "skipKubeconfigEnv": "true", **self.settings}
        config = folder / f"{self.name}-{port}.yaml"
        config.write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))
        config.chmod(0o644)
        return [self.program, "--config", config]


class Microsocks(Server):
    def command(self, folder, port, account):
        return [self.program, "-i", "127.0.0.1", "-p", port]


class Dante(Server):
    def command(self, folder, port, account):
        config = folder / f"danted-{port}.conf"
        unprivileged = "" if account.uid is not None else "user.unprivileged: nobody\n"
        config.write_text(
            f"logoutput: {os.devnull}\ninternal: 127.0.0.1 port = {port}\nexternal: 127.0.0.1\nclientmethod: none\nsocksmethod: none\n"
            f"{unprivileged}client pass {{ from: 127.0.0.0/8 to: 127.0.0.0/8 }}\nsocks pass {{ from: 127.0.0.0/8 to: 127.0.0.0/8 }}\n")
        config.chmod(0o644)
        # The place of its pid file, which must be writable for the account.
        return [self.program, "-f", config, "-p", folder / "any" / f"danted-{port}.pid"]


def find(name: str, *folders: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


class Running:
    """A server that serves. `cpu` and `footprint` are taken from `process.pid`."""

    def __init__(self, server: Server, folder: Path, *, account: Account, on: list[int] | None = None, files: int | None = None) -> None:
        self.server = server
        self.process = None
        self.port = 0
        if server.program is None:
            return
        self.port = free_port()
        self.log = folder / f"{server.name}-{account.name}-{self.port}.log"
        with self.log.open("wb") as log:
            self.process = start(server.command(folder, self.port, account), account=account, on=on, files=files, cwd=folder / "any",
                                 stdout=log, stderr=log, env={**server.environment(), "HOME": str(folder / "any")})
        end = time.monotonic() + 15
        while not listens(self.port):
            if self.process.poll() is not None or time.monotonic() > end:
                text = self.log.read_text(errors="replace")[-2000:]
                stop(self.process)
                raise RuntimeError(f"{server.name} does not start as {account.name}:\n{text}")
            time.sleep(0.02)

    def alive(self) -> bool:
        return self.process is None or self.process.poll() is None

    def stop(self) -> None:
        if self.process:
            stop(self.process)

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_) -> None:
        self.stop()
