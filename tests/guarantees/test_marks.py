"""Upload names are as wanted, another manifest's store is left alone, and one odd mark stops nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.guarantees.test_converge import assert_nothing_to_do
from tests.simulation.judged import apply_plan, make_plan_now
from tests.support import Clock, Silent, open_test_session
from vssync.commands.destroy import plan_destruction
from vssync.commands.session import Session
from vssync.model.marks import KEY, MARK, STORE_OWNER
from vssync.model.plan import Action, Options, Plan, Reason
from vssync.model.report import Report
from vssync.model.state import LiveFile

MANIFEST = """\
version: 1
owner: marks
stores:
  docs:
    files: [{path: "**/*.md"}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A converged store of three files."""
    (tmp_path / "vssync.yaml").write_text(MANIFEST)
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.md").write_text(f"# {name}\n")
    assert apply_now(tmp_path)[1].converged
    return tmp_path


def apply_now(folder: Path, **options: Any) -> tuple[Plan, Report]:
    with open_test_session(folder) as (session, _):
        plan = make_plan_now(session, Options(**options))
        return plan, apply_plan(session, plan, Silent())


def live_files(session: Session) -> tuple[str, dict[str, LiveFile]]:
    """The store's id and its files by key."""
    store = session.client.list_stores()[0]
    return store.id, {str(file.attributes.get(KEY)): file for file in session.client.list_files(store.id)}


def upload_names(folder: Path) -> dict[str, str]:
    with open_test_session(folder) as (session, _):
        files = live_files(session)[1].items()
        return {key: session.client.get_upload(file.id).filename for key, file in files}


def test_a_moved_file_is_cited_by_its_new_name(folder: Path) -> None:
    (folder / "guide").mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.md").rename(folder / "guide" / f"{name}.md")
    plan, report = apply_now(folder)
    assert {(change.action, change.was) for change in plan.stores[0].files} == {
        (Action.REPLACE, f"{name}.md") for name in ("a", "b", "c")
    }
    assert report.converged
    assert upload_names(folder) == {f"guide/{name}.md": f"guide__{name}.md" for name in ("a", "b", "c")}
    assert_nothing_to_do(folder)


def test_a_moved_file_whose_name_stays_is_not_sent_again(folder: Path) -> None:
    (folder / "vssync.yaml").write_text(MANIFEST.replace("    files", "    filename: ${name}\n    files"))
    assert_nothing_to_do(folder)
    (folder / "guide").mkdir()
    (folder / "a.md").rename(folder / "guide" / "a.md")
    with open_test_session(folder) as (session, recorder):
        (change,) = (plan := make_plan_now(session, Options())).stores[0].files
        assert (change.action, change.key, change.was) == (Action.UPDATE, "guide/a.md", "a.md")
        assert apply_plan(session, plan, Silent()).converged
        assert not [path for method, path in recorder.writes if method == "DELETE" or path.endswith("/files")]
    assert_nothing_to_do(folder)


def test_another_upload_name_is_another_upload(folder: Path) -> None:
    (folder / "vssync.yaml").write_text(MANIFEST.replace("    files", "    filename: kb-${name}\n    files"))
    assert apply_now(folder)[1].converged
    assert upload_names(folder) == {f"{name}.md": f"kb-{name}.md" for name in ("a", "b", "c")}
    assert_nothing_to_do(folder)


@pytest.mark.parametrize("targets", [(), ("docs/new.md",)])
def test_another_manifest_of_the_same_name_deletes_nothing(folder: Path, targets: tuple[str, ...]) -> None:
    for name in ("a", "b", "c"):
        (folder / f"{name}.md").unlink()
    (folder / "new.md").write_text("# another product\n")
    with open_test_session(folder) as (session, recorder):
        plan = make_plan_now(session, Options(targets=targets))
        assert [refusal.store for refusal in plan.refusals] == ["docs"]
        assert recorder.writes == []


@pytest.mark.wide(2)
@pytest.mark.parametrize("mark", ["v2;marks;newer", "v1;marks", "x" * 512, 7, True])
def test_one_odd_mark_holds_up_one_file(folder: Path, mark: str | int) -> None:
    with open_test_session(folder) as (session, _):
        store_id, files = live_files(session)
        session.client.set_attributes(store_id, files["a.md"].id, {KEY: "a.md", MARK: mark})
    (folder / "a.md").write_text("# a, edited\n")
    (folder / "b.md").write_text("# b, edited\n")
    plan, report = apply_now(folder)
    assert [(change.key, change.action) for change in plan.stores[0].files] == [
        ("a.md", Action.REFUSE),
        ("b.md", Action.REPLACE),
    ]
    assert not report.converged
    with open_test_session(folder) as (session, _):
        assert live_files(session)[1]["a.md"].id == files["a.md"].id
        held = plan_destruction(session)
        assert ["--delete-unmanaged 1" in refusal.message for refusal in held.refusals] == [True]
        assert plan_destruction(session, delete_unmanaged=1).refusals == ()


def test_a_newer_mark_on_a_store_holds_up_that_store(folder: Path) -> None:
    with open_test_session(folder) as (session, _):
        store_id = live_files(session)[0]
        session.client.update_store(store_id, {"metadata": {STORE_OWNER: "v2;marks;docs;0"}})
    (folder / "vssync.yaml").write_text(MANIFEST + '  more:\n    files: [{path: "*.md"}]\n')
    plan, report = apply_now(folder)
    assert [store.change.action for store in plan.stores if store.change] == [Action.REFUSE, Action.CREATE]
    assert not report.converged
    with open_test_session(folder) as (session, _):
        destruction = plan_destruction(session)
        assert destruction.refusals == ()
        assert not apply_plan(session, destruction, Silent()).converged
        assert [live.id for live in session.client.list_stores()] == [store_id]


def test_old_copies_that_a_run_left_of_moved_files_are_no_deletions_to_guard(folder: Path) -> None:
    for number in range(12):
        (folder / f"{number}.md").write_text(f"# {number}\n")
    assert apply_now(folder)[1].converged
    (folder / "guide").mkdir()
    for path in list(folder.glob("*.md")):
        path.rename(folder / "guide" / path.name)
    later, faults = Clock(Clock().now + 60), ("status=403:DELETE:/vector_stores/*/files/*",)
    with open_test_session(folder, later, faults=faults) as (session, _):
        plan = make_plan_now(session, Options())
        assert (plan.refusals, len(plan.stores[0].files)) == ((), 15)
        assert not apply_plan(session, plan, Silent()).converged
    plan, report = apply_now(folder)
    assert {(change.action, change.reasons) for change in plan.stores[0].files} == {
        (Action.DELETE, (Reason.SUPERSEDED,))
    }
    assert report.converged
    assert_nothing_to_do(folder)
    assert set(upload_names(folder)) == {f"guide/{name}.md" for name in (*range(12), "a", "b", "c")}
