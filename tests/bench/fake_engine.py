#!/usr/bin/env python3
"""A Docker engine that has no containers but says it does: for measuring what wake-proxy does while everything runs, without dockerd.

usage: fake_engine.py SOCKET NAME...

Serves what a client needs to list, watch, start and stop the containers NAME, each in a group of its name (label `proxytainer.group`).
They run, on the addresses of this machine. Prints a line when it serves.
"""
import http.server
import json
import os
import re
import socketserver
import sys
import threading
from hashlib import sha256


class Containers:
    def __init__(self, names: list[str]):
        self.running = {name: True for name in names}
        self.changed = threading.Condition()
        self.told: list[bytes] = []

    def id(self, name: str) -> str:
        return sha256(name.encode()).hexdigest()

    def find(self, key: str) -> str | None:
        return next((name for name in self.running if key in (name, self.id(name)) or self.id(name).startswith(key)), None)

    def set(self, name: str, running: bool) -> bool:
        with self.changed:
            if self.running[name] == running:
                return False
            self.running[name] = running
            for action in ["start"] if running else ["kill", "die", "stop"]:
                self.told.append(json.dumps({
                    "Type": "container", "Action": action, "status": action, "id": self.id(name), "time": 1, "timeNano": 1,
                    "Actor": {"ID": self.id(name), "Attributes": {"name": name, "proxytainer.group": name}}}).encode() + b"\n")
            self.changed.notify_all()
            return True

    def labels(self, name: str) -> dict:
        return {"proxytainer.group": name}

    def listed(self, name: str) -> dict:
        state = "running" if self.running[name] else "exited"
        return {"Id": self.id(name), "Names": [f"/{name}"], "State": state, "Status": state, "Labels": self.labels(name), "Image": "none", "Command": "",
                "Created": 1, "Ports": [], "HostConfig": {"NetworkMode": "host"}, "NetworkSettings": {"Networks": {"host": {"IPAddress": ""}}}, "Mounts": []}

    def inspected(self, name: str) -> dict:
        on = self.running[name]
        return {"Id": self.id(name), "Name": f"/{name}", "Created": "2026-01-01T00:00:00Z", "RestartCount": 0,
                "State": {"Status": "running" if on else "exited", "Running": on, "Paused": False, "Restarting": False, "Dead": False, "OOMKilled": False,
                          "Pid": 1 if on else 0, "ExitCode": 0, "Error": "", "StartedAt": "2026-01-01T00:00:00Z", "FinishedAt": "2026-01-01T00:00:00Z"},
                "Config": {"Labels": self.labels(name), "Tty": False, "Image": "none"}, "HostConfig": {"NetworkMode": "host", "NanoCpus": 0, "Memory": 0},
                "NetworkSettings": {"IPAddress": "", "Networks": {"host": {"IPAddress": ""}}, "Ports": {}}}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    containers: Containers

    def log_message(self, *_):
        pass

    def address_string(self):
        return "local"

    def answer(self, status: int, value=None) -> None:
        body = b"" if value is None else value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Api-Version", "1.41")
        self.send_header("Content-Type", "application/json")
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = re.sub(r"^/v1\.\d+", "", self.path.partition("?")[0])
        parts = path.strip("/").split("/")
        if path == "/_ping":
            self.answer(200, b"OK")
        elif path == "/version":
            self.answer(200, {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12", "Os": "linux", "Arch": "amd64"})
        elif path == "/info":
            self.answer(200, {"ID": "fake", "Name": "fake", "ServerVersion": "20.10.24"})
        elif path == "/containers/json":
            self.answer(200, [self.containers.listed(name) for name in self.containers.running])
        elif path == "/events":
            self.events()
        elif len(parts) == 3 and parts[0] == "containers" and (name := self.containers.find(parts[1])):
            self.answer(200, self.containers.inspected(name) if parts[2] == "json" else b"")
        else:
            self.answer(404, {"message": f"there is no {path}"})

    do_HEAD = do_GET

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = re.sub(r"^/v1\.\d+", "", self.path.partition("?")[0]).strip("/").split("/")
        name = self.containers.find(parts[1]) if len(parts) == 3 and parts[0] == "containers" else None
        if name is None or parts[2] not in ("start", "stop"):
            self.answer(404, {"message": f"there is no {self.path}"})
        else:
            self.answer(204 if self.containers.set(name, parts[2] == "start") else 304)

    def events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        seen = len(self.containers.told)
        while True:
            with self.containers.changed:
                while seen == len(self.containers.told):
                    self.containers.changed.wait()
                news, seen = self.containers.told[seen:], len(self.containers.told)
            for line in news:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def main() -> None:
    path, *names = sys.argv[1:]
    Handler.containers = Containers(names)
    with Server(path, Handler) as server:
        os.chmod(path, 0o666)
        print("serving", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
