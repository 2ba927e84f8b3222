"""Says to a person what a run that was cut off left behind."""

from __future__ import annotations

import os
import socket
import time

from vssync.journal.records import InterruptedRun, JournalSummary


def describe_interrupted(past: JournalSummary) -> str:
    """A few lines, or nothing where every run came to its own end."""
    if not past.broken:
        return ""
    last = past.broken[-1]
    who = f"process {last.pid} on {last.host}, begun {_time(last.began)}"
    if _alive(last):  # what it uploaded is on its way
        return f"A run is at work: {who}, {_writes(last.done)} so far."
    unknown = f" and {len(last.unknown):,} whose end nobody knows" if last.unknown else ""
    lines = [f"A run was cut off: {who}, after {_writes(last.done)}{unknown}. Run it again to go on."]
    if older := len(past.broken) - 1:
        lines.append(f"{older} more {'was' if older == 1 else 'were'} cut off before it.")
    if past.kept:
        lines.append(
            f"Uploaded, and perhaps not attached: {_files(len(past.kept))}; `vssync apply` takes those it can use,"
            " `vssync gc` lists the rest."
        )
    if past.maybe:
        lines.append(f"{_files(len(past.maybe))} may have been uploaded without an answer: `vssync gc --suspected`.")
    return "\n".join(lines)


def _time(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _alive(run: InterruptedRun) -> bool:
    """Whether the process may still be there; the lock, not this, keeps two of them apart."""
    if run.host != socket.gethostname():
        return False
    try:
        os.kill(run.pid, 0)
    except (OSError, OverflowError):
        return False
    return True


def _writes(count: int) -> str:
    return "1 write" if count == 1 else f"{count:,} writes"


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"
