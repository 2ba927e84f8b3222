"""The gate that adapts, in virtual time: a log of requests as many clients would make them at once."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count

import pytest

from tests.simulation.scheduler import Group, Scheduler
from vssync.api.concurrency import AdaptiveGate, Gate
from vssync.errors import Interrupted


@dataclass
class World:
    """A service and its clients: whenever the gate has room, the next request goes."""

    seconds: Callable[[int], float]  # that an answer takes, by how many are inside
    refuses: Callable[[float, int], bool] = lambda _now, _inside: False
    gate: AdaptiveGate = field(default_factory=lambda: AdaptiveGate(8, 32))
    log: list[tuple[float, int, bool]] = field(default_factory=list)  # end, width after it, whether it was refused

    def play(self, requests: int) -> None:
        now, order = 0.0, count()
        under_way: list[tuple[float, int, ExitStack, int, bool, float]] = []
        while len(self.log) < requests:
            while len(under_way) < self.gate.width:
                stack = ExitStack()
                width = stack.enter_context(self.gate.enter())
                inside = len(under_way) + 1
                seconds = self.seconds(inside)
                entry = (now + seconds, next(order), stack, width, self.refuses(now, inside), seconds)
                heapq.heappush(under_way, entry)
            now, _, stack, width, is_refused, seconds = heapq.heappop(under_way)
            with stack:
                if is_refused:
                    self.gate.narrow(width)
                else:
                    self.gate.record("POST 1", seconds, width)
            self.log.append((now, self.gate.width, is_refused))

    @property
    def widths(self) -> list[int]:
        """The widths the gate had, one after the other."""
        widths = [8, *(width for _, width, _ in self.log)]
        return [width for before, width in zip([0, *widths], widths, strict=False) if width != before]


@pytest.mark.parametrize(
    ("seconds", "widths"),
    [
        (lambda _: 0.05, [8, 16, 32]),  # it bears all that may go at once
        (lambda inside: 0.05 * max(1.0, inside / 8), [8, 16]),  # eight at a time: others wait, so no more go
        (lambda inside: 0.05 * max(1.0, inside / 16), [8, 16, 32]),  # it is slower only with the most
    ],
)
def test_it_grows_while_latency_holds(seconds: Callable[[int], float], widths: list[int]) -> None:
    world = World(seconds)
    world.play(500)
    assert world.widths == widths


def test_it_halves_when_it_is_refused_and_recovers_one_by_one() -> None:
    """Up to just below what was refused, and after many rounds beyond."""
    world = World(lambda _: 0.05, lambda now, _: 0.4 < now < 0.45)
    world.play(2_000)
    assert world.widths == [8, 16, 32, 16, *range(17, 32)]
    assert 0 < sum(is_refused for _, _, is_refused in world.log) <= 32  # those that went together count once
    world.play(10_000)
    assert world.gate.width == 32


def test_where_more_than_so_many_are_refused_it_stays_about_there() -> None:
    """Few are refused, though each round tries one more."""
    world = World(lambda _: 0.05, lambda _now, inside: inside > 20)
    world.play(10_000)
    late = world.log[1_000:]
    assert min(width for _, width, _ in late) >= 10
    assert max(width for _, width, _ in late) <= 21
    assert sum(is_refused for _, _, is_refused in late) < 0.01 * len(late)


def test_it_does_not_grow_where_few_requests_go() -> None:
    gate = AdaptiveGate(8, 32)
    for _ in range(100):
        with gate.enter() as width:
            gate.record("GET 1", 0.05, width)
    assert gate.width == 8


@pytest.mark.parametrize("most", [1, 3, 5, 8])
def test_where_fewer_are_borne_than_it_begins_with_fewer_go(most: int) -> None:
    world = World(lambda _: 0.05, lambda _now, inside: inside > most)
    world.play(5_000)
    late = world.log[500:]
    assert max(width for _, width, _ in late) <= most + 1
    assert sum(is_refused for _, _, is_refused in late) < 0.01 * len(late)


def test_a_fixed_number_stays() -> None:
    gate = AdaptiveGate(8, 8)
    gate.narrow(8)
    assert gate.width == 8


def test_a_gate_in_another_is_no_wider_than_that() -> None:
    """So the first failure makes fewer go than failed together."""
    outer = AdaptiveGate(8, 32)
    inner = Gate(32, outer=outer)
    with inner.enter() as width:
        assert width == 8
    inner.narrow(width)
    assert (inner.width, outer.width) == (4, 8)


@pytest.mark.parametrize("gate", [Gate(1), AdaptiveGate(1, 1), Gate(1, outer=Gate(8))])
def test_who_waits_for_a_place_leaves_when_interrupted(gate: Gate) -> None:
    """Though no place gets free; and takes none along."""

    def interrupted() -> None:
        raise Interrupted

    with ExitStack() as stack:
        stack.enter_context(gate.enter(interrupted))
        with pytest.raises(Interrupted), gate.enter(interrupted):
            pass
    with gate.enter(interrupted) as width:
        assert width == 1


@pytest.mark.parametrize("seed", range(3))
def test_nobody_waits_while_others_go_again_and_again(seed: int) -> None:
    """Thirty-four clients for thirty-two places: who waits gets the place of the first who leaves."""
    gate, waits = Gate(32), list[float]()

    def ask() -> None:
        for _ in range(20):
            since = time.monotonic()
            with gate.enter():
                waits.append(time.monotonic() - since)
                time.sleep(0.05)

    scheduler = Scheduler(seed, restless=0.0, slow=0.0)
    for number in range(34):
        scheduler.spawn(Group(str(number)), ask)
    scheduler.run()
    assert len(waits) == 34 * 20
    assert max(waits) < 0.06
