"""Names, places and ports. Each can be changed by an environment variable, so that two clusters can live side by side."""
import os
from pathlib import Path

source = Path(__file__).resolve().parent.parent


def _cache() -> Path:
    chosen = os.environ.get("PODPROXY_CLUSTER")
    if chosen:
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "podproxy" / "cluster"


cache = _cache()
binaries = cache / "bin"
images = cache / "images"
pki = cache / "pki"
kubeconfigs = cache / "kubeconfig"
run = cache / "run"  # exists only while the cluster is up, or after a crash
logs = cache / "logs"  # of the last run

# One name for everything that has to have one outside of the cache folder.
name = os.environ.get("PODPROXY_CLUSTER_NAME", "pptest")
bridge = f"{name}0"
cgroup = name
node = f"{name}-node"

# Consecutive ports on 127.0.0.1 (the kubelet's on the bridge), far from the usual ones.
first_port = int(os.environ.get("PODPROXY_CLUSTER_PORT", "26443"))
api_port, etcd_port, etcd_peer_port, controllers_port, scheduler_port, kubelet_port, kubelet_health_port = range(first_port, first_port + 7)
api = f"https://127.0.0.1:{api_port}"

subnet = os.environ.get("PODPROXY_CLUSTER_SUBNET", "10.213.77")  # the first three numbers of a /24
node_ip = f"{subnet}.1"
service_range = os.environ.get("PODPROXY_CLUSTER_SERVICES", "10.214.0.0/16")

# For experiments: "5s" makes containerd end idle port-forward connections early.
stream_idle_timeout = os.environ.get("PODPROXY_CLUSTER_STREAM_IDLE", "4h0m0s")

service_account_issuer = "https://kubernetes.default.svc"
