"""Whoever edits one field of a saved plan makes less happen, or nothing: never more than was reviewed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import cache
from itertools import chain
from typing import Any

import pytest

from tests.planfile.sealing import sealed
from tests.planner.builders import desired_file, desired_store, live_copy, live_store, unmarked
from tests.planner.builders import plan as make
from vssync.errors import VssyncError
from vssync.model.plan import Options, Plan, StorePlan
from vssync.model.state import Contents, FileStatus, Upload
from vssync.planfile import dump, load
from vssync.staleness import check_stale, is_read_only

VALUES: tuple[Any, ...] = (None, True, 99, "*", "delete", [])
MORE: dict[str, list[Any]] = {
    "adopt": [True],
    "adopt_from": ["other"],
    "targets": [["guide/*"], ["guide/0.md"]],
    "excludes": [["guide/0.md"]],
    "replace": [["*"], ["guide/*"]],
    "retry_failed": [True],
    "allow_gap": [True],
    "allow_store_deletes": [True],
    "allow_store_replace": [True],
    "delete_unmanaged": [99],
    "max_delete": [{"share": 1.0}, {"count": 99}],
    "max_replace": [{"share": 1.0}, {"count": 99}],
    "manifest": ["elsewhere"],
    "env": ["prod"],
    "variables": [[["a", "b"]]],
}


@cache
def plan_with(options: Options) -> Plan:
    """What some option could make more of: files that leave, change, failed or carry no mark; stores that leave."""
    files = [desired_file(f"{n}.md", str(n)) for n in range(16)]
    copies = [live_copy(file, id=f"f{n}") for n, file in enumerate(files[:13])]
    copies += [
        live_copy(files[13], id="f13", status=FileStatus.FAILED, error="invalid_file", tries=3),
        unmarked(live_copy(files[14], id="f14")),
    ]
    changed = replace(files[4], sha256="0" * 64)
    guide = desired_store(changed, *files[5:], key="guide", description="new")
    left_store = desired_store(desired_file("x.md"), key="left")
    live = [
        (live_store(guide), Contents(tuple(copies))),
        (live_store(left_store, id="vs2"), Contents((live_copy(desired_file("x.md"), id="x"),))),
    ]
    option_values = {field.name: getattr(options, field.name) for field in fields(Options)}
    return make(
        guide, live, uploads=[Upload("f14", "14.md", files[14].size, 9_000, sha256=files[14].sha256)], **option_values
    )


def planned_writes(plan: Plan) -> set[str]:
    """Everything that would be written, in full."""
    return {repr((store.key, change)) for store in plan.stores for change in _written_changes(store)}


def _written_changes(store: StorePlan) -> Iterator[object]:
    yield from (change for change in (store.change, *store.batches) if change)
    yield from (change for change in store.files if not is_read_only(change))


def _steps_into(inside: Any) -> list[Any]:
    if isinstance(inside, dict):
        return list(inside)
    return list(range(len(inside))) if isinstance(inside, list) else []


def each_edit(inside: Any) -> Iterator[None]:
    """Each value of a JSON document edited in place, one at a time."""
    for step in _steps_into(inside):
        right = inside[step]
        for wrong in VALUES:
            inside[step] = wrong
            yield
        inside[step] = right
        yield from each_edit(right)


def more_options(whole: dict[str, Any]) -> Iterator[None]:
    """Each option given that was not."""
    for name, values in MORE.items():
        for wrong in values:
            whole["options"] = {name: wrong}
            yield
    whole["options"] = {}


@pytest.fixture(scope="module")
def reviewed() -> Plan:
    return plan_with(Options())


def test_options_could_make_more_of_this_world(reviewed: Plan) -> None:
    """What the next test proves is not for want of something to do."""
    for options in (
        Options(adopt=True),
        Options(replace=("guide/*",)),
        Options(retry_failed=True),
        Options(allow_store_deletes=True),
    ):
        assert planned_writes(plan_with(options)) - planned_writes(reviewed)


def test_one_edit_of_a_saved_plan_makes_nothing_more_happen(reviewed: Plan) -> None:
    """As `apply` does it: planned again with the options of the file, refused when stale or by a guard."""
    allowed, applied = planned_writes(reviewed), 0
    whole = json.loads(dump(reviewed))
    for _edited in chain(each_edit(whole), more_options(whole)):
        try:
            saved = load(sealed(whole))
            fresh = plan_with(saved.options)
        except VssyncError:
            continue
        if not (fresh.refusals or check_stale(saved, fresh)):
            applied += 1
            assert planned_writes(fresh) <= allowed, whole["options"]
    assert applied > 100, "many edits change nothing that counts"
