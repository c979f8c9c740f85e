"""What podproxy does as a program: configuration, logs, signals, PAC."""
import json
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from support import clients, servers
from support.cases import Skip, case, check, check_contains, check_equal, eventually, within
from support.tool import run_once


def _nowhere(world) -> Path:
    world.local  # writes the file
    return world.folder / "nowhere.yaml"


@case("--version prints a version and ends", group="local")
def version(world):
    done = run_once(world.binary, world.new_folder(), "--version")
    check_equal("exit code", done.returncode, 0)
    check(re.search(r"\b\d+\.\d+\.\d+", done.stdout), f"no version in {done.stdout!r}")


@case("--help names the options, an unknown option is refused", group="local")
def usage(world):
    done = run_once(world.binary, world.new_folder(), "--help")
    check_equal("exit code", done.returncode, 0)
    check_contains("the help", done.stdout, "--config")
    done = run_once(world.binary, world.new_folder(), "--no-such-option")
    check(done.returncode not in (0, -11, -6), f"exit code {done.returncode}")
    check_contains("the message", done.stderr + done.stdout, "no-such-option")


@case("the PAC file, on its own port, on the mixed port and on the HTTP port", group="local")
def pac(world):
    proxy = world.local
    for address, path in ((proxy.pac, "/"), (proxy.pac, "/proxy.pac"), (proxy.mixed, "/proxy.pac"), (proxy.http, "/proxy.pac")):
        with socket.create_connection(address, 10) as sock:
            answer = clients.request(sock, "GET", path, host="%s:%d" % address)
        check_equal(f"status of {path} on {address}", answer.status, 200)
        check_equal("type", answer.headers["Content-Type"].split(";")[0], "application/x-ns-proxy-autoconfig")
        check_contains("the file", answer.text, "FindProxyForURL")
        check_contains("the cluster", answer.text, "kube")
        check_contains("the way", answer.text, "%s:%d" % proxy.mixed, "%s:%d" % proxy.http)
    with socket.create_connection(proxy.mixed, 10) as sock:
        check_equal("HEAD", clients.request(sock, "HEAD", "/proxy.pac", host="x").status, 200)


@case("the PAC file sends clusters to the proxy and the rest past it", group="local")
def pac_logic(world):
    node = shutil.which("node") or shutil.which("nodejs")
    if not node:
        raise Skip("node is not installed")
    with socket.create_connection(world.local.mixed, 10) as sock:
        text = clients.request(sock, "GET", "/proxy.pac", host="x").text
    glob = r"function shExpMatch(s, e) { return new RegExp('^' + e.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.') + '$').test(s); }" \
           "function dnsDomainIs(h, d) { return h.endsWith(d); } function isPlainHostName(h) { return !h.includes('.'); }"
    names = ["web.shop.kube", "web.kube", "example.com", "kube.example.com", "notkube", "web.notkube"]
    script = f"{glob}\n{text}\nconsole.log(JSON.stringify({json.dumps(names)}.map(h => FindProxyForURL('http://' + h + '/', h))))"
    done = subprocess.run([node, "-e", script], capture_output=True, text=True, timeout=20)
    check_equal("node's exit code", (done.returncode, done.stderr), (0, ""))
    ways = dict(zip(names, json.loads(done.stdout)))
    for name in ("web.shop.kube", "web.kube"):
        check(":" in ways[name] and not ways[name].startswith("DIRECT"), f"{name}: {ways[name]}")
    for name in ("example.com", "kube.example.com", "notkube", "web.notkube"):
        check_equal(name, ways[name], "DIRECT")


@case("the log as JSON: every line is an object with a level and a message", group="local")
def log_json(world):
    with servers.pages() as port, world.start([_nowhere(world)], log={"level": "debug", "format": "json"}) as proxy:
        clients.fetch(proxy.mixed, f"http://127.0.0.1:{port}/")
        proxy.terminate()
        proxy.wait(10)
        lines = [json.loads(line) for line in proxy.log().splitlines()]
    check(lines, "nothing was logged")
    for line in lines:
        check(isinstance(line, dict) and "level" in line and ("msg" in line or "message" in line), f"a line is {line}")


@case("the log as text, and its level", group="local")
def log_text(world):
    with servers.pages() as port:
        sizes = {}
        for level in ("debug", "error"):
            with world.start([_nowhere(world)], log={"level": level, "format": "text"}) as proxy:
                clients.fetch(proxy.mixed, f"http://127.0.0.1:{port}/")
                proxy.terminate()
                proxy.wait(10)
                sizes[level] = len(proxy.log())
                if level == "debug":
                    check(not proxy.log().lstrip().startswith("{"), "text looks like JSON")
                    check_contains("the log", proxy.log(), "%s:%d" % proxy.mixed)
    check(sizes["debug"] > sizes["error"], f"debug says {sizes['debug']} bytes, error {sizes['error']}")


@case("a start without any kubeconfig still serves as a plain proxy, or says what is missing", group="local")
def without_kubeconfig(world):
    try:
        with servers.pages() as port, world.start([world.folder / "none" / "*.yaml"]) as proxy:
            check_equal("status", clients.fetch(proxy.mixed, f"http://127.0.0.1:{port}/").status, 200)
    except RuntimeError as problem:
        check_contains("the message", str(problem), "cluster", "kubeconfig")


@case("SIGTERM: no new connections, the open ones may finish, then the end", group="local", each=["SIGTERM", "SIGINT"], seconds=40)
def drain(world, name):
    go_on = threading.Event()

    def slow(connection):
        connection.recv(1)
        connection.sendall(b"first half, ")
        go_on.wait(20)
        connection.sendall(b"second half")

    with servers.tcp(slow) as port, world.start([_nowhere(world)]) as proxy:
        with clients.socks(proxy.mixed, "127.0.0.1", port) as tunnel, clients.connect(proxy.http, "127.0.0.1", port) as other:
            for sock in (tunnel, other):
                sock.sendall(b"x")
                check_equal("first half", clients.read_exactly(sock, 12), b"first half, ")
            proxy.process.send_signal(getattr(signal, name))

            def refused():
                try:
                    socket.create_connection(proxy.mixed, 1).close()
                except ConnectionRefusedError:
                    return True
            eventually(5, "new connections are refused", refused)
            check(proxy.alive(), "podproxy ended while connections were open")
            go_on.set()
            for sock in (tunnel, other):
                check_equal("second half", clients.read_to_end(sock), b"second half")
        check_equal("exit code", proxy.wait(5), 0)


@case("SIGTERM without open connections ends at once", group="local")
def quick_end(world):
    with world.start([_nowhere(world)]) as proxy, within(2, "the end"):
        proxy.terminate()
        check_equal("exit code", proxy.wait(5), 0)


@case("a second SIGTERM does not wait for open connections", group="local", seconds=40)
def second_signal(world):
    with servers.tcp(servers.echo) as port, world.start([_nowhere(world)]) as proxy:
        with clients.socks(proxy.mixed, "127.0.0.1", port) as sock:
            sock.sendall(b"x")
            clients.read_exactly(sock, 1)
            proxy.terminate()
            time.sleep(0.3)  # two signals of a kind at once are one
            check(proxy.alive(), "podproxy ended while a connection was open")
            proxy.terminate()
            with within(3, "the end"):
                check(proxy.wait(10) is not None, "")
            check_equal("exit code", proxy.process.returncode, 0)


SILENT_NAME_SERVER = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
int getaddrinfo(const char* name, const char* service, const struct addrinfo* hints, struct addrinfo** out)
{
    int (*real)(const char*, const char*, const struct addrinfo*, struct addrinfo**) = dlsym(RTLD_NEXT, "getaddrinfo");
    if (name && strcmp(name, "silent.test") == 0) sleep(30);
    return real(name, service, hints, out);
}
"""


@case("SIGTERM does not wait for a name server", group="local", seconds=40)
def silent_name_server(world):
    compiler = shutil.which("cc")
    if not compiler:
        raise Skip("no C compiler")
    if b"__asan_init" in world.binary.read_bytes():
        raise Skip("the sanitizer wants to be the first library")
    folder = world.new_folder()
    (folder / "silent.c").write_text(SILENT_NAME_SERVER)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "silent.so", folder / "silent.c", "-ldl"], check=True)
    with world.start([_nowhere(world)], preload=folder / "silent.so") as proxy:
        with socket.create_connection(proxy.mixed, 5) as sock:
            sock.sendall(b"\x05\x01\x00\x05\x01\x00\x03\x0bsilent.test\x00\x50")
            check_equal("the method", clients.read_exactly(sock, 2), b"\x05\x00")
            time.sleep(0.3)  # the question is asked
            proxy.terminate()
            with within(15, "the end"):  # 10 seconds for open connections
                check_equal("exit code", proxy.wait(20), 0)


@case("idle connections cost no processor time", group="local")
def idle(world):
    with servers.tcp(servers.echo) as port:
        socks = [clients.socks(world.local.mixed, "127.0.0.1", port) for _ in range(50)]
        before = world.local.cpu_seconds()
        time.sleep(2)
        used = world.local.cpu_seconds() - before
        for sock in socks:
            sock.close()
    check(used <= 0.06, f"{used:.2f} s of processor time in 2 s of silence")
