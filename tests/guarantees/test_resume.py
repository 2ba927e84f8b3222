"""A saved plan is applied, cut short, and applied again: it goes on where it ended, and what is done is only said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulation.judged import apply_plan, make_plan_now, replan
from tests.support import Clock, Silent, open_test_session
from vssync import planfile
from vssync.errors import Refused
from vssync.model.plan import Action, Options, Plan
from vssync.model.report import Report
from vssync.staleness import already_applied

MANIFEST = """\
version: 1
owner: shelf
service: {capabilities: {batch_size: 2}}
stores:
  docs:
    files: [{path: "*.md"}]
"""
NO_DETACH = "status=403:DELETE:/vector_stores/*/files/*"
NO_SECOND_BATCH = "status=403:POST:/vector_stores/*/file_batches:2"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vssync.yaml").write_text(MANIFEST)
    for number in range(4):
        (tmp_path / f"{number}.md").write_text(f"# {number}\n")
    return tmp_path


def leave_as_is(_folder: Path) -> None:
    """The files stay as they are."""


def edit_files(folder: Path) -> None:
    for number in range(3):
        (folder / f"{number}.md").write_text(f"# {number}, better\n")
    (folder / "3.md").unlink()


def saved_plan(folder: Path, clock: Clock, options: Options) -> Plan:
    with open_test_session(folder, clock) as (session, _):
        return planfile.load(planfile.dump(make_plan_now(session, options)))


def apply_saved(folder: Path, clock: Clock, saved: Plan, *faults: str) -> tuple[Report, tuple[str, ...]]:
    """What `vssync apply p.json` comes to, and what it says is already so."""
    clock.now += 60  # of two copies that a service made within one second, nobody can tell which is the newer one
    with open_test_session(folder, clock, faults=faults) as (session, _):
        fresh = replan(session, saved)
        return apply_plan(session, fresh, Silent()), already_applied(saved, fresh)


@pytest.mark.wide(2)
@pytest.mark.parametrize(
    ("before", "options", "fault"),
    [
        pytest.param(edit_files, Options(), NO_SECOND_BATCH, id="half of it uploaded"),
        pytest.param(edit_files, Options(), NO_DETACH, id="old copies left"),
        pytest.param(leave_as_is, Options(replace=("docs",)), NO_SECOND_BATCH, id="half of what was asked for"),
        pytest.param(leave_as_is, Options(replace=("docs",)), NO_DETACH, id="replaced, old copies left"),
        pytest.param(edit_files, Options(replace=("docs/0.md",)), NO_DETACH, id="both at once"),
    ],
)
def test_a_cut_apply_goes_on(folder: Path, before: Callable[[Path], None], options: Options, fault: str) -> None:
    clock = Clock()
    apply_saved(folder, clock, saved_plan(folder, clock, Options()))
    before(folder)
    saved = saved_plan(folder, clock, options)
    cut, _ = apply_saved(folder, clock, saved, fault)
    assert not cut.converged
    rest, _ = apply_saved(folder, clock, saved)
    assert rest.converged
    last, already = apply_saved(folder, clock, saved)
    assert last.outcomes == ()
    assert last.converged
    assert sorted(already) == sorted(f"docs/{change.key}" for change in saved.stores[0].files)


def test_a_replacement_that_was_asked_for_is_uploaded_once(folder: Path) -> None:
    clock = Clock()
    apply_saved(folder, clock, saved_plan(folder, clock, Options()))
    saved = saved_plan(folder, clock, Options(replace=("docs/0.md",)))
    apply_saved(folder, clock, saved)
    with open_test_session(folder, clock) as (session, recorder):
        assert replan(session, saved).empty
        assert recorder.writes == []
    assert [change.action for change in saved_plan(folder, clock, saved.options).stores[0].files] == [Action.REPLACE]


def test_what_moved_after_a_cut_is_still_stale(folder: Path) -> None:
    clock = Clock()
    apply_saved(folder, clock, saved_plan(folder, clock, Options()))
    saved = saved_plan(folder, clock, Options(replace=("docs",)))
    apply_saved(folder, clock, saved, NO_SECOND_BATCH)
    (folder / "0.md").write_text("# 0, edited since\n")
    with open_test_session(folder, clock) as (session, _), pytest.raises(Refused, match=r"docs/0\.md: .*sha256"):
        replan(session, saved)


def test_a_file_that_failed_meanwhile_is_tried_again(folder: Path) -> None:
    clock = Clock()
    saved = saved_plan(folder, clock, Options())
    cut, _ = apply_saved(folder, clock, saved, "stuck-in-progress,file=1.md")
    assert not cut.converged
    clock.now += 3_600
    rest, already = apply_saved(folder, clock, saved)
    assert rest.converged
    assert [outcome.key for outcome in rest.outcomes if outcome.action is Action.REPLACE] == ["1.md"]
    assert "docs/0.md" in already
