"""Programs and images. Both are made only when their sources changed."""
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import tarfile
from pathlib import Path

from . import Failed, Unavailable, settings

programs = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
go_minimum = (1, 24)  # reads a go.mod that asks for more, and fetches that toolchain


def find_go() -> str:
    go = shutil.which("go") or next((p for p in ("/usr/local/go/bin/go", "/usr/lib/go/bin/go") if os.access(p, os.X_OK)), None)
    if not go:
        raise Unavailable("Go is missing (scripts/setup --only cluster installs it)")
    text = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, cwd="/").stdout.strip()
    found = tuple(int(n) for n in text.removeprefix("go").split("-")[0].split(".")[:2] if n.isdigit())
    if found < go_minimum:
        raise Unavailable(f"{text or go} is too old: Go {'.'.join(map(str, go_minimum))} or newer is needed (scripts/setup --only cluster)")
    return go


def stamp_of(paths: list[Path], *extra: str) -> str:
    """A hash over the contents, cheap enough to be taken at every start."""
    h = hashlib.sha256()
    for path in sorted(paths):
        h.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    for text in extra:
        h.update(text.encode() + b"\0")
    return h.hexdigest()


def is_current(folder: Path, stamp: str, names: list[str]) -> bool:
    file = folder / "stamp"
    return file.exists() and file.read_text() == stamp and all((folder / n).exists() for n in names)


def kubernetes_version() -> str:
    for line in (settings.source / "kubernetes" / "go.mod").read_text().splitlines():
        words = line.split()
        if words[-2:-1] == ["k8s.io/kubernetes"] and "=>" not in words:
            return words[-1]
    raise Failed("kubernetes/go.mod does not name a version of k8s.io/kubernetes")


def build_programs(say) -> None:
    source, target = settings.source / "kubernetes", settings.binaries
    version = kubernetes_version()
    stamp = stamp_of([source / f for f in ("go.mod", "go.sum", "main.go")], platform.machine())
    if is_current(target, stamp, ["kubernetes", *programs]):
        return
    go = find_go()
    major, minor = version.removeprefix("v").split(".")[:2]
    flags = ["-s", "-w"]
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        for key, value in (("gitVersion", version), ("gitMajor", major), ("gitMinor", minor), ("gitTreeState", "clean")):
            flags += ["-X", f"{package}.{key}={value}"]
    say(f"building Kubernetes {version} from its Go modules: some minutes the first time")
    target.mkdir(parents=True, exist_ok=True)
    (target / "stamp").unlink(missing_ok=True)
    command = [go, "build", "-trimpath", "-mod=readonly", "-ldflags", " ".join(flags), "-o", str(target / "kubernetes"), "."]
    done = subprocess.run(["nice", "-n", "10", *command], cwd=source, env={**os.environ, "CGO_ENABLED": "0"})
    if done.returncode:
        raise Failed("Kubernetes could not be built (the compiler's messages are above)")
    for program in programs:
        (target / program).unlink(missing_ok=True)
        (target / program).symlink_to("kubernetes")
    (target / "stamp").write_text(stamp)


def archive(path: Path, tag: str, entrypoint: list[str], files: dict[str, bytes | str]) -> None:
    """Writes an image of one layer as `docker save` does. A value of type str is the target of a symbolic link; what is in bin/ can be run."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        folders = {str(parent) for f in files for parent in Path(f).parents} - {"."}
        for folder in sorted(folders | {"tmp"}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        for file, content in files.items():
            entry = tarfile.TarInfo(file)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                tar.addfile(entry)
            else:
                entry.size, entry.mode = len(content), 0o755 if file.startswith("bin/") else 0o644
                tar.addfile(entry, io.BytesIO(content))
    layer_digest = hashlib.sha256(layer.getvalue()).hexdigest()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    config = json.dumps({
        "architecture": machine, "os": "linux", "created": "2026-01-01T00:00:00Z",
        "config": {"Entrypoint": entrypoint, "Env": ["PATH=/bin"], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
    }).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [tag], "Layers": [f"{layer_digest}/layer.tar"]}]).encode()
    with tarfile.open(path, "w") as tar:
        for member, content in ((config_name, config), (f"{layer_digest}/layer.tar", layer.getvalue()), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(member)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))


def build_images(say) -> None:
    """Three images from scratch; no registry is asked.

    pause:1    holds a pod's namespaces
    testsrv:1  the servers that the cases talk to
    busybox:1  a static busybox, for pods that only have to be in some state
    """
    source, target = settings.source / "images", settings.images
    busybox = shutil.which("busybox")
    if not busybox:
        raise Unavailable("busybox is missing (package busybox-static)")
    if b"/ld-linux" in Path(busybox).read_bytes() or b"/ld-musl" in Path(busybox).read_bytes():
        raise Unavailable(f"{busybox} is not statically linked (package busybox-static)")
    sources = [p for p in source.rglob("*") if p.is_file()]
    stamp = stamp_of([*sources, Path(busybox), Path(__file__)], platform.machine())
    names = ["pause", "testsrv", "busybox"]
    if is_current(target, stamp, [f"{n}.tar" for n in names]):
        return
    say("making the test images")
    target.mkdir(parents=True, exist_ok=True)
    (target / "stamp").unlink(missing_ok=True)
    accounts = {"etc/passwd": b"root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n", "etc/group": b"root:x:0:\nnogroup:x:65534:\n"}
    for program in ("pause", "testsrv"):
        binary = target / program
        done = subprocess.run([find_go(), "build", "-trimpath", "-ldflags", "-s -w", "-o", str(binary), f"./{program}"],
                              cwd=source, env={**os.environ, "CGO_ENABLED": "0"})
        if done.returncode:
            raise Failed(f"{program} could not be built")
        archive(target / f"{program}.tar", f"podproxy.test/{program}:1", [f"/bin/{program}"], {**accounts, f"bin/{program}": binary.read_bytes()})
        binary.unlink()
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    links = {f"bin/{applet}": "busybox" for applet in applets if applet != "busybox"}
    archive(target / "busybox.tar", "podproxy.test/busybox:1", ["/bin/sh"], {**accounts, "bin/busybox": Path(busybox).read_bytes(), **links})
    (target / "stamp").write_text(stamp)


def build(say) -> None:
    build_programs(say)
    build_images(say)
