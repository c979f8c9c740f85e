"""Keys of the test cluster: elliptic curve P-256 throughout, valid for ten years, never used for anything else."""
import base64
import json
import subprocess
import tempfile
from pathlib import Path

from . import Failed, settings

sni_name = "api.podproxy.test"  # the API server shows another certificate to a client that asks for this name


def _openssl(*arguments: str | Path, data: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True)
    if done.returncode:
        raise Failed(f"openssl {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _key(file: Path) -> None:
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", file)
    file.chmod(0o600)


def _authority(name: str) -> None:
    _key(settings.pki / f"{name}.key")
    _openssl("req", "-x509", "-new", "-key", settings.pki / f"{name}.key", "-days", "3650", "-subj", f"/CN=podproxy {name}",
             "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
             "-out", settings.pki / f"{name}.crt")


def _certificate(name: str, subject: str, usage: str, names: str = "") -> None:
    folder = settings.pki
    _key(folder / f"{name}.key")
    request = _openssl("req", "-new", "-key", folder / f"{name}.key", "-subj", subject)
    with tempfile.NamedTemporaryFile("w", suffix=".ext") as extensions:
        extensions.write(f"basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage={usage}\n")
        if names:
            extensions.write(f"subjectAltName={names}\n")
        extensions.flush()
        _openssl("x509", "-req", "-CA", folder / "ca.crt", "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "3650", "-sha256",
                 "-extfile", extensions.name, "-out", folder / f"{name}.crt", data=request)


def make() -> None:
    """Makes all keys and certificates, unless they are there and made for the same node."""
    stamp = f"2 {settings.node} {settings.node_ip}"
    stamp_file = settings.pki / "stamp"
    if stamp_file.exists() and stamp_file.read_text() == stamp:
        return
    settings.pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    stamp_file.unlink(missing_ok=True)
    _authority("ca")
    _authority("other-ca")  # one that has signed nothing: for a client that trusts the wrong authority
    service_ip = settings.service_range.rsplit(".", 1)[0] + ".1"
    _certificate("apiserver", "/CN=kube-apiserver", "serverAuth",
                 f"DNS:localhost,DNS:kubernetes,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:{settings.node_ip},IP:{service_ip}")
    _certificate("apiserver-sni", "/CN=by server name", "serverAuth", f"DNS:{sni_name}")
    _certificate("apiserver-kubelet", "/O=system:masters/CN=kube-apiserver-kubelet-client", "clientAuth")
    _certificate("admin", "/O=system:masters/CN=admin", "clientAuth")
    _certificate("dev", "/O=devs/CN=dev-by-certificate", "clientAuth")
    _certificate("controllers", "/CN=system:kube-controller-manager", "clientAuth")
    _certificate("scheduler", "/CN=system:kube-scheduler", "clientAuth")
    _certificate("kubelet", f"/O=system:nodes/CN=system:node:{settings.node}", "clientAuth")
    _certificate("kubelet-serving", f"/O=system:nodes/CN=system:node:{settings.node}", "serverAuth",
                 f"DNS:{settings.node},IP:{settings.node_ip}")
    _key(settings.pki / "service-accounts.key")
    _openssl("pkey", "-in", settings.pki / "service-accounts.key", "-pubout", "-out", settings.pki / "service-accounts.pub")
    stamp_file.write_text(stamp)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _raw_signature(der: bytes) -> bytes:
    """The two 32-byte numbers of a P-256 signature (RFC 7518 section 3.4) out of SEQUENCE { INTEGER r, INTEGER s }."""
    numbers, at = b"", 2
    for _ in range(2):
        size = der[at + 1]
        numbers += der[at + 2:at + 2 + size].lstrip(b"\0").rjust(32, b"\0")
        at += 2 + size
    return numbers


def service_account_token(namespace: str, account: str, uid: str, expires: int) -> str:
    """A token as the API server issues it, with an expiry that it would refuse to issue: seconds since 1970, also in the past.

    The API server grants a minute beyond `expires`, and remembers a good token for ten seconds.
    """
    head = {"alg": "ES256"}
    claims = {
        "iss": settings.service_account_issuer, "aud": [settings.service_account_issuer], "sub": f"system:serviceaccount:{namespace}:{account}",
        "iat": expires - 3600, "nbf": expires - 3600, "exp": expires,
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": account, "uid": uid}},
    }
    signed = ".".join(_base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims))
    der = _openssl("dgst", "-sha256", "-sign", settings.pki / "service-accounts.key", data=signed.encode())
    return f"{signed}.{_base64url(_raw_signature(der))}"
