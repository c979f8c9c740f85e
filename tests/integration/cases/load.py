"""Many connections at once, while some are reset and some have stopped reading."""
import hashlib
import os
import socket
import threading
import time

from harness import node
from support import clients
from support.cases import case, check, check_equal, eventually, within
from .traffic import shapes, started


class Crowd:
    """Threads that work until they are done, and threads that disturb until they are told to stop."""

    def __init__(self):
        self.problems: list[str] = []
        self.stop = threading.Event()
        self.counts: dict[str, int] = {}
        self._workers: list[threading.Thread] = []
        self._disturbers: list[threading.Thread] = []

    def _guarded(self, name, function, *arguments):
        try:
            function(*arguments)
        except Exception as problem:
            if not self.stop.is_set():
                self.problems.append(f"{name}: {type(problem).__name__}: {problem}")

    def work(self, name, function, *arguments):
        self._workers.append(threading.Thread(target=self._guarded, args=(name, function, *arguments), daemon=True))

    def disturb(self, name, function, *arguments):
        self._disturbers.append(threading.Thread(target=self._guarded, args=(name, function, *arguments), daemon=True))

    def go(self, head_start: float = 0):
        for thread in self._disturbers:
            thread.start()
        time.sleep(head_start)
        for thread in self._workers:
            thread.start()
        for thread in self._workers:
            thread.join()
        self.stop.set()
        for thread in self._disturbers:
            thread.join(15)

    def add(self, name: str, amount: int = 1):
        self.counts[name] = self.counts.get(name, 0) + amount


def _transfers(proxy, number: int) -> None:
    """Downloads and uploads whose hashes have to agree, each over a connection of its own."""
    for round in range(2):
        answer = clients.fetch_checked(proxy.mixed, f"http://web.shop.kube/bytes?n={700_000 + number}&seed={number % 8 + 1}",
                                       how=("socks", "connect", "forward")[(number + round) % 3], timeout=60)
        check_equal("size", len(answer.body), 700_000 + number)
        body = os.urandom(300_000 + number)
        answer = clients.fetch(proxy.mixed, "http://web.shop.kube/sink", how="socks", method="POST", body=body, timeout=60)
        check_equal("SHA-256", answer.json["sha256"], hashlib.sha256(body).hexdigest())
    with clients.socks(proxy.mixed, "web.shop.kube", 7, 60) as sock:
        for size in (1, 1000, 40_000):
            data = os.urandom(size)
            sock.sendall(data)
            check(clients.read_exactly(sock, size) == data, f"the echo of {size} bytes differs")


def _resets(proxy, crowd: Crowd) -> None:
    """Every 100 ms a connection in the middle of a download is reset."""
    while not crowd.stop.wait(0.1):
        sock = clients.socks(proxy.mixed, "web.shop.kube", 80, 60)
        sock.sendall(b"GET /bytes?n=50000000 HTTP/1.1\r\nHost: web\r\n\r\n")
        sock.recv(1000)
        clients.reset(sock)
        crowd.add("resets")


def _client_stops_reading(proxy, crowd: Crowd) -> None:
    with socket.create_connection(proxy.mixed, 60) as sock:
        sock.sendall(b"\x05\x01\x00\x05\x01\x00" + clients.socks_address("web.shop.kube", 80))
        clients.read_exactly(sock, 2)
        check_equal("reply", clients.read_socks_reply(sock), 0)
        sock.sendall(b"GET /bytes?n=200000000 HTTP/1.1\r\nHost: web\r\n\r\n")
        crowd.stop.wait(90)


def _pod_stops_reading(proxy, crowd: Crowd) -> None:
    with clients.socks(proxy.mixed, "web.shop.kube", 15, 60) as sock:
        sock.setblocking(False)
        data = bytes(1 << 16)
        while not crowd.stop.wait(0.01):
            try:
                crowd.add("bytes that nobody reads", sock.send(data))
            except BlockingIOError:
                pass
            except (BrokenPipeError, ConnectionResetError):
                crowd.add("stalled connections given up")
                return


def _fresh_pods() -> None:
    """A connection that nobody reads stays half alive in the kubelet and the container runtime as long as its pod does."""
    node.kubectl("--namespace=shop", "rollout", "restart", "deployment/web")
    node.kubectl("--namespace=shop", "rollout", "status", "deployment/web", "--timeout=60s")
    node.kubectl("--namespace=shop", "wait", "--for=delete", "pod", "-l", "app=web", "--field-selector=status.phase!=Running", "--timeout=30s", check=False)


@case("64 connections, all hashes equal", group="cluster", each=shapes, seconds=120)
def parallel(world, shape):
    proxy, crowd = started(world, shape), Crowd()
    for number in range(64):
        crowd.work(f"connection {number}", _transfers, proxy, number)
    with within(90, "all transfers"):
        crowd.go()
    check_equal("problems", crowd.problems, [])


@case("64 connections, while one is reset every 100 ms and a client and a pod have stopped reading", group="cluster", each=shapes, seconds=150)
def disturbed(world, shape):
    proxy, crowd = started(world, shape), Crowd()
    before = proxy.memory()
    crowd.disturb("resets", _resets, proxy, crowd)
    crowd.disturb("the client that does not read", _client_stops_reading, proxy, crowd)
    crowd.disturb("the pod that does not read", _pod_stops_reading, proxy, crowd)
    for number in range(64):
        crowd.work(f"connection {number}", _transfers, proxy, number)
    try:
        with within(100, "all transfers"):
            crowd.go(head_start=1)
        check_equal("problems", crowd.problems, [])
        check(crowd.counts.get("resets", 0) >= 5, f"only {crowd.counts.get('resets', 0)} resets")
        check(proxy.memory() - before < 128 << 20, f"memory grew by {(proxy.memory() - before) >> 20} MiB")
    finally:
        crowd.stop.set()
        _fresh_pods()


@case("64 connections at once are all answered soon", group="cluster", each=shapes)
def burst(world, shape):
    proxy, crowd = started(world, shape), Crowd()
    clients.fetch(proxy.mixed, "http://web.shop.kube/")
    times = []

    def one():
        start = time.monotonic()
        with clients.socks(proxy.mixed, "web.shop.kube", 7) as sock:
            sock.sendall(b"x")
            clients.read_exactly(sock, 1)
            times.append(time.monotonic() - start)
            crowd.stop.wait(10)
    for number in range(64):
        crowd.work(f"connection {number}", one)
    threading.Thread(target=lambda: (eventually(9, "all are there", lambda: len(times) == 64), crowd.stop.set()), daemon=True).start()
    crowd.go()
    check_equal("problems", crowd.problems, [])
    check_equal("answered", len(times), 64)
    check(max(times) < 5, f"the last was answered after {max(times):.1f} s")


@case("300 connections to one pod are held open together", group="cluster", each=shapes, seconds=90)
def many_open(world, shape):
    proxy = started(world, shape)
    socks = []
    try:
        for _ in range(300):
            socks.append(clients.socks(proxy.mixed, "db-1.db.shop.kube", 9000, 30))
        for round in range(2):
            for number, sock in enumerate(socks):
                sock.sendall(b"%05d" % number)
            for number, sock in enumerate(socks):
                check_equal("echo", clients.read_exactly(sock, 5), b"%05d" % number)
    finally:
        for sock in socks:
            sock.close()
