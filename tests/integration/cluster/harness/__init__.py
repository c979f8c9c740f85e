"""A real Kubernetes node for the integration tests: build it, bring it up, fill it, take it down.

    settings   where things are, which ports and names are used
    build      programs and test images, made once and kept in the cache folder
    pki        the certificate authority, certificates, and service account tokens
    host       what is done to the machine (processes, bridge, cgroup, mounts) and how it is undone
    node       the configuration of each component, and the order in which they start
    access     kubeconfig files, one context per kind of user
"""


class Unavailable(Exception):
    """The machine lacks something that the cluster needs. The tests are skipped, not failed."""


class Failed(Exception):
    """The cluster should work here and does not."""
