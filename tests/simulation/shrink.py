"""Makes a history that fails short: whatever can be left out while it fails in the same way, is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.simulation.histories import History, Step
from tests.simulation.play import Played, play

MOST_TRIES = 150


def kind_of(error: BaseException | None) -> str:
    """What kind of failure it is: its class, and the first line up to what differs from run to run."""
    text = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {re.split(r'[0-9:/(]', text)[0]}" if error else ""


def shrink(failed: Played, try_out: Callable[[History], Played] = play) -> Played:
    """The shortest history that was found, as it was played."""
    kind, tries, best = kind_of(failed.error), 0, failed
    is_shorter = True
    while is_shorter:
        is_shorter = False
        for shorter in simpler(best.history):
            tries += 1
            if tries > MOST_TRIES:
                return best
            played = try_out(shorter)
            if kind_of(played.error) == kind:
                best, is_shorter = played, True
                break
    return best


def simpler(history: History) -> Iterator[History]:
    """Histories with less in them, those with much less first."""
    steps = history.steps
    size = len(steps) // 2
    while size:
        for start in range(0, len(steps), size):
            if rest := steps[:start] + steps[start + size :]:
                yield replace(history, steps=rest)
        size //= 2
    plain = History(history.seed, steps)
    for name in ("env", "workers", "skew", "restless"):
        if getattr(history, name) != getattr(plain, name):
            yield replace(history, **{name: getattr(plain, name)})
    first, *switches = history.dialect.split(",")
    for number in range(len(switches)):
        yield replace(history, dialect=",".join([first, *switches[:number], *switches[number + 1 :]]))
    for number, step in enumerate(steps):
        for other in simpler_step(step):
            yield replace(history, steps=(*steps[:number], other, *steps[number + 1 :]))


def simpler_step(step: Step) -> Iterator[Step]:
    """A step with less to it."""
    if step.faults:
        yield replace(step, faults=())
    if step.stop:
        yield replace(step, stop="", at=0)
    if step.beside:
        yield replace(step, beside=False)
    if step.machine:
        yield replace(step, machine=step.machine - 1)
    if step.is_command and " " in step.what and "--out" not in step.what:
        yield replace(step, what=step.what.split()[0])
    if step.pick and step.what != "wait":
        yield replace(step, pick=0)
