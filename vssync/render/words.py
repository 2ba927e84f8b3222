"""What things are called, and how names, numbers and values of others are made fit to print.

Signs and phrases exist here only. Every text of a manifest, a file name or a service passes through `clean` before
it is laid out: a terminal, a log reader or a reviewer must not be steered by it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from math import ceil

from vssync.cost import Cost
from vssync.model import FileCounts, Scalar, ServiceSpec
from vssync.plan import Action, Counts, NoteKind, Reason

SIGNS = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.REPLACE: "+/-",
    Action.DELETE: "-",
    Action.ADOPT: "=",
    Action.AWAIT: ".",
    Action.CANCEL: "x",
    Action.REFUSE: "!",
}
GAP_SIGN = "-/+"  # the old copy goes first
SIGN_ORDER = ("!", "+", "~", "+/-", GAP_SIGN, "-", "=", "x", ".", "")

REASONS = {
    Reason.MISSING: "new file",
    Reason.CONTENT_CHANGED: "content changed",
    Reason.CHUNKING_CHANGED: "chunking changed",
    Reason.ATTRIBUTES_CHANGED: "attributes changed",
    Reason.DRIFTED: "changed outside vssync",
    Reason.MOVED: "moved",
    Reason.SUPERSEDED: "superseded copy",
    Reason.NOT_IN_MANIFEST: "not in the manifest",
    Reason.INGESTING: "being ingested",
    Reason.INGEST_FAILED: "ingestion failed",
    Reason.INGEST_CANCELLED: "ingestion cancelled",
    Reason.STALLED: "ingestion stalled",
    Reason.REFUSED: "refused by the service",
    Reason.REQUESTED: "asked for by --replace",
    Reason.UNMARKED: "without our mark",
    Reason.SETTINGS_CHANGED: "settings changed",
    Reason.EXPIRED: "expired",
    Reason.UNWANTED: "no longer wanted",
    Reason.OTHER_OWNER: "another owner's",
    Reason.PROTECTED: "protected",
    Reason.NOT_ALLOWED: "needs a flag",
    Reason.IMPOSSIBLE: "the service cannot",
}

NOTES = {
    NoteKind.KEPT: "left the manifest, kept",
    NoteKind.SKIPPED: "skipped, live copy kept",
    NoteKind.UNMANAGED: "without our mark, left alone",
    NoteKind.FOREIGN: "another owner's, left alone",
    NoteKind.FOREIGN_BATCH: "not ours, left alone",
    NoteKind.ADOPTABLE: "held back, waits for --adopt",
    NoteKind.UNREAD: "not compared since adoption",
    NoteKind.CHUNKING_REPORT: "other chunking reported",
    NoteKind.ATTRIBUTES_REPORT: "other attributes reported",
    NoteKind.DESCRIPTION: "description cannot change",
    NoteKind.LEFT_STORE: "left the manifest, kept",
}

DONE = {
    Action.CREATE: "added",
    Action.UPDATE: "changed",
    Action.REPLACE: "replaced",
    Action.DELETE: "deleted",
    Action.ADOPT: "adopted",
    Action.AWAIT: "waited for",
    Action.CANCEL: "cancelled",
    Action.REFUSE: "needs a person",
}

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, format, surrogate, line and paragraph separator
_HOST = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#]+)")


def clean(text: str) -> str:
    """A foreign text on one line: control, bidirectional and invisible characters as escapes that can be read."""
    if text.isprintable():
        return text  # only faster: what Python calls printable has no such character
    return "".join(_escape(char) if unicodedata.category(char) in _INVISIBLE else char for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def tame(text: str) -> str:
    """A finished output of which no line is a CI runner's workflow command."""
    return re.sub(r"(?m)^(\s*):(?=:)", r"\1: ", text).replace("##[", "## [")


def tame_json(text: str) -> str:
    """The same for JSON, whose meaning must not change: `#` may be written as an escape inside strings."""
    return text.replace("##[", "\\u0023#[")


def heading(owner: str, service: ServiceSpec) -> str:
    """The first line of everything: whose, which environment, where."""
    host = _HOST.match(service.data_url)
    place = service.region or (host.group(1) if host else "")
    return clean(f"{owner.replace('/', ', ', 1)}: {service.provider} {place}".rstrip())


def reason_text(reasons: tuple[Reason, ...]) -> str:
    """Why, in a few words: "content and chunking changed, ingestion failed"."""
    words = [REASONS[reason] for reason in reasons]
    changed = [word.removesuffix(" changed") for word in words if word.endswith(" changed")]
    others = [word for word in words if not word.endswith(" changed")]
    return ", ".join([*([f"{listed(changed)} changed"] if changed else []), *others])


def listed(words: list[str]) -> str:
    """Words as a person lists them: "a, b and c"."""
    return " and ".join([*([", ".join(words[:-1])] if words[1:] else []), *words[-1:]])


def value(it: Scalar | None) -> str:
    """An attribute's value as JSON writes it, so that "1" is not 1; `(none)` where there is none."""
    return "(none)" if it is None else clean(json.dumps(it, ensure_ascii=False))


def number(count: int, noun: str) -> str:
    """A count and its noun: "1 file", "1,204 files", "2 batches"."""
    plural = noun if count == 1 else noun + ("es" if noun.endswith("ch") else "s")
    return f"{count:,} {plural}"


def size(count: int) -> str:
    """Bytes for people, 1 KB being 1024 of them."""
    if count < 1024:
        return number(count, "byte")
    amount, units = count / 1024, ["KB", "MB", "GB"]
    while amount >= 999.95 and len(units) > 1:  # 999.95 would be printed as 1000.0
        amount, units = amount / 1024, units[1:]
    return f"{amount:,.1f} {units[0]}"


def estimate(seconds: float) -> str:
    """A time nobody should read as exact: "under a minute", "about 7 minutes", "about 3 hours"."""
    if seconds < 60:
        return "under a minute"
    minutes = ceil(seconds / 60)
    return f"about {number(minutes, 'minute')}" if minutes < 120 else f"about {number(ceil(minutes / 60), 'hour')}"


def elapsed(seconds: float) -> str:
    """A time that was measured: "0.4 s", "26 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes_left} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def cost_line(cost: Cost) -> str:
    """What carrying out the plan takes, in one sentence."""
    if not cost.requests:
        return "Cost: nothing is sent."
    parts = [f"{size(cost.bytes)} in {number(cost.uploads, 'upload')}"] if cost.uploads else []
    parts.append(f"about {number(cost.requests, 'request')}")
    parts += [estimate(cost.seconds)] if cost.seconds else []
    return f"Cost: {', '.join(parts)}."


def plan_line(counts: Counts, *, bold_delete: bool = False) -> str:
    """The totals in their fixed form; what is rare is named only when there is some."""
    deletions = f"{counts.delete:,} to delete"
    parts = [
        f"{counts.add:,} to add",
        f"{counts.change:,} to change",
        f"{counts.replace:,} to replace",
        f"**{deletions}**" if bold_delete and counts.delete else deletions,
        f"{counts.unchanged:,} unchanged",
        *rare_parts(counts),
    ]
    return f"Plan: {', '.join(parts)}."


def rare_parts(counts: Counts) -> list[str]:
    """The parts of a total that most plans do not have."""
    need = "needs" if counts.refuse == 1 else "need"
    parts = [(counts.adopt, "to adopt"), (counts.wait, "to wait for"), (counts.refuse, f"{need} a person")]
    return [f"{count:,} {word}" for count, word in parts if count]


def progress(counts: FileCounts) -> str:
    """How far a batch is: "120 completed, 380 in progress"."""
    states = [
        (counts.completed, "completed"),
        (counts.in_progress, "in progress"),
        (counts.failed, "failed"),
        (counts.cancelled, "cancelled"),
    ]
    return ", ".join(f"{count:,} {word}" for count, word in states if count)


def short_id(id: str) -> str:
    """A long id as its beginning and end: "vs_ord_7hq2...x4da"."""
    id = clean(id)
    if len(id) <= 24:
        return id
    prefix = id[: max(id.rfind("_", 0, 14), id.rfind("-", 0, 14)) + 1]
    return f"{prefix}{id[len(prefix) : len(prefix) + 4]}...{id[-4:]}"


def cells(text: str) -> int:
    """The terminal columns a text takes; East Asian letters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_cells(char) for char in text)


def _cells(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def shorten(text: str, room: int) -> str:
    """A text cut in its middle to `room` columns, its end, which tells files apart, kept longer than its start."""
    if cells(text) <= room:
        return text
    tail = max(1, (room - 3) * 2 // 3)
    head = max(0, room - 3 - tail)
    return f"{_first(text, head)}...{_last(text, tail)}"


def _first(text: str, room: int) -> str:
    used = 0
    for at, char in enumerate(text):
        used += _cells(char)
        if used > room:
            return text[:at]
    return text


def _last(text: str, room: int) -> str:
    return _first(text[::-1], room)[::-1]


def pad(text: str, room: int) -> str:
    """A text filled with spaces to `room` columns."""
    return text + " " * (room - cells(text))
