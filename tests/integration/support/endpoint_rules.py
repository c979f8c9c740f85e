"""Generated Services with their EndpointSlices, and where kube-proxy would send a connection, said again from the documentation:

- An endpoint belongs to a Service port by the port's name and protocol, in slices of the Service's families.
- `ready` absent is true, `serving` absent is true, `terminating` absent is false (discovery.k8s.io/v1).
- An address and port is one endpoint, whatever slices name it; one that is terminating gives way.
- Ready endpoints are used; if there is none, those that serve and are terminating (KEP-1669).

What runs on no node has no topology, and port-forward reaches only pods: endpoints without a targetRef to one are left out at the end.
A headless Service has no kube-proxy: its names lead to pods, and the port is what the pods listen on.
"""
import json
import random

port_names = ["", "http", "https", "grpc", "metrics"]


def _maybe(r, **fields):
    """Fields that may be absent or null as well."""
    out = {}
    for name, value in fields.items():
        form = r.random()
        if form < 0.2: continue
        out[name] = None if form < 0.25 else value
    return out


def generate(r: random.Random) -> tuple[dict, list[dict], int]:
    """A Service, its slices, and a port to connect to."""
    families = r.choice([["IPv4"], ["IPv4"], ["IPv6"], ["IPv4", "IPv6"]])
    names = [""] if r.random() < 0.4 else r.sample(port_names[1:], r.randrange(1, 4))
    ports, numbers = [], set()
    for name in names:
        port = {"port": r.choice([80, 443, 8080, 9000, 53]), "protocol": r.choice(["TCP", "TCP", "TCP", "UDP"])}
        if (port["port"], port["protocol"]) in numbers: continue
        numbers.add((port["port"], port["protocol"]))
        if name or r.random() < 0.5: port["name"] = name
        if port["protocol"] == "TCP" and r.random() < 0.3: del port["protocol"]
        ports.append(port)
    headless = r.random() < 0.15
    spec = {"ports": ports, "ipFamilies": families, "clusterIP": "None" if headless else "10.96.0.7"}
    published = r.random() < 0.15
    if published: spec["publishNotReadyAddresses"] = True
    if r.random() < 0.8: spec["selector"] = {"app": "web"}

    pods = []
    for number in range(r.choice([0, 1, 2, 3, 5, 8])):
        terminating = r.random() < 0.3
        serving = r.random() < 0.6
        state = {"ready": published or (serving and not terminating), "serving": serving, "terminating": terminating}
        if r.random() < 0.1: state = {k: r.random() < 0.5 for k in state}  # what a person or another controller writes
        address = number if r.random() < 0.9 else r.randrange(number + 1)  # given anew
        pods.append({"address": address, "conditions": state, "name": f"web-{number}", "pod": r.random() < 0.93})

    slices = []
    for kind in ["IPv4", "IPv6"] if r.random() < 0.3 else families:
        for number in range(r.choice([1, 1, 2, 3])):
            mine = [p for p in pods if r.random() < (0.95 if number == 0 else 0.4)]
            endpoints = []
            for p in mine:
                conditions = dict(p["conditions"]) if r.random() < 0.95 else dict(p["conditions"], terminating=True, ready=False)
                shown = _maybe(r, **{k: v for k, v in conditions.items() if v == (k != "terminating")}) | {k: v for k, v in conditions.items() if v != (k != "terminating")}
                e = {"addresses": [f"10.0.0.{p['address'] + 1}" if kind == "IPv4" else f"fd00::{p['address'] + 1}"]}
                if shown or r.random() < 0.5: e["conditions"] = shown
                if p["pod"]: e["targetRef"] = {"kind": "Pod", "namespace": "shop", "name": p["name"]}
                elif r.random() < 0.5: e["targetRef"] = {"kind": "Node", "name": p["name"]}
                endpoints.append(e)
            targets = []
            for p in ports:
                if r.random() < 0.9:
                    target = {"port": r.choice([p["port"], 8080, 8443, 3000]), "name": p.get("name", ""), "protocol": p.get("protocol", "TCP")}
                    targets.append(target)
            if r.random() < 0.2: targets.append({"name": "other", "port": 7777, "protocol": "TCP"})
            slices.append({"metadata": {"name": f"web-{kind.lower()}-{number}", "namespace": "shop"}, "addressType": kind, "endpoints": endpoints, "ports": targets})
    if r.random() < 0.05:
        slices.append({"metadata": {"name": "web-names", "namespace": "shop"}, "addressType": "FQDN",
                       "endpoints": [{"addresses": ["a.example"], "targetRef": {"kind": "Pod", "namespace": "shop", "name": "no"}}],
                       "ports": [{"name": n, "port": 1, "protocol": "TCP"} for n in names]})
    tcp = [p["port"] for p in ports if p.get("protocol", "TCP") == "TCP"]
    return {"kind": "Service", "metadata": {"name": "web", "namespace": "shop"}, "spec": spec}, slices, r.choice(tcp) if tcp else 80


def _is(conditions: dict, name: str, default: bool) -> bool:
    value = conditions.get(name)
    return default if value is None else value


def _ambiguous(slices: list[dict]) -> bool:
    """Two different endpoints of one address and none, or more than one, that goes on: which of them counts, nobody says."""
    seen: dict[tuple, list] = {}
    for one in slices:
        for e in one["endpoints"]:
            conditions = e.get("conditions") or {}
            what = (e.get("targetRef", {}).get("name"), *(_is(conditions, n, n != "terminating") for n in ("ready", "serving", "terminating")))
            seen.setdefault(e["addresses"][0], []).append(what)
    for found in seen.values():
        kinds = set(found)
        if len(kinds) > 1 and len({k for k in kinds if not k[3]}) != 1:
            return True
    return False


def expected(service: dict, slices: list[dict], port: int) -> set[str]:
    spec = service["spec"]
    mine = [p for p in spec["ports"] if p["port"] == port and p.get("protocol", "TCP") == "TCP"]
    headless = spec["clusterIP"] == "None"
    endpoints: dict[tuple, tuple] = {}
    for one in slices:
        if one["addressType"] not in spec["ipFamilies"]: continue
        listening = [t for t in one["ports"] if t["protocol"] == "TCP"]
        if headless and any(t["port"] == port for t in listening): targets = [port]
        elif mine: targets = [t["port"] for t in listening if t["name"] == mine[0].get("name", "")]
        else: targets = [port]
        for target in targets:
            for e in one["endpoints"]:
                conditions = e.get("conditions") or {}
                ready, serving, terminating = (_is(conditions, n, n != "terminating") for n in ("ready", "serving", "terminating"))
                key = (e["addresses"][0], target)
                if key not in endpoints or not terminating:
                    endpoints[key] = (ready, serving and terminating, e.get("targetRef", {}))
    chosen = {k: v for k, v in endpoints.items() if v[0]} or {k: v for k, v in endpoints.items() if v[1]}
    return {f"{ref['namespace']}/{ref['name']}:{target}" for (_, target), (_, _, ref) in chosen.items() if ref.get("kind") == "Pod"}


def questions(count: int, seed: int = 1) -> list[tuple[dict, list[dict], int]]:
    r = random.Random(seed)
    out = []
    while len(out) < count:
        service, slices, port = generate(r)
        if not _ambiguous(slices): out.append((service, slices, port))
    return out


def as_line(service: dict, slices: list[dict], port: int) -> str:
    return f"{port}\t{json.dumps(service)}\t{json.dumps({'kind': 'EndpointSliceList', 'items': slices})}\n"
