"""What scenes are made from: what varies in them, and some edits."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from tests.simulation.histories import EDITS, Step

Scene = tuple[list[Step], dict[str, Any]]  # its steps, and what else is not as by default


class Dice(random.Random):
    """What varies in a scene: by chance, or each value in turn."""

    turn = 0

    def next_of(self, values: Sequence[Any]) -> Any:
        """The value whose turn it is."""
        return values[self.turn % len(values)]


def edits(dice: Dice, *whats: str, count: int = 3) -> list[Step]:
    """Some edits, or these, which the first machine has then."""
    whats = whats or tuple(dice.choice(EDITS) for _ in range(count))
    return [*(Step(what, pick=dice.randrange(100)) for what in whats), Step("pull")]


def edit_all() -> list[Step]:
    return [*(Step("edit_file", pick=pick) for pick in range(6)), Step("pull")]


def some(step: Any, dice: Dice) -> Any:
    """The step, or none."""
    return (step,) if dice.random() < 0.5 else ()
