"""Two live environments side by side: only what is known to be equal passes for equal, and nothing unread for empty."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.planner.builders import (
    NEW,
    NOW,
    OLD,
    desired_file,
    desired_store,
    live_copy,
    live_store,
    sha,
    unmarked,
    with_mark,
)
from vssync.model.digests import chunking_digest
from vssync.model.service import Capabilities, ServiceSpec
from vssync.model.state import (
    Contents,
    Desired,
    DesiredFile,
    DesiredStore,
    FileStatus,
    LiveFile,
    LiveStore,
    Snapshot,
    StoreStatus,
    Verdict,
)
from vssync.planner.environment_diff import EnvironmentDiff, EnvironmentState, compare_environments, live_environment
from vssync.render.diff import diff_json, diff_text
from vssync.render.layout import View

A, B = desired_file("a.md"), desired_file("b.md", "B")
SCHEMA = json.loads((Path(__file__).parents[2] / "schemas/diff.schema.json").read_text())


def side(
    *files: LiveFile,
    env: str = "dev",
    store: DesiredStore | None = None,
    live: tuple[LiveStore, ...] | None = None,
    **contents: Any,
) -> EnvironmentState:
    """What an environment with one store holds; its manifest is not read, so its files have no content."""
    store = store or desired_store(*(replace(file, sha256="") for file in (A, B)), name=f"guide-{env}")
    owner = f"kb/{env}"
    stores = (live_store(store, owner=owner),) if live is None else live
    held = Contents(tuple(_of(file, owner) for file in files), **contents)
    snapshot = Snapshot(NOW, stores, {live.id: held for live in stores})
    return live_environment(env, Desired(owner, ServiceSpec(), (store,)), snapshot, Capabilities())


def _of(file: LiveFile, owner: str) -> LiveFile:
    return with_mark(file, owner=owner) if file.mark else file


def prod(*files: LiveFile, **fields: Any) -> EnvironmentState:
    return side(*files, env="prod", **fields)


def shown(left: EnvironmentState, right: EnvironmentState) -> list[str]:
    diff = compare_environments(left, right)
    jsonschema.Draft7Validator(SCHEMA).validate(json.loads(diff_json(diff)))
    return diff_text(diff, View(width=200)).split("\n")


def copy(of: DesiredFile = A, **fields: Any) -> LiveFile:
    return live_copy(of, id=f"f-{of.key}", **fields)


MARKED = chunking_digest(OLD)
UNREAD = with_mark(copy(), content=f"?{sha('A')}")
FAILED = copy(status=FileStatus.FAILED, error="server_error")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (side(copy()), prod(copy())),  # other owners, store names and File ids
        (side(), prod()),
        (side(copy(live={"lang": 1})), prod(copy(live={"lang": 1.0}))),
        (side(copy(tries=3)), prod(copy(at=9_000, reported=NEW))),
        (side(copy(desired_file(chunking=OLD), reported=OLD)), prod(copy(desired_file(chunking=OLD)))),
        (side(with_mark(copy(), name_digest="0" * 16)), prod(with_mark(copy(), name_digest="0" * 16))),
    ],
)
def test_equal_digests_leave_nothing_to_show(left: EnvironmentState, right: EnvironmentState) -> None:
    diff = compare_environments(left, right)
    assert diff.same
    assert diff.stores[0].digests[0] == diff.stores[0].digests[1] != ""
    assert shown(left, right)[-1] == "No differences in 1 store."


@pytest.mark.parametrize(
    ("left", "right", "line"),
    [
        (side(copy(), copy(B)), prod(copy()), "  -   1 file only in dev: b.md"),
        (side(copy()), prod(copy(), copy(B)), "  +   1 file only in prod: b.md"),
        (side(copy()), prod(copy(desired_file(content="Z"))), f'        content  "{sha("A")}" -> "{sha("Z")}"'),
        (side(copy()), prod(copy(live={"lang": "de"})), '        attributes.lang  "en" -> "de"'),
        (side(copy()), prod(copy(live={"seen": True})), "        attributes.seen  (none) -> true"),
        (side(copy()), prod(copy(desired_file(chunking=OLD))), f'        chunking  "800/400" -> "{MARKED}"'),
        (
            side(copy()),
            prod(copy(desired_file(chunking=OLD), reported=OLD)),
            '        chunking  "800/400" -> "400/100"',
        ),
        (side(copy()), prod(with_mark(copy(), name_digest="1" * 16)), f'        filename  "a.md" -> "{"1" * 16}"'),
        (side(copy()), prod(FAILED), '        status  "completed" -> "failed"'),
        (side(FAILED), prod(FAILED), '        status  "failed" -> "failed"'),
        (side(UNREAD), prod(copy()), f'        content  "unknown" -> "{sha("A")}"'),
        (side(UNREAD), prod(UNREAD), '        content  "unknown" -> "unknown"'),
        (side(copy(), copy(at=9_999)), prod(copy()), "  -   1 file only in dev: a.md (copy 2)"),
        (side(copy()), prod(copy(), unmarked(copy(B))), "    unmanaged  0 -> 1"),
        (side(copy()), prod(live=()), "guide  only in dev, 1 file"),
        (side(live=()), prod(copy()), "guide  only in prod, 1 file"),
        (side(live=()), prod(live=()), "guide  not live on either side"),
    ],
)
def test_what_differs_or_is_not_known_to_agree_is_shown(
    left: EnvironmentState, right: EnvironmentState, line: str
) -> None:
    lines = shown(left, right)
    assert not compare_environments(left, right).same
    assert line in lines
    assert lines[0] == "dev -> prod, live"


EXPIRED = live_store(desired_store(name="guide-prod"), owner="kb/prod", status=StoreStatus.EXPIRED)
STRANGER = live_store(desired_store(name="guide-prod"), owner="")


@pytest.mark.parametrize(
    ("right", "problem"),
    [
        (prod(count=3, problem="the files of vs1 cannot be listed: 500", verdict=Verdict.SHORT), "cannot be listed"),
        (prod(copy(), count=3, verdict=Verdict.SHORT), "counts 3 files in it and lists 1"),
        (prod(live=(EXPIRED,)), "vs1 is expired"),
        (prod(live=(STRANGER,)), "no mark of this key"),
    ],
)
@pytest.mark.parametrize("left", [side(copy()), side(), side(live=())])
def test_a_store_that_cannot_be_read_is_no_empty_store(
    left: EnvironmentState, right: EnvironmentState, problem: str
) -> None:
    diff = compare_environments(left, right)
    assert not diff.same
    assert not diff.stores[0].same_content
    assert (diff.stores[0].only_left, diff.stores[0].changed) == ((), ())
    lines = shown(left, right)
    assert "guide  not compared" in lines
    assert any(line.startswith("  !   prod: ") and problem in line for line in lines)
    assert lines[-1] == "Same content: 0 of 1 store, 1 not compared."


def test_a_store_that_left_the_manifest_is_live() -> None:
    old = live_store(desired_store(key="old"), id="vs0", owner="kb/dev")
    kept = side(live=(live_store(desired_store(name="guide-dev"), owner="kb/dev"), old))
    assert "old  only in dev, 0 files" in shown(kept, prod())


def test_the_service_s_version_of_attributes_counts_as_sent() -> None:
    diff = compare_environments(side(with_mark(copy(live={"lang": "EN"}), echo=_echo())), prod(copy()))
    assert diff.same


def _echo() -> str:
    from vssync.model.digests import attributes_digest

    return attributes_digest(copy(live={"lang": "EN"}).attributes)


def test_attributes_and_metadata_of_others_are_left_out() -> None:
    store = desired_store(A, name="guide-dev", metadata={"team": "docs"}, ignore_attributes=("views",))
    ours = live_store(store, owner="kb/dev")
    left = side(copy(live={"views": 7}), store=store, live=(ours,))
    other = replace(store, name="guide-prod")
    live = live_store(other, owner="kb/prod")
    right = prod(copy(), store=other, live=(replace(live, metadata={**live.metadata, "theirs": "x"}),))
    assert compare_environments(left, right).same
    changed = live_store(replace(other, metadata={"team": "help"}), owner="kb/prod")
    assert '    metadata.team  "docs" -> "help"' in shown(left, prod(copy(), store=other, live=(changed,)))


def test_totals_alone() -> None:
    diff: EnvironmentDiff = compare_environments(side(copy()), prod(copy(B)))
    assert diff_text(diff, View(quiet=True)) == "Same content: 0 of 1 store."


def test_a_count_that_is_wrong_is_noted_and_no_difference() -> None:
    ghosts = side(copy(), count=3, verdict=Verdict.GHOSTS)
    note = "dev: the service counts 3 files in it and lists 1"
    for other, last in ((prod(copy()), "No differences in 1 store."), (prod(live=()), "Same content: 0 of 1 store.")):
        lines = shown(ghosts, other)
        assert ([line.strip() for line in lines].count(note), lines[-1]) == (1, last)
