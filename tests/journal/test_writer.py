"""The journal: a line before and after each write, readable however it was cut off, and small when all is well."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.applier.world import Place, Seen, killed, live
from tests.cli.test_commands import vssync
from tests.support import Clock, Silent, client_of
from vssync.applier.writes import Writes
from vssync.commands.apply import apply_plan, locked_journal
from vssync.commands.batches import cancel_batch, list_batches
from vssync.commands.destroy import plan_destruction
from vssync.errors import Answer, Interrupted, LostReply
from vssync.journal import records
from vssync.journal.interrupted import describe_interrupted
from vssync.journal.records import (
    InterruptedRun,
    JournalSummary,
    Operation,
    SentWrite,
    UnattachedUpload,
    Write,
    WriteResult,
    encode_line,
    read_records,
)
from vssync.journal.writer import Journal, read_past
from vssync.model.state import FileStatus

MANIFEST = """\
version: 1
owner: noted
service: {capabilities: {batch_size: 2}}
stores:
  docs:
    files: [{path: '*.md'}]
"""
FILES = {f"{number}.md": f"# {number}\n" for number in range(5)}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST, **FILES})
    return place


def text(place: Place) -> bytes:
    (path,) = place.state.glob("*/journal.jsonl")
    return path.read_bytes()


def uploads(seen: Seen) -> int:
    return sum(path == "/v1/files" and method == "POST" for method, path in seen)


def applied(place: Place) -> Seen:
    report, seen = place.apply_recorded()
    assert report.converged
    return seen


def test_every_write_has_a_line_before_it_and_one_after_it(place: Place) -> None:
    place.save()
    seen = applied(place)
    last = max(number for number, (method, _) in enumerate(seen, 1) if method != "GET")
    place.back()
    assert killed(place, lambda sent: len(sent) == last)
    lines = [json.loads(line) for line in text(place).splitlines()]
    writes = [method for method, _ in seen[:last] if method != "GET"]
    assert sum("write" in line for line in lines) == len(writes)
    assert sum(line.get("result") == "done" for line in lines) == len(writes) - 1


class Stopping(Clock):
    """A run is asked to stop in the pause after the last of so many answers."""

    def __init__(self, pauses: int) -> None:
        super().__init__()
        self.pauses = pauses

    def sleep(self, seconds: float) -> None:
        self.pauses -= 1
        self.interrupted = self.pauses <= 0
        self.check()
        super().sleep(seconds)


@pytest.mark.parametrize(
    ("statuses", "read", "result"),
    [
        ([], 200, WriteResult.FAILED),  # nothing was sent
        ([429], 200, WriteResult.FAILED),  # the service did nothing
        ([503], 200, WriteResult.UNKNOWN),
        ([503, 429], 200, WriteResult.UNKNOWN),
        ([429, 503], 200, WriteResult.UNKNOWN),
        ([404], 404, WriteResult.DONE),
        ([503, 429], 404, WriteResult.DONE),  # it is looked for before the second attempt
    ],
)
def test_a_write_that_is_interrupted_between_its_attempts_may_have_taken_effect(
    tmp_path: Path, statuses: list[int], read: int, result: WriteResult
) -> None:
    answers, clock = iter(statuses), Stopping(len(statuses))
    clock.interrupted = not statuses
    client = client_of(lambda request: httpx.Response(read if request.method == "GET" else next(answers)), clock)
    journal = Journal(tmp_path / "state")
    with nullcontext() if result is WriteResult.DONE else pytest.raises(Interrupted):
        Writes(client, journal).detach("vs_1", "file-1", is_our_upload=False)
    journal.close()
    lines = [json.loads(line) for line in (tmp_path / "state" / "journal.jsonl").read_bytes().splitlines()]
    assert lines[-1]["result"] == result


def test_what_was_uploaded_is_not_uploaded_again(place: Place) -> None:
    assert killed(place, lambda seen: uploads(seen) == 4)
    assert "A run was interrupted" in place.left_over()
    assert "possibly not attached: 3 files;" in place.left_over()
    assert uploads(applied(place)) == 2
    assert place.left_over() == ""
    assert len(live(place).loose) == 1  # its reply never came, so nothing proves what it is


def test_an_upload_of_an_earlier_run_that_nothing_needs_any_more_is_reported_and_left_to_gc(place: Place) -> None:
    assert killed(place, lambda seen: uploads(seen) == 4)
    place.write({"2.md": "# another\n"})
    report = place.apply()
    assert report.converged
    assert {orphan.file_id for orphan in report.orphans} <= live(place).loose
    assert [orphan.detail for orphan in report.orphans] == ["upload of 2.md, of an earlier run"]
    assert [orphan.file_id for orphan in place.gc()] == [orphan.file_id for orphan in report.orphans]
    assert place.gc(delete=True) == ()
    assert place.gc() == ()


def test_gc_deletes_what_a_killed_run_left_and_does_not_hide_that_it_was_killed(place: Place) -> None:
    assert killed(place, lambda seen: uploads(seen) == 4)
    assert place.gc()
    place.gc(delete=True)
    assert place.gc() == ()
    assert "A run was interrupted" in place.left_over()


def test_a_copy_that_an_earlier_run_took_out_is_named_as_such(place: Place) -> None:
    assert place.apply().converged
    place.write({"2.md": "# another\n"})
    assert killed(place, lambda seen: seen[-1][0] == "DELETE")
    report = place.apply()
    assert [orphan.detail for orphan in report.orphans] == ["upload that an earlier run took out of its store"]
    assert {orphan.file_id for orphan in report.orphans} == live(place).loose


@pytest.mark.parametrize("arguments", [("--format", "json"), (), ("--target", "docs")])
def test_a_killed_run_that_left_nothing_to_do_is_not_to_go_on(place: Place, arguments: tuple[str, ...]) -> None:
    """Its last write took effect. An apply of a part of the manifest does not say so of the rest."""
    assert place.apply().converged
    place.write({"2.md": "# another\n"})
    assert killed(place, lambda seen: seen[-1][:1] == ("DELETE",) and "/vector_stores/" not in seen[-1][1])
    assert "Run it again to continue." in place.left_over()
    end = vssync(place.docs, "apply", "--yes", *arguments, VSSYNC_STATE_DIR=str(place.state))
    assert end.code == 0
    assert ("Run it again to continue." in place.left_over()) is ("--target" in arguments)


def test_of_an_apply_at_work_only_that_is_said() -> None:
    upload, lost = UnattachedUpload("file_1", "1.md", 3, "", 0), Write(Operation.UPLOAD, name="2.md", size=3)
    at_work = InterruptedRun("run", 0, os.getpid(), socket.gethostname(), 1, (lost,))
    dead = replace(at_work, host="elsewhere")
    assert describe_interrupted(
        JournalSummary((upload,), (SentWrite(lost, 0),), (dead, at_work)), at_work.pid
    ).splitlines() == [
        f"A run is in progress: process {os.getpid()} on {at_work.host}, started {moment(0)}, 1 write so far."
    ]
    assert describe_interrupted(JournalSummary((upload,), (SentWrite(lost, 0),), (at_work, dead))).splitlines() == [
        f"A run was interrupted: process {os.getpid()} on elsewhere, started {moment(0)}, after 1 write and 1 "
        "with an unknown result. Run it again to continue.",
        "1 more was interrupted before it.",
        "Uploaded, and possibly not attached: 1 file; `vssync apply` reuses those it can, `vssync gc` lists the rest.",
        "1 file may have been uploaded although no reply came: `vssync gc --suspected`.",
    ]


def moment(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def test_a_run_that_ended_well_leaves_its_owner_alone_the_stores_that_it_made(place: Place) -> None:
    ids = dict(place.apply().store_ids)
    assert [json.loads(line) for line in text(place).splitlines()] == [
        {"run": "", "made": store_id, "key": key} for key, store_id in ids.items()
    ]
    assert place.past().stores == {store_id: key for key, store_id in ids.items()}
    (folder,) = place.state.iterdir()
    assert {path.stat().st_mode & 0o777 for path in (folder, place.state)} == {0o700}
    assert {path.stat().st_mode & 0o077 for path in folder.glob("journal*")} == {0}


def test_other_verbs_write_lines_too_and_leave_the_apply_that_was_cut_off(place: Place) -> None:
    place.ingest_delay = 3600.0
    assert killed(place, lambda seen: seen[-1][1].endswith("/file_batches") and seen[-1][0] == "POST")
    with place.work() as work:
        ((row,), _) = list_batches(work)
        with locked_journal(work):  # as while an apply is at work
            assert cancel_batch(work, row.batch.id).status is FileStatus.CANCELLED
    place.gc(delete=True)
    assert "A run was interrupted" in place.left_over()
    with place.work() as work:
        assert apply_plan(work, plan_destruction(work), Silent()).converged
    assert place.left_over() == ""
    assert place.past().stores == {}


def test_a_journal_that_is_cut_at_any_byte_is_the_whole_lines_before(place: Place) -> None:
    killed(place, lambda seen: len(seen) == 12)
    whole = text(place)
    for cut in range(len(whole)):
        assert read_records(whole[:cut]) == read_records(whole[: whole.rfind(b"\n", 0, cut) + 1])


@given(st.binary(max_size=80))
def test_nothing_makes_a_journal_unreadable(noise: bytes) -> None:
    good = encode_line({"run": "1-a", "at": 1, "upload": "file-1", "name": "a", "size": 1, "sha256": ""})
    assert "file-1" in read_records(noise + b"\n" + good).unattached


NEWER = {"run": "r", "began": 5, "pid": 2, "machine": "h", "format": 2}  # of a version to come


@pytest.mark.parametrize(
    "strange", [NEWER, {**NEWER, "host": "h", "began": "now"}, {**NEWER, "host": "h", "pid": 1e999}]
)
def test_a_line_of_another_version_is_as_good_as_unwritten(place: Place, strange: dict[str, Any]) -> None:
    place.apply()
    (path,) = place.state.glob("*/journal.jsonl")
    path.write_bytes(encode_line(strange))
    assert place.left_over() == ""
    assert place.apply().converged


def test_whatever_byte_of_a_journal_is_lost_or_another_it_can_be_read() -> None:
    write = Write(Operation.UPLOAD, name="a.md", size=5, sha256="ab")
    detach = Write(Operation.DETACH, "vs", ("file-2",), ours=True)
    began = {"run": "r", "began": 1795282344, "pid": 2, "host": "h"}
    sent = [records.line_before("r", 1, 1795282345, write), records.line_after("r", 1, WriteResult.DONE, "file-1")]
    whole = b"".join(map(encode_line, [began, *sent, records.line_before("r", 2, 1795282346, detach)]))
    for position in range(len(whole)):
        for other in (b"", b"0", b"9", b"e", b'"', b"{", b"-", b"x", b"\xff", b"\n"):
            state = read_records(whole[:position] + other + whole[position + 1 :])
            describe_interrupted(state.summary())
            assert read_records(b"".join(map(encode_line, state.lines()))).summary() == state.summary()


IDS = st.sampled_from(["file-1", "file-2"])
RUNS = st.sampled_from(["r", "s"])
ABOUT_FILES = st.sampled_from([Operation.UPLOAD, Operation.DETACH, Operation.DELETE_UPLOAD])
WRITES = st.builds(Write, st.one_of(ABOUT_FILES, st.sampled_from(Operation)), files=st.tuples(IDS), ours=st.booleans())
NUMBERS = st.integers(1, 3)
Event = tuple[dict[str, Any], ...]


def sent(run: str, number: int, write: Write, *results: WriteResult, created_id: str = "") -> Event:
    """A write's line before it, and the one after it where its end is known."""
    return records.line_before(run, number, 5, write), *(
        records.line_after(run, number, result, created_id) for result in results
    )


EVENTS = st.one_of(
    st.builds(lambda run: ({"run": run, "began": 1, "pid": 2, "host": "h"},), RUNS),
    st.builds(lambda run: ({"run": run, "ended": 9},), RUNS),
    st.builds(sent, RUNS, NUMBERS, WRITES),
    st.builds(sent, RUNS, NUMBERS, WRITES, st.sampled_from(WriteResult), created_id=IDS),
    st.builds(lambda *said: (records.line_after(*said),), RUNS, NUMBERS, st.sampled_from(WriteResult), IDS),
)
OURS = {operation: Write(operation, files=("file-1",), ours=True) for operation in Operation}
FORGOTTEN = [
    sent("r", 1, OURS[Operation.DETACH], WriteResult.UNKNOWN),
    sent("r", 2, OURS[Operation.DELETE_UPLOAD], WriteResult.DONE),
]


@given(st.lists(EVENTS, max_size=8), st.one_of(st.just(1.0), st.floats(0, 1)))
@example(FORGOTTEN, 1.0)
@settings(max_examples=300)
def test_lines_dropped_at_any_time_change_nothing_that_is_read(story: list[Event], share: float) -> None:
    """Cut off at any byte, rewritten with what still matters, and gone on with."""
    whole = b"".join(encode_line(line) for event in story for line in event)
    cut = round(share * len(whole))
    first, rest = whole[:cut], whole[whole.rfind(b"\n", 0, cut) + 1 :]
    read = first[: first.rfind(b"\n") + 1]
    short = b"".join(map(encode_line, read_records(first).lines()))
    assert read_records(short).summary() == read_records(first).summary() == read_records(read).summary()
    assert read_records(short + rest).summary() == read_records(read + rest).summary()
    assert b"".join(map(encode_line, read_records(short).lines())) == short


def test_a_journal_that_is_kept_for_ever_stays_small() -> None:
    """Runs that never come to their end, and replies that never come."""
    state, sizes = records.JournalState(), []
    for number in range(3000):
        state.add_line({"run": f"r{number}", "began": number, "pid": 2, "host": "h"})
        for operation in (Operation.UPLOAD, Operation.ATTACH):
            state.add_line(
                records.line_before(
                    f"r{number}", operation is Operation.UPLOAD, number, Write(operation, files=("file-1",))
                )
            )
        if number in (1500, 2999):
            sizes.append(sum(len(encode_line(line)) for line in state.lines()))
    assert sizes[0] == sizes[1]
    assert [run.began for run in state.summary().interrupted] == list(range(2990, 3000))
    assert ("r2999", 1) in state.in_flight


def test_what_a_store_was_seen_to_hold_takes_no_room(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are dropped as soon as they can be; a run is cut off at the last upload, with 8 batches of 2 in flight."""
    monkeypatch.setattr("vssync.journal.writer.COMPACT_ABOVE", 0)
    monkeypatch.setattr("vssync.journal.writer.COMPACT_GROWTH", 1)
    place.write({f"{number}.md": f"# {number}\n" for number in range(40)})
    assert killed(place, lambda seen: seen.count(("POST", "/v1/files")) == 40)
    assert len(place.past().unattached) <= 8 * 2 + 1


@pytest.mark.parametrize(
    ("operation", "ends", "age", "waits"),
    [
        (Operation.ATTACH, [], 4, [11]),  # killed
        (Operation.ATTACH, [{"end": 1, "result": "unknown"}, {"ended": 1}], 4, [11]),  # interrupted while it waited
        (Operation.ATTACH, [{"end": 1, "result": "unknown"}], 14, [1]),
        (Operation.ATTACH, [], 15, []),
        (Operation.ATTACH, [], -60, []),  # the machine's clock was set back
        (Operation.ATTACH, [{"end": 1, "result": "done"}], 4, []),
        (Operation.ATTACH, [{"end": 1, "result": "failed"}, {"ended": 1}], 4, []),
        (Operation.ATTACH, [{"ended": 1}, {"run": "b", "began": 1, "pid": 1, "host": "h"}], 4, [11]),
        (Operation.ATTACH, [{"ended": 1}, {"run": "b", "ended": 1}], 4, []),  # a later run has dealt with it
        (Operation.UPLOAD, [], 4, []),
    ],
)
def test_what_an_interrupted_run_sent_to_be_attached_gets_time_to_end(
    place: Place, operation: Operation, ends: list[dict[str, Any]], age: int, waits: list[int]
) -> None:
    sent_at = int(place.clock.now) - age
    lines = [
        {"run": "a", "began": sent_at, "pid": 1, "host": "h"},
        records.line_before("a", 1, sent_at, Write(operation, files=("file-1",))),
        *({"run": "a", **end} for end in ends),
    ]
    with place.work() as work:
        remote = replace(work, endpoint=replace(work.endpoint, embedded=False))
        for session, expected in ((work, []), (remote, waits)):  # the embedded service ends with the run
            told: list[str] = []
            session.state_folder.mkdir(mode=0o700, parents=True)
            (session.state_folder / "journal.jsonl").write_bytes(b"".join(map(encode_line, lines)))
            with locked_journal(session, on_wait=told.append):
                assert place.clock.waits == expected
            assert len(told) == len(expected)


@pytest.mark.parametrize(
    ("operation", "kept", "left"),
    [
        (Operation.ATTACH, None, (0, 1)),
        (Operation.ATTACH, (), (0, 0)),
        (Operation.UPLOAD, None, (1, 0)),
        (Operation.UPLOAD, (), (1, 0)),  # it may exist all the same
    ],
)
def test_a_lost_reply_is_not_waited_for_after_a_run_that_converged(
    tmp_path: Path, operation: Operation, kept: tuple[str, ...] | None, left: tuple[int, int]
) -> None:
    with closing(Journal(tmp_path / "state", lambda: 1)) as journal:
        journal.mark_as_apply()
        with pytest.raises(LostReply), journal.around(Write(operation, files=("file-1",))):
            raise LostReply("reset", Answer("POST", "/v1/files"))
        journal.end(kept)
    past = read_past(tmp_path / "state")
    assert (len(past.suspected), past.attach_sent_at) == left
