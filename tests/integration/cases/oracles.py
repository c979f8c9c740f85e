"""What podproxy makes of files and objects, compared with the programs whose business they are."""
import json
import subprocess

from harness import settings
from support import endpoint_rules, kubeconfigs
from support.cases import Skip, case, check, check_equal


def _program(world, name: str):
    if name not in world.programs:
        raise Skip(f"there is no program {name}")
    return world.programs[name]


@case("where connections to 1,000 generated Services go is what kube-proxy's rules say", group="local", seconds=60)
def endpoints(world):
    questions = endpoint_rules.questions(1000)
    done = subprocess.run([_program(world, "endpoint_choice")], input="".join(endpoint_rules.as_line(*q) for q in questions),
                          capture_output=True, text=True, check=True, timeout=30)
    answers = done.stdout.splitlines()
    check_equal("answers", len(answers), len(questions))
    some = 0
    for (service, slices, port), answer in zip(questions, answers):
        wanted = endpoint_rules.expected(service, slices, port)
        got = set(answer.split()[1:]) if answer.startswith("ok") else set()
        check(not answer.startswith("unreadable"), f"unreadable: {service}")
        some += bool(wanted)
        if got != wanted:
            raise AssertionError(f"port {port} of {json.dumps(service)} with {json.dumps(slices)}:\n  podproxy: {answer}\n  kube-proxy: {sorted(wanted)}")
    check(some > 500, f"only {some} Services have an endpoint: the table is no good")


@case("contexts of generated kubeconfigs are what kubectl shows", group="cluster", seconds=120)
def contexts(world):
    compared, _, _, differences = kubeconfigs.compare(_program(world, "kubeconfig_contexts"), settings.binaries / "kubectl", world.new_folder(), range(1, 61))
    check(not differences, "\n".join(differences[:10]))
    check(compared > 60, f"only {compared} contexts were compared")
