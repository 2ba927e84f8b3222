"""What is said of live objects: the copies of a file, with their marks, and batches in progress."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.simulation.claims import Claim
from tests.simulation.judge import Case, checks
from tests.simulation.plan_claims import differs, so_in_some, store_key, subject
from tests.simulation.truth import TrueFile
from vssync.local.dialects import parse_dialect

Values = Mapping[str, Any]


@checks("FileChange.keep?")
def check_keep(claim: Claim, case: Case) -> str:
    return "a copy is meant" if claim.value is None and claim.holder["action"] in ("update", "await", "adopt") else ""


@checks(
    "Copy.id",
    "Copy.status",
    "Copy.created_at",
    "Copy.mark",
    "Copy.error",
    "Copy.filename",
    "LiveCopy.id",
    "LiveCopy.status",
    "LiveCopy.created_at",
    "LiveCopy.batch",
    "LiveCopy.chunking",
    "LiveCopy.attributes{}",
    "LiveCopy.error?",
    "LiveCopy.mark?",
)
def check_copy(claim: Claim, case: Case) -> str:
    """As it was before the run or after it: ingestion goes on."""
    _, _, live = subject(claim, case)
    versions = [file for file in case.versions(store_key(claim), claim.holder["id"]) if live and live.file(file.id)]
    if not versions:
        return "the store has no such file"
    return so_in_some([_copy_value(claim, file) for file in versions], claim.value)


def _copy_value(claim: Claim, file: TrueFile) -> Any:
    name = str(claim.path[-1])
    if name == "error":
        said = ": ".join(filter(None, file.error))
        return claim.value if claim.name.endswith("?") and bool(claim.value) is bool(said) else said or None or ""
    if name == "mark":
        return (claim.value if file.mark_parts else None) if claim.name.endswith("?") else file.mark
    if name == "attributes":
        return file.plain_attributes
    if name == "batch":
        return file.batch if file.status == "in_progress" else None
    if name == "chunking":
        return None if claim.value is None else file.chunking
    if name == "filename" and not claim.value:
        return ""  # it is told of unmarked files only
    return getattr(file, name)


@checks("IngestError.code", "IngestError.message")
def check_ingest_error(claim: Claim, case: Case) -> str:
    files = case.versions(store_key(claim), claim.within("LiveCopy")["id"])
    return so_in_some([file.error[claim.path[-1] == "message"] for file in files], claim.value)


_MARK = (
    *("version", "owner", "key_digest", "content", "chunking_digest", "attributes_digest"),
    *("origin", "tries", "name_digest", "source"),
)


@checks(*(f"Mark.{name}" for name in _MARK[1:]), "Mark.echo")
def check_mark(claim: Claim, case: Case) -> str:
    name = str(claim.path[-1])
    files = case.versions(store_key(claim), claim.within("LiveCopy")["id"])
    values = [file.echo if name == "echo" else file.mark_parts[_MARK.index(name)] for file in files]
    return so_in_some(list(map(str, values)), str(claim.value))


@checks("File.address")
def check_address(claim: Claim, case: Case) -> str:
    return differs(claim.value, case.run.options.targets[0] if case.run.options.targets else claim.value)


@checks("File.copies[]")
def check_copies(claim: Claim, case: Case) -> str:
    key = claim.holder["address"].partition("/")[2]
    return differs(sorted(copy["id"] for copy in claim.value), sorted(c.id for c in case.copies(store_key(claim), key)))


@checks("StorePlan.batches[]")
def check_batches(claim: Claim, case: Case) -> str:
    """Every batch in progress, ours or not."""
    key = store_key(claim)
    live = case.store(key)
    if live is None or live.is_expired or not case.in_scope(key) or claim.holder.get("desired") is None:
        return ""
    told = {batch["id"] for batch in claim.value} | {note.get("key") for note in claim.holder.get("notes", ())}
    is_held = (claim.holder.get("change") or {}).get("action") == "refuse"
    is_blind = is_held or not parse_dialect(case.run.dialect).lists_batches
    missing = set() if is_blind else set(live.batches) - told
    return f"{missing} is in progress" if missing else ""


def _batch_files(claim: Claim, case: Case) -> Iterator[list[TrueFile]]:
    for state in (case.run.before, case.run.after):
        if live := case.store(store_key(claim), state):
            yield [file for file in live.files if file.batch == claim.within("BatchChange")["id"]]


@checks("BatchChange.id", "BatchChange.action", "BatchChange.reasons[]", "BatchChange.unwanted[]")
def check_batch(claim: Claim, case: Case) -> str:
    files = [file for files in _batch_files(claim, case) for file in files]
    if not any(file.status == "in_progress" for file in files):
        return "no such batch is in progress"
    batch, ids = claim.holder, {file.id for file in files}
    changes = claim.within("StorePlan")["changes"]
    unwanted = {change["key"] for change in changes if ids & {copy["id"] for copy in change.get("drop", ())}}
    if not set(batch.get("unwanted", ())) <= unwanted:
        return f"unwanted are {unwanted}"
    is_cancelled = batch["action"] == "cancel"
    said = "unwanted" if is_cancelled else "ingesting"
    if batch["action"] not in ("cancel", "await") or batch["reasons"] != [said] or (is_cancelled and not unwanted):
        return f"{len(unwanted)} of {len(files)} files are unwanted"
    again = {change["key"] for change in changes if change["key"] in unwanted and "cancelled" in change["reasons"]}
    return "most of its files are wanted" if is_cancelled and len(unwanted) <= 2 * len(again) else ""


@checks(*(f"FileCounts.{name}" for name in ("in_progress", "completed", "failed", "cancelled", "total")))
def check_file_counts(claim: Claim, case: Case) -> str:
    name = str(claim.path[-1])
    counts = [sum(name in ("total", file.status) for file in files) for files in _batch_files(claim, case)]
    return "" if claim.value in counts else f"it is {counts}"
