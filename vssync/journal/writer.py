"""Writes a run's journal, and reads what earlier runs left in it.

A line is on the disk before its write is sent. The line after the response is written at once, and gets to the disk
with the next one: after a crash of the machine it looks as if the response had not come.
"""

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

from vssync.errors import Interrupted, VssyncError
from vssync.journal import records
from vssync.journal.folder import check_folder, prepare_folder, write_error
from vssync.journal.records import JournalState, JournalSummary, Write, WriteResult

_NAME = "journal.jsonl"
# Lines that no longer matter are dropped while the run goes on, whenever the journal is larger than both.
COMPACT_ABOVE = 8 << 20  # bytes
COMPACT_GROWTH = 2  # times its size when lines were last dropped


def read_past(folder: Path) -> JournalSummary:
    """What earlier runs left, if anything; opens nothing for writing. Raises VssyncError when it cannot be read."""
    check_folder(folder)
    return _read(folder / _NAME).summary()


def _read(path: Path) -> JournalState:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return JournalState()
    except OSError as error:
        raise VssyncError(f"{path}: the journal cannot be read: {error.strerror}; make it readable") from error
    if (found := records.format_of(data)) > records.FORMAT:
        reads = f"this vssync reads format {records.FORMAT}"
        raise VssyncError(f"{path}: has format {found}, and {reads}: use the vssync that wrote it, or a newer one")
    return records.read_records(data)


class Journal:
    """The journal of one run. Any thread may write to it, but only one process (`exclusive_lock`).

    `past` is what earlier runs left; `now` gives seconds since the epoch. Unless it `flushes`, lines outlive the
    process, and not a crash of the machine. Raises VssyncError when it cannot be opened.
    """

    def __init__(self, folder: Path, now: Callable[[], float] | None = None, *, flushes: bool = True) -> None:
        self._now = now or time.time
        self._flushes = flushes
        self._path = prepare_folder(folder) / _NAME
        self._lock = threading.Lock()
        self._became_idle = threading.Condition(self._lock)
        self._in_flight: dict[int, Write] = {}
        self._state = _read(self._path)
        self._number = 0  # of the last write whose line is in the file
        self._flushed = 0  # of the last one whose line is on the disk
        self._flushing = threading.Lock()  # held while that file is flushed, or replaced
        self._is_apply = self._has_begun = False
        self._error: OSError | None = None
        self._run = f"{os.getpid()}-{secrets.token_hex(4)}"
        self.past = self._state.summary()
        try:
            self._file = self._rewrite()
        except OSError as error:
            raise write_error(self._path, error) from error
        self._compact_size = self._file.tell()

    @contextmanager
    def around(self, write: Write) -> Iterator[Callable[[str], None]]:
        """Wraps the sending of a write; call what it yields with the id of what was created.

        Raises VssyncError, before anything is sent, where the line cannot be written.
        """
        with self._lock:
            number, now = self._number + 1, int(self._now())
            if self._is_apply and not self._has_begun:
                self._append({"run": self._run, "began": now, "pid": os.getpid(), "host": socket.gethostname()})
                self._has_begun = True
            self._append(records.line_before(self._run, number, now, write))
            self._number = number
        self._flush(number)
        with self._lock:
            if self._error:
                raise write_error(self._path, self._error)
            self._in_flight[number] = write
        created: list[str] = []
        try:
            yield created.append
        except (VssyncError, Interrupted) as error:
            self._write_after(number, WriteResult.UNKNOWN if error.is_ambiguous else WriteResult.FAILED, *created)
            raise
        self._write_after(number, WriteResult.DONE, *created)

    @property
    def is_broken(self) -> bool:
        """Whether a line could not be written, so that no more writes may be sent."""
        return self._error is not None

    @property
    def stores(self) -> Mapping[str, str]:
        """The keys, by id, of stores that runs of this machine made, adopted or joined, and still have."""
        return self._state.stores

    def mark_as_apply(self) -> None:
        """Lets the next plan report this run if it is interrupted; the line is written with the first write."""
        self._is_apply = True

    def wait_until_idle(self, timeout: float) -> tuple[Write, ...]:
        """Waits until no write is in flight, at most `timeout` seconds; returns those that still are."""
        with self._became_idle:
            self._became_idle.wait_for(lambda: not self._in_flight, timeout)
            return tuple(self._in_flight.values())

    def forget(self, file_ids: Collection[str]) -> None:
        """Forgets uploads of earlier runs that a store holds or that are gone; their lines go at once."""
        with self._lock:
            self._state.forget(file_ids)
            self._unless_broken(self._compact)

    def remember_store(self, store_id: str, key: str) -> None:
        """Remembers that a store is that of this key in the manifest, or of none, though no request made it so."""
        with self._lock:
            self._append({"run": self._run, "made": store_id, "key": key})

    def record_held(self, file_id: str) -> None:
        """Forgets an upload that a store holds; its lines go the next time that the journal is compacted."""
        with self._lock:
            self._state.forget((file_id,))

    def end(self, keep_only: Collection[str] | None = None) -> None:
        """Records that the run came to its own end. With `keep_only`, all else that it left unattached is forgotten.

        An apply that had nothing to write records it if an earlier run was interrupted: nothing is left of that to do.
        """
        with self._lock:
            if self._has_begun or (self._is_apply and self._state.runs):
                self._state.add_line({"run": self._run, "ended": int(self._now())})
            if keep_only is not None:
                self._state.forget(set(self._state.unattached) - set(keep_only))
                self._state.forget_attaches(self._run)
            self._unless_broken(self._compact)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write_after(self, number: int, result: WriteResult, created_id: str = "") -> None:
        """Writes the line after a write. Where that fails, the next write is not sent."""
        with self._lock:
            self._append(records.line_after(self._run, number, result, created_id))
            del self._in_flight[number]
            self._became_idle.notify_all()
            if self._file.tell() > max(COMPACT_ABOVE, COMPACT_GROWTH * self._compact_size):
                self._unless_broken(self._compact)

    def _append(self, line: Mapping[str, Any]) -> None:
        def write() -> None:
            remaining = records.encode_line(line)
            while remaining:
                remaining = remaining[self._file.write(remaining) :]

        self._unless_broken(write)
        self._state.add_line(line)

    def _flush(self, number: int) -> None:
        """Waits until the line before this write is on the disk. One thread flushes the lines of all that wait."""
        with self._flushing:
            if self._flushes and self._flushed < number:
                latest = self._number
                self._unless_broken(lambda: os.fsync(self._file.fileno()))
                self._flushed = latest

    def _unless_broken(self, write: Callable[[], None]) -> None:
        """Calls what writes to the journal, unless a write has failed: a later line would follow a torn one."""
        if self._error is None:
            try:
                write()
            except OSError as error:
                self._error = error

    def _compact(self) -> None:
        """Drops the lines that no longer matter, and goes on in the new file."""
        with self._flushing:
            old, self._file = self._file, self._rewrite()
            self._compact_size = self._file.tell()
            old.close()

    def _rewrite(self) -> FileIO:
        """Writes the lines that still matter to a new file, renames it to the journal's name, opens it at its end.

        It is opened without a buffer: what a full disk did not take of one would be written once more on closing.
        """
        temporary = self._path.with_suffix(".new")
        temporary.unlink(missing_ok=True)  # left by an interrupted run
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.writelines(records.encode_line(line) for line in self._state.lines())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path)
        if os.name == "posix":  # a rename is on the disk only when its folder is
            folder = os.open(self._path.parent, os.O_RDONLY)
            with suppress(OSError):  # not every file system can flush folders
                os.fsync(folder)
            os.close(folder)
        return self._path.open("ab", buffering=0)
