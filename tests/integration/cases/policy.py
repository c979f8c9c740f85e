"""Who may use podproxy, and where it may go: users, allowed addresses, rules, SOCKS4. No cluster is needed."""
import ctypes
import socket
import time

from support import clients, servers
from support.cases import Skip, case, check, check_contains, check_equal, check_in, eventually
from support.tool import run_once

PASSWORD = "open sesame"


def _hash(setting: str, password: str = PASSWORD) -> str:
    """A hash as the system's own libcrypt makes it, which htpasswd and mkpasswd use too."""
    try:
        library = ctypes.CDLL("libcrypt.so.1")
    except OSError:
        raise Skip("no libcrypt") from None
    library.crypt.restype = ctypes.c_char_p
    made = library.crypt(password.encode(), setting.encode())
    if not made or made.startswith(b"*"):
        raise Skip(f"libcrypt does not know {setting[:3]}")
    return made.decode()


KINDS = {"bcrypt": "$2y$05$abcdefghijklmnopqrstuu", "SHA-512": "$6$saltsalt", "SHA-256": "$5$saltsalt", "yescrypt": "$y$j75$saltsalt$"}


def _users(world, **hashes: str):
    file = world.new_folder() / "users"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{name}:{value}\n" for name, value in hashes.items()))
    file.chmod(0o600)
    return file


def _nowhere(world):
    world.local  # writes the file
    return world.folder / "nowhere.yaml"


@case("users with hashes of each kind, by curl", group="local", each=list(KINDS))
def kinds_of_hashes(world, kind):
    users = _users(world, jane=_hash(KINDS[kind]))
    with servers.pages() as port, world.start([_nowhere(world)], users=str(users)) as proxy:
        mixed, http = "%s:%d" % proxy.mixed, "%s:%d" % proxy.http
        for way in (["--socks5-hostname", mixed], ["--proxy", f"http://{mixed}"], ["--proxytunnel", "--proxy", f"http://{http}"],
                    ["--proxy-anyauth", "--proxy", f"http://{mixed}"]):
            done = clients.curl(*way, "--proxy-user", f"jane:{PASSWORD}", f"http://127.0.0.1:{port}/hello")
            check_equal(f"curl's exit code for {way}", (done.returncode, done.stderr), (0, ""))
            check_contains("the page", done.stdout, '"/hello"')
            for who in ("jane:wrong", "joe:" + PASSWORD, None):
                done = clients.curl("-f", *way, *(["--proxy-user", who] if who else []), f"http://127.0.0.1:{port}/hello")
                check(done.returncode != 0, f"{who} got through by {way}")
        check_equal("the PAC file", clients.curl("-f", "--noproxy", "*", f"http://{mixed}/proxy.pac").returncode, 0)
        check("sesame" not in proxy.log() and "$" not in proxy.log(), "the log holds a password or a hash")


@case("the file of users is followed as it changes, and one that is broken changes nothing", group="local")
def users_change(world):
    users = _users(world, jane=_hash(KINDS["bcrypt"]))
    with servers.pages() as port, world.start([_nowhere(world)], users=str(users)) as proxy:
        def passes(who: str) -> bool:
            return clients.curl("-f", "--socks5-hostname", "%s:%d" % proxy.mixed, "--proxy-user", who, f"http://127.0.0.1:{port}/").returncode == 0

        check(passes(f"jane:{PASSWORD}"), "jane can't log in")
        position = len(proxy.log())
        users.write_text("jane:plain\n")
        eventually(5, "the problem is in the log", lambda: "'jane' is no hash" in proxy.log_since(position))
        check(passes(f"jane:{PASSWORD}"), "jane was locked out by a broken file")
        users.write_text(f"joe:{_hash(KINDS['SHA-256'], 'other')}\n")
        eventually(5, "joe may", lambda: passes("joe:other"))
        check(not passes(f"jane:{PASSWORD}"), "jane may still")


@case("a file of users that can't be used ends the start", group="local", each=["plain", "absent"])
def bad_users(world, what):
    users = _users(world, jane="secret") if what == "plain" else world.new_folder() / "none"
    try:
        with world.start([_nowhere(world)], users=str(users)):
            check(False, "it has started")
    except RuntimeError as problem:
        check_contains("the message", str(problem), "is no hash" if what == "plain" else "can't be read")


@case("a file of users that everybody may read is a warning", group="local")
def open_users(world):
    users = _users(world, jane=_hash(KINDS["bcrypt"]))
    users.chmod(0o644)
    with world.start([_nowhere(world)], users=str(users)) as proxy:
        check_contains("the log", proxy.log(), "everybody on this machine can read these hashes")


@case("who tries many passwords does not slow the others down", group="local", seconds=60)
def guessing(world):
    users = _users(world, jane=_hash("$2y$08$abcdefghijklmnopqrstuu"))
    with servers.tcp(servers.echo) as port, world.start([_nowhere(world)], users=str(users)) as proxy:
        def attempt(password: str) -> bytes:
            with socket.create_connection(proxy.mixed, 10) as sock:
                sock.sendall(b"\x05\x01\x02\x01\x04jane" + bytes([len(password)]) + password.encode())
                clients.read_exactly(sock, 2)
                verdict = clients.read_exactly(sock, 2)
                if verdict == b"\x01\x00":
                    sock.sendall(b"\x05\x01\x00" + clients.socks_address("127.0.0.1", port))
                    check_equal("reply", clients.read_socks_reply(sock), 0)
                return verdict
        check_equal("jane", attempt(PASSWORD), b"\x01\x00")
        slowest, before, begun = 0.0, proxy.cpu_seconds(), time.monotonic()
        for i in range(300):
            check_equal("a guess", attempt(f"guess {i}"), b"\x01\x01")
            if i % 10 == 0:
                now = time.monotonic()
                check_equal("jane, meanwhile", attempt(PASSWORD), b"\x01\x00")
                slowest = max(slowest, time.monotonic() - now)
        used, took = proxy.cpu_seconds() - before, time.monotonic() - begun
        check(slowest < 1, f"jane waited for {slowest:.2f} s")
        check(used < took / 4 + 1.5, f"{used:.2f} s of processor time in {took:.2f} s")


def _other_address() -> str:
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            raise Skip("no address but loopback") from None
        return sock.getsockname()[0]


@case("allow: others are turned away, loopback never", group="local", each=["allowed", "not allowed"])
def allow(world, what):
    address = _other_address()
    allowed = [f"{address}/32"] if what == "allowed" else ["2001:db8::/32", "240.0.0.0/32"]
    with servers.pages() as port, world.start([_nowhere(world)], allow=allowed, http_host="0.0.0.0") as proxy:
        check("asks nobody for a password" not in proxy.log(), "a warning about an open port")
        page = f"http://127.0.0.1:{port}/"
        check_equal("from loopback", clients.curl("-f", "--proxy", "http://%s:%d" % proxy.http, page).returncode, 0)
        done = clients.curl("-f", "--proxy", f"http://{address}:{proxy.http[1]}", page)
        if what == "allowed":
            check_equal("from another address", done.returncode, 0)
        else:
            check(done.returncode != 0, "a client from an address that is not allowed got through")
            check_contains("the log", proxy.log(), "not in 'allow'")


@case("a rule blocks, and says which it was", group="local")
def rule_blocks(world):
    rules = [{"to": "ok.localhost", "via": "direct"}, {"to": "*.localhost", "via": "block"}, {"to": "127.0.0.2", "via": "block"}]
    with servers.pages() as port, world.start([_nowhere(world)], rules=rules) as proxy:
        check_equal("SOCKS5", clients.outcome(lambda: clients.socks(proxy.mixed, "a.localhost", port)), clients.not_allowed)
        check_equal("an address", clients.outcome(lambda: clients.socks(proxy.mixed, "127.0.0.2", port)), clients.not_allowed)
        check_equal("CONNECT", clients.outcome(lambda: clients.connect(proxy.mixed, "a.localhost", port)), 403)
        answer = clients.fetch(proxy.http, f"http://a.localhost:{port}/", how="forward")
        check_equal("forwarding", answer.status, 403)
        check_contains("the text", answer.text, "rule 2 (to: *.localhost) blocks a.localhost")
        check_equal("what is not blocked", clients.fetch(proxy.mixed, f"http://127.0.0.1:{port}/").status, 200)


@case("rules send through other proxies, which may want a password", group="local", each=["http", "socks5"])
def rule_proxy(world, scheme):
    users = _users(world, jane=_hash(KINDS["bcrypt"]))
    with servers.pages() as port, world.start([_nowhere(world)], users=str(users)) as far:
        via = f"{scheme}://jane:{PASSWORD.replace(' ', '%20')}@" + "%s:%d" % far.mixed
        with world.start([_nowhere(world)], rules=[{"to": "*", "via": via}]) as proxy:
            for how in ("socks", "connect", "forward"):
                position = len(far.log())
                check_equal(how, clients.fetch(proxy.mixed, f"http://localhost:{port}/", how=how).status, 200)
                eventually(5, "the other proxy has it in its log", lambda: f"localhost:{port}" in far.log_since(position))
            check_equal("a refused port", clients.outcome(lambda: clients.connect(proxy.mixed, "127.0.0.1", servers.unused_port())), 502)
            check("sesame" not in proxy.log(), "the log holds a password")
        wrong = via.replace("jane:", "jane:not-")
        with world.start([_nowhere(world)], rules=[{"to": "*", "via": wrong}]) as proxy:
            check("sesame" not in proxy.log(), "the log holds a password")
            code = clients.outcome(lambda: clients.socks(proxy.mixed, "127.0.0.1", port))
            check_in("a wrong password", code, (clients.not_allowed, clients.general_failure))


@case("rules are followed as the settings change", group="local")
def rules_change(world):
    with servers.pages() as port, world.start([_nowhere(world)]) as proxy:
        file = proxy.folder / "config.yaml"
        before = file.read_text()

        def status() -> int:
            return clients.fetch(proxy.mixed, f"http://127.0.0.1:{port}/", how="forward").status
        check_equal("without rules", status(), 200)
        file.write_text(before + 'rules: [{to: "127.0.0.0/8", via: block}]\n')
        eventually(5, "the rule counts", lambda: status() == 403)
        file.write_text(before + 'rules: [{to: "127.0.0.0/99", via: direct}]\n')
        eventually(5, "the problem is in the log", lambda: "names no destinations" in proxy.log())
        check_equal("with a broken rule", status(), 403)
        file.write_text(before)
        eventually(5, "the rule is gone", lambda: status() == 200)


@case("check finds rules that can't be used", group="local")
def rules_checked(world):
    folder = world.new_folder()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "config.yaml"
    file.write_text("skipDefaultKubeconfig: true\nskipKubeconfigEnv: true\nkubeconfigs: []\nrules:\n- {to: web, via: nowhere}\n")
    done = run_once(world.binary, folder, "check", "--config", str(file))
    check_equal("exit code", done.returncode, 1)
    check_contains("the message", done.stderr, "nowhere")
    file.write_text("rules:\n- {to: 'a b', via: direct}\n- {to: a, via: 'ftp://jane:secret@proxy'}\n")
    done = run_once(world.binary, folder, "check", "--config", str(file))
    check_equal("exit code", done.returncode, 1)
    check_contains("the place of the first", done.stderr, "config.yaml:2:")
    check_contains("the place of the second", done.stderr, "config.yaml:3:")
    check("secret" not in done.stderr, "a password is shown")


@case("SOCKS4 and SOCKS4a by curl", group="local", each=["--socks4", "--socks4a"])
def socks4_by_curl(world, option):
    mixed = "%s:%d" % world.local.mixed
    with servers.pages() as port:
        host = "127.0.0.1" if option == "--socks4" else "localhost"
        done = clients.curl(option, mixed, "--noproxy", "", f"http://{host}:{port}/hello")
        check_equal("curl's exit code", (done.returncode, done.stderr), (0, ""))
        check_contains("the page", done.stdout, '"/hello"')
    done = clients.curl(option, mixed, "--noproxy", "", f"http://127.0.0.1:{servers.unused_port()}/")
    check_contains("curl, about a refused port", done.stderr, "rejected or failed")


@case("SOCKS4 is refused where a password is asked for", group="local")
def socks4_with_users(world):
    users = _users(world, jane=_hash(KINDS["bcrypt"]))
    with servers.pages() as port, world.start([_nowhere(world)], users=str(users)) as proxy:
        done = clients.curl("-f", "--socks4a", "%s:%d" % proxy.mixed, "--proxy-user", f"jane:{PASSWORD}", f"http://localhost:{port}/")
        check(done.returncode != 0, "a SOCKS4 client got through without a password")
        check_contains("the log", proxy.log(), "a SOCKS4 client was refused")
