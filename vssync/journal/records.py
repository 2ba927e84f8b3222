"""The lines of a journal, and what they come to when read again. Pure.

Each line is a JSON object of one of these forms; a run's id stands in `run`, seconds since the epoch in `at`:

    began   {"run", "began", "pid", "host"}
    before  {"run", "at", "write": number, "doing", ...what is about to be sent}
    after   {"run", "end": number, "how": "done" | "failed" | "unknown", "id": what it made}
    ended   {"run", "ended"}: the run came to its own end, whatever it had done
    kept    {"run", "at", "kept": File id, "name", "size", "sha256"}: all that is left of older lines

A process can die at any byte. So a line that cannot be read is as good as unwritten, and a write without its `after`
may have taken effect. Written anew, a `began` says how many were `done`, and a `before` is `again`: what it means for
Files is said by the `kept` lines.

However long it is kept, a journal holds no more than the uploads that no store is known to hold, the last runs that
were cut off, and the last writes whose end nobody knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

_RUNS = 10  # that were cut off, one after the other, and are remembered
_UNKNOWN = 1_000  # writes of earlier runs whose end nobody knows
_MOMENTS = range(1 << 36)  # seconds since the epoch, until the year 4147


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


class Ended(StrEnum):
    """How a write ended."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Write:
    """What is about to be sent. `files` are the Files it concerns; with `ours`, uploads of ours that leave their store.

    An upload that is deleted has `name` and `size` where they are what it was found by.
    """

    doing: Operation
    store: str = ""
    files: tuple[str, ...] = ()
    name: str = ""
    size: int = 0
    sha256: str = ""
    ours: bool = False


@dataclass(frozen=True, slots=True)
class UnattachedUpload:
    """An upload of ours that a store may or may not hold. Without `sha256` nobody knows its bytes any more."""

    file_id: str
    name: str
    size: int
    sha256: str
    at: int


@dataclass(frozen=True, slots=True)
class InterruptedRun:
    """A run that did not come to its own end: how many writes it saw done, and those whose end nobody knows."""

    run: str
    began: int
    pid: int
    host: str
    done: int = 0
    unknown: tuple[Write, ...] = ()


@dataclass(frozen=True, slots=True)
class JournalSummary:
    """What earlier runs left: uploads that may be held by nothing, uploads that may exist since when they were sent,
    runs that were cut off."""

    kept: tuple[UnattachedUpload, ...] = ()
    maybe: tuple[tuple[Write, int], ...] = ()
    broken: tuple[InterruptedRun, ...] = ()


@dataclass(slots=True)
class JournalState:
    """Takes lines one by one and keeps what still matters of them."""

    kept: dict[str, UnattachedUpload] = field(default_factory=dict)
    began: dict[str, InterruptedRun] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    under_way: dict[tuple[str, int], tuple[Write, int]] = field(default_factory=dict)

    def take(self, line: Mapping[str, Any]) -> None:
        """One line more. Raises KeyError, TypeError or ValueError for one that is none of ours; it changes nothing."""
        run = str(line["run"])
        if "write" in line:
            self._before(run, line)
        elif "end" in line:
            self._after(run, line)
        elif "kept" in line:
            kept = _kept(line)
            self.kept[kept.file_id] = kept
        elif "began" in line:
            self._began(run, line)
        elif "ended" in line:
            self._ended()
        else:
            raise ValueError("no line of a journal")

    def forget(self, file_ids: frozenset[str]) -> None:
        """These uploads are held by a store, or gone."""
        for file_id in file_ids:
            self.kept.pop(file_id, None)

    def lines(self) -> Iterator[dict[str, Any]]:
        """The fewest lines that come to the same."""
        for run in self.began.values():
            began = {"run": run.run, "began": run.began, "pid": run.pid, "host": run.host}
            yield {**began, "done": self.done[run.run]}
        for kept in self.kept.values():
            known = {"kept": kept.file_id, "name": kept.name, "size": kept.size, "sha256": kept.sha256}
            yield {"run": "", "at": kept.at, **known}
        for (name, number), (write, at) in self.under_way.items():
            yield {**before(name, number, at, write), "again": True}

    def past(self) -> JournalSummary:
        """What the lines came to, with every run in them over."""
        lost = {run: tuple(write for key, (write, _) in self.under_way.items() if key[0] == run) for run in self.began}
        broken = [replace(began, done=self.done[run], unknown=lost[run]) for run, began in self.began.items()]
        maybe = [sent for sent in self.under_way.values() if sent[0].doing is Operation.UPLOAD]
        return JournalSummary(tuple(self.kept.values()), tuple(maybe), tuple(broken))

    def _began(self, run: str, line: Mapping[str, Any]) -> None:
        """A run that never ends is followed by another; of too many only the last are remembered."""
        begun = InterruptedRun(run, _moment(line["began"]), int(line["pid"]), str(line["host"]))
        self.done[run] = int(line.get("done", 0))
        self.began[run] = begun
        for old in list(self.began)[:-_RUNS]:
            del self.began[old], self.done[old]
        self.under_way = dict(list(self.under_way.items())[-_UNKNOWN:])

    def _before(self, run: str, line: Mapping[str, Any]) -> None:
        write, at = _write(line), _moment(line["at"])
        self.under_way[run, int(line["write"])] = write, at
        if write.ours and not line.get("again"):
            for file_id in write.files:
                self.kept.setdefault(file_id, UnattachedUpload(file_id, write.name, write.size, "", at))

    def _after(self, run: str, line: Mapping[str, Any]) -> None:
        how, number = Ended(line["how"]), int(line["end"])
        write, at = self.under_way[run, number]
        if how is Ended.UNKNOWN:
            return
        del self.under_way[run, number]
        made = str(line.get("id", ""))
        if how is Ended.FAILED and made:  # it exists, and is not what was to be sent
            self.kept[made] = UnattachedUpload(made, write.name, write.size, "", at)
        if how is Ended.DONE:
            self._done(run, write, made, at)

    def _done(self, run: str, write: Write, made: str, at: int) -> None:
        self.done[run] = self.done.get(run, 0) + 1
        if write.doing is Operation.UPLOAD:
            self.kept[made] = UnattachedUpload(made, write.name, write.size, write.sha256, at)
        elif write.doing is Operation.DELETE_UPLOAD:
            self.forget(frozenset(write.files))
            self._settle(write)

    def _settle(self, deleted: Write) -> None:
        """What was found by name and size and is gone was one of the uploads that may exist; the others may still."""
        form = (Operation.UPLOAD, deleted.name, deleted.size)
        alike = (key for key, (sent, _) in self.under_way.items() if (sent.doing, sent.name, sent.size) == form)
        if found := next(alike, None):
            del self.under_way[found]

    def _ended(self) -> None:
        """A run that came to its end planned anew what those before it left; uploads that may exist stay."""
        self.began.clear()
        self.done.clear()
        self.under_way = {key: sent for key, sent in self.under_way.items() if sent[0].doing is Operation.UPLOAD}


def read_records(text: bytes) -> JournalState:
    """What a journal's bytes come to; what is torn or strange in them counts as unwritten."""
    found = JournalState()
    for row in text.split(b"\n")[:-1]:  # what follows the last line end was cut off while it was written
        try:
            found.take(json.loads(row))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            continue
    return found


def row(line: Mapping[str, Any]) -> bytes:
    """A line's bytes, its end included."""
    return json.dumps(line, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def before(run: str, number: int, at: int, write: Write) -> dict[str, Any]:
    """The line before a write; what is empty is left out."""
    what = {"store": write.store, "files": list(write.files), "name": write.name, "size": write.size}
    more = {"sha256": write.sha256, "ours": write.ours}
    said = {name: value for name, value in {**what, **more}.items() if value}
    return {"run": run, "at": at, "write": number, "doing": write.doing.value, **said}


def after(run: str, number: int, how: Ended, made: str = "") -> dict[str, Any]:
    """The line after a write."""
    return {"run": run, "end": number, "how": how.value, **({"id": made} if made else {})}


def _write(line: Mapping[str, Any]) -> Write:
    return Write(
        doing=Operation(line["doing"]),
        store=str(line.get("store", "")),
        files=tuple(map(str, line.get("files", ()))),
        name=str(line.get("name", "")),
        size=int(line.get("size", 0)),
        sha256=str(line.get("sha256", "")),
        ours=bool(line.get("ours")),
    )


def _kept(line: Mapping[str, Any]) -> UnattachedUpload:
    size, sha256 = int(line.get("size", 0)), str(line.get("sha256", ""))
    return UnattachedUpload(str(line["kept"]), str(line.get("name", "")), size, sha256, _moment(line["at"]))


def _moment(seconds: Any) -> int:
    """Seconds since the epoch; ValueError for what no calendar has."""
    if (found := int(seconds)) not in _MOMENTS:
        raise ValueError("no moment")
    return found
