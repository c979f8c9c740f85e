"""Who may use podproxy, and where it may go: users, allowed addresses, rules, SOCKS4. No cluster is needed."""
import ctypes
import socket
import time

from support import clients, servers
from support.cases import Skip, case, check, check_contains, check_equal, eventually

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
