"""The cases, by what they are about.

    passthrough  destinations outside of any cluster                 (no cluster needed)
    tool         configuration, logs, signals, PAC                   (no cluster needed)
    policy       who may use it and where it may go: users, rules    (no cluster needed)
    wake_tool    wake-proxy: options, settings, logs, signals, check   (no engine needed)
    badinput     what a client or a file may do wrong                (no cluster needed)
    oracles      kubeconfigs as kubectl reads them, endpoints as kube-proxy chooses them
    routing      names, ports and endpoints
    traffic      what flows through a connection into a pod
    access       users, rights, tokens, certificates
    load         many connections at once, some of which have stopped reading
    wake_kube    wake-proxy: workloads that sleep at zero replicas
    rolling      a Deployment that is rolled while connections arrive; only when it is asked for by name
    disruption   components, pods and Services that change while podproxy runs; last, since they shake the node
    wake_cold      wake-proxy: cold starts, many of them, many clients at once     (a container engine)
    wake_life      wake-proxy: health, idle time, groups, labels, the engine goes and comes back
    wake_badinput  wake-proxy: what can be wrong around it
    wake_systemd   wake-proxy: units of a real systemd                              (systemd in namespaces)
"""
import importlib


def load() -> None:
    for name in ("passthrough", "tool", "policy", "wake_tool", "badinput", "oracles", "routing", "traffic", "access", "load", "wake_kube", "rolling", "disruption", "wake_cold", "wake_life", "wake_badinput", "wake_systemd"):
        importlib.import_module(f"cases.{name}")
