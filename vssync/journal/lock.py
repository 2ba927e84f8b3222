"""One run at a time on this machine, for one owner and service. The system frees the lock of a process that died."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from vssync.errors import Refused
from vssync.journal.paths import prepare_folder, write_error

_HOLDER = "holder.json"


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds the lock, and since when, in seconds since the epoch."""

    pid: int
    host: str
    since: int

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} on {self.host}, since {when}"


@contextmanager
def exclusive_lock(
    folder: Path, timeout: float = 0.0, on_wait: Callable[[str], None] = lambda _holder: None
) -> Iterator[None]:
    """Holds the folder's lock; calls `on_wait` with its holder before it waits for it.

    Raises Refused when it is not free after `timeout` seconds, VssyncError when the folder cannot be written.
    """
    lock = FileLock(prepare_folder(folder) / "lock", mode=0o600, thread_local=False)
    try:
        _acquire(lock, folder, timeout, on_wait)
        holder = Holder(os.getpid(), socket.gethostname(), int(time.time()))
        (folder / _HOLDER).write_text(json.dumps(asdict(holder)))
    except OSError as error:
        raise write_error(folder, error) from error
    try:
        yield
    finally:
        (folder / _HOLDER).unlink(missing_ok=True)
        lock.release()


def _acquire(lock: FileLock, folder: Path, timeout: float, on_wait: Callable[[str], None]) -> None:
    try:
        lock.acquire(timeout=0)
        return
    except Timeout:
        if timeout > 0:
            on_wait(_describe_holder(folder))
    try:
        lock.acquire(timeout=timeout, poll_interval=0.1)
    except Timeout:
        raise Refused(
            f"locked: {_describe_holder(folder)}, is working on this manifest. Nothing was written. Wait for it, or "
            "set --lock-timeout SECONDS."
        ) from None


def _describe_holder(folder: Path) -> str:
    try:
        return str(Holder(**json.loads((folder / _HOLDER).read_text())))
    except (OSError, ValueError, TypeError, OverflowError):
        return "an unknown process"
