"""One Kubernetes node: etcd, containerd, the API server, the controllers, the scheduler, a kubelet."""
import json
import shutil
import signal
import ssl
import subprocess
import urllib.request

from . import Failed, access, build, host, pki, settings

components = ("etcd", "containerd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")


def kubectl(*arguments: str, check: bool = True, stdin: str | None = None, timeout: float = 120) -> str:
    command = [str(settings.binaries / "kubectl"), f"--kubeconfig={settings.kubeconfigs / 'kube.yaml'}", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout)
    if check and done.returncode:
        raise Failed(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def api_get(path: str, timeout: float = 2) -> bytes:
    """Asks the API server as the administrator."""
    context = ssl.create_default_context(cafile=settings.pki / "ca.crt")
    context.load_cert_chain(settings.pki / "admin.crt", settings.pki / "admin.key")
    with urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)).open(
            f"{settings.api}{path}", timeout=timeout) as answer:
        return answer.read()


def _containerd_config() -> str:
    run = settings.run
    return f"""version = 2
root = "{run}/containerd-root"
state = "{run}/containerd-state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
address = "{run}/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "podproxy.test/pause:1"
stream_server_address = "127.0.0.1"
stream_idle_timeout = "{settings.stream_idle_timeout}"
# Without CAP_SYS_RESOURCE nothing may get a lower out-of-memory score than containerd itself.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{host.plugins()}"
conf_dir = "{run}/cni"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def _network_config() -> str:
    # No masquerading and no kube-proxy: a test needs no iptables, and pods need not reach the world.
    return json.dumps({"cniVersion": "0.4.0", "name": settings.name, "plugins": [{
        "type": "bridge", "bridge": settings.bridge, "isGateway": True, "ipMasq": False, "hairpinMode": True,
        "ipam": {"type": "host-local", "dataDir": str(settings.run / "addresses"), "routes": [{"dst": "0.0.0.0/0"}],
                 "ranges": [[{"subnet": f"{settings.subnet}.0/24", "rangeStart": f"{settings.subnet}.10", "gateway": settings.node_ip}]]},
    }]})


def _kubelet_config() -> str:
    run, keys = settings.run, settings.pki
    return json.dumps({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "address": settings.node_ip, "port": settings.kubelet_port, "readOnlyPort": 0,
        "healthzBindAddress": "127.0.0.1", "healthzPort": settings.kubelet_health_port,
        "tlsCertFile": str(keys / "kubelet-serving.crt"), "tlsPrivateKeyFile": str(keys / "kubelet-serving.key"),
        "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}, "x509": {"clientCAFile": str(keys / "ca.crt")}},
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{run}/containerd.sock",
        "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{settings.cgroup}", "failCgroupV1": False, "enforceNodeAllocatable": [],
        "failSwapOn": False, "makeIPTablesUtilChains": False, "resolvConf": str(run / "resolv.conf"),
        # A full disk of the machine is no reason to throw out pods or the imported images.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
        "podLogsDir": str(run / "pod-logs"), "volumePluginDir": str(run / "volume-plugins"),
        "maxPods": 110, "nodeStatusUpdateFrequency": "5s", "syncFrequency": "10s",
    })


def _api_server() -> list[str]:
    keys = settings.pki
    return [
        str(settings.binaries / "kube-apiserver"), "--bind-address=127.0.0.1", f"--secure-port={settings.api_port}",
        f"--advertise-address={settings.node_ip}", "--endpoint-reconciler-type=none",
        f"--etcd-servers=http://127.0.0.1:{settings.etcd_port}", f"--cert-dir={settings.run}/apiserver",
        f"--tls-cert-file={keys}/apiserver.crt", f"--tls-private-key-file={keys}/apiserver.key", f"--client-ca-file={keys}/ca.crt",
        f"--tls-sni-cert-key={keys}/apiserver-sni.crt,{keys}/apiserver-sni.key:{pki.sni_name}",
        f"--token-auth-file={settings.run}/tokens.csv", "--authorization-mode=Node,RBAC",
        f"--service-account-issuer={settings.service_account_issuer}", f"--service-account-key-file={keys}/service-accounts.pub",
        f"--service-account-signing-key-file={keys}/service-accounts.key", f"--service-cluster-ip-range={settings.service_range}",
        f"--kubelet-client-certificate={keys}/apiserver-kubelet.crt", f"--kubelet-client-key={keys}/apiserver-kubelet.key",
        f"--kubelet-certificate-authority={keys}/ca.crt", "--kubelet-preferred-address-types=InternalIP", "--allow-privileged=true",
        f"--requestheader-client-ca-file={keys}/ca.crt", "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    ]


def _with_kubeconfig(name: str, port: int, *arguments: str) -> list[str]:
    file = settings.run / f"{name}.kubeconfig"
    return [str(settings.binaries / name), f"--kubeconfig={file}", f"--authentication-kubeconfig={file}", f"--authorization-kubeconfig={file}",
            "--bind-address=127.0.0.1", f"--secure-port={port}", f"--cert-dir={settings.run}/{name}", "--leader-elect=false", *arguments]


def is_up() -> bool:
    try:
        return all(host.running(c) for c in components) and api_get("/readyz") == b"ok"
    except OSError:
        return False


def up(say) -> bool:
    """Brings the node up. Returns False when it was up already; cleans what a crashed run has left."""
    if is_up():
        return False
    host.require()
    build.build(say)
    pki.make()
    if host.clean():
        say("leftovers of an earlier run removed")
    host.require_free_ports()
    run, keys = settings.run, settings.pki
    if len(str(run / "containerd.sock.ttrpc")) > 100:
        raise Failed(f"the path of the cache folder is too long for a socket: {run}; set PODPROXY_CLUSTER")
    shutil.rmtree(settings.logs, ignore_errors=True)
    for folder in (run / "cni", settings.logs, settings.kubeconfigs):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        host.prepare()
        (run / "resolv.conf").write_text("")
        (run / "containerd.toml").write_text(_containerd_config())
        (run / "cni" / "10-pods.conflist").write_text(_network_config())
        (run / "kubelet.yaml").write_text(_kubelet_config())
        (run / "tokens.csv").write_text("".join(f'{user.token},{user.name},{user.name},"{user.groups}"\n' for user in access.token_users))
        for program, certificate in (("kube-controller-manager", "controllers"), ("kube-scheduler", "scheduler"), ("kubelet", "kubelet")):
            access.write_for_component(run / f"{program}.kubeconfig", certificate)
        access.write()

        host.start("etcd", [
            "etcd", "--name", settings.name, "--data-dir", f"{run}/etcd", "--log-level", "warn",
            *(f"--{kind}-client-urls=http://127.0.0.1:{settings.etcd_port}" for kind in ("listen", "advertise")),
            f"--listen-peer-urls=http://127.0.0.1:{settings.etcd_peer_port}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{settings.etcd_peer_port}",
            f"--initial-cluster={settings.name}=http://127.0.0.1:{settings.etcd_peer_port}"])
        host.start("containerd", ["containerd", "--config", f"{run}/containerd.toml"], private_mounts=True)
        host.start("kube-apiserver", _api_server())
        ctr = ["ctr", "--address", f"{run}/containerd.sock"]
        host.wait("containerd", 30, lambda: subprocess.run([*ctr, "version"], capture_output=True).returncode == 0)
        for image in sorted(settings.images.glob("*.tar")):
            # The import mounts the layer it unpacks, so it has to be where the snapshots are used.
            done = subprocess.run(["nsenter", f"--mount=/proc/{host.running('mounts')}/ns/mnt", "--", *ctr, "--namespace", "k8s.io",
                                   "images", "import", str(image)], capture_output=True, text=True)
            if done.returncode:
                raise Failed(f"{image.name} could not be imported: {done.stderr.strip()}")
        host.wait("the API server", 90, lambda: api_get("/readyz") == b"ok")
        host.start("kube-controller-manager", _with_kubeconfig(
            "kube-controller-manager", settings.controllers_port, "--kube-api-qps=500", "--kube-api-burst=1000",
            "--use-service-account-credentials=true", f"--service-account-private-key-file={keys}/service-accounts.key",
            f"--root-ca-file={keys}/ca.crt"))
        host.start("kube-scheduler", _with_kubeconfig("kube-scheduler", settings.scheduler_port))
        host.start("kubelet", [
            str(settings.binaries / "kubelet"), f"--config={run}/kubelet.yaml", f"--kubeconfig={run}/kubelet.kubeconfig",
            f"--root-dir={run}/kubelet", f"--cert-dir={run}/kubelet-certificates", f"--hostname-override={settings.node}",
            f"--node-ip={settings.node_ip}"], private_mounts=True)
        host.wait("the node", 90, lambda: any(c["type"] == "Ready" and c["status"] == "True" for c in json.loads(
            api_get(f"/api/v1/nodes/{settings.node}"))["status"]["conditions"]))
        host.wait("the default service account", 30, lambda: api_get("/api/v1/namespaces/default/serviceaccounts/default"))
    except BaseException:
        host.clean()
        raise
    return True


def down() -> bool:
    return host.clean()


def work(say) -> None:
    """Applies the test workload and waits until what should be ready is ready."""
    manifests = settings.source / "manifests"
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(manifests))
    for kind in ("deployment/web", "deployment/stall", "statefulset/db"):
        kubectl("--namespace=shop", "rollout", "status", kind, "--timeout=90s")
    kubectl("--namespace=shop", "wait", "--for=jsonpath={.status.phase}=Running", "pod/sick-0", "pod/loopback", "pod/plain", "--timeout=60s")
    kubectl("--namespace=shop", "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/done", "--timeout=60s")
    account = json.loads(api_get("/api/v1/namespaces/shop/serviceaccounts/robot"))
    access.write(robot=account["metadata"]["uid"])
    _point_at_plain_pod()


def _point_at_plain_pod() -> None:
    """Fills the EndpointSlice of the Service `manual` with the address of a pod, but without a reference to it."""
    pod = json.loads(api_get("/api/v1/namespaces/shop/pods/plain"))
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "manual-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "manual"}},
        "endpoints": [{"addresses": [pod["status"]["podIP"]], "conditions": {"ready": True}}],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }))


def heal(say) -> None:
    """Starts the components that do not run although they should, and waits for the workload again."""
    dead = [component for component in components if not host.running(component)]
    for component in dead:
        say(f"{component} does not run any more: started again")
        restart(component)
    if dead or not is_up():
        work(say)


def restart(component: str, *, kill: bool = False, extra: list[str] | None = None) -> None:
    if component not in components:
        raise Failed(f"unknown component {component}; there are {', '.join(components)}")
    host.restart(component, patience=0 if kill else 5, first=signal.SIGKILL if kill else signal.SIGTERM, extra=extra)
    if component in ("etcd", "kube-apiserver"):
        host.wait("the API server", 60, lambda: api_get("/readyz") == b"ok")
    if component == "containerd":
        host.wait("containerd", 30, lambda: subprocess.run(
            ["ctr", "--address", f"{settings.run}/containerd.sock", "version"], capture_output=True).returncode == 0)
    if component == "kubelet":
        host.wait("the kubelet", 60, lambda: urllib.request.urlopen(f"http://127.0.0.1:{settings.kubelet_health_port}/healthz", timeout=1).read() == b"ok")
