"""Users, rights, tokens and certificates. The contexts are described in cluster/harness/access.py."""
import json
import time

from harness import node, pki, settings
from support import clients
from support.cases import case, check, check_contains, check_equal, check_in, eventually, within
from support.tool import wait_for_log

secrets = ("token-of-the-test-cluster", "nobody-has-this-token", "BEGIN EC PRIVATE", "eyJhbGci")


@case("this user gets through", group="cluster", each=["kube", "kube-files", "kube-token", "kube-shop", "kube-cert", "kube-dev", "kube-nowatch",
                                                       "kube-tokenfile", "kube-insecure", "kube-sni"])
def allowed(world, context):
    for _ in range(3):
        answer = clients.fetch(world.proxy.mixed, f"http://web.shop.{context}/")
        check(answer.json["pod"].startswith("web-"), f"{answer.json['pod']} answered")
    check_equal("pod", clients.fetch(world.proxy.mixed, f"http://db-0.db.shop.{context}:8080/").json["pod"], "db-0")


@case("a user who may only create port-forwards gets through over SPDY", group="cluster")
def create_only(world):
    check(clients.fetch(world.proxy.mixed, "http://web.shop.kube-createonly/").json["pod"].startswith("web-"), "another pod answered")


def _refused(world, context: str, socks_codes: tuple, http_codes: tuple, *reasons: str, proxy=None, seconds: float = 10) -> None:
    proxy = proxy or world.proxy
    position = len(proxy.log())
    with within(seconds, "the answers"):
        check_in("SOCKS reply", clients.outcome(lambda: clients.socks(proxy.mixed, f"web.shop.{context}", 80)), socks_codes)
        check_in("CONNECT status", clients.outcome(lambda: clients.connect(proxy.mixed, f"web.shop.{context}", 80)), http_codes)
        check_in("GET status", clients.fetch(proxy.mixed, f"http://web.shop.{context}/", how="forward").status, http_codes)
    wait_for_log(proxy, position, *reasons)


@case("a user without a right is told so, and the log names the right", group="cluster", each=["kube-noforward", "kube-nobody"])
def forbidden(world, context):
    _refused(world, context, (clients.not_allowed,), (403, 502), "forbidden", "not allowed", "403")
    if context == "kube-noforward":
        check_contains("the log", world.proxy.log(), "portforward")


@case("a token that is not valid is told as such", group="cluster", each=["kube-badtoken", "kube-expired"])
def unauthorized(world, context):
    _refused(world, context, (clients.not_allowed, clients.general_failure), (403, 502), "unauthorized", "401", "credential")


@case("a server with a certificate of another authority is not talked to", group="cluster")
def wrong_authority(world):
    _refused(world, "kube-wrongca", (clients.general_failure, clients.network_unreachable, clients.host_unreachable, clients.not_allowed), (502, 503),
             "certificate", "verif")


@case("a context that points nowhere", group="cluster")
def nowhere(world):
    _refused(world, "kube-nowhere", (clients.general_failure, clients.network_unreachable, clients.host_unreachable, clients.ttl_expired), (502, 503, 504),
             "refused", "unreachable", "unavailable", "kube-nowhere", seconds=30)
    check(clients.fetch(world.proxy.mixed, "http://web.shop.kube/").json["pod"].startswith("web-"), "the good cluster suffers")


@case("a token expires while podproxy runs, and a new one is put into its file", group="cluster", seconds=90)
def token_expires(world):
    uid = json.loads(node.api_get("/api/v1/namespaces/shop/serviceaccounts/robot"))["metadata"]["uid"]
    folder = world.new_folder()
    token_file, kubeconfig = folder / "token", folder / "kubeconfig.yaml"
    text = (settings.kubeconfigs / "kube-tokenfile.yaml").read_text()
    kubeconfig.write_text(text.replace("tokenFile: tokenfile", f"tokenFile: {token_file}"))

    def issue(seconds: float) -> str:
        # The server grants a minute after the expiry, and remembers a token for ten seconds more.
        token = pki.service_account_token("shop", "robot", uid, int(time.time() + seconds) - 60)
        token_file.write_text(token)
        return token

    def accepted(token: str) -> bool:
        done = clients.curl("--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", str(settings.pki / "ca.crt"),
                            "-H", f"Authorization: Bearer {token}", f"{settings.api}/api/v1/namespaces/shop/services")
        return done.stdout == "200"

    token = issue(6)
    with world.start([kubeconfig]) as proxy:
        check(clients.fetch(proxy.mixed, "http://web.shop.kube-tokenfile/").json["pod"].startswith("web-"), "another pod answered")
        kept = clients.socks(proxy.mixed, "web.shop.kube-tokenfile", 7)
        eventually(40, "the server refuses the token", lambda: not accepted(token))
        # Ready sessions were opened with the old token and go on being used, as the server has it. A pod that has none asks the server.
        eventually(30, "a connection to another pod is refused",
                   lambda: clients.outcome(lambda: clients.socks(proxy.mixed, "db-1.db.shop.kube-tokenfile", 9000)) != 0)
        with kept:  # what is open stays open: the server asks for the token only once
            kept.sendall(b"x")
            check_equal("the open connection", clients.read_exactly(kept, 1), b"x")
        issue(3600)
        eventually(20, "the new token is used", lambda: clients.outcome(lambda: clients.socks(proxy.mixed, "db-1.db.shop.kube-tokenfile", 9000)) == 0)
        check(token.split(".")[2] not in proxy.log(), "the token is in the log")


@case("no secret is in the log", group="cluster")
def no_secrets(world):
    for context in ("kube-dev", "kube-badtoken", "kube-expired", "kube"):
        try:
            clients.fetch(world.proxy.mixed, f"http://web.shop.{context}/")
        except clients.Reply:
            pass
    for secret in secrets:
        check(secret not in world.proxy.log(), f"the log contains {secret}")
