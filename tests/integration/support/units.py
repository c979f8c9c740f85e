"""The systemd of the tests, and units for it."""
import subprocess
from pathlib import Path

from harness import Failed, Unavailable

script = Path(__file__).resolve().parent.parent / "systemd" / "systemd"


def _harness(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(script), *arguments], capture_output=True, text=True, timeout=60)


def up() -> bool:
    """Starts it. Returns whether it was down."""
    was_down = _harness("status").returncode != 0
    done = _harness("start")
    if done.returncode == 77:
        raise Unavailable(done.stderr.strip())
    if done.returncode != 0:
        raise Failed(done.stderr.strip())
    return was_down


def down() -> None:
    _harness("stop")


def systemctl(*arguments: str) -> str:
    done = _harness("run", "systemctl", *arguments)
    return (done.stdout or done.stderr).strip()


def show(unit: str, *properties: str) -> list[str]:
    text = systemctl("show", unit, *(f"--property={p}" for p in properties))
    found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return [found.get(p, "") for p in properties]


def state(unit: str) -> str:
    return show(unit, "ActiveState")[0]


def folder() -> Path:
    return Path(_harness("folder").stdout.strip())


class Unit:
    """A service for one case."""

    def __init__(self, name: str, command: str, more: str = ""):
        self.name, self.file = f"{name}.service", folder() / f"{name}.service"
        self.file.write_text(f"[Service]\nExecStart={command}\n{more}\n")
        systemctl("daemon-reload")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        systemctl("kill", "--signal=KILL", self.name)
        systemctl("stop", self.name)
        systemctl("reset-failed", self.name)
        self.file.unlink(missing_ok=True)
        systemctl("daemon-reload")


def echo_command(port: int) -> str:
    """A server that sends back what it gets, as an ExecStart."""
    program = ("import socket,threading as t\n"
               "def serve(c):\n"
               " while d:=c.recv(65536): c.sendall(d)\n"
               " c.close()\n"
               f"s=socket.create_server((\"127.0.0.1\",{port}))\n"
               "print(\"listening\",flush=True)\n"
               "while True: t.Thread(target=serve,args=(s.accept()[0],),daemon=True).start()\n")
    escaped = program.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("%", "%%").replace("$", "$$")
    return f"/usr/bin/python3 -c '{escaped}'"


def wrapped(program: Path, where: Path) -> Path:
    """The program as a command that runs where systemd's sockets are."""
    file = where / program.name
    file.write_text(f"#!/bin/sh\nPODPROXY_SYSTEMD='{folder().parent}' exec '{script}' run '{program}' \"$@\"\n")
    file.chmod(0o755)
    return file
