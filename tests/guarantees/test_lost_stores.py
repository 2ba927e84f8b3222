"""Stores that lost their mark, or list no files: what is ours is taken back, what is not known is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.applier.world import killed
from tests.guarantees.test_duplicate_stores import KEYS, MANIFEST, PLAIN, Machine, completed_keys, stores_of
from tests.support import Silent
from vssync.api.parse import AttachmentEntry
from vssync.commands.apply import apply_plan
from vssync.commands.plan import make_plan_now
from vssync.model.marks import STORE_OWNER, Mark
from vssync.model.plan import Action, NoteKind, Options, Plan, Reason
from vssync.model.report import Report, Status
from vssync.model.state import AUTO


def make_plan(machine: Machine, options: Options = PLAIN) -> Plan:
    """Not judged: without a mark, only the state folder tells whose a store is."""
    with machine.work() as work:
        return make_plan_now(work, options)


def apply_now(machine: Machine, options: Options = PLAIN) -> Report:
    with machine.work() as work:
        return apply_plan(work, make_plan_now(work, options), Silent())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.write({"vssync.yaml": MANIFEST, **{key: f"# {key}\n" for key in KEYS}})
    return machine


def copy_of(machine: Machine, name: str) -> str:
    """What a script that copies a store makes: the same Files, attributes and all, in a store without a mark."""
    with machine.work() as work:
        (store,) = work.client.list_stores()
        copied = work.client.create_store({"name": name})
        for file in work.client.list_files(store.id):
            assert isinstance(file.mark, Mark)
            work.client.attach_file(copied.id, AttachmentEntry(file.id, file.attributes, AUTO, file.mark))
        return copied.id


@pytest.mark.parametrize("name", ["docs", "renamed"])
def test_an_application_that_replaces_metadata_does_not_take_the_store_away(machine: Machine, name: str) -> None:
    store_id = dict(apply_now(machine).store_ids)["docs"]
    machine.write({"a.md": None, "new.md": "# new\n"})
    with machine.work() as work:
        work.client.update_store(store_id, {"name": name, "metadata": {"team": "search"}})
    planned = make_plan(machine)
    (store,) = planned.stores
    assert store.change
    assert (store.id, store.change.action, store.change.reasons) == (store_id, Action.UPDATE, (Reason.DRIFTED,))
    assert {change.key: change.action for change in store.files} == {"a.md": Action.REFUSE, "new.md": Action.CREATE}
    assert not apply_now(machine).converged
    (live,) = stores_of(machine)
    assert (live.name, live.metadata["team"], STORE_OWNER in live.metadata) == ("docs", "search", True)
    assert completed_keys(machine) == {*KEYS, "new.md"}
    assert apply_now(machine).converged
    assert completed_keys(machine) == {"b.md", "c.md", "new.md"}


def test_a_copy_of_a_store_is_not_taken_for_it(machine: Machine) -> None:
    second = Machine(machine.base, machine.clock, name="two")
    store_id = dict(apply_now(machine).store_ids)["docs"]
    copied = copy_of(machine, "docs")
    assert list(make_plan(machine).changes()) == []
    with machine.work() as work:
        work.client.update_store(store_id, {"metadata": {}})
    for one, change in ((machine, Action.UPDATE), (second, Action.REFUSE)):  # only the first knows which it made
        (store,) = make_plan(one).stores
        assert store.change
        assert (store.change.action, store.id) == (change, store_id if one is machine else "")
    assert apply_now(machine).converged
    assert {store.id: STORE_OWNER in store.metadata for store in stores_of(machine)} == {store_id: True, copied: False}


BROKEN = "status=400:GET:/vector_stores/%s/files"


def test_a_store_that_lists_no_files_is_replaced_and_kept(machine: Machine) -> None:
    manifest = MANIFEST.replace("}]}}\n", "}]}, more: {files: [{path: '*.md'}]}}\n")
    machine.write({"vssync.yaml": manifest})
    ids = dict(apply_now(machine).store_ids)
    machine.write({"new.md": "# new\n"})
    faults = (BROKEN % ids["docs"],)
    with machine.work(faults=faults) as work:
        docs, more = make_plan_now(work, PLAIN).stores
        assert docs.change
        assert (docs.change.reasons, len(docs.files)) == ((Reason.UNLISTED, Reason.NOT_ALLOWED), 0)
        assert [change.key for change in more.files] == ["new.md"]
        assert not apply_plan(work, make_plan_now(work, PLAIN), Silent()).converged
        assert make_plan_now(work, Options(targets=("more",))).empty
        report = apply_plan(work, make_plan_now(work, Options(allow_store_replace=True)), Silent())
        assert report.converged
        replaced = dict(report.store_ids)["docs"]
        assert replaced != ids["docs"]
        assert list(make_plan_now(work, PLAIN).changes()) == []
    live = {store.id: store for store in stores_of(machine)}
    assert {store_id: STORE_OWNER in store.metadata for store_id, store in live.items()} == {
        ids["docs"]: False,
        ids["more"]: True,
        replaced: True,
    }
    assert live[ids["docs"]].counts.completed == len(KEYS)


def test_a_store_whose_mark_stays_comes_after_the_one_that_replaced_it(machine: Machine) -> None:
    old_id = dict(apply_now(machine).store_ids)["docs"]
    with machine.work(faults=(BROKEN % old_id, f"status=400:POST:/vector_stores/{old_id}")) as work:
        report = apply_plan(work, make_plan_now(work, Options(allow_store_replace=True)), Silent())
        assert report.converged
        (store,) = make_plan_now(work, PLAIN).stores
        assert (store.id, store.files) == (dict(report.store_ids)["docs"], ())
        assert [(note.kind, old_id in note.detail) for note in store.notes] == [(NoteKind.LEFT_STORE, True)]


def test_uploads_that_a_run_left_do_not_wait_for_a_store_that_lists_no_files(machine: Machine) -> None:
    """Whether it holds them is not known, so they are neither used nor forgotten."""
    machine.write({"vssync.yaml": MANIFEST.replace("}]}}\n", "}]}, more: {files: [{path: '*.md'}]}}\n")})
    ids = dict(apply_now(machine).store_ids)
    machine.write({"new.md": "# new\n"})
    assert killed(machine, lambda seen: seen[-1] == ("POST", "/v1/files"))
    left = [upload.file_id for upload in machine.past().unattached]
    with machine.work(faults=(BROKEN % ids["docs"],)) as work:
        report = apply_plan(work, make_plan_now(work, PLAIN), Silent())
    assert [outcome.store for outcome in report.outcomes if outcome.status is not Status.DONE] == ["docs"]
    assert {upload.file_id for upload in machine.past().unattached} >= set(left)
    assert apply_now(machine).converged
