"""The register of cases. A case is a function that takes the world and raises when something is not as it should be."""
import inspect
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable


class Skip(Exception):
    """The case cannot run here; the text says what is missing."""


@dataclass(frozen=True)
class Case:
    name: str
    function: Callable
    group: str  # "cluster" needs the Kubernetes node, "local" does not
    seconds: float
    only_by_name: bool = False  # takes long, and needs a quiet machine: not part of every run


registered: list[Case] = []


def case(name: str, *, group: str, seconds: float = 30, each: list | None = None, only_by_name: bool = False):
    """Registers a function as a case; with `each`, as one case per value, which it gets as its second argument."""
    def register(function):
        area = inspect.getmodule(function).__name__.rpartition(".")[2]
        if each is None:
            registered.append(Case(f"{area}: {name}", function, group, seconds, only_by_name))
        for value in each or []:
            label = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            registered.append(Case(f"{area}: {name} [{label}]", lambda world, value=value: function(world, value), group, seconds, only_by_name))
        return function
    return register


def check(condition, text: str) -> None:
    if not condition:
        raise AssertionError(text)


def check_equal(what: str, got, expected) -> None:
    if got != expected:
        raise AssertionError(f"{what}: got {_short(got)}, expected {_short(expected)}")


def check_in(what: str, got, allowed) -> None:
    if got not in allowed:
        raise AssertionError(f"{what}: got {_short(got)}, expected one of {', '.join(map(_short, allowed))}")


def check_contains(what: str, text, *parts: str) -> None:
    """At least one of the parts has to be in the text; upper and lower case are not told apart."""
    if not any(part.lower() in text.lower() for part in parts):
        raise AssertionError(f"{what}: none of {parts} in {_short(text, 600)}")


def _short(value, limit: int = 200) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


@contextmanager
def within(seconds: float, what: str):
    """The body has to take less than that time; a body that hangs is ended by the case's own limit."""
    start = time.monotonic()
    yield
    taken = time.monotonic() - start
    if taken > seconds:
        raise AssertionError(f"{what}: took {taken:.1f} s, allowed are {seconds:g} s")


def eventually(seconds: float, what: str, attempt: Callable):
    """Repeats the attempt until it returns something true, and returns that. Exceptions count as "not yet"."""
    end = time.monotonic() + seconds
    while True:
        try:
            problem = None
            if result := attempt():
                return result
        except (OSError, AssertionError, ValueError, EOFError) as error:
            problem = error
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds:g} s" + (f"; the last problem: {problem!r}" if problem else "")) from problem
        time.sleep(0.05)


@contextmanager
def limit(seconds: float):
    """Interrupts the body, wherever it waits. For the main thread only."""
    def interrupt(*_):
        raise TimeoutError(f"not done after {seconds:g} s")
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
