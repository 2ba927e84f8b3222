"""Destroying is a plan like any other: everything of this owner's goes, or nothing does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.simulation.judged import apply_plan, make_plan_now, plan_destruction
from tests.support import Silent, open_test_session
from vssync.api.parse import AttachmentEntry
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
    reasons = {reason for change in (store.change, *store.files) if change for reason in change.reasons}
    assert (Reason.DESTROY in reasons, Reason.NOT_IN_MANIFEST in reasons) == (True, False)
    assert not any("vssync plan" in line for refusal in planned.refusals for line in refusal.way_out)
