"""What a plan says it costs: uploads and batches as its changes have them, requests between a least and a most."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from math import ceil
from posixpath import splitext
from typing import Any

from tests.simulation.claims import Claim
from tests.simulation.judge import Case, checks
from tests.simulation.plan_claims import PUTS, differs, stores_of

Values = Mapping[str, Any]
_POLLS = 64  # a wait


def puts_of(store: Values) -> list[Values]:
    return [change for change in store["changes"] if change["action"] in PUTS]


def rounds_of(store: Values, size: int) -> Iterator[list[Values]]:
    """The files that are attached together: the first of each strange kind and all others, then the rest, then late."""
    groups: dict[str, list[Values]] = {"first": [], "rest": [], "late": []}
    kinds = set()
    for change in puts_of(store):
        kind = splitext(change["desired"]["filename"])[1].lower()
        is_again = kind in kinds and kind in store.get("unproven", ())
        kinds.add(kind)
        group = "late" if "shared_chunks" in change["reasons"] else "rest" if is_again else "first"
        groups[group].append(change)
    for part in groups.values():
        yield from (part[start : start + size] for start in range(0, len(part), size))


def leaving_of(store: Values) -> list[Values]:
    """The copies that are detached for good."""
    return [
        copy
        for change in store["changes"]
        for copy in change.get("drop", ())
        if copy["id"] not in (change.get("reuse"), (change.get("desired") or {}).get("file_id"))
    ]


def is_new(store: Values) -> bool:
    return (store.get("change") or {}).get("action") in ("create", "replace")


@checks("Cost.bytes", "Cost.uploads", "Cost.batches", "Cost.requests", "Cost.polls")
def check_cost(claim: Claim, case: Case) -> str:
    """What several stores want is uploaded as often as one of them needs it."""
    sent: Counter[tuple[str, str, int]] = Counter()
    batches = writes = waits = 0
    capabilities = case.wanted.service.get("capabilities") or {}
    for store in stores_of(case):
        files = [change["desired"] for change in puts_of(store) if not change.get("reuse")]
        sent |= Counter((file["sha256"], file["filename"], file["size"]) for file in files if not file.get("file_id"))
        rounds = [*rounds_of(store, capabilities.get("batch_size", 100))]
        is_uniform = not capabilities.get("batch_files", True)
        chunkings = [
            {str(change["desired"].get("chunking")) for change in part} if is_uniform else {""} for part in rounds
        ]
        batches += sum(map(len, chunkings))
        writes += sum(change["action"] not in ("await", "refuse", *PUTS) for change in store["changes"])
        waits += len(rounds) + len(store.get("batches", ())) + is_new(store) + bool(leaving_of(store))
        waits += any(change["action"] == "await" for change in store["changes"])
    if not capabilities.get("batches", True):
        batches = 0
    if not capabilities.get("batch_files", True) and not capabilities.get("attribute_updates", True):
        batches = 0
    exact = {
        "bytes": sum(size * times for (*_, size), times in sent.items()),
        "uploads": sent.total(),
        "batches": batches,
        "polls": _POLLS * waits,
    }
    if claim.path[-1] != "requests":
        return differs(claim.value, exact[str(claim.path[-1])])
    least, most = sent.total() + batches + writes, 20 + (case.run.document or {}).get("lookups", 0)
    for store in stores_of(case):
        moves = sum(1 + len(change.get("drop", ())) for change in store["changes"])
        most += 20 + 5 * moves + 5 * len(store.get("batches", ()))
    is_idle = not any(store["changes"] or store.get("change") or store.get("batches") for store in stores_of(case))
    if is_idle:
        return differs(claim.value, 0)
    return "" if least <= claim.value <= most else f"it takes {least} to {most}"


@checks("plan.checksum")
def check_checksum(claim: Claim, case: Case) -> str:
    """It is of a text of which only the content is at hand here; whoever loads a plan compares it."""
    return "" if re.fullmatch("[0-9a-f]{64}", claim.value) else "it is no SHA-256"


@checks("Cost.at_most")
def check_at_most(claim: Claim, case: Case) -> str:
    """Nobody has said whether the service takes batches."""
    is_said = {"batches", "batch_files"} & (case.wanted.service.get("capabilities") or {}).keys()
    is_unknown = case.wanted.service.get("provider") == "compatible" and not is_said
    return differs(claim.value, is_unknown and claim.holder.get("batches", 0) > 0)


@checks("plan.lookups")
def check_lookups(claim: Claim, case: Case) -> str:
    """Where uploads of ours go, every other store is asked for them: for a page of its files, or for each upload."""
    if "," in case.run.dialect:
        return ""  # the service's own counts may be of another time
    marks = {
        copy["id"]: str(copy.get("mark", "")).split(";") for store in stores_of(case) for copy in leaving_of(store)
    }
    uploads = sum(mark[1:2] == [case.wanted.owner] and mark[6] == "u" for mark in marks.values())
    changes = {store["id"]: store["change"] for store in stores_of(case) if store.get("id") and store.get("change")}
    replaced = {store_id: change for store_id, change in changes.items() if change["action"] == "replace"}
    expired = {store_id for store_id, change in replaced.items() if "expired" in change["reasons"]}
    left = sum(len(live.files) for live in case.run.after.stores.values() if live.id in expired)
    uploads += left
    gone = expired | {store_id for store_id, change in changes.items() if change["action"] == "delete"}
    seen = gone | {store.get("id") for store in stores_of(case) if leaving_of(store)}
    sizes = [len(live.files) for live in case.run.after.stores.values() if live.id not in seen]
    sizes += [len(puts_of(store)) for store in stores_of(case) if is_new(store)]
    listings = [1 if size <= 100 else 1 + 2 * ceil((size - 98) / 200) for size in sizes]
    asks = [listing if 100 * uploads >= size else 1 + uploads for size, listing in zip(sizes, listings, strict=True)]
    service, most = case.wanted.service, left + sum(asks) if uploads else 0
    is_known = service.get("provider", "local") != "compatible" or "updates_reach_search" in service.get(
        "capabilities", {}
    )
    finding_out = (0,) if is_known else (0, 3, 4)  # whether search sees updates, which an earlier apply may have done
    return "" if claim.value - most in finding_out else differs(claim.value, most)
