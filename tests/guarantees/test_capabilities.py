"""What a service cannot do, stated in the manifest or met while running: a way round it, or an error that names it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from tests.simulation.judged import apply_plan, make_plan_now
from tests.support import Clock, Recorder, Silent, open_test_session
from vssync.errors import VssyncError
from vssync.model.marks import Mark
from vssync.model.plan import Action, NoteKind, Options, Plan
from vssync.model.report import Report, Status

MANIFEST = """\
version: 1
owner: able
service: {{provider: local, capabilities: {{{stated}}}}}
stores:
  docs:
    metadata: {{stage: one}}
    attributes: {{lang: en}}
    chunking: {{size: 400, overlap: 100}}
    files: [{{path: "*.md"}}]
"""
NO_UPDATES = "status=405:POST:/vector_stores/*/files/*"
LOST = "erased-mark,keys=*"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "abc":
        (tmp_path / f"{name}.md").write_text(f"# {name}\n")
    return tmp_path


def write_manifest(folder: Path, stated: str = "", before: str = "", after: str = "") -> None:
    """Writes the manifest, with one of its words changed."""
    (folder / "vssync.yaml").write_text(MANIFEST.format(stated=stated).replace(before or "\0", after))


class MessageRecorder(Silent):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def on_message(self, text: str) -> None:
        self.messages.append(text)


def apply_manifest(
    folder: Path, spoken: str = "local", *faults: str, watcher: Silent | None = None, batches_in_flight: int = 8
) -> tuple[Plan, Report, Recorder]:
    with open_test_session(folder, Clock(), provider=spoken, faults=faults, batches_in_flight=batches_in_flight) as (
        session,
        recorder,
    ):
        plan = make_plan_now(session, Options())
        return plan, apply_plan(session, plan, watcher or Silent()), recorder


def plan_now(folder: Path, spoken: str = "local", *faults: str) -> Plan:
    with open_test_session(folder, Clock(), provider=spoken, faults=faults) as (session, _):
        return make_plan_now(session, Options())


def unmanaged_count(plan: Plan) -> int:
    return sum(note.count for store in plan.stores for note in store.notes if note.kind is NoteKind.UNMANAGED)


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("stated", "spoken", "faults", "unneeded"),
    [
        ("batches: false", "local,has-batches=off,lists-batches=off", (), r"POST .*/file_batches"),
        ("batch_files: false", "local,takes-files=off", (), ""),
        ("batch_files: false", "local,ignores-files=on", (), ""),
        ("batch_files: false, attribute_updates: false", "local,takes-files=off", (NO_UPDATES,), r"POST .*/files/.+"),
        ("batch_files: false, attribute_updates: false", "local,ignores-files=on", (NO_UPDATES,), r"POST .*/files/.+"),
        ("", "local", ("erased-mark,keys=*:POST:/**/file_batches",), ""),
    ],
)
def test_a_way_round_is_found_and_not_tried_first_where_it_is_stated(
    folder: Path, *, stated: str, spoken: str, faults: tuple[str, ...], unneeded: str
) -> None:
    for text in ("", stated):
        write_manifest(folder, text)
        for _ in range(2):
            (folder / "a.md").write_text((folder / "a.md").read_text() + "more\n")
            _, report, recorder = apply_manifest(folder, spoken, *faults)
            assert report.converged, [outcome for outcome in report.outcomes if outcome.status is not Status.DONE]
            assert plan_now(folder, spoken, *faults).empty
    vain = [call for call in recorder.seen if unneeded and re.fullmatch(unneeded, " ".join(call))]
    assert vain == []


@pytest.mark.wide(4)
@pytest.mark.parametrize("spoken", ["local", "local,stale-filters=on", "local,has-batches=off,lists-batches=off"])
@pytest.mark.parametrize("faults", [(), ("status=400:POST:/vector_stores/*/search",), ("status=501:POST:/**/search",)])
def test_finding_out_about_searches_leaves_every_mark_as_it_was(
    folder: Path, spoken: str, faults: tuple[str, ...]
) -> None:
    compatible = "provider: compatible, data_url: http://local/v1"
    write_manifest(folder, before="provider: local", after=compatible)
    _, report, recorder = apply_manifest(folder, spoken, *faults)
    assert report.converged
    assert any(path.endswith("/search") for _, path in recorder.seen)
    with open_test_session(folder, provider=spoken) as (session, _):
        (store,) = session.client.list_stores()
        marks = [file.mark for file in session.client.list_files(store.id)]
    assert [mark.tries for mark in marks if isinstance(mark, Mark)] == [1, 1, 1]


def test_stated_attributes_false_ends_every_plan_before_anything_is_written(folder: Path) -> None:
    write_manifest(folder, "attributes: false")
    with (
        open_test_session(folder) as (session, recorder),
        pytest.raises(VssyncError, match=r"attributes: false.*mark") as caught,
    ):
        make_plan_now(session, Options())
    assert caught.value.exit_code == 1
    assert recorder.writes == []


@pytest.mark.parametrize(
    ("spoken", "faults", "message"),
    [
        ("local,takes-attributes=off", (), "without attributes no file can carry the mark"),
        ("local,takes-attributes=off,has-batches=off", (), "without attributes no file can carry the mark"),
        ("local", (LOST,), "the service lost the mark that was sent along; "),
        ("local", ("erased-mark",), "the service lost the mark"),
        ("local", (LOST, NO_UPDATES), "and cannot change attributes later"),
        ("local,has-batches=off", (LOST,), "the service lost the mark"),
    ],
)
def test_attributes_that_are_lost_end_the_run_and_leave_nothing(
    folder: Path, *, spoken: str, faults: tuple[str, ...], message: str
) -> None:
    write_manifest(folder, "batch_size: 1")
    _, report, recorder = apply_manifest(folder, spoken, *faults, batches_in_flight=1)
    a, *others = (outcome for outcome in report.outcomes if outcome.key)
    assert (a.status, report.converged, report.orphans) == (Status.FAILED, False, ())
    assert message in a.detail
    assert others[-1].status is Status.SKIPPED  # no more is brought in
    assert unmanaged_count(plan_now(folder, spoken)) == 0
    uploaded = sum(call == ("POST", "/v1/files") for call in recorder.seen)
    assert uploaded == sum(method == "DELETE" and path.startswith("/v1/files/") for method, path in recorder.seen)


def test_refused_attributes_are_blamed_on_no_single_file(folder: Path) -> None:
    write_manifest(folder)
    _, report, recorder = apply_manifest(folder, "local,takes-attributes=off")
    assert sum(path.endswith("/file_batches") for _, path in recorder.writes) == 1
    assert {outcome.status for outcome in report.outcomes if outcome.key} == {Status.FAILED}


class Forgetful(httpx.BaseTransport):
    """Answers an update of attributes with success, and keeps the old ones."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and "/files/" in request.url.path:
            request = httpx.Request("GET", request.url)
        return self.inner.handle_request(request)


@pytest.mark.parametrize("ignored", [False, True])
def test_attributes_that_cannot_change_are_refused_by_the_plan_or_fail_by_name(folder: Path, *, ignored: bool) -> None:
    write_manifest(folder)
    apply_manifest(folder)
    write_manifest(folder, "", "lang: en", "lang: fr")
    with open_test_session(folder, Clock(), faults=() if ignored else (NO_UPDATES,)) as (session, recorder):
        if ignored:
            recorder.inner = Forgetful(recorder.inner)
        report = apply_plan(session, make_plan_now(session, Options()), Silent())
    failed = [outcome for outcome in report.outcomes if outcome.key]
    assert {outcome.status for outcome in failed} == {Status.FAILED}
    assert all("`attribute_updates: false`" in outcome.detail for outcome in failed)
    write_manifest(folder, "attribute_updates: false", "lang: en", "lang: fr")
    refused = [change for change in plan_now(folder).changes() if change.action is Action.REFUSE]
    assert len(refused) == 3
    assert all("--replace" in change.detail for change in refused)


class Confused(httpx.BaseTransport):
    """Gives every file of a batch the attributes of the first."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and request.url.path.endswith("/file_batches"):
            files = json.loads(request.read())["files"]
            same = [{**file, "attributes": files[0]["attributes"]} for file in files]
            request = httpx.Request("POST", request.url, json={"files": same})
        return self.inner.handle_request(request)


@pytest.mark.parametrize(("refused", "says"), [(False, "accepted new attributes"), (True, "refused new attributes")])
def test_other_attributes_than_were_sent_are_put_right_or_said_as_they_are(
    folder: Path, *, refused: bool, says: str
) -> None:
    write_manifest(folder)
    with open_test_session(folder, Clock(), faults=(NO_UPDATES,) if refused else ()) as (session, recorder):
        recorder.inner = Confused(recorder.inner if refused else Forgetful(recorder.inner))
        report = apply_plan(session, make_plan_now(session, Options()), Silent())
    failed = [outcome.detail for outcome in report.outcomes if outcome.status is Status.FAILED]
    assert len(failed) == 2
    assert all(f"the service {says} and kept the old ones" in detail for detail in failed)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("status=405:POST:/vector_stores", "declare it `external`"),
        ("status=501:POST:/vector_stores", "declare it `external`"),
    ],
)
def test_stores_that_cannot_be_made_are_to_be_external(folder: Path, fault: str, message: str) -> None:
    write_manifest(folder)
    _, report, recorder = apply_manifest(folder, "local", fault)
    assert [outcome.status for outcome in report.outcomes] == [Status.FAILED, *[Status.SKIPPED] * 3]
    assert message in report.outcomes[0].detail
    assert not [call for call in recorder.writes if call != ("POST", "/v1/vector_stores")]
    write_manifest(folder, "store_creates: false")
    change = plan_now(folder).stores[0].change
    assert change is not None
    assert (change.action, message in change.detail) == (Action.REFUSE, True)


def test_stores_that_cannot_change_are_refused_by_the_plan_or_fail_by_name(folder: Path) -> None:
    write_manifest(folder)
    apply_manifest(folder)
    write_manifest(folder, "", "stage: one", "stage: two")
    _, report, _ = apply_manifest(folder, "local", "status=405:POST:/vector_stores/*")
    assert report.outcomes[0].status is Status.FAILED
    assert "`store_updates: false`" in report.outcomes[0].detail
    write_manifest(folder, "store_updates: false", "stage: one", "stage: two")
    refused = plan_now(folder).stores[0].change
    assert refused is not None
    assert (refused.action, "cannot change a store" in refused.detail) == (Action.REFUSE, True)


@pytest.mark.parametrize("fault", ["erased-mark,keys=lang", "garbled-attributes"])
def test_attributes_that_are_bent_are_said_once_and_noted_by_every_plan(folder: Path, fault: str) -> None:
    write_manifest(folder)
    watcher = MessageRecorder()
    _, report, _ = apply_manifest(folder, "local", fault, watcher=watcher)
    assert report.converged
    assert watcher.messages == [
        "docs: the service reports other attributes than were sent; `vssync plan` says for how many files"
    ]
    next_plan = plan_now(folder, "local", fault)
    assert next_plan.empty
    assert [(note.kind, note.count) for note in next_plan.stores[0].notes] == [(NoteKind.ATTRIBUTES_REPORT, 3)]


@pytest.mark.parametrize("spoken", ["local,ignores-chunking=on", "local,ignores-chunking=on,has-batches=off"])
def test_other_chunking_is_said_once_and_noted_by_every_plan(folder: Path, spoken: str) -> None:
    write_manifest(folder)
    watcher = MessageRecorder()
    _, report, _ = apply_manifest(folder, spoken, watcher=watcher)
    assert report.converged
    assert [text for text in watcher.messages if "chunking" in text] == [
        "docs: the service reports other chunking than asked for; `vssync plan` says for how many files"
    ]
    next_plan = plan_now(folder, spoken)
    assert next_plan.empty
    assert [(note.kind, note.count) for note in next_plan.stores[0].notes] == [(NoteKind.CHUNKING_REPORT, 3)]


def test_the_wait_for_a_search_that_sees_no_update_is_announced(folder: Path) -> None:
    write_manifest(folder, before="provider: local", after="provider: compatible, data_url: http://localhost:1/v1")
    watcher = MessageRecorder()
    assert apply_manifest(folder, "compatible", watcher=watcher)[1].converged
    waits = [text for text in watcher.messages if text.startswith("Waiting for searches of docs")]
    assert [text.partition(", at most ")[2] for text in waits] == ["30 s; then they count as not following"]
