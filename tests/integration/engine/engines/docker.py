"""dockerd, with its own containerd, data in memory and a bridge in a network of its own."""
import time

from . import Failed, host, image, settings
from .api import Engine


def engine() -> Engine:
    return Engine(settings.docker_socket)


def is_up() -> bool:
    try:
        return host.running("dockerd") is not None and engine().ready()
    except (OSError, Failed):
        return False


def up(say) -> bool:
    """Returns whether it was this call that brought it up."""
    if is_up():
        return False
    host.require()
    archive = image.path()
    began = time.monotonic()
    host.prepare()
    config = settings.run / "daemon.json"
    config.write_text("{}\n")  # the machine's own is none of our business
    # live-restore: containers go on while the engine is restarted, as on servers that care.
    host.start("dockerd", [
        host.find("dockerd"), "--config-file", config, "--data-root", "/var/lib/docker", "--exec-root", "/run/docker", "--pidfile", "/run/docker/pid",
        "--host", f"unix://{settings.docker_socket}", "--live-restore", "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{settings.name}",
        "--log-level", "warn"])
    await_ready()
    engine().load(archive)
    say(f"dockerd is up after {time.monotonic() - began:.1f} s")
    return True


def await_ready(seconds: float = 30) -> None:
    def answers() -> bool:
        if host.running("dockerd") is None:
            raise Failed("dockerd has ended")
        return engine().ready()
    try:
        host.wait("dockerd answers", seconds, answers)
    except Failed as problem:
        raise Failed(f"{problem}\n{host.last_log('dockerd')}") from None


def restart(*, kill: bool = False, extra: list | None = None) -> None:
    host.restart("dockerd", kill=kill, extra=extra)
    await_ready()


def stop(*, kill: bool = False) -> None:
    """Ends the engine; its containers go on. `restart` brings it back."""
    host.stop("dockerd", patience=0 if kill else 10, first=host.signal.SIGKILL if kill else host.signal.SIGTERM)
