"""A Deployment that is rolled while new connections arrive without a pause."""
import asyncio
import json
import time
from collections import Counter

from harness import node
from support import clients
from support.cases import case, check, check_equal, eventually
from .traffic import started

per_second = 200

# The program ends at once when it is told to, with the connections that it has, while the endpoints still name its pod: nothing delays
# that, as a preStop hook would. With a `grace` of 0 seconds the pod is killed and forgotten without a word.
workload = """
apiVersion: v1
kind: Service
metadata: {name: rolling, namespace: shop}
spec:
  selector: {app: rolling}
  ports: [{name: echo, port: 7, targetPort: 9000}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: rolling, namespace: shop}
spec:
  replicas: 3
  strategy: {rollingUpdate: {maxUnavailable: 1, maxSurge: 1}}
  selector: {matchLabels: {app: rolling}}
  template:
    metadata: {labels: {app: rolling}}
    spec:
      terminationGracePeriodSeconds: GRACE
      containers:
      - name: server
        image: podproxy.test/testsrv:1
        imagePullPolicy: Never
        env:
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
"""


async def _connect(address, outcomes: Counter) -> None:
    """One connection: connected, a byte there and back, closed."""
    began = time.monotonic()
    step = "podproxy"
    try:
        async with asyncio.timeout(30):
            reader, writer = await asyncio.open_connection(*address)
            try:
                writer.write(b"\x05\x01\x00\x05\x01\x00" + clients.socks_address("rolling.shop.kube", 7))
                step = "connect"
                head = await reader.readexactly(6)
                if head[3] != 0:
                    outcomes[f"connect refused with {head[3]}"] += 1
                    return
                await reader.readexactly(6)
                step = "echo"
                writer.write(b"x")
                outcomes["answered" if await reader.read(1) == b"x" else "ended unanswered"] += 1
            finally:
                writer.close()
    except (OSError, EOFError, TimeoutError) as problem:
        outcomes[f"{step}: {type(problem).__name__}"] += 1
    finally:
        outcomes["slowest, ms"] = max(outcomes["slowest, ms"], round((time.monotonic() - began) * 1000))


async def _roll(address, grace: int) -> Counter:
    outcomes: Counter = Counter()
    over = asyncio.Event()

    async def rollout():
        await asyncio.sleep(1)
        await asyncio.to_thread(node.kubectl, "--namespace=shop", "rollout", "restart", "deployment/rolling")
        await asyncio.to_thread(node.kubectl, "--namespace=shop", "rollout", "status", "deployment/rolling", "--timeout=60s")
        await asyncio.sleep(grace + 1)  # the last pod of before is still ending
        over.set()

    async with asyncio.TaskGroup() as group:
        roll = group.create_task(rollout())
        began, count = time.monotonic(), 0
        while not over.is_set() and not roll.done():
            group.create_task(_connect(address, outcomes))
            count += 1
            await asyncio.sleep(max(0, began + count / per_second - time.monotonic()))
        outcomes["per second"] = round(count / (time.monotonic() - began))
    return outcomes


@case(f"three pods are replaced under {per_second} new connections per second: no connect fails", group="cluster", seconds=150, only_by_name=True,
      each=[("websocket", "auto", 5), ("websocket", "exclusive", 5), ("spdy", "auto", 5), ("websocket", "auto", 0)])
def rolling(world, shape):
    *way, grace = shape
    node.kubectl("apply", "-f", "-", stdin=workload.replace("GRACE", str(grace)))
    try:
        node.kubectl("--namespace=shop", "rollout", "status", "deployment/rolling", "--timeout=60s")
        proxy = started(world, way)
        eventually(20, "it answers", lambda: clients.socks(proxy.mixed, "rolling.shop.kube", 7).close() is None)
        outcomes = asyncio.run(_roll(proxy.mixed, grace))
        rate, slowest = outcomes.pop("per second"), outcomes.pop("slowest, ms")
        answered = outcomes.pop("answered")
        lost = outcomes.pop("ended unanswered", 0) + sum(outcomes.pop(key) for key in list(outcomes) if key.startswith("echo: "))
        print(f"  {rate} per second, {answered} answered, {lost} lost with their pod, the slowest took {slowest} ms; {json.dumps(outcomes)}", flush=True)
        check_equal("failed connects", dict(outcomes), {})
        check(rate >= per_second * 3 / 4, f"only {rate} connections per second were made")
        # What a pod had taken when it ended is lost with it: nobody may send that again. On a machine that is busy these are more.
        check(lost * 20 <= answered, f"{lost} of {answered} connections ended unanswered")
    finally:
        node.kubectl("--namespace=shop", "delete", "deployment,service", "rolling", "--wait=false")
        node.kubectl("--namespace=shop", "wait", "--for=delete", "pod", "-l", "app=rolling", "--timeout=30s", check=False)
