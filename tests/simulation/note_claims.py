"""What a plan and a status note beside the changes: files of others, files that were never compared, equal texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.simulation.claims import Claim
from tests.simulation.desired import WantedStore
from tests.simulation.judge import Case, checks
from tests.simulation.plan_claims import differs, is_hidden, store_key
from tests.simulation.truth import TrueFile, TrueStore, digest16


def _count_equal_texts(store: WantedStore | None) -> int:
    texts = [file.sha256 for file in store.files.values()] if store else []
    return sum(texts.count(text) > 1 for text in texts)


@checks("Note.kind", "Note.key", "Note.count", "StorePlan.notes[]")
def check_note(claim: Claim, case: Case) -> str:
    store, live = case.wanted.stores.get(store_key(claim)), case.store(store_key(claim))
    if claim.name == "StorePlan.notes[]":
        return _unmanaged_are_counted(claim, live, case) or _uncompared_are_counted(claim, live, case)
    note = claim.holder
    kind, count = note["kind"], note.get("count", 1)
    if kind == "equal_texts":
        return differs(count, _count_equal_texts(store))
    if kind == "left_store":
        exists = live or case.run.after.stores.get(str(note.get("detail", "")).split()[0])
        return "" if exists else "there is no such store"
    if live is None:
        return "" if kind == "pinned_only" and is_hidden(claim, case) else "there is no such store"
    if kind in ("unmanaged", "foreign"):  # the first are checked with all others, by the list
        theirs = sum(file.owner == note.get("detail", "") for file in live.files)
        return differs(count, theirs) if kind == "foreign" else ""
    return _check_file_note(note, store, live, case)


def _check_file_note(note: Mapping[str, Any], store: WantedStore | None, live: TrueStore, case: Case) -> str:
    if store is None:
        return "there is no such store"
    kind, key, count = note["kind"], note.get("key", ""), note.get("count", 1)
    owned = live.copies(case.wanted.owner)
    exact = {
        "kept": sum(digest not in store.files for digest in owned),
        "uncompared": sum(file.is_uncompared for copies in owned.values() for file in copies),
    }
    if kind in exact:
        return differs(count, exact[kind])
    if kind == "skipped":
        return "" if key in store.kept and digest16(key) in owned else "it is not skipped, or not live"
    if kind == "lost_question":
        return "" if owned else "there is no document to lose"
    if kind in ("adoptable", "incomparable"):
        file = live.file(note.get("detail", "").split()[0])
        is_held = digest16(key) in store.files and file is not None and not file.owner and count == 1
        return "" if is_held else "there is no such file without a mark"
    if kind == "foreign_batch":
        return "" if any(file.batch == key for file in live.files) else "there is no such batch"
    if kind in ("upload_gone", "shared_key"):
        owners = {file.owner for file in live.files if file.key_digest == digest16(key)}
        is_so = note["detail"] in owners if kind == "shared_key" else note["detail"] not in case.run.after.uploads
        return "" if is_so and digest16(key) in store.files else "it is not"
    if kind == "pinned_only":
        statuses = {each.status for each in case.run.exchanges if re.search(r"/vector_stores(\?|$)", each.url)}
        is_so = any(f" {status} " in note["detail"] for status in statuses & {401, 403, 404})
        return "" if is_so else "stores were listed"
    if kind == "ghosts":
        return "" if note["detail"].endswith(f" lists {len(live.files):,}") else f"there are {len(live.files)} files"
    if kind in ("chunking_report", "attributes_report", "description", "no_text", "line_ends"):
        return "" if count <= max(1, len(owned)) else f"there are {len(owned)} files"
    return "the judge does not know what that says"


def takes_over(change: Mapping[str, Any]) -> bool:
    """Whether a change adopts an unmarked file, or puts a new copy in its place."""
    return "unmarked" in change["reasons"] and change["action"] in ("adopt", "replace")


def _unmanaged_are_counted(claim: Claim, live: TrueStore | None, case: Case) -> str:
    change = claim.holder.get("change") or {}
    if (
        live is None
        or live.is_expired
        or claim.holder.get("desired") is None
        or change.get("action") in ("refuse", "delete")
    ):
        return ""
    adopted = {each["keep"]["id"] for each in claim.holder["changes"] if takes_over(each) and each.get("keep")}
    others = [file for file in live.files if file.owner != case.wanted.owner and file.id not in adopted]
    said = sum(note.get("count", 1) for note in claim.value if note["kind"] in ("unmanaged", "foreign"))
    return "" if said == len(others) else f"{len(others)} files are not managed"


def _uncompared_are_counted(claim: Claim, live: TrueStore | None, case: Case) -> str:
    store = case.wanted.stores.get(store_key(claim))
    if live is None or store is None or (claim.holder.get("change") or {}).get("action") == "refuse":
        return ""
    changed = {digest16(change["key"]) for change in claim.holder["changes"]}
    is_said = any(note["kind"] == "uncompared" for note in claim.value)
    ids = [file.id for file in _uncompared(live, case) if file.key_digest in store.files.keys() - changed]
    return f"{ids[0]} was never compared" if ids and not is_said else ""


def _uncompared(live: TrueStore, case: Case) -> list[TrueFile]:
    """The copies of ours that were adopted and never compared."""
    return [file for copies in live.copies(case.wanted.owner).values() for file in copies if file.is_uncompared]


@checks("report.uncompared")
def check_uncompared(claim: Claim, case: Case) -> str:
    """All are counted where the run converged; else some may be of files that were to be replaced."""
    stores = [case.store(store["key"]) for store in (case.run.plan or {}).get("stores", ())]
    count = sum(len(_uncompared(live, case)) for live in stores if live)
    is_so = claim.value == count or (claim.value < count and not claim.holder["converged"])
    return "" if is_so else f"there are {count}"


@checks("status.Store.unmanaged", "status.Store.uncompared")
def check_unmanaged(claim: Claim, case: Case) -> str:
    live, owner = case.store(store_key(claim)), case.wanted.owner
    files = live.files if live and claim.holder["action"] != "delete" else ()
    if claim.value is None:
        return "" if claim.holder["action"] == "refuse" else "it was read"
    is_counted = [file.is_uncompared if claim.path[-1] == "uncompared" else file.owner != owner for file in files]
    return differs(claim.value, sum(is_counted))
