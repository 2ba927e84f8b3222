"""What `plan` says about runs on this machine that were interrupted."""

from __future__ import annotations

import time

from vssync.journal.records import JournalSummary
from vssync.text import count_noun


def describe_interrupted(summary: JournalSummary, holder: int = 0) -> str:
    """A few lines about the last run and what is left over, or "" where every run came to its own end.

    `holder` is the id of the process that has the lock. If that is the last run's, the run is still at work, and its
    uploads are not left over: it is about to attach them.
    """
    if not summary.interrupted:
        return ""
    *older, last = summary.interrupted
    started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(last.began))
    process = f"process {last.pid} on {last.host}, started {started}"
    writes = count_noun(last.done, "write")
    if last.pid == holder:
        return f"A run is in progress: {process}, {writes} so far."
    unknown = f" and {len(last.unknown):,} with an unknown result" if last.unknown else ""
    lines = [f"A run was interrupted: {process}, after {writes}{unknown}. Run it again to continue."]
    if older:
        lines.append(f"{len(older)} more {'was' if len(older) == 1 else 'were'} interrupted before it.")
    if summary.unattached:
        lines.append(
            f"Uploaded, and possibly not attached: {count_noun(len(summary.unattached), 'file')}; `vssync apply` reuses"
            " those it can, `vssync gc` lists the rest."
        )
    if summary.suspected:
        lines.append(
            f"{count_noun(len(summary.suspected), 'file')} may have been uploaded although no reply came: "
            "`vssync gc --suspected`."
        )
    return "\n".join(lines)
