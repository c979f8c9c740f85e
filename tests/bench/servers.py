"""The proxies that are measured, each started on a port of 127.0.0.1."""
import json
import os
import resource
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

    def aim(self, origin: dict[str, int]) -> None:
        """Is told the origin's ports before it is started."""


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


class Forwarder(Server):
    """What leads from a port of its own to each port of the origin, without a handshake."""

    def __init__(self, name: str, program: str | Path) -> None:
        super().__init__(name, program, ["direct"])
        self.leads: dict[int, int] = {}  # port of the origin -> ours

    def aim(self, origin: dict[str, int]) -> None:
        self.leads = {port: free_port() for port in origin.values()}

    def way_to(self, port: int) -> int:
        return self.leads[port]

    def ways_from(self, port: int) -> dict[int, int]:
        """From ours to the origin's; `port` is one more, at which is looked whether it serves."""
        return {port: next(iter(self.leads)), **{ours: to for to, ours in self.leads.items()}}


class ForwardYardstick(Forwarder):
    def command(self, folder, port, account):
        return [self.program, *(word for ours, to in self.ways_from(port).items() for word in ("--port", ours, "--forward", f"127.0.0.1:{to}"))]


class WakeProxy(Forwarder):
    """In front of containers; `engine` is the socket of an engine that knows them."""

    def __init__(self, name: str, program: Path, engine: Path, container: str) -> None:
        super().__init__(name, program)
        self.engine, self.container = engine, container

    def environment(self):
        return {**super().environment(), "DOCKER_HOST": f"unix://{self.engine}"}

    def command(self, folder, port, account):
        config = folder / f"{self.name}-{port}.yaml"
        config.write_text(json.dumps({
            "groups": {self.container: {"containers": [self.container]}}, "log": {"level": "warn"},
            "ports": [{"listen": f"127.0.0.1:{ours}", "group": self.container, "to": f"127.0.0.1:{to}"} for ours, to in self.ways_from(port).items()]}))
        config.chmod(0o644)
        return [self.program, "--config", config]


class Haproxy(Forwarder):
    def command(self, folder, port, account):
        config = folder / f"haproxy-{port}.cfg"
        most = min(24000, (resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 200) // 2)  # it does not start where it could run out of descriptors
        config.write_text(
            f"global\n  maxconn {most}\n  maxpipes 60\n  nbthread 1\ndefaults\n  mode tcp\n  option splice-auto\n  timeout connect 5s\n  timeout client 1h\n"
            "  timeout server 1h\n" +
            "".join(f"listen way-{ours}\n  bind 127.0.0.1:{ours}\n  server origin 127.0.0.1:{to}\n" for ours, to in self.ways_from(port).items()))
        config.chmod(0o644)
        return [self.program, "-db", "-f", config]


class Nginx(Forwarder):
    def command(self, folder, port, account):
        config = folder / f"nginx-{port}.conf"
        module = next((f"load_module {f};\n" for f in ("/usr/lib/nginx/modules/ngx_stream_module.so", "/usr/lib64/nginx/modules/ngx_stream_module.so")
                       if os.path.exists(f)), "")
        user = "" if account.uid is not None else "user root;\n"
        config.write_text(
            f"{module}{user}daemon off;\nworker_processes 1;\nerror_log stderr error;\npid {folder}/any/nginx-{port}.pid;\n"
            "events { worker_connections 24000; }\nstream {\n  proxy_timeout 1h;\n  tcp_nodelay on;\n" +
            "".join(f"  server {{ listen 127.0.0.1:{ours}; proxy_pass 127.0.0.1:{to}; }}\n" for ours, to in self.ways_from(port).items()) + "}\n")
        config.chmod(0o644)
        return [self.program, "-c", config, "-p", folder / "any", "-e", "stderr"]


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
