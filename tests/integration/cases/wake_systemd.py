"""wake-proxy and a real systemd: units that start when somebody connects."""
import time

from support import units, wake
from support.cases import case, check, check_contains, check_equal, eventually, within
from support.servers import unused_port


def waker(world, group: str, to: int, **of_group):
    """A wake-proxy that speaks to the systemd of the tests, and the port that wakes the group."""
    port = unused_port()
    config = {"providers": {"systemd": {}}, "groups": {group: {"provider": "systemd", **of_group}},
              "ports": [{"listen": f"127.0.0.1:{port}", "group": group, "to": f"127.0.0.1:{to}"}]}
    program = units.wrapped(world.programs["wake-proxy"], world.new_folder())
    return wake.WakeProxy(program, world.new_folder(), config, listens=[port]), port


def ask_once(port: int) -> None:
    with wake.connect(port, 30) as sock:
        wake.ask(sock, b"hello")


@case("a unit starts for a client and ends when nobody uses it", group="systemd", seconds=60)
def sleeps(world):
    inner = unused_port()
    with units.Unit("sleepy", units.echo_command(inner)) as unit:
        proxy, port = waker(world, "sleepy", inner, units=["sleepy"], idle="1s")
        with proxy:
            for _ in range(3):
                check_equal("its state", units.state(unit.name), "inactive")
                with within(10, "the answer"):
                    ask_once(port)
                check_equal("its state", units.state(unit.name), "active")
                eventually(10, "it ends", lambda: units.state(unit.name) == "inactive")
            sock = wake.connect(port)
            wake.ask(sock, b"and now nothing")
            time.sleep(3)
            check_equal("its state under an open and silent connection", units.state(unit.name), "active")
            wake.ask(sock, b"still there")
            sock.close()


@case("many clients at once start a unit once", group="systemd", seconds=60)
def many(world):
    inner = unused_port()
    with units.Unit("crowded", units.echo_command(inner)) as unit:
        proxy, port = waker(world, "crowded", inner, units=["crowded"], idle="60s")
        with proxy:
            socks = [wake.connect(port, 30) for _ in range(50)]
            for number, sock in enumerate(socks):
                wake.ask(sock, b"client %d" % number)
                sock.close()
            check_equal("starts", proxy.log().count("group crowded: starting"), 1)
            check_equal("its state", units.state(unit.name), "active")


@case("a unit that is told when it is ready", group="systemd", seconds=60)
def notifies(world):
    inner = unused_port()
    server = units.echo_command(inner)
    slow = server.replace("/usr/bin/python3 -c '", "/usr/bin/python3 -c 'import os,time\\ntime.sleep(1)\\nos.system(\"systemd-notify --ready\")\\n")
    with units.Unit("patient", slow, "Type=notify\nNotifyAccess=all"):
        proxy, port = waker(world, "patient", inner, units=["patient.service"], idle="60s")
        with proxy:
            ask_once(port)


@case("a unit is frozen and goes on where it was", group="systemd", seconds=60)
def frozen(world):
    inner = unused_port()
    with units.Unit("frosty", units.echo_command(inner)) as unit:
        proxy, port = waker(world, "frosty", inner, units=["frosty"], idle="1s", action="pause")
        with proxy:
            ask_once(port)
            before = units.show(unit.name, "MainPID")
            eventually(10, "it is frozen", lambda: units.show(unit.name, "FreezerState") == ["frozen"])
            with within(5, "the answer"):
                ask_once(port)
            check_equal("its process", units.show(unit.name, "MainPID"), before)


@case("an idle unit is given less", group="systemd", seconds=60)
def throttled(world):
    inner = unused_port()
    with units.Unit("greedy", units.echo_command(inner)) as unit:
        proxy, port = waker(world, "greedy", inner, units=["greedy"], idle="1s", action="throttle", idleCpus=0.1, idleMemory="64m", activeCpus=2,
                            activeMemory="512m")
        with proxy:
            ask_once(port)
            eventually(10, "it has less", lambda: units.show(unit.name, "CPUQuotaPerSecUSec", "MemoryMax") == ["100ms", str(64 << 20)])
            ask_once(port)
            eventually(10, "it has more", lambda: units.show(unit.name, "CPUQuotaPerSecUSec", "MemoryMax") == ["2s", str(512 << 20)])


@case("a unit that ends at once: refused in time, and the log has its last line", group="systemd", seconds=60)
def ends_at_once(world):
    with units.Unit("broken", "/bin/sh -c 'echo cannot open the database; exit 3'"):
        proxy, port = waker(world, "broken", unused_port(), units=["broken"], startLimit="8s", startAttempts=2)
        with proxy:
            with within(15, "the refusal"), wake.connect(port, 20) as sock:
                sock.sendall(b"x")
                check(wake.closed_within(sock, 15), "the client is not refused")
            check_contains("the log", proxy.log(), "cannot open the database")
            check_contains("the log", proxy.log(), "broken.service")


@case("a unit that does not exist, until it does", group="systemd", seconds=60)
def does_not_exist(world):
    inner = unused_port()
    proxy, port = waker(world, "later", inner, units=["appears-later"], startLimit="3s", startAttempts=1)
    with proxy:
        with within(10, "the refusal"), wake.connect(port, 20) as sock:
            check(wake.closed_within(sock, 10), "the client is not refused")
        check_contains("the log", proxy.log(), "appears-later.service")
        with units.Unit("appears-later", units.echo_command(inner)):
            def answered():
                ask_once(port)
                return True
            eventually(20, "the new unit answers", answered)


@case("systemd runs itself anew under an open connection", group="systemd", seconds=60)
def reexecuted(world):
    inner = unused_port()
    with units.Unit("steady", units.echo_command(inner)) as unit:
        proxy, port = waker(world, "steady", inner, units=["steady"], idle="1s")
        with proxy:
            sock = wake.connect(port)
            wake.ask(sock, b"before")
            units.systemctl("daemon-reexec")
            wake.ask(sock, b"meanwhile")
            time.sleep(2)
            wake.ask(sock, b"after")
            check_equal("its state", units.state(unit.name), "active")
            sock.close()
            eventually(15, "it ends", lambda: units.state(unit.name) == "inactive")
            ask_once(port)


@case("a unit that somebody stops by hand is started again for the next client", group="systemd", seconds=60)
def stopped_by_hand(world):
    inner = unused_port()
    with units.Unit("handy", units.echo_command(inner)) as unit:
        proxy, port = waker(world, "handy", inner, units=["handy"], idle="60s")
        with proxy:
            sock = wake.connect(port)
            wake.ask(sock, b"hello")
            units.systemctl("stop", unit.name)
            check(wake.closed_within(sock, 5), "the connection goes on without a server")
            sock.close()
            ask_once(port)
            check_equal("its state", units.state(unit.name), "active")
