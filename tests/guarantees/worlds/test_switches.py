"""Core scenarios where the service differs from the best one in a single way: each ends well, or says how it ended.

Ends that are not convergence are in `ENDS`; a convergence that the next run does not see is in `UNSEEN`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from tests.guarantees.worlds.scenarios import FILES, SCENARIOS, Scenario, adopt, change_all
from tests.guarantees.worlds.world import World, assert_all_found, assert_as_desired, assert_texts_found
from vssync.errors import VssyncError
from vssync.local.dialects import SWITCHES, Switch
from vssync.model.plan import Options
from vssync.model.report import Report

FOREVER = "99999999"  # seconds
VALUES: dict[str, tuple[str, ...]] = {  # of switches that need one
    "unsettled": ("2",),
    "creating-seconds": ("45",),
    "propagating-seconds": ("20",),
    "store-ids": ("kb.",),
    "file-ids": ("assistant-",),
    "batch-ids": ("batch_",),
    "accepts": (".md",),
    "connector-files": ("2",),
    "unreadable-batches": ("404", "500"),
    "queued-seconds": ("10",),
    "refuses": (".txt",),
    "unreadable": (".txt",),
    "late-files": ("20",),
    "late-stores": ("20", FOREVER),
    "late-uploads": ("20",),
    "short-files": ("2",),
    "short-stores": ("2",),
    "late-counts": ("10",),
    "ghost-counts": ("10", FOREVER),
    "ghost-files": ("30", FOREVER),
    "ghost-stores": ("30",),
    "cut-after": ("3",),
    "empty-after": ("3",),
    "most-files": ("2",),
    "count-steps": ("10",),
    "late-deletions": ("30", FOREVER),
    "stores-iam-only": ("401", "403", "404"),
    "refuses-content": ("assistants+user_data",),
    "outage-seconds": ("40",),
}
ALL = (*SCENARIOS, change_all)
NAMES = tuple(scenario.__name__ for scenario in ALL)
DELETING = ("edit", "move", "delete", "change_all")
DETACHING = (*DELETING, "adopt")  # to attach anew, where searches may not see updates


@dataclass(frozen=True)
class End:
    """The right end where it is not convergence."""

    words: str  # a pattern of what an outcome or an error says
    scenarios: tuple[str, ...] = NAMES
    missing: tuple[str, ...] = ()  # keys that cannot be there
    lasts: bool = True  # the next plan is not empty either
    keeps_adopted: bool = False  # of files that were there to be taken over, none is missing


LATE = f"late-stores={FOREVER}"  # it is the first apply that ends otherwise
ENDS = {
    "accepts=.md": End("unsupported_file", missing=("notes.txt",)),
    "refuses=.txt": End("unsupported_file", missing=("notes.txt",)),
    "unreadable=.txt": End("unsupported_file", missing=("notes.txt",)),
    "takes-attributes=off": End(
        "without attributes no file can carry the mark", NAMES, (*FILES, "guide/first.md"), keeps_adopted=True
    ),
    "lists-attributes=off": End(
        "leaves attributes out of listings|lists the files of vs_[0-9a-f]+ without attributes",
        NAMES,
        (*FILES, "guide/first.md"),
        keeps_adopted=True,
    ),
    LATE: End("id: vs_", ("first_apply",), lasts=False),
    "breaks-listings=on": End("database is locked", DELETING),
    f"ghost-files={FOREVER}": End("still list", DELETING),
    f"late-deletions={FOREVER}": End("still list", DETACHING),
    "refuses-deleting=store-files": End("404", DETACHING),
    "refuses-deleting=all": End("404", DETACHING),
    "denies-deletions=on": End("deleted: false|still list", DETACHING),
}
LEFT_OUT = {(LATE, "adopt")}  # nobody takes over what no listing shows
# All files are attached anew and seen completed, so the run is right to say so; but they left the store for a moment.
UNSEEN = {("breaks-listings=on", "adopt"): "database is locked"}


def values_of(name: str, switch: Switch) -> tuple[str, ...]:
    """The values to try of a switch, as written: not its default."""
    default = switch.default
    if isinstance(default, StrEnum):
        return tuple(member for member in type(default) if member is not default)
    return VALUES[name] if not isinstance(default, bool) else ("off",) if default else ("on",)


SETTINGS = [f"{name}={value}" for name, switch in SWITCHES.items() for value in values_of(name, switch)]


def cases() -> Iterator[Any]:
    for setting in SETTINGS:
        for scenario in ALL:
            if (setting, scenario.__name__) not in LEFT_OUT:
                ends_otherwise = setting in ENDS or (setting, scenario.__name__) in UNSEEN
                is_soon = scenario is change_all or setting == LATE or (scenario is adopt and ends_otherwise)
                marks = [] if is_soon else [pytest.mark.slow]
                yield pytest.param(setting, scenario, id=f"{scenario.__name__}-{setting}", marks=marks)


@pytest.mark.wide(2)
@pytest.mark.parametrize(("setting", "scenario"), list(cases()))
def test_a_switch_alone(tmp_path: Path, setting: str, scenario: Scenario) -> None:
    end = ENDS.get(setting)
    with closing(World(tmp_path, f"local,{setting}")) as world:
        if end and scenario.__name__ in end.scenarios:
            assert_ends(world, scenario, end)
        elif words := UNSEEN.get((setting, scenario.__name__)):
            assert scenario(world)[0].converged
            assert_all_found(world)
            assert re.search(words, words_of(world.apply))
        else:
            report, gone = scenario(world)
            assert_as_desired(world, report, gone)


def assert_ends(world: World, scenario: Scenario, end: End) -> None:
    """The run says that not all is done and why, so does the next, and the rest is as it should be."""
    options = Options(adopt=scenario is adopt)
    runs: list[Callable[[], Report]] = [lambda: scenario(world)[0], lambda: world.apply(options)]
    for run in runs if end.lasts else runs[:1]:
        assert re.search(end.words, words_of(run))
        if scenario is adopt:  # what could not be taken over serves as it did
            assert_texts_found(world, () if end.keeps_adopted else end.missing)
        else:
            assert_all_found(world, end.missing, alone=False)


def words_of(run: Callable[[], Report]) -> str:
    """What a run that must not converge says."""
    try:
        report = run()
    except VssyncError as error:
        return str(error)
    assert not report.converged
    return "\n".join(outcome.detail for outcome in report.outcomes)


def test_every_row_is_of_a_case() -> None:
    rows = {(setting, name) for setting, end in ENDS.items() for name in end.scenarios} | LEFT_OUT
    assert rows | UNSEEN.keys() <= {(setting, name) for setting in SETTINGS for name in NAMES}
    assert set(VALUES) <= set(SWITCHES)
