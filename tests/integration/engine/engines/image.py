"""The image `guest`: one static program and nothing else. No registry is asked."""
import os
import platform
import subprocess
from pathlib import Path

from harness import build

from . import Failed, settings


def path() -> Path:
    """The archive, as `docker load` takes it; made when the sources changed."""
    source, target = settings.source / "image", settings.images
    stamp = build.stamp_of([source / "go.mod", source / "main.go", Path(__file__), Path(build.__file__)], platform.machine())
    archive, program = target / "guest.tar", target / "guest"
    if build.is_current(target, stamp, ["guest.tar", "guest"]):
        return archive
    target.mkdir(parents=True, exist_ok=True)
    (target / "stamp").unlink(missing_ok=True)
    done = subprocess.run([build.find_go(), "build", "-trimpath", "-ldflags", "-s -w", "-o", str(program), "."], cwd=source,
                          env={**os.environ, "CGO_ENABLED": "0"})
    if done.returncode:
        raise Failed("the program for the containers could not be built")
    build.archive(archive, settings.image, ["/bin/guest"], {"bin/guest": program.read_bytes()})
    (target / "stamp").write_text(stamp)
    return archive


def program() -> Path:
    """The same program, to be run without a container."""
    path()
    return settings.images / "guest"
