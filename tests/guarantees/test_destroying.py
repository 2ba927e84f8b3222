"""Destroying is a plan like any other: everything of this owner's goes, or nothing does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.judged import apply_plan, make_plan_now, plan_destruction
from tests.support import Silent, open_test_session
from vssync.api.parse import AttachmentEntry
from vssync.commands.apply import apply_plan as apply_now
from vssync.commands.destroy import plan_destruction as plan_destroyed
from vssync.commands.plan import make_plan_now as plan_now
from vssync.model.plan import Options, Plan, Reason
from vssync.model.state import AUTO

MANIFEST = "version: 1\nowner: shelf\nstores: {docs: {files: [{path: '*.md'}], protect: %s}}\n"


def plan_destroying(folder: Path, *, protect: bool = False, others: int = 0, allowed: int | None = None) -> Plan:
    """The plan to destroy a store that was applied, and into which others put files."""
    (folder / "vssync.yaml").write_text(MANIFEST % str(protect).lower())
    (folder / "a.md").write_text("a\n")
    with open_test_session(folder) as (session, _):
        apply_plan(session, make_plan_now(session, Options()), Silent())
        (store,) = session.client.list_stores()
        for number in range(others):
            with (folder / "a.md").open("rb") as handle:
                upload = session.client.upload_file(handle, f"{number}.md")
            session.client.attach_file(store.id, AttachmentEntry(upload.id, {}, AUTO))
        planned = plan_destruction(session, delete_unmanaged=allowed)
        reasons = {reason for store in planned.stores for change in store.files for reason in change.reasons}
        assert reasons <= {Reason.DESTROY}
        if not planned.refusals:
            assert apply_plan(session, planned, Silent()).converged
            assert session.client.list_stores() == ()
        return planned


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ({}, []),
        ({"protect": True}, ["the store is protected."]),
        ({"others": 2}, ["2 files in it are not ours: --delete-unmanaged 2."]),
        ({"others": 2, "allowed": 1}, ["2 files in it are not ours: --delete-unmanaged 2."]),
        ({"others": 2, "allowed": 2}, []),
    ],
)
def test_all_of_it_or_nothing(tmp_path: Path, arguments: dict[str, Any], messages: list[str]) -> None:
    planned = plan_destroying(tmp_path, **arguments)
    assert [refusal.message for refusal in planned.refusals] == messages
    assert all(refusal.store == "docs" for refusal in planned.refusals)
    (store,) = planned.stores
    assert not (messages and store.change and store.change.detail)  # which would say it again
    reasons = {reason for change in (store.change, *store.files) if change for reason in change.reasons}
    assert (Reason.DESTROY in reasons, Reason.NOT_IN_MANIFEST in reasons) == (True, False)
    assert not any("vssync plan" in line for refusal in planned.refusals for line in refusal.way_out)


@pytest.mark.parametrize(("ghosts", "others", "allowed"), [(2, 0, 1), (2, 0, 2), (2, 1, 2), (2, 1, 3)])
def test_what_is_counted_and_not_listed_may_go_where_that_many_are_allowed(
    tmp_path: Path, ghosts: int, others: int, allowed: int
) -> None:
    """The service counts files on that have left, which the database that judges plans does not."""
    (tmp_path / "vssync.yaml").write_text(MANIFEST % "false")
    (tmp_path / "a.md").write_text("a\n")
    with open_test_session(tmp_path, provider="local,ghost-counts=86400") as (session, _):
        apply_now(session, plan_now(session, Options()), Silent())
        (store,) = session.client.list_stores()
        for number in range(ghosts + others):
            with (tmp_path / "a.md").open("rb") as handle:
                upload = session.client.upload_file(handle, f"{number}.md")
            session.client.attach_file(store.id, AttachmentEntry(upload.id, {}, AUTO))
            if number < ghosts:
                session.client.detach_file(store.id, upload.id)
        planned = plan_destroyed(session, delete_unmanaged=allowed)
        assert bool(planned.refusals) is (allowed < ghosts + others)
        if not planned.refusals:
            assert apply_now(session, planned, Silent()).converged
            assert session.client.list_stores() == ()


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("metadata", "others", "refused"),
    [({}, 0, True), ({}, 1, True), ({}, 2, False), ({"vssync_owner": "v1;other;docs;99082e42cea6dbd2"}, 0, False)],
    ids=["unmarked", "half is ours", "most is not ours", "another owner's"],
)
@pytest.mark.parametrize("elsewhere", [False, True], ids=["made here", "found by name"])
def test_a_store_that_lost_its_mark_is_not_called_gone(
    tmp_path: Path, metadata: dict[str, str], others: int, *, refused: bool, elsewhere: bool
) -> None:
    """An apply takes it back, on this machine or on another, and then it can be destroyed."""
    (tmp_path / "vssync.yaml").write_text(MANIFEST % "false")
    (tmp_path / "a.md").write_text("a\n")
    with open_test_session(tmp_path) as (session, _):
        apply_now(session, plan_now(session, Options()), Silent())
        (store,) = session.client.list_stores()
        for number in range(others):
            with (tmp_path / "a.md").open("rb") as handle:
                upload = session.client.upload_file(handle, f"{number}.txt")
            session.client.attach_file(store.id, AttachmentEntry(upload.id, {}, AUTO))
        session.client.update_store(store.id, {"metadata": metadata})
        if elsewhere:
            shutil.rmtree(session.state_folder)
        refusals = plan_destroyed(session).refusals
        assert [(refusal.store, store.id in refusal.message) for refusal in refusals] == [("docs", True)] * refused
        if refused:
            assert apply_now(session, plan_now(session, Options()), Silent()).converged
            destroyed = plan_destroyed(session, delete_unmanaged=others)
            assert apply_now(session, destroyed, Silent()).converged
            assert session.client.list_stores() == ()


@pytest.mark.parametrize("provider", ["local", "local,cut-after=1"])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["made here", "made elsewhere"])
def test_of_stores_that_are_listed_in_part_none_goes(tmp_path: Path, provider: str, *, elsewhere: bool) -> None:
    """The machine that created them knows their ids, and another one sees that the list is cut."""
    (tmp_path / "a.md").write_text("a\n")
    stores = "  docs: {files: [{path: '*.md'}]}\n  more: {files: [{path: '*.md'}]}\n"
    (tmp_path / "vssync.yaml").write_text(f"version: 1\nowner: shelf\nstores:\n{stores}")
    with open_test_session(tmp_path) as (session, _):
        assert apply_now(session, plan_now(session, Options()), Silent()).converged
        if elsewhere:
            shutil.rmtree(session.state_folder)
    with open_test_session(tmp_path, provider=provider) as (session, recorder):
        plan = plan_destroyed(session)
        is_cut = elsewhere and "cut" in provider
        assert [refusal.store for refusal in plan.refusals] == ["more"] * is_cut
        assert [("lists only some" in refusal.message) for refusal in plan.refusals] == [True] * is_cut
        assert len(plan.stores) == (1 if is_cut else 2)
        assert recorder.writes == []
