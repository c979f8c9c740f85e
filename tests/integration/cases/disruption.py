"""Components, pods and Services that change while podproxy runs."""
import json
import os
import signal
import socket
import time

from harness import host, node
from support import clients
from support.cases import case, check, check_equal, eventually, within
from .traffic import started

carriers = ["websocket", "spdy"]


def _answers(proxy, url: str = "http://web.shop.kube/"):
    """The pod that answers, for `eventually`: a refusal is no answer yet."""
    try:
        return clients.fetch(proxy.mixed, url, timeout=5).json.get("pod")
    except clients.Reply as reply:
        raise AssertionError(str(reply)) from None


def _open_echo(proxy, host: str, port: int) -> socket.socket:
    sock = clients.socks(proxy.mixed, host, port, 30)
    sock.sendall(b"x")
    clients.read_exactly(sock, 1)
    return sock


def _ends(sock: socket.socket, seconds: float) -> None:
    """The connection has to come to an end, by EOF or reset, without our sending anything."""
    sock.settimeout(seconds)
    try:
        while sock.recv(4096):
            pass
    except ConnectionResetError:
        pass
    sock.close()


@case("the API server is killed and comes back", group="cluster", each=carriers, seconds=120)
def api_server(world, carrier):
    proxy = started(world, (carrier, "exclusive"))
    _answers(proxy)
    kept = _open_echo(proxy, "web.shop.kube", 7)
    node.restart("kube-apiserver", kill=True)
    _ends(kept, 30)
    eventually(30, "a new connection works", lambda: _answers(proxy))
    for _ in range(10):
        check(_answers(proxy).startswith("web-"), "another pod answered")


@case("the API server is away: refused in time, then it works again", group="cluster", seconds=120)
def api_server_away(world):
    proxy = started(world, ("websocket", "exclusive"))
    _answers(proxy)
    pid = host.running("kube-apiserver")
    os.kill(pid, signal.SIGSTOP)  # accepts connections and answers nothing: worse than a refusal
    try:
        with within(40, "the refusal"):
            check(clients.outcome(lambda: clients.socks(proxy.mixed, "db-0.db.shop.kube", 9000, 45)) != 0, "a connection succeeded")
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(40, "a new connection works", lambda: _answers(proxy))


@case("the kubelet or the container runtime restarts", group="cluster", seconds=120,
      each=[(component, carrier) for component in ("kubelet", "containerd") for carrier in carriers])
def node_component(world, value):
    component, carrier = value
    proxy = started(world, (carrier, "exclusive"))
    _answers(proxy)
    kept = _open_echo(proxy, "web.shop.kube", 7)
    node.restart(component, kill=True)
    eventually(40, "a new connection works", lambda: _answers(proxy))
    _ends(kept, 60)


@case("the pod of an open connection is deleted", group="cluster", each=carriers, seconds=90)
def pod_deleted(world, carrier):
    proxy = started(world, (carrier, "exclusive"))
    pod = _answers(proxy, "http://stall.shop.kube/")
    kept = _open_echo(proxy, f"{pod}.x.shop.kube", 9000)
    node.kubectl("--namespace=shop", "delete", "pod", pod, "--wait=false")
    _ends(kept, 20)
    after = eventually(30, "its successor answers", lambda: _answers(proxy, "http://stall.shop.kube/"))
    check(after != pod, "the deleted pod answered")


@case("one of two pods is deleted while requests go on: none fails after it is gone", group="cluster", each=["exclusive", "shared"], seconds=90)
def pod_deleted_under_load(world, sessions):
    proxy = started(world, ("websocket", sessions))
    pod = _answers(proxy)
    node.kubectl("--namespace=shop", "delete", "pod", pod, "--wait=true")
    failures = []
    for number in range(60):
        try:
            check(_answers(proxy) != pod, "the deleted pod answered")
        except (AssertionError, OSError, EOFError, ValueError) as problem:
            failures.append(f"{number}: {problem}")
        time.sleep(0.05)
    node.kubectl("--namespace=shop", "rollout", "status", "deployment/web", "--timeout=60s")
    check_equal("failures", failures, [])
    eventually(10, "the new pod gets connections", lambda: len({_answers(proxy) for _ in range(12)}) == 2)


@case("a pod is replaced by another of the same name", group="cluster", each=["exclusive", "shared"], seconds=90)
def pod_replaced(world, sessions):
    proxy = started(world, ("websocket", sessions))
    url = "http://db-1.db.shop.kube:8080/"
    check_equal("pod", _answers(proxy, url), "db-1")
    before = json.loads(node.api_get("/api/v1/namespaces/shop/pods/db-1"))["metadata"]["uid"]
    node.kubectl("--namespace=shop", "delete", "pod", "db-1", "--wait=false")

    def successor_is_ready() -> bool:
        pod = json.loads(node.api_get("/api/v1/namespaces/shop/pods/db-1"))
        return pod["metadata"]["uid"] != before and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
    eventually(40, "the successor is ready", successor_is_ready)
    eventually(10, "the successor answers", lambda: _answers(proxy, url) == "db-1")


@case("a Deployment goes to none and back to one", group="cluster", seconds=90)
def scaled(world):
    proxy = world.proxy
    check(_answers(proxy, "http://stall.shop.kube/").startswith("stall-"), "another pod answered")
    node.kubectl("--namespace=shop", "scale", "deployment/stall", "--replicas=0")
    node.kubectl("--namespace=shop", "wait", "--for=delete", "pod", "-l", "app=stall", "--timeout=30s")
    eventually(5, "it is refused", lambda: clients.outcome(lambda: clients.socks(proxy.mixed, "stall.shop.kube", 80)) != 0)
    node.kubectl("--namespace=shop", "scale", "deployment/stall", "--replicas=1")
    node.kubectl("--namespace=shop", "rollout", "status", "deployment/stall", "--timeout=60s")
    eventually(5, "it answers", lambda: _answers(proxy, "http://stall.shop.kube/"))


@case("a Service's target port changes", group="cluster", seconds=60)
def target_port_changes(world):
    proxy = world.proxy
    with clients.socks(proxy.mixed, "stall.shop.kube", 7) as sock:
        sock.sendall(b"x")
        check_equal("echo", clients.read_exactly(sock, 1), b"x")

    def patch(target: int) -> None:
        node.kubectl("--namespace=shop", "patch", "service", "stall", "--type=json",
                     "-p", json.dumps([{"op": "replace", "path": "/spec/ports/1/targetPort", "value": target}]))

    def greets() -> bool:
        with clients.socks(proxy.mixed, "stall.shop.kube", 7, 2) as sock:
            return clients.read_line(sock).startswith(b"220 stall-")
    patch(9007)
    try:
        eventually(10, "the new port is used", greets)
    finally:
        patch(9000)


@case("a namespace and a Service that appear while podproxy runs", group="cluster", seconds=60)
def appears(world):
    proxy = world.proxy
    check(clients.outcome(lambda: clients.socks(proxy.mixed, "late.shop.kube", 80)) != 0, "a Service that is not there answers")
    node.kubectl("--namespace=shop", "create", "service", "clusterip", "late", "--tcp=80:8080")
    try:
        node.kubectl("--namespace=shop", "patch", "service", "late", "-p", '{"spec":{"selector":{"app":"db"}}}')
        node.kubectl("--namespace=shop", "patch", "service", "late", "--type=json", "-p", '[{"op":"replace","path":"/spec/selector","value":{"app":"db"}}]')
        eventually(15, "the new Service answers", lambda: _answers(proxy, "http://late.shop.kube/").startswith("db-"))
    finally:
        node.kubectl("--namespace=shop", "delete", "service", "late")


@case("a pod that stops reading and the client gives up: the next connection works", group="cluster", each=[(c, s) for c in carriers for s in ("exclusive", "shared")], seconds=90)
def stalled_then_next(world, shape):
    proxy = started(world, shape)
    pod = _answers(proxy, "http://stall.shop.kube/")
    sock = clients.socks(proxy.mixed, "stall.shop.kube", 15, 30)
    sock.setblocking(False)
    end, sent = time.monotonic() + 4, 0
    while time.monotonic() < end:
        try:
            sent += sock.send(bytes(1 << 16))
        except BlockingIOError:
            time.sleep(0.02)
        except (BrokenPipeError, ConnectionResetError):
            break
    try:
        check(sent > 0, "nothing could be sent")
        eventually(20, "another connection to the same pod works", lambda: _answers(proxy, "http://stall.shop.kube/") == pod)
        clients.reset(sock)
        for _ in range(5):
            eventually(20, "the next connection works", lambda: _answers(proxy, "http://stall.shop.kube/") == pod)
    finally:
        sock.close()
        node.kubectl("--namespace=shop", "delete", "pod", pod, "--wait=false")
        node.kubectl("--namespace=shop", "rollout", "status", "deployment/stall", "--timeout=60s")


@case("SIGTERM with a connection into a pod: it may finish, then the end", group="cluster", each=carriers, seconds=60)
def drain(world, carrier):
    with world.start(carrier=carrier) as proxy:
        sock = _open_echo(proxy, "web.shop.kube", 7)
        proxy.terminate()
        time.sleep(0.5)
        check(proxy.alive(), "podproxy ended while a connection was open")
        sock.sendall(b"last words")
        check_equal("echo", clients.read_exactly(sock, 10), b"last words")
        sock.close()
        check_equal("exit code", proxy.wait(10), 0)


@case("a server that knows no WebSocket port-forward: SPDY is taken by itself", group="cluster", seconds=150)
def old_server(world):
    old = "--feature-gates=PortForwardWebsockets=false,ExtendWebSocketsToKubelet=false"
    node.restart("kube-apiserver", kill=True, extra=[old])
    node.restart("kubelet", extra=["--feature-gates=ExtendWebSocketsToKubelet=false"])
    try:
        with world.start() as proxy:
            eventually(20, "a connection works", lambda: _answers(proxy))
            for _ in range(5):
                with within(3, "a connection"):
                    check(_answers(proxy).startswith("web-"), "another pod answered")
    finally:
        node.restart("kubelet")
        node.restart("kube-apiserver", kill=True)
        eventually(30, "the node is healthy", node.is_up)
