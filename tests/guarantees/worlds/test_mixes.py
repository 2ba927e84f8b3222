"""Every scenario in every provider's dialect, and under twenty mixes of switches: it converges, and all is found."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.guarantees.test_converge import SCENARIOS as TREES
from tests.guarantees.worlds.scenarios import SCENARIOS, Scenario
from tests.guarantees.worlds.test_switches import ENDS, SETTINGS
from tests.guarantees.worlds.world import World, assert_as_desired
from vssync.providers import COMPATIBLE, PROVIDERS, Provider

MIXES, SHARE = 20, 0.15
LEFT_OUT = ENDS.keys()  # what does not converge alone
HIDDEN = (  # of the first, nothing but the second gives a clue
    ("late-files", "late-counts"),
    ("short-files", "late-counts"),
    *((hiding, "stores-iam-only") for hiding in ("late-files", "short-files", "cut-after", "empty-after")),
    ("cut-after", "late-counts"),
    ("cut-after", "ignores-order"),
    ("empty-after", "ignores-order"),
)
# What left is still listed, in the place of a file that the cut listing lacks: the count agrees, and no plan can know.
UNKNOWABLE = ("mix10", "content/")
PLAYS: dict[str, Scenario | Path] = {scenario.__name__: scenario for scenario in SCENARIOS}
PLAYS |= {f"{tree.name}/": tree for tree in TREES}


def mix(seed: int) -> str:
    """About a seventh of the switches; a new one changes nothing about the others."""
    settings = [each for each in SETTINGS if random.Random(f"{seed}:{each}").random() < SHARE]
    chosen = {setting.partition("=")[0]: setting for setting in settings if setting not in LEFT_OUT}
    for hiding, clue in HIDDEN:
        if hiding in chosen:
            chosen.pop(clue, None)
    return ",".join(["local", *chosen.values()])


WORLDS: dict[str, tuple[str, Provider]] = {name: (name, provider) for name, provider in PROVIDERS.items()}
WORLDS |= {
    "oci-lists": ("oci,lists-batches=on,queued-seconds=10", PROVIDERS["oci"]),
    "oci-hides": ("oci,unreadable-batches=500,connector-files=2", PROVIDERS["oci"]),
}
WORLDS |= {f"mix{seed}": (mix(seed), COMPATIBLE) for seed in range(MIXES)}


def cases() -> Iterator[Any]:
    for world, (spoken, provider) in WORLDS.items():
        for name, play in PLAYS.items():
            if (world, name) == UNKNOWABLE:
                continue
            yield pytest.param(spoken, provider, play, id=f"{world}-{name}")


@pytest.mark.slow
@pytest.mark.parametrize(("spoken", "provider", "play"), list(cases()))
def test_every_scenario_in_many_worlds(
    tmp_path: Path, *, spoken: str, provider: Provider, play: Scenario | Path
) -> None:
    with closing(World(tmp_path, spoken, provider)) as world:
        if not isinstance(play, Path):
            assert_as_desired(world, *play(world))
            return
        for tree in sorted(path for path in play.iterdir() if path.is_dir()):
            world.lay(tree)
            assert_as_desired(world, world.apply())
