"""Says to a person what a run that was cut off left behind."""

from __future__ import annotations

import os
import socket
import time

from vssync.journal.lines import Broken, Past


def words(past: Past) -> str:
    """A few lines, or nothing where every run came to its own end and left nothing."""
    lines = [_run(run) for run in past.broken[-1:]]
    if (older := len(past.broken) - 1) > 0:
        lines.append(f"{older} more {'was' if older == 1 else 'were'} cut off before it.")
    if past.broken and past.kept:
        lines.append(
            f"It had uploaded {_files(len(past.kept))} that may not be attached; `vssync apply` takes those it can use,"
            " `vssync gc` lists the rest."
        )
    if past.broken and past.maybe:
        lines.append(f"{_files(len(past.maybe))} may have been uploaded without an answer: `vssync gc --suspected`.")
    return "\n".join(lines)


def _run(run: Broken) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.began))
    who = f"process {run.pid} on {run.host}, begun {when}"
    if _alive(run):
        return f"An apply is at work: {who}, {_writes(run.done)} so far."
    unknown = f", and {len(run.unknown):,} of which nobody knows" if run.unknown else ""
    return f"An apply was cut off: {who}, after {_writes(run.done)}{unknown}. Apply again to go on."


def _alive(run: Broken) -> bool:
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
