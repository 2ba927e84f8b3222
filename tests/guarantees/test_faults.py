"""Every surprise a service can produce is met once, and the run ends converged: nothing doubled, nothing lost."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from tests.simulation.judged import apply_plan, make_plan_now
from tests.support import Clock, Silent, open_test_session
from vssync.api.parse import AttachmentEntry
from vssync.errors import ServiceError
from vssync.local.faults.rules import KINDS
from vssync.model.marks import KEY
from vssync.model.plan import Options
from vssync.model.report import Report, Status
from vssync.model.state import AUTO, FileStatus

MANIFEST = """\
version: 1
owner: faulty
service: {capabilities: {batch_size: 4}}
stores:
  docs:
    attributes: {n: 1, label: "é"}
    files:
      - path: "*.md"
      - path: small/*.md
        chunking: {size: 400, overlap: 100}
"""
NAMES = [f"{number}.md" for number in range(9)] + [f"small/{number}.md" for number in range(3)]
BATCHES = "/vector_stores/*/file_batches"
CONVERGES = [
    "status=429,retry-after=2:*:*:20%",
    "status=503:GET:*:2-5",
    "reset-before:GET:*:30%",
    "reset-before:POST:/files:2",
    "reset-after:POST:/files:2",
    "lost-reply:POST:/files:3",
    "lost-reply:POST:/vector_stores:1",
    "status-after=500:POST:/vector_stores:1",
    f"lost-reply:POST:{BATCHES}:1",
    f"status-after=502:POST:{BATCHES}:2",
    f"reset-before:POST:{BATCHES}:2",
    f"not-json:POST:{BATCHES}:1",
    f"invalid-project:POST:{BATCHES}:1",
    "truncated:GET:*:3",
    "not-json:GET:*:4",
    "duplicates",
    "ties",
    "repeated-cursor",
    "stale-listing:GET:/vector_stores/*/file_batches/*/files:2",
    "short-pages=3",
    "wrong-batch-id",
    "zero-counts",
    "wrong-counts",
    "unseen=2",
    "slow-delete=2",
    "fails-once",
    "rate-limit=200",
    "delay=90000:GET:*:3",
    "error-shape=2 status=503:GET:*:3 status=429:POST:/files:2",
    "error-shape=5 status=500:GET:*:5",
    "late-ingestion=3",
    "fails=server_error,file=4.md:*:*:1",
    "erased-mark:*:*:1",
    "poisoned-page",
    "only-page",
    "ghost-search",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small").mkdir()
    (tmp_path / "vssync.yaml").write_text(MANIFEST)
    for name in NAMES:
        (tmp_path / name).write_text(f"# {name}\n")
    return tmp_path


def edit_files(folder: Path) -> None:
    """Something of everything: two changed, one gone, one new."""
    (folder / "0.md").write_text("# 0, better\n")
    (folder / "small" / "0.md").write_text("# small 0, better\n")
    (folder / "8.md").unlink()
    (folder / "new.md").write_text("# new\n")


def apply_now(folder: Path, clock: Clock, faults: tuple[str, ...] = (), provider: str = "local") -> Report:
    with open_test_session(folder, clock, faults=faults, provider=provider) as (session, _):
        return apply_plan(session, make_plan_now(session, Options()), Silent())


def assert_settled(folder: Path, clock: Clock, provider: str = "local") -> None:
    """The second plan is empty, every key has one copy, every upload is attached."""
    with open_test_session(folder, clock, provider=provider) as (session, recorder):
        plan = make_plan_now(session, Options())
        assert list(plan.changes()) == []
        assert recorder.writes == []
        stores = session.client.list_stores()
        assert len(stores) == 1
        files = session.client.list_files(stores[0].id)
        desired = {file.key for file in session.loaded.desired.stores[0].files}
        assert sorted(str(file.attributes[KEY]) for file in files) == sorted(desired)
        assert {file.status for file in files} == {FileStatus.COMPLETED}


@pytest.mark.wide(3)
@pytest.mark.parametrize("fault", CONVERGES)
def test_one_apply_under_a_fault_converges(folder: Path, fault: str) -> None:
    clock = Clock()
    first = apply_now(folder, clock, tuple(fault.split()))
    assert first.converged, [outcome for outcome in first.outcomes if outcome.status is not Status.DONE]
    assert_settled(folder, clock)
    edit_files(folder)
    second = apply_now(folder, clock, tuple(fault.split()))
    assert second.converged, [outcome for outcome in second.outcomes if outcome.status is not Status.DONE]
    assert_settled(folder, clock)


@pytest.mark.wide(4)
@pytest.mark.parametrize(
    "provider",
    [
        "openai",
        "local,takes-files=off",
        "local,ignores-files=on",
        "local,has-batches=off,lists-batches=off",
        "local,echoes=null",
        "local,floats=on",
        "local,null-attributes=on",
        "local,reattaches=on",
        "local,misses-with-400=on,errors=bare",
        "local,count-steps=10",
        "local,unsettled=3",
        "local,creating-seconds=45,propagating-seconds=20",
    ],
)
def test_every_way_of_a_service_is_lived_with(folder: Path, provider: str) -> None:
    clock = Clock()
    for change in (None, edit_files):
        if change:
            change(folder)
        report = apply_now(folder, clock, provider=provider)
        assert report.converged, [outcome for outcome in report.outcomes if outcome.status is not Status.DONE]
        assert_settled(folder, clock, provider)


def test_a_lost_upload_is_reported_as_a_suspected_orphan(folder: Path) -> None:
    report = apply_now(folder, Clock(), ("lost-reply:POST:/files:3",))
    assert [orphan.suspected for orphan in report.orphans] == [True]
    assert "2.md" in report.orphans[0].detail


def test_one_bad_file_does_not_stop_the_rest(folder: Path) -> None:
    clock = Clock()
    with open_test_session(folder, clock, faults=("refused-type,file=5.md",)) as (session, recorder):
        report = apply_plan(session, make_plan_now(session, Options()), Silent())
        assert [outcome.key for outcome in report.outcomes if outcome.status is not Status.DONE] == ["5.md"]
        uploads = sum(call == ("POST", "/v1/files") for call in recorder.seen)
        gone = sum(method == "DELETE" and "/files/file-" in path for method, path in recorder.seen)
    assert uploads == len(NAMES)
    assert gone == 1


def test_a_permanent_failure_is_reported_and_a_hanging_file_is_unknown(folder: Path) -> None:
    clock = Clock()
    hanging = apply_now(folder, clock, ("stuck-in-progress,file=4.md",))
    assert [(outcome.key, outcome.status) for outcome in hanging.outcomes if outcome.status is not Status.DONE] == [
        ("4.md", Status.UNKNOWN)
    ]
    assert apply_now(folder, clock).converged
    assert_settled(folder, clock)


def test_attributes_that_come_back_otherwise_are_remembered_and_not_fought_over(folder: Path) -> None:
    clock = Clock()
    assert apply_now(folder, clock, ("garbled-attributes,keys=label",)).converged
    with open_test_session(folder, clock, faults=("garbled-attributes,keys=label",)) as (session, recorder):
        assert list(make_plan_now(session, Options()).changes()) == []
        assert recorder.writes == []


@pytest.mark.parametrize("fault", ["lost-metadata", "lost-metadata:POST:/vector_stores:1"])
def test_a_store_that_loses_its_mark_is_used_once_it_is_declared(folder: Path, fault: str) -> None:
    clock = Clock()
    store, *files = apply_now(folder, clock, (fault,)).outcomes
    assert (store.status, {file.status for file in files}) == (Status.FAILED, {Status.SKIPPED})
    live_id, *_ = re.findall(r"declare this one with `id: (\S+)` and `external: true`", store.detail)
    (folder / "vssync.yaml").write_text(MANIFEST.replace("docs:", f"docs:\n    id: {live_id}\n    external: true"))
    assert apply_now(folder, clock, (fault,)).converged
    assert_settled(folder, clock)


def test_a_strange_file_whose_upload_is_gone_stops_no_plan(folder: Path) -> None:
    clock, spoken = Clock(), "local,keeps-attached=on"
    apply_now(folder, clock, provider=spoken)
    with open_test_session(folder, clock, provider=spoken) as (session, _):
        store = session.client.list_stores()[0].id
        ghost = session.client.upload_file(io.BytesIO(b"x"), "new.md").id
        session.client.attach_file(store, AttachmentEntry(ghost, {}, AUTO))
        session.client.delete_upload(ghost)
    edit_files(folder)
    assert apply_now(folder, clock, provider=spoken).converged
    with open_test_session(folder, clock, provider=spoken) as (session, _):
        assert session.client.is_attached(store, ghost)
        assert make_plan_now(session, Options()).empty


def test_a_listing_that_cannot_be_trusted_stops_everything(folder: Path) -> None:
    clock = Clock()
    apply_now(folder, clock)
    faults = ("endless-pages:GET:/vector_stores",)
    with (
        open_test_session(folder, clock, faults=faults) as (session, _),
        pytest.raises(ServiceError, match="does not advance"),
    ):
        make_plan_now(session, Options())


def test_every_fault_is_met_here() -> None:
    text = Path(__file__).read_text()
    assert [name for name in KINDS if not re.search(rf'["\s]{name}[=:,"]', text)] == []
