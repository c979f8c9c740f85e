"""Names, ports and endpoints of a cluster. The workload is described in cluster/manifests/10-shop.yaml."""
import collections

from harness import node
from support import clients
from support.cases import case, check, check_contains, check_equal, check_in, eventually, within

# A failure that the cluster itself tells of: no such thing, nothing ready. The RFC has no closer word than these.
no_way = (clients.general_failure, clients.network_unreachable, clients.host_unreachable)
no_way_http = (404, 502, 503, 504)


def pod_of(world, url: str, how: str = "socks") -> str:
    answer = clients.fetch(world.proxy.mixed, url, how=how)
    check_equal(f"status of {url}", answer.status, 200)
    return answer.json["pod"]


@case("http://web.shop.kube/ by curl", group="cluster", each=["--socks5-hostname", "--proxy", "--proxytunnel"])
def web_by_curl(world, option):
    mixed = "%s:%d" % world.proxy.mixed
    arguments = {"--proxy": ["--proxy", f"http://{mixed}"], "--proxytunnel": ["--proxytunnel", "--proxy", f"http://{mixed}"]}.get(option, [option, mixed])
    done = clients.curl(*arguments, "http://web.shop.kube/")
    check_equal("curl's exit code", (done.returncode, done.stderr), (0, ""))
    check_contains("the page", done.stdout, '"pod":"web-')


@case("the address", group="cluster", each=[
    ("web.shop.kube:80", "web-"), ("web.shop.kube.svc:80", "web-"), ("web.shop.kube.svc.cluster.local:80", "web-"), ("web.kube-shop:80", "web-"),
    ("db-0.db.shop.kube:8080", "db-0"), ("db-1.db.shop.kube:8080", "db-1"), ("db-1.db.shop.kube.svc.cluster.local:8080", "db-1"),
    ("db.shop.kube:8080", "db-"), ("plain.any.shop.kube:8080", "plain"), ("WEB.Shop.kube:80", "web-")])
def address(world, value):
    name, pod = value
    got = pod_of(world, f"http://{name}/")
    check(got.startswith(pod), f"{name} leads to {got}, expected {pod}")


@case("the three ways into a Service", group="cluster", each=["socks", "connect", "forward"])
def ways(world, how):
    check(pod_of(world, "http://web.shop.kube/", how).startswith("web-"), "another pod answered")


@case("a port that the Service maps to another number", group="cluster", each=[("web", 7), ("db", 5432)])
def mapped_port(world, value):
    service, port = value
    with clients.socks(world.proxy.mixed, f"{service}.shop.kube", port) as sock:
        sock.sendall(b"hello")
        check_equal("echo", clients.read_exactly(sock, 5), b"hello")


@case("a port that is none of the Service's is used as it is", group="cluster", each=[9007, 8080])
def unmapped_port(world, port):
    if port == 8080:
        check(pod_of(world, "http://web.shop.kube:8080/").startswith("web-"), "another pod answered")
        return
    with clients.socks(world.proxy.mixed, "web.shop.kube", port) as sock:
        check_contains("the greeting", clients.read_line(sock).decode(), "220 web-")


@case("connections go to all ready pods", group="cluster")
def balance(world):
    count = collections.Counter(pod_of(world, "http://web.shop.kube/") for _ in range(30))
    check_equal("pods", len(count), 2)
    check(min(count.values()) >= 5, f"one pod got {min(count.values())} of 30 connections")


@case("a pod that listens on its loopback address only", group="cluster", each=["loopback.shop.kube:80", "loopback.x.shop.kube:8081"])
def loopback_only(world, name):
    check_contains("the page", clients.fetch(world.proxy.mixed, f"http://{name}/").text, "only-loopback")


@case("a pod that is not ready is no endpoint of its Service", group="cluster", each=["socks", "connect"])
def not_ready(world, how):
    with within(8, "the answer"):
        code = clients.outcome(lambda: clients.ways[how](world.proxy.mixed, "sick.shop.kube", 80))
    check_in("answer", code, no_way if how == "socks" else no_way_http)


@case("a pod that is not ready can be reached by its own name", group="cluster")
def not_ready_by_name(world):
    check_equal("pod", pod_of(world, "http://sick-0.sick.shop.kube:8080/"), "sick-0")


@case("a Service without endpoints", group="cluster", each=["socks", "connect", "forward"])
def no_endpoints(world, how):
    position = len(world.proxy.log())
    with within(8, "the answer"):
        if how == "forward":
            check_in("status", clients.fetch(world.proxy.mixed, "http://empty.shop.kube/", how=how).status, no_way_http)
        else:
            code = clients.outcome(lambda: clients.ways[how](world.proxy.mixed, "empty.shop.kube", 80))
            check_in("answer", code, no_way if how == "socks" else no_way_http)
    eventually(3, "the log says why", lambda: "empty" in world.proxy.log_since(position))


@case("an endpoint that refers to no pod: answered by that pod, or refused", group="cluster")
def endpoint_without_reference(world):
    try:
        with within(8, "the answer"):
            check_equal("pod", pod_of(world, "http://manual.shop.kube/"), "plain")
    except clients.Reply as reply:
        check_in("reply", reply.code, no_way)


@case("something that is not there", group="cluster", each=["nosuch.shop.kube:80", "web.nosuch.kube:80", "nosuch.db.shop.kube:8080"])
def unknown(world, name):
    host, port = name.split(":")
    with within(8, "the answer"):
        check_in("reply", clients.outcome(lambda: clients.socks(world.proxy.mixed, host, int(port))), no_way)
        check_in("status", clients.outcome(lambda: clients.connect(world.proxy.mixed, host, int(port))), no_way_http)


@case("a port on which the pod does not listen is refused", group="cluster",
      each=[("web.shop.kube", 4444), ("web.shop.kube", 81), ("db-0.db.shop.kube", 4444)])
def refused(world, value):
    name, port = value
    with within(8, "the answers"):
        check_equal("SOCKS reply", clients.outcome(lambda: clients.socks(world.proxy.mixed, name, port)), clients.refused)
        check_in("CONNECT status", clients.outcome(lambda: clients.connect(world.proxy.mixed, name, port)), (502, 503))
        check_in("GET status", clients.fetch(world.proxy.mixed, f"http://{name}:{port}/", how="forward").status, (502, 503))


@case("a target port by a name that no container has", group="cluster")
def unknown_port_name(world):
    with within(8, "the answer"):
        check_in("reply", clients.outcome(lambda: clients.socks(world.proxy.mixed, "web.shop.kube", 82)), (*no_way, clients.refused))


@case("a refusal harms no other connection to the same pod", group="cluster")
def refusal_is_alone(world):
    with clients.socks(world.proxy.mixed, "db-0.db.shop.kube", 9000) as sock:
        for round in range(10):
            check_equal("reply", clients.outcome(lambda: clients.socks(world.proxy.mixed, "db-0.db.shop.kube", 4444)), clients.refused)
            sock.sendall(b"still here")
            check_equal("echo", clients.read_exactly(sock, 10), b"still here")


@case("a pod in an odd state fails at once or within its limit", group="cluster", seconds=60,
      each=["done", "no-image", "unscheduled", "initialising", "crashing"])
def odd_pod(world, pod):
    with within(20, "the answer"):
        code = clients.outcome(lambda: clients.socks(world.proxy.mixed, f"{pod}.any.shop.kube", 8080, 40))
    check_in("reply", code, (*no_way, clients.refused, clients.ttl_expired))


@case("the cluster's API is not asked for each connection", group="cluster")
def few_requests(world):
    def requests() -> int:
        lines = node.api_get("/metrics", timeout=10).decode().splitlines()
        return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines if line.startswith("apiserver_request_total{")
                   and ('resource="endpointslices"' in line or 'resource="services"' in line) and ('verb="LIST"' in line or 'verb="GET"' in line))
    pod_of(world, "http://web.shop.kube/")
    before = requests()
    for _ in range(60):
        pod_of(world, "http://web.shop.kube/")
    check(requests() - before < 20, f"{requests() - before} requests for 60 connections")
