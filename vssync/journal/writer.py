"""Writes a run's journal: a line reaches the disk before a write is sent, and another after it was answered."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any

from vssync.errors import LostReply, VssyncError
from vssync.journal.paths import check, prepared, unusable
from vssync.journal.records import Ended, JournalState, JournalSummary, Write, after, before, read_records, row

_NAME = "journal.jsonl"
MOST = 8 << 20  # bytes; beyond, lines that no longer matter are dropped while the run goes on


def read_past(folder: Path) -> JournalSummary:
    """What the runs before left, without opening anything for writing; nothing where there is no journal.

    Raises VssyncError when there is one that cannot be read.
    """
    check(folder)
    return _read(folder / _NAME).past()


def _read(path: Path) -> JournalState:
    try:
        return read_records(path.read_bytes())
    except FileNotFoundError:
        return JournalState()
    except OSError as error:
        raise VssyncError(f"{path}: the journal cannot be read: {error.strerror}; make it readable") from error


class Journal:
    """One run's record; any thread may write to it, one process only (`alone`).

    `past` is what earlier runs left. Raises VssyncError when it cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self._path = prepared(folder) / _NAME
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._flying: dict[int, Write] = {}
        self._fold = _read(self._path)
        self._number = 0
        self._applies = self._begun = False
        self._wrong: OSError | None = None
        self.run = f"{os.getpid()}-{secrets.token_hex(4)}"
        self.past = self._fold.past()
        try:
            self._file = self._rewritten()
        except OSError as error:
            raise unusable(self._path, error) from error
        self._smallest = self._file.tell()

    @contextmanager
    def around(self, write: Write, unsent: type[Exception] = VssyncError) -> Iterator[Callable[[str], None]]:
        """Stands around sending a write; what it yields is to be told the id of what was made.

        `unsent` is raised by whoever sends when nothing was. Raises VssyncError, before anything is sent, when the
        line cannot be written.
        """
        number = self._before(write)
        made: list[str] = []
        try:
            yield made.append
        except (VssyncError, unsent) as error:
            self._after(number, Ended.UNKNOWN if isinstance(error, LostReply) else Ended.FAILED, *made)
            raise
        self._after(number, Ended.DONE, *made)

    def begin(self) -> None:
        """This run is an apply: when it is cut off, the next plan says so. It is written down with the first write."""
        self._applies = True

    def idle(self, patience: float) -> tuple[Write, ...]:
        """Waits until no write is under way, at most `patience` seconds; those that still are."""
        with self._changed:
            self._changed.wait_for(lambda: not self._flying, patience)
            return tuple(self._flying.values())

    def forget(self, file_ids: Collection[str]) -> None:
        """These uploads of earlier runs are held by a store, or gone."""
        with self._lock:
            self._fold.forget(frozenset(file_ids))
            self._try(self._compact)

    def held(self, file_id: str) -> None:
        """A store was seen to hold this upload: its lines go when lines are next dropped."""
        with self._lock:
            self._fold.forget(frozenset({file_id}))

    def end(self, keep: Collection[str] | None = None) -> None:
        """The run came to its own end. Of its uploads only those to `keep` are remembered; without, all are."""
        with self._lock:
            if self._begun:
                self._fold.take({"run": self.run, "ended": _now()})
            if keep is not None:
                self._fold.forget(frozenset(self._fold.kept) - frozenset(keep))
            self._try(self._compact)

    def close(self) -> None:
        """Gives the file back."""
        self._file.close()

    def _before(self, write: Write) -> int:
        with self._lock:
            self._number += 1
            if self._applies and not self._begun:
                began = {"run": self.run, "began": _now(), "pid": os.getpid(), "host": socket.gethostname()}
                self._add(began)
                self._begun = True
            self._add(before(self.run, self._number, _now(), write))
            if self._wrong:
                raise unusable(self._path, self._wrong)
            self._flying[self._number] = write
            return self._number

    def _after(self, number: int, how: Ended, made: str = "") -> None:
        """What is done is done: when this cannot be written, the next write is not sent."""
        with self._lock:
            self._add(after(self.run, number, how, made))
            del self._flying[number]
            self._changed.notify_all()
            if self._file.tell() > max(MOST, 2 * self._smallest):
                self._try(self._compact)

    def _add(self, line: Mapping[str, Any]) -> None:
        def put() -> None:
            left = row(line)
            while left:
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())

        self._try(put)
        self._fold.take(line)

    def _try(self, act: Callable[[], None]) -> None:
        """Once something could not be written, nothing more is: a later line would stand behind a torn one."""
        if self._wrong is None:
            try:
                act()
            except OSError as error:
                self._wrong = error

    def _compact(self) -> None:
        """Only the lines that still matter."""
        old, self._file = self._file, self._rewritten()
        self._smallest = self._file.tell()
        old.close()

    def _rewritten(self) -> FileIO:
        """The journal with the lines that still matter, in place by a rename, at its end.

        Without a buffer: one that a full disk did not take would be written once more on closing.
        """
        beside = self._path.with_suffix(".new")
        beside.unlink(missing_ok=True)  # of a run that was cut off
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.writelines(row(line) for line in self._fold.lines())
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self._path)
        _settle(self._path.parent)
        return self._path.open("ab", buffering=0)


def _settle(folder: Path) -> None:
    """A rename is on the disk only when its folder is; some file systems do not let a folder be asked for that."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            with suppress(OSError):
                os.fsync(handle)
        finally:
            os.close(handle)


def _now() -> int:
    return int(time.time())
