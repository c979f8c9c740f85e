"""A small client of the Docker Engine API over a UNIX socket; podman's service understands it too."""
import http.client
import json
import socket
import threading
import time
from pathlib import Path
from urllib.parse import quote, urlencode

from . import Failed, settings


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float | None):
        super().__init__("engine", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Refused(Failed):
    """The engine said no."""

    def __init__(self, status: int, text: str):
        super().__init__(f"the engine answers {status}: {text}")
        self.status = status


class Engine:
    """One engine. Each call is a connection of its own, so threads may share it."""

    def __init__(self, path: Path):
        self.path = path

    def call(self, method: str, target: str, body=None, *, query: dict | None = None, data: bytes | None = None, timeout: float = 30):
        """The answer, read as JSON where it is."""
        connection = _Connection(self.path, timeout)
        try:
            headers = {"Content-Type": "application/x-tar" if data is not None else "application/json"}
            payload = data if data is not None else json.dumps(body).encode() if body is not None else b"" if method == "POST" else None
            connection.request(method, f"/v1.41{target}" + (f"?{urlencode(query)}" if query else ""), body=payload, headers=headers)
            response = connection.getresponse()
            text = response.read()
            if response.status >= 400:
                raise Refused(response.status, text.decode(errors="replace").strip())
            try:
                return json.loads(text)
            except ValueError:
                return text
        finally:
            connection.close()

    def ready(self) -> bool:
        return self.call("GET", "/_ping", timeout=5) == b"OK"

    def load(self, archive: Path) -> None:
        self.call("POST", "/images/load", data=archive.read_bytes(), timeout=60)

    def create(self, name: str, *arguments: str, labels: dict | None = None, network: str = "host", health: dict | None = None,
               ports: dict[str, int] | None = None, stop_timeout: int | None = None, image: str = settings.image, **host) -> "Container":
        """A container of the image `guest`. `health`: milliseconds, as `interval`, and `retries`; `ports`: "5000/tcp" to a port here."""
        config = {"Image": image, "Cmd": list(arguments), "Labels": labels or {},
                  "HostConfig": {"NetworkMode": network, "RestartPolicy": {"Name": "no"}, **host}}
        if ports:
            config["ExposedPorts"] = {inner: {} for inner in ports}
            config["HostConfig"]["PortBindings"] = {inner: [{"HostIp": "127.0.0.1", "HostPort": str(outer)}] for inner, outer in ports.items()}
        if health is not None:
            config["Healthcheck"] = {"Test": ["CMD", "/bin/guest", "healthy"], "Interval": int(health.get("interval", 100) * 1e6),
                                     "Timeout": 2_000_000_000, "Retries": health.get("retries", 3), "StartPeriod": int(health.get("start", 0) * 1e6)}
        if stop_timeout is not None:
            config["StopTimeout"] = stop_timeout
        made = self.call("POST", "/containers/create", config, query={"name": name})
        return Container(self, name, made["Id"])

    def events(self) -> "Events":
        return Events(self)

    def containers(self) -> list[dict]:
        return self.call("GET", "/containers/json", query={"all": "true"})

    def remove_all(self) -> None:
        for one in self.containers():
            Container(self, one["Names"][0].lstrip("/"), one["Id"]).remove()


class Container:
    def __init__(self, engine: Engine, name: str, id: str):
        self.engine, self.name, self.id = engine, name, id

    def _post(self, verb: str, timeout: float = 30, **query) -> None:
        self.engine.call("POST", f"/containers/{self.id}/{verb}", query=query, timeout=timeout)

    def start(self) -> None:
        self._post("start")

    def stop(self, seconds: int = 10) -> None:
        self._post("stop", timeout=seconds + 20, t=seconds)

    def kill(self) -> None:
        self._post("kill")

    def pause(self) -> None:
        self._post("pause")

    def unpause(self) -> None:
        self._post("unpause")

    def rename(self, name: str) -> None:
        self._post("rename", name=name)
        self.name = name

    def remove(self) -> None:
        try:
            self.engine.call("DELETE", f"/containers/{self.id}", query={"force": "true", "v": "true"})
        except Refused as no:
            if no.status not in (404, 409):  # gone, or going
                raise

    def inspect(self) -> dict:
        return self.engine.call("GET", f"/containers/{self.id}/json")

    def state(self) -> str:
        """running, exited, created, paused, ..."""
        return self.inspect()["State"]["Status"]

    def runs(self) -> bool:
        return self.state() == "running"

    def started_at(self) -> str:
        return self.inspect()["State"]["StartedAt"]

    def health(self) -> str:
        return self.inspect()["State"].get("Health", {}).get("Status", "none")

    def pid(self) -> int:
        return self.inspect()["State"]["Pid"]

    def address(self) -> str:
        return next((n["IPAddress"] for n in self.inspect()["NetworkSettings"]["Networks"].values() if n["IPAddress"]), "")


class Events:
    """What the engine tells while this is open: (time, name, action) of containers, in order."""

    def __init__(self, engine: Engine):
        self.all: list[tuple[float, str, str]] = []
        self._news = threading.Condition()
        self._connection = _Connection(engine.path, None)
        self._connection.request("GET", "/v1.41/events?filters=" + quote(json.dumps({"type": ["container"]})))
        # podman sends the head only with the first event.
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            response = self._connection.getresponse()
            while line := response.readline():
                event = json.loads(line)
                with self._news:
                    self.all.append((time.monotonic(), event["Actor"]["Attributes"].get("name", ""), event["Action"].partition(":")[0]))
                    self._news.notify_all()
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass

    def count(self, name: str, action: str) -> int:
        with self._news:
            return sum(1 for _, who, what in self.all if who == name and what == action)

    def wait(self, name: str, action: str, count: int = 1, seconds: float = 10) -> None:
        """Until that has been told so often."""
        end = time.monotonic() + seconds
        with self._news:
            while sum(1 for _, who, what in self.all if who == name and what == action) < count:
                if not self._news.wait(max(0.0, end - time.monotonic())):
                    told = [what for _, who, what in self.all if who == name]
                    raise AssertionError(f"{name}: no {action} number {count} within {seconds:g} s; there were {told[-12:]}")

    def close(self) -> None:
        try:
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._thread.join(2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
