"""Places and names. PODPROXY_ENGINE is another cache folder, PODPROXY_ENGINE_NAME another name: then two can live side by side."""
import os
from pathlib import Path

source = Path(__file__).resolve().parent.parent


def _cache() -> Path:
    chosen = os.environ.get("PODPROXY_ENGINE")
    if chosen:
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podproxy" / "engine"


cache = _cache()
images = cache / "images"
run = cache / "run"  # exists only while something is up, or after a crash
logs = cache / "logs"  # of the last run
name = os.environ.get("PODPROXY_ENGINE_NAME", "pptest-engine")  # of the cgroup, the one thing of ours outside of the cache folder

docker_socket = run / "docker.sock"
podman_socket = run / "podman.sock"
image = "podproxy.test/guest:1"
