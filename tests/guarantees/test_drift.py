"""Somebody else at work on the same store: what is ours is put right, what is theirs is left alone."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.guarantees.test_converge import assert_nothing_to_do
from tests.simulation.commands import Shell, flags_of
from tests.simulation.judged import apply_plan, make_plan_now
from tests.support import Silent, open_test_session
from vssync.api.client import Client
from vssync.api.parse import AttachmentEntry
from vssync.cli import process
from vssync.commands import plan as planning
from vssync.commands.session import Session
from vssync.model.marks import KEY, Mark
from vssync.model.plan import Action, NoteKind, Options, Plan, Reason
from vssync.model.report import Report, Status
from vssync.model.state import AUTO, Attributes, LiveFile
from vssync.render.json import report_json
from vssync.render.layout import View
from vssync.render.plan_text import plan_text
from vssync.render.report import report_text
from vssync.render.status import status_text

MANIFEST = """\
version: 1
owner: drift
stores:
  docs:
    attributes: {lang: en}
    files: [{path: "*.md"}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A converged store of three files."""
    (tmp_path / "vssync.yaml").write_text(MANIFEST)
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.md").write_text(f"# {name}\n")
    report = apply_now(tmp_path)[1]
    assert report.converged
    return tmp_path


def apply_now(folder: Path, faults: Sequence[str] = ()) -> tuple[Plan, Report]:
    with open_test_session(folder, faults=faults) as (session, _):
        plan = make_plan_now(session, Options())
        return plan, apply_plan(session, plan, Silent())


def live(session: Session) -> tuple[str, dict[str, LiveFile]]:
    """The store's id and its files by key."""
    store = session.client.list_stores()[0]
    return store.id, {str(file.attributes.get(KEY)): file for file in session.client.list_files(store.id)}


def attach(
    client: Client,
    store_id: str,
    name: str,
    attributes: Attributes,
    mark: Any = None,
    *,
    content: bytes = b"# theirs\n",
) -> str:
    """Somebody uploads and attaches a file."""
    file_id = client.upload_file(io.BytesIO(content), name).id
    batch = client.create_batch(store_id, [AttachmentEntry(file_id, attributes, AUTO, mark)]).batch.id
    client.get_batch(store_id, batch)
    return file_id


def test_other_peoples_files_are_counted_and_left(folder: Path) -> None:
    with open_test_session(folder) as (session, _):
        theirs = attach(session.client, live(session)[0], "theirs.md", {"owner": "them"})
    assert_nothing_to_do(folder)
    with open_test_session(folder) as (session, _):
        notes = make_plan_now(session, Options()).stores[0].notes
        assert [(note.kind, note.count) for note in notes] == [(NoteKind.UNMANAGED, 1)]
        (folder / "a.md").unlink()
    apply_now(folder)
    with open_test_session(folder) as (session, _):
        store_id, files = live(session)
        assert set(files) == {"b.md", "c.md", "None"}
        assert session.client.get_file(store_id, theirs).attributes == {"owner": "them"}


class Reviewer(httpx.BaseTransport):
    """Marks every file of a batch as reviewed as soon as it is attached."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        if request.method == "POST" and request.url.path.endswith("/file_batches"):
            for file in json.loads(request.read())["files"]:
                url = str(request.url).replace("file_batches", f"files/{file['file_id']}")
                reviewed = {"attributes": {**file["attributes"], "reviewed": True}}
                self.inner.handle_request(httpx.Request("POST", url, json=reviewed))
        return response


@pytest.mark.parametrize(("faults", "writes"), [((), 0), (("erased-mark,keys=lang",), 3)])
def test_what_others_write_during_a_run_is_not_reverted(tmp_path: Path, faults: tuple[str, ...], writes: int) -> None:
    text = MANIFEST.replace("attributes: {lang", "ignore_attributes: [reviewed]\n    attributes: {lang")
    (tmp_path / "vssync.yaml").write_text(text)
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.md").write_text(f"# {name}\n")
    with open_test_session(tmp_path, faults=faults) as (session, recorder):
        recorder.inner = Reviewer(recorder.inner)
        assert apply_plan(session, make_plan_now(session, Options()), Silent()).converged
        assert all(file.attributes["reviewed"] for file in live(session)[1].values())
        assert sum("/files/" in path for _, path in recorder.writes) == writes


def test_a_changed_attribute_is_drift_and_put_right(folder: Path) -> None:
    with open_test_session(folder) as (session, _):
        store_id, files = live(session)
        mark = files["a.md"].mark
        assert isinstance(mark, Mark)
        changed = {**files["a.md"].attributes, "lang": "de", "x": 1}
        session.client.set_attributes(store_id, files["a.md"].id, changed, mark)
    plan, report = apply_now(folder)
    (change,) = plan.stores[0].files
    assert (change.action, change.reasons) == (Action.UPDATE, (Reason.DRIFTED,))
    assert [(field.name, field.before, field.after) for field in change.fields] == [
        ("lang", "de", "en"),
        ("x", 1, None),
    ]
    assert report.converged
    assert_nothing_to_do(folder)


def test_a_missing_file_comes_back(folder: Path) -> None:
    with open_test_session(folder) as (session, _):
        store_id, files = live(session)
        session.client.detach_file(store_id, files["b.md"].id)
    plan, report = apply_now(folder)
    assert [(change.action, change.key) for change in plan.stores[0].files] == [(Action.CREATE, "b.md")]
    assert report.converged
    assert_nothing_to_do(folder)


def test_a_second_copy_of_ours_goes_and_its_upload_with_it(folder: Path) -> None:
    with open_test_session(folder) as (session, _):
        store_id, files = live(session)
        before = files["a.md"].id
        attach(session.client, store_id, "a.md", files["a.md"].attributes, files["a.md"].mark, content=b"# a\n")
    plan, report = apply_now(folder)
    assert report.converged
    assert {reason for change in plan.stores[0].files for reason in change.reasons} == {Reason.SUPERSEDED}
    with open_test_session(folder) as (session, _recorder):
        assert len(session.client.list_files(store_id)) == 3
        kept_id = live(session)[1]["a.md"].id
        gone_id = before if kept_id != before else None
        if gone_id:
            with pytest.raises(Exception, match="404"):
                session.client.get_upload(gone_id)
    assert_nothing_to_do(folder)


def test_an_erased_mark_makes_the_file_theirs_and_holds_the_create_back(folder: Path) -> None:
    with open_test_session(folder) as (session, _):
        store_id, files = live(session)
        session.client.set_attributes(store_id, files["a.md"].id, files["a.md"].attributes)
    with open_test_session(folder) as (session, _recorder):
        plan = make_plan_now(session, Options())
        assert [note.kind for note in plan.stores[0].notes if note.key] == [NoteKind.ADOPTABLE]
        assert not plan.stores[0].files
        adopting = make_plan_now(session, Options(adopt=True))
        assert [change.action for change in adopting.stores[0].files] == [Action.ADOPT]
        assert apply_plan(session, adopting, Silent()).converged
    assert_nothing_to_do(folder)


def test_an_erased_mark_is_noticed_beside_a_store_of_the_same_keys(folder: Path) -> None:
    (folder / "vssync.yaml").write_text(MANIFEST + '  more: {files: [{path: "*.md"}]}\n')
    apply_now(folder)
    test_an_erased_mark_makes_the_file_theirs_and_holds_the_create_back(folder)


def test_an_edit_of_an_adopted_file_brings_it_in_anew_and_leaves_the_upload_of_others(folder: Path) -> None:
    test_an_erased_mark_makes_the_file_theirs_and_holds_the_create_back(folder)
    with open_test_session(folder) as (session, _):
        adopted = live(session)[1]["a.md"].id
    (folder / "a.md").write_text((folder / "a.md").read_text().swapcase())
    plan, report = apply_now(folder)
    assert [(change.key, change.action) for change in plan.stores[0].files] == [("a.md", Action.REPLACE)]
    assert report.converged
    assert "Kept: 1 upload that this manifest did not make." in report_text(report, View())
    assert json.loads(report_json(report))["held"] == [
        {"file_id": adopted, "detail": "replaced or removed copy of a.md"}
    ]
    with open_test_session(folder) as (session, _):
        assert session.client.get_upload(adopted).id == adopted
    assert_nothing_to_do(folder)


def test_a_file_the_service_cannot_read_fails_every_time_and_the_rest_is_done(folder: Path) -> None:
    (folder / "bad.md").write_text("# bad\n")
    (folder / "d.md").write_text("# d\n")
    for expected in (Action.CREATE, Action.REFUSE):
        _plan, report = apply_now(folder, ["fails=invalid_file,file=bad.md"])
        failed = [outcome for outcome in report.outcomes if outcome.status is Status.FAILED]
        assert [(outcome.key, outcome.action) for outcome in failed] == [("bad.md", expected)]
        assert not report.converged
    with open_test_session(folder) as (session, _):
        assert "d.md" in live(session)[1]


def test_a_file_that_changed_since_the_plan_is_named_and_not_sent(folder: Path) -> None:
    (folder / "a.md").write_text("# planned\n")
    with open_test_session(folder) as (session, recorder):
        plan = make_plan_now(session, Options())
        (folder / "a.md").write_text("# changed since\n")
        report = apply_plan(session, plan, Silent())
        assert ("POST", "/v1/files") not in recorder.writes
    (outcome,) = report.outcomes
    assert outcome.status is Status.FAILED
    assert "a.md: changed since the plan was made" in outcome.detail
    apply_now(folder)
    assert_nothing_to_do(folder)


def test_the_new_copy_works_before_the_old_one_goes(folder: Path) -> None:
    (folder / "a.md").write_text("# better\n")
    with open_test_session(folder) as (session, recorder):
        apply_plan(session, make_plan_now(session, Options()), Silent())
        kinds = [(method, path.split("/")[2], len(path.split("/"))) for method, path in recorder.seen]
    attached = kinds.index(("POST", "vector_stores", 5))
    looked = max(index for index, kind in enumerate(kinds) if kind[0] == "GET" and kind[2] == 7)
    detached = kinds.index(("DELETE", "vector_stores", 6))
    deleted = kinds.index(("DELETE", "files", 4))
    assert attached < looked < detached < deleted


def attach_theirs(shell: Shell) -> None:
    """Somebody attaches a file with the upload name and the size of one that is not in yet."""
    with shell.others() as session:
        (store,) = session.client.list_stores()
        theirs = session.client.upload_file(io.BytesIO(b"# z\n"), "z.md").id
        session.client.attach_file(store.id, AttachmentEntry(theirs, {}, AUTO))
    (shell.folder / "z.md").write_text("# y\n")


def erase_attributes(shell: Shell) -> None:
    with shell.others() as session:
        store_id, files = live(session)
        session.client.set_attributes(store_id, files["a.md"].id, {})


def test_a_file_without_its_upload_is_found_by_who_looks(folder: Path) -> None:
    shell = Shell(folder, dialect="local,keeps-attached=on")
    with shell.others() as session:
        session.client.delete_upload(live(session)[1]["a.md"].id)
    verified = shell.run("status", "--verify", "--detailed-exitcode")
    status = verified.document or {}
    assert (verified.code, status["agrees"], status["stores"][0]["counts"]["gone"]) == (process.CHANGES, False, 1)
    assert shell.run("apply", "--yes", options=Options(replace=("docs/a.md",))).code == process.DONE
    assert shell.run("status", "--verify", "--detailed-exitcode").code == process.DONE


@pytest.mark.parametrize(
    ("verb", "options"),
    [("plan", Options()), ("plan", Options(adopt=True)), ("status", Options()), ("output", Options())],
)
def test_who_does_not_look_for_files_lists_none(folder: Path, verb: str, options: Options) -> None:
    """So there is no listing at hand that such a command could have noticed a missing File in."""
    shell = Shell(folder)
    attach_theirs(shell)
    asked = [
        exchange.url.partition("?")[0].rpartition("/v1")[2] for exchange in shell.run(verb, options=options).exchanges
    ]
    assert "/files" not in asked
    assert "/vector_stores" in asked


def drop_store(shell: Shell) -> None:
    """A store leaves the manifest."""
    (shell.folder / "vssync.yaml").write_text(MANIFEST + "  more: {files: [{path: b.md}]}\n")
    assert shell.run("apply", "--yes").code == 0
    (shell.folder / "vssync.yaml").write_text(MANIFEST)


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("happen", "is_current", "way_out"),
    [
        (attach_theirs, False, Options(adopt=True)),
        (erase_attributes, False, Options(adopt=True)),
        (drop_store, True, Options(allow_store_deletes=True)),
    ],
)
def test_what_is_not_as_declared_is_never_called_done(
    folder: Path, happen: Callable[[Shell], None], is_current: bool, way_out: Options
) -> None:
    shell = Shell(folder)
    happen(shell)
    assert shell.run("plan").code == process.DONE
    assert shell.run("plan", "--detailed-exitcode").code == process.CHANGES
    runs = [shell.run(*words) for words in (("status",), ("apply", "--yes"), ("output",))]
    status, report, output = (run.document or {} for run in runs)
    assert (status["agrees"], report["converged"], runs[1].code) == (False, False, process.INCOMPLETE)
    assert output["stores"]["docs"]["current"] is is_current
    with shell.others() as session:
        plan = planning.make_plan_now(session, Options())
    shown = plan_text(plan, View(quiet=True)), plan_text(plan, View()), status_text(plan, View())
    assert not [text for text in shown if "No changes" in text]
    assert flags_of(way_out)[0] in shown[1]
    assert shell.run("apply", "--yes", options=way_out).code == process.DONE
    assert shell.run("plan", "--detailed-exitcode").code == process.DONE
