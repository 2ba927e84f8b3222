"""Signs, phrases and totals: what things are called in every output.

Every text of a manifest, a file name or a service passes through `escape_control` before it is laid out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from vssync.model.marks import parse_stamp
from vssync.model.plan import Action, Counts, Note, NoteKind, Plan, Reason, StorePlan
from vssync.model.report import Audit
from vssync.model.service import ServiceSpec
from vssync.model.state import FileCounts, LiveBatch, LiveFile, Scalar
from vssync.planner.estimate import Cost
from vssync.text import count_noun, escape_control, format_estimate, format_size, join_words, shorten_middle

_ACTIONS = {  # the sign of a change, what will be done, what was done
    Action.CREATE: ("+", "to create", "added"),
    Action.UPDATE: ("~", "to change", "changed"),
    Action.REPLACE: ("+/-", "to replace", "replaced"),
    Action.DELETE: ("-", "to delete", "deleted"),
    Action.ADOPT: ("=", "to adopt", "adopted"),
    Action.AWAIT: (".", "to wait for", "waited for"),
    Action.CANCEL: ("x", "to cancel", "cancelled"),
    Action.REFUSE: ("!", "needs attention", "needs attention"),
}
SIGNS, TO_DO, DONE = ({action: words[column] for action, words in _ACTIONS.items()} for column in range(3))
GAP_SIGN = "-/+"  # the old copy goes first
SIGN_ORDER = ("!", "+", "~", "+/-", GAP_SIGN, "-", "=", "x", ".", "")

REASONS = {
    Reason.MISSING: "new file",
    Reason.CONTENT_CHANGED: "content changed",
    Reason.CONVERTER_CHANGED: "converter changed",
    Reason.CHUNKING_CHANGED: "chunking changed",
    Reason.ATTRIBUTES_CHANGED: "attributes changed",
    Reason.DRIFTED: "changed outside vssync",
    Reason.RENAMED: "upload name changed",
    Reason.MOVED: "moved",
    Reason.SUPERSEDED: "superseded copy",
    Reason.NOT_IN_MANIFEST: "not in the manifest",
    Reason.DRAFT: "a draft now",
    Reason.IGNORED: "ignored by git",
    Reason.REMOVED: "removed: delete",
    Reason.RELEASED: "removed: keep",
    Reason.DESTROY: "destroy",
    Reason.INGESTING: "being ingested",
    Reason.INGEST_FAILED: "ingestion failed",
    Reason.INGEST_CANCELLED: "ingestion cancelled",
    Reason.STALLED: "ingestion stalled",
    Reason.REFUSED: "refused by the service",
    Reason.REQUESTED: "requested with --replace",
    Reason.UNMARKED: "unmanaged",
    Reason.UNCOMPARED: "content not compared",
    Reason.UNREADABLE: "mark cannot be read",
    Reason.SETTINGS_CHANGED: "settings changed",
    Reason.EXPIRED: "expired",
    Reason.UNWANTED: "no longer wanted",
    Reason.OTHER_OWNER: "another owner's",
    Reason.DECLARED: "declared by id now",
    Reason.FILE_GONE: "File does not exist",
    Reason.ATTACHED: "attached for another key",
    Reason.PROTECTED: "protected",
    Reason.NOT_ALLOWED: "needs a flag",
    Reason.SHARED_CHUNKS: "shares its text with one that goes",
    Reason.DENIED: "no permission",
    Reason.IMPOSSIBLE: "not supported",
    Reason.UNLISTED: "not completely listed",
}

NOTES = {
    NoteKind.KEPT: "not in the manifest, kept",
    NoteKind.SKIPPED: "skipped, live copy kept",
    NoteKind.UNMANAGED: "unmanaged, left alone",
    NoteKind.FOREIGN: "another owner's, left alone",
    NoteKind.SHARED_KEY: "there under another owner, too",
    NoteKind.FOREIGN_BATCH: "not managed by this manifest, left alone",
    NoteKind.ADOPTABLE: "held back",
    NoteKind.INCOMPARABLE: "held back",
    NoteKind.UNCOMPARED: "not compared since adoption",
    NoteKind.CHUNKING_REPORT: "other chunking reported",
    NoteKind.ATTRIBUTES_REPORT: "other attributes reported",
    NoteKind.NO_TEXT: "completed without text",
    NoteKind.LINE_ENDS: "changed in line ends only",
    NoteKind.EQUAL_TEXTS: "of equal text",
    NoteKind.DESCRIPTION: "description cannot change",
    NoteKind.UPLOAD_GONE: "File deleted, still listed",
    NoteKind.LEFT_STORE: "not in the manifest, kept",
    NoteKind.PINNED_ONLY: "stores themselves cannot be read",
    NoteKind.LOST_QUESTION: "will fail",
    NoteKind.GHOSTS: "counted by the service, and not there",
}

UNLISTED_BATCHES = "others' batches cannot be listed here"

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_KINDS, _KIND_WIDTH = 5, 20  # of what is left out: so many are named
_HOST = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#]+)")


def heading_line(owner: str, service: ServiceSpec) -> str:
    """The first line of every output: owner, environment, service."""
    return escape_control(f"{owner_text(owner)}: {service_text(service)}")


def owner_text(owner: str) -> str:
    """An owner and its environment: "kb, prod"."""
    return owner.replace("/", ", ", 1)


def service_text(service: ServiceSpec) -> str:
    """A provider and its region or host: "oci us-chicago-1"."""
    host = _HOST.match(service.data_url)
    place = service.region or (host.group(1) if host else "")
    return escape_control(f"{service.provider} {place}".rstrip())


def reason_text(reasons: tuple[Reason, ...]) -> str:
    """Reasons in a few words: "content and chunking changed, ingestion failed"."""
    words = [REASONS[reason] for reason in reasons]
    changed = [word.removesuffix(" changed") for word in words if word.endswith(" changed")]
    others = [word for word in words if not word.endswith(" changed")]
    return ", ".join([*([f"{join_words(changed)} changed"] if changed else []), *others])


def note_text(note: Note) -> str:
    """What a note says beside its kind; of what is not as declared, every way out."""
    match note.kind:
        case NoteKind.FOREIGN | NoteKind.SHARED_KEY if note.detail:
            return f"owner: {note.detail}"
        case NoteKind.ADOPTABLE:
            return f"{note.detail} stands in its place, without a mark: take it over with --adopt, or detach it"
        case NoteKind.NO_TEXT:
            return f"{note.detail}: the service found nothing to search in"
        case NoteKind.LINE_ENDS:
            return f"{note.detail}: `* text=auto eol=lf` in .gitattributes keeps them the same on every machine"
        case NoteKind.LEFT_STORE:
            files = count_noun(note.count, "file")
            ways = (
                f"declare it again (with `removed: keep` to give it up), or delete it and its {files}: "
                "`removed: delete`, or --allow-store-deletes"
            )
            return f"{note.detail}; {ways}" if note.detail else ways
    return note.detail


def digests(store: StorePlan) -> dict[str, str]:
    """The digest of what a store holds, and that of what is wanted in it where it is another."""
    differ = store.live_digest != store.digest
    return {"digest": store.live_digest} | ({"wanted": store.digest} if differ else {})


def format_value(value: Scalar | None) -> str:
    """An attribute's value as JSON writes it, so that "1" is not 1; `(none)` where there is none."""
    return "(none)" if value is None else escape_control(json.dumps(value, ensure_ascii=False))


def cost_line(cost: Cost) -> str:
    """What carrying out the plan takes, in one sentence."""
    if not cost.requests:
        return "Cost: nothing is sent."
    parts = [f"{format_size(cost.bytes)} in {count_noun(cost.uploads, 'upload')}"] if cost.uploads else []
    parts.append(f"{'up to' if cost.at_most else 'about'} {count_noun(cost.requests, 'request')}")
    parts += [f"up to {count_noun(cost.polls, 'poll')}"] if cost.polls else []
    parts += [format_estimate(cost.seconds)] if cost.seconds else []
    return f"Cost: {', '.join(parts)}."


def plan_line(counts: Counts, store_parts: Sequence[str] = (), *, bold_delete: bool = False) -> str:
    """The totals in their fixed form; rare ones, those of stores and of batches only when they are not zero."""
    parts = plan_parts(counts, store_parts)
    if bold_delete and counts.delete:
        parts[3] = f"**{parts[3]}**"
    return f"Plan: {', '.join(parts)}."


def plan_parts(counts: Counts, store_parts: Sequence[str] = ()) -> list[str]:
    """The parts of that line: "3 to add"; of the four that every plan has, deletions are the last."""
    cancels = [f"{count_noun(counts.cancel, 'batch')} {TO_DO[Action.CANCEL]}"] if counts.cancel else []
    always = [*file_parts(counts, zeros=True), f"{counts.unchanged:,} unchanged"]
    return [*always, *rare_parts(counts), *store_parts, *cancels]


def file_parts(counts: Counts, *, zeros: bool = False) -> list[str]:
    """The parts of a total that every plan has, deletions last."""
    parts = {"add": counts.add, "change": counts.change, "replace": counts.replace, "delete": counts.delete}
    return [f"{count:,} to {verb}" for verb, count in parts.items() if count or zeros]


def rare_parts(counts: Counts) -> list[str]:
    """The parts of a total that most plans do not have."""
    need = "needs" if counts.refuse == 1 else "need"
    parts = [(counts.adopt, "to adopt"), (counts.wait, "to wait for"), (counts.refuse, f"{need} attention")]
    return [*(f"{count:,} {word}" for count, word in parts if count), *open_parts(counts)]


def open_parts(counts: Counts) -> list[str]:
    """The parts of a total about what is not as declared, and that no apply changes."""
    left = count_noun(counts.left, "undeclared store")
    parts = [(counts.held, f"{counts.held:,} held back"), (counts.gone, f"{counts.gone:,} without a File")]
    return [text for count, text in [*parts, (counts.left, left)] if count]


def left_out_text(left_out: Mapping[str, Sequence[str]], before: Mapping[str, Sequence[str]] | None = None) -> str:
    """Why files are left out, most files first: "left out: 31 .png, 9 draft, 6 empty".

    With what was left out `before`, it says what changed, and that first: "left out: 9 draft (+3), 0 empty (-2)".
    """
    counts = {kind: len(left_out.get(kind, ())) for kind in {*left_out, *(before or {})}}
    deltas = {
        kind: "" if before is None else delta_text(before.get(kind, ()), left_out.get(kind, ())) for kind in counts
    }
    kinds = sorted(counts, key=lambda kind: (not deltas[kind], -counts[kind], _kind_text(kind)))
    parts = [f"{counts[kind]:,} {_kind_text(kind)}{deltas[kind]}" for kind in kinds[:_KINDS]]
    parts += [f"{sum(counts[kind] for kind in kinds[_KINDS:]):,} others"] if kinds[_KINDS:] else []
    return f"left out: {', '.join(parts)}"


def delta_text(before: Sequence[str], after: Sequence[str]) -> str:
    """How many keys came and went: " (+3, -1)"; empty for none."""
    came, went = {*after} - {*before}, {*before} - {*after}
    changes = ", ".join(f"{sign}{len(keys):,}" for sign, keys in (("+", came), ("-", went)) if keys)
    return f" ({changes})" if changes else ""


def left_out_files(left_out: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """The key of each file that is left out, and why."""
    reasons = {kind: "unsupported" if kind.startswith(".") else _kind_text(kind) for kind in left_out}
    return sorted((escape_control(key), reasons[kind]) for kind, keys in left_out.items() for key in keys)


def left_out_lines(left_out: Mapping[str, Sequence[str]], *, full: bool) -> list[str]:
    """The files of a store that are left out, counted, and each below that where all are asked for; empty for none."""
    files = left_out_files(left_out)
    head = [f"{count_noun(len(files), 'file')} {left_out_text(left_out)}"] if files else []
    return [*head, *(f"  {key}: {why}" for key, why in files if full)]


def _kind_text(kind: str) -> str:
    return shorten_middle(escape_control(kind.replace("_", " ")), _KIND_WIDTH)


def scope_text(plan: Plan) -> str:
    """How many of the manifest's stores were looked at ("2 of 5 stores"); empty for all of them."""
    looked_at = sum(store.desired is not None for store in plan.stores)
    return f"{looked_at:,} of {count_noun(plan.declared, 'store')}" if looked_at < plan.declared else ""


def status_text(live: LiveFile | LiveBatch) -> str:
    """The status of a live object; one that OpenAI's API does not know in the service's own word."""
    return escape_control(live.reported_status) or live.status.replace("_", " ")


def batch_progress(counts: FileCounts) -> str:
    """How far a batch is: "120 completed, 380 in progress"."""
    states = {"completed": counts.completed, "in progress": counts.in_progress}
    states |= {"failed": counts.failed, "cancelled": counts.cancelled}
    return ", ".join(f"{count:,} {state}" for state, count in states.items() if count)


def stamp_text(text: str, *, brief: bool = False) -> str:
    """When a store was last applied, from which commit, and by whom; empty for no stamp.

    As in "27 Nov 2026 14:02 UTC, 4f2a91c, by eva", or in brief "27 Nov 2026 14:02, 4f2a91c".
    """
    stamp = parse_stamp(text)
    if stamp is None:
        return ""
    year, month, day = stamp.time[:10].split("-")
    when = f"{int(day)} {_MONTHS[(int(month) - 1) % 12]} {year} {stamp.time[11:16]}"
    commit = stamp.commit[:7] + ("+" if stamp.commit.endswith("+") else "")
    actor = f"by {escape_control(stamp.actor)}" if stamp.actor else ""
    return ", ".join(filter(None, (when, commit) if brief else (f"{when} UTC", commit, actor)))


def audit_parts(audit: Audit) -> list[str]:
    """When, of which commit and by whom something was applied, with which vssync, and which plan, as far as known."""
    plan = f"plan {escape_control(audit.plan_digest[:12])}" if audit.plan_digest else ""
    version = f"vssync {escape_control(audit.version)}" if audit.version else ""
    return list(filter(None, (stamp_text(str(audit.stamp)), version, plan)))


def is_created(store: StorePlan) -> bool:
    return store.action is Action.CREATE


def place_of(store: StorePlan, id: str, *, created: str = "not live") -> str:
    """The id of a live store as it is shown, else what is known of it; of one that the plan creates, `created`."""
    is_denied = store.change is not None and Reason.DENIED in store.change.reasons
    return id or ("not known" if is_denied else created if is_created(store) else "not live")


def short_id(id: str) -> str:
    """A long id as its beginning and end: "vs_ord_7hq2...x4da"."""
    id = escape_control(id)
    if len(id) <= 24:
        return id
    prefix = id[: max(id.rfind("_", 0, 14), id.rfind("-", 0, 14)) + 1]
    return f"{prefix}{id[len(prefix) : len(prefix) + 4]}...{id[-4:]}"
