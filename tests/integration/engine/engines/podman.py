"""`podman system service`, in the same namespaces as dockerd."""
import time

from . import Failed, Unavailable, host, image, settings
from .api import Engine


def engine() -> Engine:
    return Engine(settings.podman_socket)


def is_up() -> bool:
    try:
        return host.running("podman") is not None and engine().ready()
    except (OSError, Failed):
        return False


def up(say) -> bool:
    """Returns whether it was this call that brought it up."""
    if is_up():
        return False
    host.require()
    program = host.find("podman")
    if not program or not host.find("conmon"):
        raise Unavailable("not installed: podman (scripts/setup --only engine)")
    archive = image.path()
    began = time.monotonic()
    host.prepare()
    policy = settings.run / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}\n')
    # journald, the usual place of events, is not here.
    config = settings.run / "containers.conf"
    config.write_text(f'[engine]\nevents_logger = "file"\ncgroup_manager = "cgroupfs"\nruntime = "runc"\n[containers]\nlog_driver = "k8s-file"\n'
                      f'cgroups = "enabled"\n')
    settings.podman_socket.unlink(missing_ok=True)
    host.start("podman", ["env", f"CONTAINERS_CONF={config}", program, "--root", "/var/lib/containers/storage", "--runroot", "/run/containers/storage",
                          "system", "service", "--time=0", f"unix://{settings.podman_socket}"])
    try:
        host.wait("podman answers", 30, lambda: engine().ready())
        engine().load(archive)
    except Failed as problem:
        raise Failed(f"{problem}\n{host.last_log('podman')}") from None
    say(f"podman is up after {time.monotonic() - began:.1f} s")
    return True


def down() -> None:
    """Ends the service and its containers, not the namespaces."""
    if is_up():
        try:
            engine().remove_all()
        except (OSError, Failed):
            pass
    host.stop("podman", patience=3)
