"""Kubeconfig files: `all.yaml` with every context, and one file per context, named after it.

    kube             all rights, by client certificate (data in the file)
    kube-files       all rights, certificates as files relative to the kubeconfig
    kube-token       all rights, by token
    kube-shop        all rights, default namespace `shop`
    kube-cert        rights of a developer, by certificate and group
    kube-dev         rights of a developer: what podproxy needs, in the namespace `shop` only
    kube-nowatch     a developer without `watch`
    kube-createonly  a developer with only `create` on pods/portforward, so no WebSocket (which needs `get` too)
    kube-noforward   a developer without pods/portforward
    kube-nobody      no rights
    kube-badtoken    a token that nobody has
    kube-expired     a service account's token that has expired
    kube-tokenfile   a developer's token in a file that a test may rewrite
    kube-wrongca     trusts an authority that has not signed the server's certificate
    kube-insecure    has no authority and does not verify the server
    kube-sni         names the server by tls-server-name, for which it has a certificate of its own
    kube-nowhere     a port on which nothing listens
"""
import base64
import time
from dataclasses import dataclass

from . import pki, settings


@dataclass(frozen=True)
class TokenUser:
    name: str
    groups: str

    @property
    def token(self) -> str:
        return f"{self.name}-token-of-the-test-cluster"


token_users = [
    TokenUser("root", "system:masters"), TokenUser("dev", "devs"), TokenUser("nowatch", "nowatch"), TokenUser("createonly", "createonly"),
    TokenUser("noforward", "noforward"), TokenUser("nobody", ""),
]
_token = {user.name: user.token for user in token_users}
_robot_uid: str | None = None


def _data(name: str) -> str:
    return base64.b64encode((settings.pki / name).read_bytes()).decode()


def _yaml(value, indent: int = 0) -> str:
    """Block style, as `kubectl config` writes it. Knows what a kubeconfig has: mappings, sequences of mappings, scalars."""
    pad, text = "  " * indent, ""
    for key, item in value.items():
        if isinstance(item, dict):
            text += f"{pad}{key}:" + (" {}\n" if not item else f"\n{_yaml(item, indent + 1)}")
        elif isinstance(item, list):
            text += f"{pad}{key}:\n"
            for entry in item:
                first, _, rest = _yaml(entry, indent + 1).partition("\n")
                text += f"{pad}- {first.strip()}\n{rest}"
        else:
            text += f"{pad}{key}: {str(item).lower() if isinstance(item, bool) else item}\n"
    return text


def _config(entries: list[tuple[str, dict, dict, str]]) -> str:
    return _yaml({
        "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": entries[0][0],
        "clusters": [{"cluster": cluster, "name": f"{name}-cluster"} for name, cluster, _, _ in entries],
        "contexts": [{"context": {"cluster": f"{name}-cluster", "namespace": namespace, "user": f"{name}-user"}, "name": name}
                     for name, _, _, namespace in entries],
        "users": [{"name": f"{name}-user", "user": user} for name, _, user, _ in entries],
    })


def _entries() -> list[tuple[str, dict, dict, str]]:
    cluster = {"certificate-authority-data": _data("ca.crt"), "server": settings.api}
    admin = {"client-certificate-data": _data("admin.crt"), "client-key-data": _data("admin.key")}
    relative = "../pki"
    dev = {"token": _token["dev"]}
    entries = [
        ("kube", cluster, admin, "default"),
        ("kube-files", {"certificate-authority": f"{relative}/ca.crt", "server": settings.api},
         {"client-certificate": f"{relative}/admin.crt", "client-key": f"{relative}/admin.key"}, "default"),
        ("kube-token", cluster, {"token": _token["root"]}, "default"),
        ("kube-shop", cluster, admin, "shop"),
        ("kube-cert", cluster, {"client-certificate-data": _data("dev.crt"), "client-key-data": _data("dev.key")}, "shop"),
        *((f"kube-{name}", cluster, {"token": _token[name]}, "shop") for name in ("dev", "nowatch", "createonly", "noforward", "nobody")),
        ("kube-badtoken", cluster, {"token": "nobody-has-this-token"}, "shop"),
        ("kube-tokenfile", cluster, {"tokenFile": "tokenfile"}, "shop"),
        ("kube-wrongca", {**cluster, "certificate-authority-data": _data("other-ca.crt")}, dev, "shop"),
        ("kube-insecure", {"insecure-skip-tls-verify": True, "server": settings.api}, dev, "shop"),
        ("kube-sni", {**cluster, "tls-server-name": pki.sni_name}, dev, "shop"),
        ("kube-nowhere", {**cluster, "server": "https://127.0.0.1:1"}, dev, "shop"),
    ]
    if _robot_uid:
        token = pki.service_account_token("shop", "robot", _robot_uid, int(time.time()) - 3600)
        entries.append(("kube-expired", cluster, {"token": token}, "shop"))
    return entries


def write(robot: str | None = None) -> None:
    """Writes all files. `robot` is the uid of the service account shop/robot, once there is one."""
    global _robot_uid
    _robot_uid = robot or _robot_uid
    folder = settings.kubeconfigs
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenfile").write_text(_token["dev"] + "\n")
    entries = _entries()
    for file, part in [("all.yaml", entries), *((f"{e[0]}.yaml", [e]) for e in entries)]:
        (folder / file).write_text(_config(part))
        (folder / file).chmod(0o600)


def write_for_component(file, certificate: str) -> None:
    user = {"client-certificate-data": _data(f"{certificate}.crt"), "client-key-data": _data(f"{certificate}.key")}
    file.write_text(_config([("node", {"certificate-authority-data": _data("ca.crt"), "server": settings.api}, user, "default")]))
    file.chmod(0o600)
