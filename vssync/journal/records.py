"""The lines of a journal, and the state they add up to when read again. Pure.

A journal may begin with `{"format":2}`; without it, that is 1. A newer one is refused, and not rewritten.

Each line is a JSON object of one of these forms; a run's id stands in `run`, seconds since the epoch in `at`:

    began    {"run", "began", "pid", "host"}
    before   {"run", "at", "write": number, "op", ...what is about to be sent}
    after    {"run", "end": number, "result": "done" | "failed" | "unknown", "id": what it created}
    ended    {"run", "ended"}: the run came to its own end, whatever it had done
    upload   {"run", "at", "upload": File id, "name", "size", "sha256"}: unattached; stands for older lines
    made     {"run", "made": store id, "key": its key in the manifest}: joined, or stands for older lines;
                                                             given up if there is no key

A process can die at any byte. So a line that cannot be read counts as not written, and a write without its `after` may
have taken effect. When a journal is rewritten with fewer lines, a `began` says how many writes were `done`, and a
`before` is marked `rewritten`, since `upload` lines then say which uploads it left unattached. However long it is kept,
it holds no more than the unattached uploads, the last interrupted runs, the last writes with an unknown result, and the
last stores that were made, adopted or joined here, and neither deleted nor given up here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, NamedTuple

FORMAT = 1
_MAX_RUNS = 10  # interrupted ones that are remembered: the last
_MAX_UNKNOWN = 1_000  # writes of earlier runs with an unknown result
_MAX_STORES = 1_000
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
    """What is about to be sent. `size` and `sha256` are those of an upload where they are known."""

    operation: Operation
    store: str = ""
    files: tuple[str, ...] = ()  # ids of the Files it concerns
    name: str = ""  # of the upload or of a new store; a batch that is cancelled has its id here
    size: int = 0
    sha256: str = ""
    ours: bool = False  # `files` are uploads of ours, and leave their store
    key: str = ""  # in the manifest, of a store that is created or becomes ours


class SentWrite(NamedTuple):
    """A write whose end is not known, and when it was sent, in seconds since the epoch."""

    write: Write
    sent_at: int


@dataclass(frozen=True, slots=True)
class UnattachedUpload:
    """An upload of ours that a store may or may not hold. Without `sha256` its content is not known."""

    file_id: str
    name: str
    size: int
    sha256: str
    sent_at: int


@dataclass(frozen=True, slots=True)
class InterruptedRun:
    """A run that did not come to its own end."""

    id: str
    began: int  # seconds since the epoch
    pid: int
    host: str
    done: int = 0  # how many of its writes were done
    unknown: tuple[Write, ...] = ()  # those with an unknown result


@dataclass(frozen=True, slots=True)
class JournalSummary:
    """What earlier runs left."""

    unattached: tuple[UnattachedUpload, ...] = ()
    suspected: tuple[SentWrite, ...] = ()  # uploads that may exist
    interrupted: tuple[InterruptedRun, ...] = ()  # oldest first
    stores: Mapping[str, str] = field(default_factory=dict)  # keys by id, of stores that runs made, adopted or joined
    attach_sent_at: int = 0  # when the last request to attach files was sent whose end is not known; 0: none


@dataclass(slots=True)
class JournalState:
    """What the lines so far add up to; it keeps only what still matters of them."""

    unattached: dict[str, UnattachedUpload] = field(default_factory=dict)  # by File id
    runs: dict[str, InterruptedRun] = field(default_factory=dict)  # without an `ended` line, by id
    in_flight: dict[tuple[str, int], SentWrite] = field(default_factory=dict)  # by the run's id and their number
    stores: dict[str, str] = field(default_factory=dict)  # keys of the manifest by id

    def add_line(self, line: Mapping[str, Any]) -> None:
        """Adds one line. Raises KeyError, TypeError or ValueError, and changes nothing, if it has none of the forms."""
        run = str(line["run"])
        if "write" in line:
            self._add_before(run, line)
        elif "end" in line:
            self._add_after(run, line)
        elif "upload" in line:
            name, size, sha256 = str(line.get("name", "")), int(line.get("size", 0)), str(line.get("sha256", ""))
            upload = UnattachedUpload(str(line["upload"]), name, size, sha256, _parse_timestamp(line["at"]))
            self.unattached[upload.file_id] = upload
        elif "made" in line:
            self._add_store(str(line["made"]), str(line["key"]))
        elif "began" in line:
            began, pid, host = _parse_timestamp(line["began"]), int(line["pid"]), str(line["host"])
            self.runs[run] = InterruptedRun(run, began, pid, host, int(line.get("done", 0)))
            for old in list(self.runs)[:-_MAX_RUNS]:  # those that never ended pile up
                del self.runs[old]
            self.in_flight = dict(list(self.in_flight.items())[-_MAX_UNKNOWN:])
        elif "ended" in line:  # a run that came to its own end has dealt with what earlier ones left
            own = {key: sent for key, sent in self._in_flight_to(Operation.ATTACH).items() if key[0] == run}
            self.runs, self.in_flight = {}, self._in_flight_to(Operation.UPLOAD) | own
        else:
            raise ValueError("not a line of a journal")

    def forget(self, file_ids: Iterable[str]) -> None:
        """Forgets uploads that a store holds, or that are gone."""
        for file_id in file_ids:
            self.unattached.pop(file_id, None)

    def forget_attaches(self, run: str) -> None:
        """Forgets the requests of a run to attach files: it saw how they ended."""
        for key in self._in_flight_to(Operation.ATTACH):
            if key[0] == run:
                del self.in_flight[key]

    def lines(self) -> Iterator[dict[str, Any]]:
        """The fewest lines that add up to the same state."""
        for run in self.runs.values():
            yield {"run": run.id, "began": run.began, "pid": run.pid, "host": run.host, "done": run.done}
        for upload in self.unattached.values():
            fields = {"name": upload.name, "size": upload.size, "sha256": upload.sha256}
            yield {"run": "", "at": upload.sent_at, "upload": upload.file_id, **fields}
        for store_id, key in self.stores.items():
            yield {"run": "", "made": store_id, "key": key}
        for (run_id, number), (write, sent_at) in self.in_flight.items():
            yield {**line_before(run_id, number, sent_at, write), "rewritten": True}

    def summary(self) -> JournalSummary:
        """What runs left, now that every one in the lines is over."""
        unknown: dict[str, list[Write]] = {}
        for (run_id, _), sent in self.in_flight.items():
            unknown.setdefault(run_id, []).append(sent.write)
        return JournalSummary(
            unattached=tuple(self.unattached.values()),
            suspected=tuple(self._in_flight_to(Operation.UPLOAD).values()),
            interrupted=tuple(replace(run, unknown=tuple(unknown.get(run.id, ()))) for run in self.runs.values()),
            stores=dict(self.stores),
            attach_sent_at=max((sent.sent_at for sent in self._in_flight_to(Operation.ATTACH).values()), default=0),
        )

    def _in_flight_to(self, operation: Operation) -> dict[tuple[str, int], SentWrite]:
        return {key: sent for key, sent in self.in_flight.items() if sent.write.operation is operation}

    def _add_store(self, store_id: str, key: str) -> None:
        self.stores.pop(store_id, None)
        self.stores |= {store_id: key} if key else {}
        for old in list(self.stores)[:-_MAX_STORES]:
            del self.stores[old]

    def _add_before(self, run: str, line: Mapping[str, Any]) -> None:
        write = Write(
            operation=Operation(line["op"]),
            store=str(line.get("store", "")),
            files=tuple(map(str, line.get("files", ()))),
            name=str(line.get("name", "")),
            size=int(line.get("size", 0)),
            sha256=str(line.get("sha256", "")),
            ours=bool(line.get("ours")),
            key=str(line.get("key", "")),
        )
        sent_at = _parse_timestamp(line["at"])
        self.in_flight[run, int(line["write"])] = SentWrite(write, sent_at)
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
        if run in self.runs:
            self.runs[run] = replace(self.runs[run], done=self.runs[run].done + 1)
        if write.operation is Operation.UPLOAD:
            self.unattached[created_id] = UnattachedUpload(created_id, write.name, write.size, write.sha256, sent_at)
        elif write.operation is Operation.DELETE_UPLOAD:
            self.forget(write.files)
            self._forget_suspect(write.name, write.size)
        elif write.operation in (Operation.CREATE_STORE, Operation.UPDATE_STORE) and write.key:
            self._add_store(created_id or write.store, write.key)
        elif write.operation is Operation.DELETE_STORE:
            self.stores.pop(write.store, None)

    def _forget_suspect(self, name: str, size: int) -> None:
        """Forgets one suspected upload of this name and size, since one was deleted; any others stay suspected."""
        for key, (write, _) in self.in_flight.items():
            if (write.operation, write.name, write.size) == (Operation.UPLOAD, name, size):
                del self.in_flight[key]
                return


def format_of(data: bytes) -> int:
    """The format of a journal, by its first line."""
    first = re.match(rb'\{"format":([0-9]{1,6})\}\n', data)
    return int(first[1]) if first else FORMAT


def read_records(data: bytes) -> JournalState:
    """The state that the bytes of a journal add up to; what cannot be read as a line counts as not written."""
    state = JournalState()
    for line in data.split(b"\n")[:-1]:  # the last is empty, or was cut off while it was written
        try:
            state.add_line(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            continue
    return state


def encode_line(line: Mapping[str, Any]) -> bytes:
    """A line's bytes, its end included."""
    return json.dumps(line, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def line_before(run: str, number: int, sent_at: int, write: Write) -> dict[str, Any]:
    """The line before a write; empty fields are left out."""
    said = {each.name: value for each in fields(write) if (value := getattr(write, each.name))}
    return {"run": run, "at": sent_at, "write": number, "op": said.pop("operation"), **said}


def line_after(run: str, number: int, result: WriteResult, created_id: str = "") -> dict[str, Any]:
    """The line after a write."""
    return {"run": run, "end": number, "result": result.value, **({"id": created_id} if created_id else {})}


def _parse_timestamp(value: Any) -> int:
    """Seconds since the epoch. Raises ValueError for a number that cannot be a date."""
    if (seconds := int(value)) not in _TIMESTAMPS:
        raise ValueError("not a time")
    return seconds
