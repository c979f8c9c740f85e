"""Real container engines for the integration tests: bring them up, talk to them, take them down.

    settings   where things are
    image      the image `guest`, made from nothing
    host       the namespaces that all runs in, the processes, and how everything is undone
    docker     dockerd
    podman     podman's service, which speaks the same API
    api        a small client of that API
"""
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent.parent / "cluster"))

from harness import Failed, Unavailable  # noqa: E402, F401
