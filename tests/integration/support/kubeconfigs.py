"""Generated kubeconfigs, and what kubectl and podproxy make of them.

The generator never writes what makes kubectl refuse a whole file (base64 that is none, a name twice in one list): podproxy then passes over the
one entry, on purpose, and there is nothing to compare.
"""
import base64
import json
import os
import random
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

context_names = [
    "dev", "prod", "kind-kind", "minikube", "arn:aws:eks:eu-central-1:123456789012:cluster/shop", "user@shop.eu-west-1.eksctl.io",
    "gke_project_europe-west1-b_shop", "default/api-shop-example-com:6443/kube:admin", "a.b.c", "with space", "ümläut", "日本", "UPPER",
    "-dash", "'quoted'", '"double"', "#hash", "a: b", "true", "123", "1e3", "null", "~", "x" * 200, "a\\b", "%41", "{x}", "[y]", "&z", "*w",
]
shared_names = ["one", "two", "three", "four:4", "five/5", "yes", "00"]
extension = "client.authentication.k8s.io/exec"


class Generator:
    """One case: a folder with files, and a value of KUBECONFIG. Relative paths carry the number of their file, so that it is known
    against which folder they have to be resolved."""

    def __init__(self, random_: random.Random, folder: Path):
        self.r, self.folder, self.places = random_, folder, []

    def maybe(self, chance: float) -> bool:
        return self.r.random() < chance

    def word(self) -> str:
        return self.r.choice(["a", "shop", "x y", "true", "0", "no", "ö", "we'b", 'q"q', "back\\slash", "12:30", "# no", "-", "tail ", " head"]) + str(self.r.randrange(100))

    def path(self, what: str) -> str:
        name = f"{what}-{self.r.randrange(10_000)}@{len(self.places) - 1}"
        return self.r.choice([f"{what}/{name}", f"./{name}", f"../{name}", name, f"a/../b/./{name}", f"/abs/{name}", f"/abs/../{name}"])

    def data(self) -> str:
        return base64.b64encode(self.r.randbytes(self.r.randrange(1, 90))).decode()

    def cluster(self) -> dict:
        c = {}
        if self.maybe(0.95):
            c["server"] = self.r.choice(["https://10.0.0.1:6443", "https://h.example/k8s/c1", "http://localhost:8080", "https://[::1]:6443", "127.0.0.1:1"])
        if self.maybe(0.3): c["certificate-authority"] = self.path("ca")
        if self.maybe(0.3): c["certificate-authority-data"] = self.data()
        if self.maybe(0.2): c["insecure-skip-tls-verify"] = self.maybe(0.7)
        if self.maybe(0.2): c["tls-server-name"] = self.r.choice(["api.internal", "10.1.1.1", ""])
        if self.maybe(0.2): c["proxy-url"] = self.r.choice(["http://p:3128", "https://u:p%40w@proxy:443", "socks5://127.0.0.1:1080", ""])
        if self.maybe(0.1): c["disable-compression"] = self.maybe(0.7)
        if self.maybe(0.15): c["extensions"] = [{"name": extension, "extension": self.r.choice([{"a": 1, "b": [True, None, "x"]}, {"audience": "y"}])}]
        if self.maybe(0.05): c["unknown-key"] = self.word()
        return c

    def exec(self) -> dict:
        e = {"apiVersion": "client.authentication.k8s.io/" + self.r.choice(["v1", "v1beta1"]),
             "command": self.r.choice(["aws", "kubelogin", self.path("plugin")])}
        if self.maybe(0.6): e["args"] = [self.word() for _ in range(self.r.randrange(4))]
        if self.maybe(0.5): e["env"] = [{"name": f"N{i}", "value": self.r.choice([self.word(), ""])} for i in range(self.r.randrange(3))]
        if self.maybe(0.2): e["env"] = None
        if self.maybe(0.3): e["installHint"] = "get it\nfrom there"
        if self.maybe(0.3): e["provideClusterInfo"] = self.maybe(0.8)
        if self.maybe(0.7): e["interactiveMode"] = self.r.choice(["Never", "IfAvailable", "Always"])
        return e

    def user(self) -> dict | None:
        if self.maybe(0.1): return self.r.choice([{}, None])
        u = {}
        if self.maybe(0.3): u["client-certificate"], u["client-key"] = self.path("crt"), self.path("key")
        if self.maybe(0.3): u["client-certificate-data"], u["client-key-data"] = self.data(), self.data()
        if self.maybe(0.3): u["token"] = self.word()
        if self.maybe(0.3): u["tokenFile"] = self.path("token")
        if self.maybe(0.1): u["username"], u["password"] = self.word(), self.word()
        if self.maybe(0.2): u["as"] = self.word()
        if self.maybe(0.1): u["as-uid"] = self.word()
        if self.maybe(0.2): u["as-groups"] = [self.word() for _ in range(self.r.randrange(3))]
        if self.maybe(0.1): u["as-user-extra"] = {self.r.choice(["scopes", "a/b", "x.y"]): [self.word() for _ in range(self.r.randrange(1, 3))]}
        if self.maybe(0.2): u["exec"] = self.exec()
        if self.maybe(0.03): u["auth-provider"] = {"name": "gcp", "config": {"k": "v"}}
        return u

    def context(self) -> dict:
        c = {}
        if self.maybe(0.95): c["cluster"] = self.r.choice(shared_names[:4] if self.maybe(0.95) else ["nowhere"])
        if self.maybe(0.85): c["user"] = self.r.choice(shared_names[:4] if self.maybe(0.95) else ["nobody"])
        if self.maybe(0.5): c["namespace"] = self.r.choice(["default", "shop", "kube-system", "0", "", "true"])
        return c

    def named(self, kind: str, names: list, make) -> list:
        out = []
        for name in names:
            entry = {"name": name, kind: make()}
            if entry[kind] in (None, {}) and self.maybe(0.5):
                del entry[kind]
            out.append(dict(sorted(entry.items(), reverse=self.maybe(0.5))))
        return out

    def file(self) -> dict:
        some = lambda of, most: self.r.sample(of, self.r.randrange(0, most + 1))  # noqa: E731
        out = {"apiVersion": "v1", "kind": "Config"}
        if self.maybe(0.05): out.pop(self.r.choice(["apiVersion", "kind"]))
        if self.maybe(0.1): out["preferences"] = {}
        out["clusters"] = self.named("cluster", some(shared_names[:4], 4) if self.maybe(0.3) else self.r.sample(shared_names, 5), self.cluster)
        out["users"] = self.named("user", some(shared_names[:4], 4) if self.maybe(0.3) else self.r.sample(shared_names, 5), self.user)
        out["contexts"] = self.named("context", some(context_names, 2), self.context)
        if self.maybe(0.7): out["current-context"] = self.r.choice(context_names)
        for key in ("clusters", "users", "contexts"):
            if not out[key] and self.maybe(0.5):
                out[key] = None
            elif not out[key] and self.maybe(0.5):
                del out[key]
        return out

    def case(self) -> str:
        entries = []
        for number in range(self.r.choice([1, 1, 2, 3, 4])):
            place = self.folder / self.r.choice([f"c{number}", f"my folder{number}", f"deep{number}/er", "same"])
            place.mkdir(parents=True, exist_ok=True)
            self.places.append(place)
            file = place / f"config{number}"
            text = self.r.choice([_as_json, self.as_yaml, self.as_yaml])(self.file())
            file.write_text(self.r.choice(["", "", "---\n", "# a comment\n", "\n\n"]) + text if text[0] != "{" else text)
            entries.append(str(file) if self.maybe(0.7) else os.path.relpath(file, self.folder))
        if self.maybe(0.2): entries.insert(self.r.randrange(len(entries) + 1), str(self.folder / "missing"))
        if self.maybe(0.1): entries.insert(self.r.randrange(len(entries) + 1), "")
        if self.maybe(0.1): entries.append(entries[0])
        if self.maybe(0.05):
            (self.folder / "empty").write_text("")
            entries.append(str(self.folder / "empty"))
        return ":".join(entries)

    # YAML in the styles that people and programs write

    def scalar(self, value, depth: int) -> str:
        if value is None: return self.r.choice(["null", "~", ""])
        if value is True: return self.r.choice(["true", "True", "TRUE", "yes", "on"])
        if value is False: return self.r.choice(["false", "False", "no", "off"])
        if isinstance(value, int): return str(value)
        plain = re.fullmatch(r"[a-zA-Z/.][-a-zA-Z0-9/._@=+]*([:][-a-zA-Z0-9/._@]+)*", value)
        if plain and value.lower() not in ("true", "false", "yes", "no", "on", "off", "null", "y", "n") and self.maybe(0.8): return value
        if self.maybe(0.3) and value.strip() == value and value and value.isprintable() and depth:
            return self.r.choice(["|-", ">-"]) + "\n" + "  " * depth + value
        if self.maybe(0.5) and "\n" not in value: return "'" + value.replace("'", "''") + "'"
        return json.dumps(value, ensure_ascii=self.maybe(0.5) and value.isascii())

    def as_yaml(self, value, depth: int = 0) -> str:
        pad = "  " * depth
        if isinstance(value, dict) and value:
            out = ""
            for key, inner in value.items():
                if isinstance(inner, (dict, list)) and inner:
                    if self.maybe(0.1):
                        out += f"{pad}{key}: {json.dumps(inner, ensure_ascii=False)}\n"
                    else:
                        deeper = depth + (0 if isinstance(inner, list) and self.maybe(0.5) else 1)
                        out += f"{pad}{key}:\n{self.as_yaml(inner, deeper)}"
                else:
                    text = json.dumps(inner) if isinstance(inner, (dict, list)) else self.scalar(inner, depth + 1)
                    out += f"{pad}{key}: {text}\n"
            return out
        out = ""
        for item in value:
            if isinstance(item, dict) and item:
                inner = self.as_yaml(item, depth + 1)
                out += f"{pad}- {inner[len(pad) + 2:]}"
            else:
                out += f"{pad}- {json.dumps(item)}\n"
        return out


def _as_json(value) -> str:
    return json.dumps(value, ensure_ascii=False)


def generate(seed: int, folder: Path) -> tuple[str, list[Path]]:
    """Writes one case. Returns the value of KUBECONFIG and the folders of its files."""
    generator = Generator(random.Random(seed), folder)
    return generator.case(), generator.places


def context_names_of(answer: dict) -> list[str]:
    return [c["name"] for c in answer.get("contexts") or []]


class Kubectl:
    def __init__(self, program: Path):
        self.program = program

    def view(self, folder: Path, kubeconfig: str, *arguments: str) -> dict | str:
        """What kubectl shows, or what it says instead."""
        env = {"PATH": "/nowhere", "HOME": str(folder / "home"), "KUBECONFIG": kubeconfig, "GOGC": "off", "GOMAXPROCS": "1"}
        done = subprocess.run([self.program, "config", "view", "--raw", "-o", "json", *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip()


def _expected(view: dict, places: list[Path]) -> dict:
    """The one context of a view, as podproxy's program words it."""
    def absolute(path: str) -> str:
        number = re.search(r"@(\d+)$", path)
        return path if path.startswith("/") or not number else os.path.normpath(places[int(number[1])] / path)

    context = view["contexts"][0]["context"]
    cluster = dict(view["clusters"][0]["cluster"])
    user = dict(view["users"][0]["user"]) if view["users"] else {}
    for part, keys in ((cluster, ["certificate-authority"]), (user, ["client-certificate", "client-key", "tokenFile"])):
        for key in keys:
            if part.get(key):
                part[key] = absolute(part[key])
    if "exec" in user:
        run = user["exec"] = {k: v for k, v in user["exec"].items() if v not in (None, [], "")}
        if "/" in run["command"]:
            run["command"] = absolute(run["command"])
        run.setdefault("interactiveMode", "IfAvailable")
    return {"cluster": cluster, "user": {k: v for k, v in user.items() if v not in (None, [], {})}, "namespace": context.get("namespace") or "default",
            "cluster-name": context["cluster"], "user-name": context.get("user", "")}


def _stricter(view: dict) -> bool:
    """Contexts that kubectl shows and podproxy skips: nothing could be done with them."""
    clusters, users = view["clusters"], view["users"]
    return not clusters or not clusters[0]["cluster"].get("server") or bool(users and "auth-provider" in users[0]["user"])


def compare(program: Path, kubectl: Path, folder: Path, seeds: range) -> tuple[int, int, int, list[str]]:
    """Returns how many contexts were compared, how many of them neither program can use, how many only podproxy skips, and what differs."""
    tool = Kubectl(kubectl)
    made = []
    for seed in seeds:
        place = folder / str(seed)
        place.mkdir()
        made.append((seed, place, *generate(seed, place)))
    done = subprocess.run([program], input="".join(f"{place}\t{value}\n" for _, place, value, _ in made), capture_output=True, text=True, timeout=120, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if len(answers) != len(made):
        raise AssertionError(f"{len(answers)} answers to {len(made)} questions")
    differences: list[str] = []
    counts = [0, 0, 0]

    def look(item) -> None:
        (seed, place, value, places), ours = item
        names = set(ours["contexts"])
        everything = tool.view(place, value)
        if isinstance(everything, str):
            differences.append(f"seed {seed}: kubectl refuses it: {everything}")
            return
        all_names = context_names_of(everything)
        differences.extend(f"seed {seed}: only podproxy has context {name!r}" for name in names - set(all_names))
        for name in all_names:
            counts[0] += 1
            view = tool.view(place, value, "--minify", f"--context={name}")
            got = ours["contexts"].get(name)
            if isinstance(view, str):
                counts[1] += 1
                if got: differences.append(f"seed {seed} context {name!r}: kubectl says {view}, podproxy has {got}")
            elif _stricter(view):
                counts[2] += 1
                if got: differences.append(f"seed {seed} context {name!r}: podproxy should skip it, and has {got}")
            elif not got:
                differences.append(f"seed {seed} context {name!r}: podproxy has it not: {ours['problems']}")
            elif got != (wanted := _expected(view, places)):
                parts = {part: ({k: v for k, v in got[part].items() if wanted[part].get(k) != v} if isinstance(wanted[part], dict) else got[part],
                                {k: v for k, v in wanted[part].items() if got[part].get(k) != v} if isinstance(wanted[part], dict) else wanted[part])
                         for part in wanted if got[part] != wanted[part]}
                differences.append(f"seed {seed} context {name!r}: (podproxy's, kubectl's) {parts}")

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(look, zip(made, answers)))
    return *counts, sorted(differences)
