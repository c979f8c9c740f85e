"""wake-proxy on the real Kubernetes: workloads that sleep at zero replicas."""
import time
from contextlib import contextmanager

from harness import node, settings
from support import wake
from support.cases import Skip, case, check, check_contains, check_equal, eventually, within
from support.servers import unused_port

workload = """
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec: {{selector: {{app: {name}}}, ports: [{{port: 7, targetPort: 9000}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: shop}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {{name: server, image: "{image}", imagePullPolicy: Never, ports: [{{containerPort: 9000}}]}}
"""


@contextmanager
def deployed(world, name: str, replicas: int = 0, image: str = "podproxy.test/testsrv:1"):
    file = world.new_folder() / "workload.yaml"
    file.write_text(workload.format(name=name, replicas=replicas, image=image))
    node.kubectl("apply", "-f", str(file))
    try:
        yield
    finally:
        node.kubectl("delete", "-f", str(file), "--wait=false")


def scale(name: str) -> int:
    return int(node.kubectl("--namespace=shop", "get", f"deployment/{name}", "-o", "jsonpath={.spec.replicas}") or 0)


def waker(world, name: str, *, lease: str = "", **of_group):
    """A wake-proxy for that Deployment, and the port that wakes it."""
    if "wake-proxy" not in world.programs:
        raise Skip("there is no program wake-proxy")
    port = unused_port()
    provider = {"kubeconfig": str(settings.kubeconfigs / "kube.yaml"), "context": "kube"} | ({"lease": lease} if lease else {})
    config = {"providers": {"kubernetes": provider},
              "groups": {name: {"provider": "kubernetes", "workloads": [f"deployment/{name}"], "namespace": "shop", **of_group}},
              "ports": [{"listen": f"127.0.0.1:{port}", "group": name, "to": "7"}]}
    return world.wake(config, listens=[port]), port


def ask_once(port: int) -> None:
    with wake.connect(port, 60) as sock:
        wake.ask(sock, b"hello")


@case("a Deployment sleeps at zero, wakes for a client and goes back", group="cluster", seconds=150)
def sleeps(world):
    with deployed(world, "sleepy"):
        proxy, port = waker(world, "sleepy", idle="1s")
        with proxy:
            for _ in range(2):
                with within(60, "the answer"):
                    ask_once(port)
                check_equal("replicas", scale("sleepy"), 1)
                eventually(30, "it sleeps again", lambda: scale("sleepy") == 0)
            sock = wake.connect(port, 60)
            wake.ask(sock, b"and now nothing")
            time.sleep(3)
            check_equal("replicas under an open and silent connection", scale("sleepy"), 1)
            wake.ask(sock, b"still there")
            sock.close()


@case("as many replicas as there were come back, also after a restart of wake-proxy", group="cluster", seconds=150)
def as_many(world):
    with deployed(world, "twins", replicas=2):
        proxy, port = waker(world, "twins", idle="1s")
        with proxy:
            eventually(60, "it sleeps", lambda: scale("twins") == 0)
        proxy, port = waker(world, "twins", idle="60s")
        with proxy:
            ask_once(port)
            check_equal("replicas", scale("twins"), 2)


@case("two wake-proxies with a Lease: what one of them has in use is not stopped by the other", group="cluster", seconds=150)
def two_of_them(world):
    with deployed(world, "shared"):
        first, one = waker(world, "shared", lease="shop/wake-test", idle="1s")
        with first:
            second, two = waker(world, "shared", lease="shop/wake-test", idle="1s")
            with second:
                sock = wake.connect(two, 60)
                wake.ask(sock, b"held by the second")
                time.sleep(5)
                check_equal("replicas while one holds it", scale("shared"), 1)
                wake.ask(sock, b"still there")
                sock.close()
                eventually(40, "it sleeps", lambda: scale("shared") == 0)


@case("a Deployment whose image is not there: refused in time, and the log says which pod and why", group="cluster", seconds=90)
def no_image(world):
    with deployed(world, "pictureless", image="podproxy.test/is-not-there:1"):
        proxy, port = waker(world, "pictureless", startLimit="8s", startAttempts=1)
        with proxy:
            with within(20, "the refusal"), wake.connect(port, 30) as sock:
                sock.sendall(b"x")
                check(wake.closed_within(sock, 20), "the client is not refused")
            check_contains("the log", proxy.log(), "pictureless")
            check_contains("the log", proxy.log(), "ErrImageNeverPull", "is-not-there", "image")


@case("a Deployment that does not exist", group="cluster", seconds=60)
def no_deployment(world):
    proxy, port = waker(world, "nowhere-to-be-found", startLimit="5s")
    with proxy:
        with within(10, "the refusal"), wake.connect(port, 30) as sock:
            sock.sendall(b"x")
            check(wake.closed_within(sock, 10), "the client is not refused")
        check_contains("the log", proxy.log(), "nowhere-to-be-found")
