"""The table of what catches each mutant. A run keeps what earlier runs found of mutants that it leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.mutants.mutant import Mutant

TABLE = Path(__file__).with_name("TABLE.md")
_NOT_RUN, MISSED = "not run", "missed"
SHARE = 0.9  # of those that a simulated history can show, which the simulator has to find
_HEAD = """\
# Mutants

What catches each known bug: with `--tests`, `python tests/mutants/run.py` writes the first test that fails, and with
`--simulation` a seed of the simulator that does. `not run` is what was not tried yet,
`missed in N` what N histories did not show, and `not counted` what no simulated history could show, with the reason.

{numbers}

| mutant | what a person does, and what goes wrong | test | simulator |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Catch:
    """What catches a mutant, or that nothing does."""

    test: str = _NOT_RUN
    seed: str = _NOT_RUN

    @property
    def is_seen(self) -> bool:
        """Whether the simulator finds it."""
        return self.seed.startswith("seed ")


def read_table(text: str) -> dict[str, Catch]:
    """What a table says of each mutant, by name."""
    rows = (line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `"))
    return {name.strip("`"): Catch(test.strip("`"), seed) for name, _, test, seed in rows}


def with_catch(catches: Mapping[str, Catch], name: str, **found: str) -> dict[str, Catch]:
    """The catches, with what was found of one mutant."""
    return {**catches, name: replace(catches.get(name, Catch()), **found)}


def seen_share(mutants: Sequence[Mutant], catches: Mapping[str, Catch]) -> tuple[int, int]:
    """How many the simulator finds, of how many that it could."""
    visible = [catches.get(mutant.name, Catch()) for mutant in mutants if not mutant.blind_spot]
    return sum(catch.is_seen for catch in visible), len(visible)


def _counts(found: Sequence[str]) -> str:
    missed, not_run = sum(text.startswith(MISSED) for text in found), found.count(_NOT_RUN)
    return f"catches {len(found) - missed - not_run} and misses {missed}; {not_run} were not tried"


def table_text(mutants: Sequence[Mutant], catches: Mapping[str, Catch]) -> str:
    """The table of these mutants, in their order."""

    def rows() -> Iterator[str]:
        for mutant in mutants:
            catch = catches.get(mutant.name, Catch())
            test = catch.test if catch.test in (_NOT_RUN, MISSED) else f"`{catch.test}`"
            seed = f"not counted: {mutant.blind_spot}" if mutant.blind_spot else catch.seed
            yield f"| `{mutant.name}` | {mutant.history} | {test} | {seed} |\n"

    found = [catches.get(mutant.name, Catch()) for mutant in mutants]
    visible = [catch for mutant, catch in zip(mutants, found, strict=True) if not mutant.blind_spot]
    by_tests = _counts([catch.test for catch in found])
    numbers = f"The suite {by_tests}. Of the {len(visible)} that a simulated history can show, the simulator alone "
    numbers += f"{_counts([catch.seed for catch in visible])}."
    return _HEAD.format(numbers=numbers) + "".join(rows())
