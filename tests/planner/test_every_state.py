"""Every combination of up to three copies of a key: planned, applied, stopped after any effect, planned again.

States reached are explored like those started from, each once: from each, the last completed copy of the key is never
taken away while nothing right has taken its place, others' files stay as they are, and the run ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations_with_replacement
from typing import Any

import pytest

from tests.planner.builders import (
    OLD,
    OWNER,
    Files,
    desired_file,
    effects,
    live_copy,
    live_store,
    plan,
    unmarked,
    with_mark,
)
from tests.planner.builders import desired_store as store_of
from vssync.applier.steps import plan_steps
from vssync.model.marks import KEY, Mark
from vssync.model.plan import Action, Plan
from vssync.model.service import Capabilities
from vssync.model.state import Contents, DesiredFile, FileStatus, IngestError, LiveFile

UPLOADED = desired_file()
DECLARED = desired_file(file_id="ext")
DONE, FAILED = FileStatus.COMPLETED, FileStatus.FAILED
STATUSES = {
    "done": (DONE, 9_900, ""),
    "busy": (FileStatus.IN_PROGRESS, 9_900, ""),
    "stalled": (FileStatus.IN_PROGRESS, 1_000, ""),
    "failed": (FAILED, 9_900, "server_error"),
    "refused": (FAILED, 9_900, "unsupported_file"),
    "cancelled": (FileStatus.CANCELLED, 9_900, ""),
}
PLAIN = len(STATUSES) * 3  # variants that differ in status, content and chunking only


def variants(file: DesiredFile) -> Iterator[LiveFile]:
    """One copy in every form that matters: status by content by chunking, then attributes and marks."""
    contents = (file, desired_file(content="B"), replace(file, chunking=OLD))
    for status, at, error in STATUSES.values():
        for content in contents:
            plain = live_copy(content, status=status, at=at)
            yield replace(plain, error=IngestError(error) if error else None)
    yield live_copy(file, live={"lang": "de"})
    yield live_copy(file, status=FAILED, error="invalid_file", tries=3)
    yield live_copy(file, status=FileStatus.IN_PROGRESS, live={KEY: "edited"})
    yield with_mark(live_copy(), content=desired_file().presumed_content)
    yield live_copy(file, owner="kb/dev")
    yield unmarked(live_copy(file))


def states(file: DesiredFile) -> Iterator[Files]:
    """Up to three copies, each pair in both orders of age; the first may be the declared File itself."""
    forms = list(variants(file))
    for count in (1, 2, 3):
        for chosen in combinations_with_replacement(forms if count < 3 else forms[:PLAIN], count):
            for order in (chosen, chosen[::-1]) if count > 1 else (chosen,):
                ids = [file.file_id or "c0", "c1", "c2"]
                yield {
                    id_: replace(form, id=id_, created_at=form.created_at + age)
                    for age, (id_, form) in enumerate(zip(ids, order, strict=False))
                }


def identity(files: Files) -> frozenset[object]:
    """What tells states apart: not the count of runs in which a file failed, which has no end."""
    return frozenset(
        (file.id, file.status, file.created_at, _without_tries(file), *sorted(file.attributes.items()))
        for file in files.values()
    )


def _without_tries(file: LiveFile) -> object:
    return replace(file.mark, tries=0) if isinstance(file.mark, Mark) else file.mark


def replan(file: DesiredFile, files: Files, capabilities: Capabilities) -> Plan:
    store = store_of(file)
    return plan(store, [(live_store(store), Contents(tuple(files.values())))], capabilities=capabilities)


def ours(files: Files) -> list[LiveFile]:
    return [file for file in files.values() if isinstance(file.mark, Mark) and file.mark.owner == OWNER]


def serving(files: Files) -> int:
    return sum(file.status is DONE for file in ours(files))


def others(files: Files) -> list[LiveFile]:
    return [file for file in files.values() if file not in ours(files)]


CASES = {
    "uploaded": (UPLOADED, Capabilities()),
    "declared": (DECLARED, Capabilities()),
    "shared chunks": (UPLOADED, Capabilities(shares_chunks=True)),
}


def cases() -> Iterator[Any]:
    """Of every run: one with ingestion that succeeds and with one that fails; the slow ones have all."""
    for name, values in CASES.items():
        for outcome in (DONE, FAILED):
            marks = [] if name == "uploaded" else [pytest.mark.slow]
            yield pytest.param(*values, outcome, id=f"{name}-{outcome}", marks=marks)


@pytest.mark.parametrize(("file", "capabilities", "outcome"), list(cases()))
def test_no_state_loses_the_last_completed_copy_and_every_run_ends(
    file: DesiredFile, capabilities: Capabilities, outcome: FileStatus
) -> None:
    ends: dict[frozenset[object], frozenset[object]] = {}
    todo = list(states(file))
    while todo:
        files = todo.pop()
        if (name := identity(files)) in ends:
            continue
        planned = replan(file, files, capabilities)
        gap = any(change.gap for change in planned.stores[0].files) and (file.file_id or capabilities.shares_chunks)
        at = files
        for steps in plan_steps(planned):
            for after in effects(files, steps, outcome):
                assert gap or serving(after) or not serving(at), "the last completed copy went"
                assert others(after) == others(files), "somebody else's file was touched"
                at = after
                todo.append(after)
        ends[name] = identity(at)
        if at is files:
            _assert_settled(file, files, planned)
    assert len(ends) > 2_000
    assert all(rounds(name, ends) <= 5 for name in ends), "the runs never end"


def rounds(name: frozenset[object], ends: dict[frozenset[object], frozenset[object]]) -> int:
    """How many applies a state takes until nothing is left to send; more than five are too many."""
    count = 0
    while ends[name] != name and count <= 5:
        name, count = ends[name], count + 1
    return count


def _assert_settled(file: DesiredFile, files: Files, planned: Plan) -> None:
    """Nothing was sent: the one copy is right and completed, or a person is asked."""
    left = planned.stores[0]
    asked = [change.action for change in left.files] == [Action.REFUSE] or not left.unchanged
    statuses = [(copy.status, copy.id) for copy in ours(files)]
    assert asked or (len(statuses) == 1 and statuses[0][0] is DONE), statuses
    assert asked or not file.file_id or statuses[0][1] == file.file_id
