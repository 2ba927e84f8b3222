"""What is said of two live environments side by side: what is only on one, what differs, and what is the same."""

from __future__ import annotations

import json
from typing import Any

from tests.simulation.claims import Claim
from tests.simulation.judge import Case, checks
from tests.simulation.plan_claims import differs
from tests.simulation.total_claims import false_live_digest, normal
from tests.simulation.truth import TrueFile, TrueStore, digest16

Rows = dict[str, dict[str, Any]]  # what a file is, by its key


def sides(case: Case) -> tuple[Case, Case]:
    assert case.run.left
    return Case(case.run.left), case


def key_of(claim: Claim) -> str:
    return str(claim.path[1])


def stores_of(key: str, case: Case) -> list[TrueStore | None]:
    return [side.store(key) if side.store(key) or key in side.wanted.stores else None for side in sides(case)]


def rows_of(side: Case, key: str) -> Rows:
    """The files of ours in a store; of several copies that found by search has the key, and the others a number."""
    live, ignored = side.store(key), side.wanted.stores[key].ignored if key in side.wanted.stores else frozenset()
    rows: Rows = {}
    ours = [file for file in live.files if file.owner == side.wanted.owner] if live else []
    ours.sort(key=lambda file: (file.status == "completed", file.created_at, file.id), reverse=True)
    for file in ours:
        name = f"~{file.key_digest}" if file.is_provisional else str(file.attributes["vssync_key"])
        copies = sum(other.key_digest == file.key_digest for other in ours[: ours.index(file)])
        rows[f"{name} (copy {copies + 1})" if copies else name] = row_of(file, ignored)
    return rows


def row_of(file: TrueFile, ignored: frozenset[str]) -> dict[str, Any]:
    content = file.id if file.mark_parts[3] == "id" else file.sha256
    attributes = {
        f"attributes.{name}": normal(value) for name, value in file.plain_attributes.items() if name not in ignored
    }
    marked = {"chunking": file.mark_parts[4], "filename": file.mark_parts[8] if file.mark_parts[6] == "u" else "-"}
    return {"status": file.status, "content": "unknown" if file.is_uncompared else content, **marked, **attributes}


def changed_names(left: dict[str, Any], right: dict[str, Any]) -> set[str]:
    names = {name for name in {*left, *right} if json.dumps(left.get(name)) != json.dumps(right.get(name))}
    names |= {"status"} if (left["status"], right["status"]) != ("completed", "completed") else set()
    names |= {"content"} if "unknown" in (left["content"], right["content"]) else set()
    return names - {"filename"} if "-" in (left["filename"], right["filename"]) else names


def settings_of(side: Case, key: str) -> dict[str, Any]:
    live = side.store(key)
    assert live
    unmanaged = sum(file.owner != side.wanted.owner for file in live.files)
    metadata = {f"metadata.{name}": value for name, value in live.metadata.items() if not name.startswith("vssync_")}
    return {"expires_after_days": live.expires_after_days, "unmanaged": unmanaged, **metadata}


def expected(claim: Claim, case: Case) -> dict[str, tuple[Any, Any]]:
    """What differs in the settings or the file that a claim is about, by name: left and right."""
    key, part = key_of(claim), claim.path[2]
    if None in stores_of(key, case):
        return {}
    if part == "settings":
        left, right = (settings_of(side, key) for side in sides(case))
        return {
            name: (left.get(name), right.get(name)) for name in {*left, *right} if left.get(name) != right.get(name)
        }
    left, right = (rows_of(side, key).get(str(claim.path[3]), {}) for side in sides(case))
    return {name: (left.get(name), right.get(name)) for name in changed_names(left, right)} if left and right else {}


@checks("diff.state")
def check_state(claim: Claim, case: Case) -> str:
    return differs(claim.value, "live")


@checks("diff.service[]")
def check_service(claim: Claim, case: Case) -> str:
    return differs(claim.value, [])


@checks("diff.stores{}")
def check_stores(claim: Claim, case: Case) -> str:
    keys = set()
    for side in sides(case):
        marks = {live.mark for live in side.run.after.stores.values()}
        keys |= {*side.wanted.stores, *(key for owner, key in marks if owner == side.wanted.owner)}
    return differs(sorted(claim.value), sorted(keys))


@checks("diff.same")
def check_same(claim: Claim, case: Case) -> str:
    stores = claim.holder["stores"].values()
    return differs(
        claim.value, all(store["same_content"] and not (store["settings"] or store["changed"]) for store in stores)
    )


@checks("diff.Store.in[]", "diff.Store.problems[]")
def check_presence(claim: Claim, case: Case) -> str:
    live = stores_of(key_of(claim), case)
    if claim.name == "diff.Store.in[]":
        return differs(claim.value, [name for name, store in zip(("left", "right"), live, strict=True) if store])
    return differs([bool(text) for text in claim.value], [bool(store and store.is_expired) for store in live])


@checks("diff.Store.notes[]")
def check_notes(claim: Claim, case: Case) -> str:
    """Only a service that counts what is gone has a note."""
    is_ghost = ["ghost-counts" in side.run.dialect for side in sides(case)]
    return "" if all(so or not text for so, text in zip(is_ghost, claim.value, strict=True)) else "all is counted right"


@checks("diff.Store.digests[]", "diff.Store.same_content")
def check_digests(claim: Claim, case: Case) -> str:
    key, digests = key_of(claim), claim.holder["digests"]
    if claim.name == "diff.Store.same_content":
        return differs(claim.value, digests[0] == digests[1] and digests[0] not in ("", "unknown"))
    if len(digests) != 2:
        return "there are two sides"
    return "; ".join(
        filter(None, (false_live_digest(digest, key, side) for digest, side in zip(digests, sides(case), strict=True)))
    )


@checks("diff.Store.only_left[]", "diff.Store.only_right[]", "diff.Store.changed{}")
def check_keys(claim: Claim, case: Case) -> str:
    key = key_of(claim)
    if None in stores_of(key, case):
        return differs(sorted(claim.value), [])
    left, right = (rows_of(side, key) for side in sides(case))
    changed = {name for name in left.keys() & right if changed_names(left[name], right[name])}
    so = {"only_left": left.keys() - right, "only_right": right.keys() - left, "changed": changed}
    return differs(sorted(claim.value), sorted(so[str(claim.path[2])]))


@checks("diff.Store.settings[]")
def check_settings(claim: Claim, case: Case) -> str:
    return differs(sorted(field["name"] for field in claim.value), sorted(expected(claim, case)))


@checks("Field.name", "Field.left", "Field.right")
def check_field(claim: Claim, case: Case) -> str:
    name = claim.holder["name"]
    pair = expected(claim, case).get(name)
    if pair is None:
        return "it does not differ"
    if claim.name == "Field.name":
        return ""
    so = pair[claim.name == "Field.right"]
    if name in ("chunking", "filename"):  # told as the text that the mark has a digest of, where that is known
        return "" if so in (claim.value, digest16(str(claim.value))) else f"it is {so}"
    return differs(normal(claim.value), so)
