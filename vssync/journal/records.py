"""The lines of a journal, and what they come to when read again. Pure.

Each line is a JSON object of one of these forms; a run's id stands in `run`, seconds since the epoch in `at`:

    began    {"run", "began", "pid", "host"}
    before   {"run", "at", "write": number, "op", ...what is about to be sent}
    after    {"run", "end": number, "result": "done" | "failed" | "unknown", "id": what it created}
    ended    {"run", "ended"}: the run came to its own end, whatever it had done
    upload   {"run", "at", "upload": File id, "name", "size", "sha256"}: unattached; all that is left of older lines

A process can die at any byte. So a line that cannot be read counts as not written, and a write without its `after` may
have taken effect. In a rewritten journal a `began` says how many writes were `done`, and a `before` is marked
`rewritten`: what it means for Files is in the `upload` lines. However long it is kept, a journal holds no more than
the unattached uploads, the last interrupted runs, and the last writes with an unknown result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

_MAX_RUNS = 10  # interrupted ones, one after the other, that are remembered
_MAX_UNKNOWN = 1_000  # writes of earlier runs with an unknown result
_TIMESTAMPS = range(1 << 36)  # seconds since the epoch, until the year 4147


class Operation(StrEnum):
    """What a write does."""

    UPLOAD = "upload"
    DELETE_UPLOAD = "delete_upload"
    ATTACH = "attach"
    DETACH = "detach"
    ATTRIBUTES = "attributes"
    CREATE_STORE = "create_store"
    UPDATE_STORE = "update_store"
    DELETE_STORE = "delete_store"
    CANCEL = "cancel"


class WriteResult(StrEnum):
    """How a write ended."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Write:
    """What is about to be sent. `files` are the Files it concerns; with `ours`, uploads of ours that leave their store.

    An upload that is deleted has `name` and `size` where it was found by them.
    """

    operation: Operation
    store: str = ""
    files: tuple[str, ...] = ()
    name: str = ""
    size: int = 0
    sha256: str = ""
    ours: bool = False


@dataclass(frozen=True, slots=True)
class UnattachedUpload:
    """An upload of ours that a store may or may not hold. Without `sha256` its bytes are not known any more."""

    file_id: str
    name: str
    size: int
    sha256: str
    sent_at: int


@dataclass(frozen=True, slots=True)
class InterruptedRun:
    """A run that did not come to its own end: how many of its writes were done, and those with an unknown result."""

    run: str
    began: int
    pid: int
    host: str
    done: int = 0
    unknown: tuple[Write, ...] = ()


@dataclass(frozen=True, slots=True)
class JournalSummary:
    """What earlier runs left: uploads that nothing may hold, uploads that may exist and when they were sent, and runs
    that were interrupted."""

    unattached: tuple[UnattachedUpload, ...] = ()
    suspected: tuple[tuple[Write, int], ...] = ()
    interrupted: tuple[InterruptedRun, ...] = ()


@dataclass(slots=True)
class JournalState:
    """What the lines so far come to; it keeps only what still matters of them."""

    unattached: dict[str, UnattachedUpload] = field(default_factory=dict)
    runs: dict[str, InterruptedRun] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    in_flight: dict[tuple[str, int], tuple[Write, int]] = field(default_factory=dict)

    def add_line(self, line: Mapping[str, Any]) -> None:
        """Takes one more line. A foreign one raises KeyError, TypeError or ValueError and changes nothing."""
        run = str(line["run"])
        if "write" in line:
            self._add_before(run, line)
        elif "end" in line:
            self._add_after(run, line)
        elif "upload" in line:
            name, size, sha256 = str(line.get("name", "")), int(line.get("size", 0)), str(line.get("sha256", ""))
            upload = UnattachedUpload(str(line["upload"]), name, size, sha256, _parse_timestamp(line["at"]))
            self.unattached[upload.file_id] = upload
        elif "began" in line:
            began, pid, host = _parse_timestamp(line["began"]), int(line["pid"]), str(line["host"])
            self.done[run] = int(line.get("done", 0))
            self.runs[run] = InterruptedRun(run, began, pid, host)
            for old in list(self.runs)[:-_MAX_RUNS]:  # those that never ended pile up
                del self.runs[old], self.done[old]
            self.in_flight = dict(list(self.in_flight.items())[-_MAX_UNKNOWN:])
        elif "ended" in line:  # a run that came to its end has dealt with what earlier ones left
            may_exist = {key: sent for key, sent in self.in_flight.items() if sent[0].operation is Operation.UPLOAD}
            self.runs, self.done, self.in_flight = {}, {}, may_exist
        else:
            raise ValueError("not a line of a journal")

    def forget(self, file_ids: Iterable[str]) -> None:
        """These uploads are held by a store, or gone."""
        for file_id in file_ids:
            self.unattached.pop(file_id, None)

    def lines(self) -> Iterator[dict[str, Any]]:
        """The fewest lines that come to the same state."""
        for run in self.runs.values():
            yield {"run": run.run, "began": run.began, "pid": run.pid, "host": run.host, "done": self.done[run.run]}
        for upload in self.unattached.values():
            fields = {"name": upload.name, "size": upload.size, "sha256": upload.sha256}
            yield {"run": "", "at": upload.sent_at, "upload": upload.file_id, **fields}
        for (name, number), (write, sent_at) in self.in_flight.items():
            yield {**before(name, number, sent_at, write), "rewritten": True}

    def summary(self) -> JournalSummary:
        """What the lines come to once every run in them is over."""
        interrupted = [
            replace(
                run,
                done=self.done[name],
                unknown=tuple(write for (of_run, _), (write, _) in self.in_flight.items() if of_run == name),
            )
            for name, run in self.runs.items()
        ]
        suspected = [sent for sent in self.in_flight.values() if sent[0].operation is Operation.UPLOAD]
        return JournalSummary(tuple(self.unattached.values()), tuple(suspected), tuple(interrupted))

    def _add_before(self, run: str, line: Mapping[str, Any]) -> None:
        write = Write(
            operation=Operation(line["op"]),
            store=str(line.get("store", "")),
            files=tuple(map(str, line.get("files", ()))),
            name=str(line.get("name", "")),
            size=int(line.get("size", 0)),
            sha256=str(line.get("sha256", "")),
            ours=bool(line.get("ours")),
        )
        sent_at = _parse_timestamp(line["at"])
        self.in_flight[run, int(line["write"])] = write, sent_at
        if write.ours and not line.get("rewritten"):
            for file_id in write.files:
                upload = UnattachedUpload(file_id, write.name, write.size, write.sha256, sent_at)
                self.unattached.setdefault(file_id, upload)

    def _add_after(self, run: str, line: Mapping[str, Any]) -> None:
        result, number = WriteResult(line["result"]), int(line["end"])
        write, sent_at = self.in_flight[run, number]
        if result is WriteResult.UNKNOWN:
            return
        del self.in_flight[run, number]
        created_id = str(line.get("id", ""))
        if result is WriteResult.FAILED:
            if created_id:  # it exists, and is not what was to be sent
                self.unattached[created_id] = UnattachedUpload(created_id, write.name, write.size, "", sent_at)
            return
        self.done[run] = self.done.get(run, 0) + 1
        if write.operation is Operation.UPLOAD:
            self.unattached[created_id] = UnattachedUpload(created_id, write.name, write.size, write.sha256, sent_at)
        elif write.operation is Operation.DELETE_UPLOAD:
            self.forget(write.files)
            # One that was found by name and size is no longer suspected; others like it still are.
            found = (Operation.UPLOAD, write.name, write.size)
            like = (key for key, (sent, _) in self.in_flight.items() if (sent.operation, sent.name, sent.size) == found)
            self.in_flight.pop(next(like, ("", 0)), None)


def read_records(text: bytes) -> JournalState:
    """What a journal's bytes come to; what is torn or foreign in them counts as not written."""
    state = JournalState()
    for line in text.split(b"\n")[:-1]:  # what follows the last line end was cut off while it was written
        try:
            state.add_line(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            continue
    return state


def encode_line(line: Mapping[str, Any]) -> bytes:
    """A line's bytes, its end included."""
    return json.dumps(line, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def before(run: str, number: int, sent_at: int, write: Write) -> dict[str, Any]:
    """The line before a write; what is empty is left out."""
    fields = {name: value for name, value in asdict(write).items() if value}
    return {"run": run, "at": sent_at, "write": number, "op": fields.pop("operation"), **fields}


def after(run: str, number: int, result: WriteResult, created_id: str = "") -> dict[str, Any]:
    """The line after a write."""
    return {"run": run, "end": number, "result": result.value, **({"id": created_id} if created_id else {})}


def _parse_timestamp(value: Any) -> int:
    """Seconds since the epoch; ValueError for what no calendar has."""
    if (seconds := int(value)) not in _TIMESTAMPS:
        raise ValueError("not a time")
    return seconds
