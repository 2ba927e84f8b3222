"""What a plan and a status count: files, their digest, costs, and what is not this manifest's."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from posixpath import splitext
from typing import Any

from tests.simulation.claims import Claim
from tests.simulation.desired import WantedFile, WantedStore
from tests.simulation.judge import Case, checks
from tests.simulation.plan_claims import PUTS, differs, is_hidden, store_key, stores_of, subject
from tests.simulation.truth import TrueFile, TrueStore, digest16

Values = Mapping[str, Any]


@checks("StorePlan.unchanged")
def check_unchanged(claim: Claim, case: Case) -> str:
    asked_for = {change["key"] for change in claim.holder["changes"] if "requested" in change["reasons"]}
    return check_unchanged_count(claim, case, asked_for)


def check_unchanged_count(claim: Claim, case: Case, asked_for: Collection[str] = ()) -> str:
    """How many files of a store are as wanted, within the scope; none where the store is not ours yet."""
    key = store_key(claim)
    store, live = case.wanted.stores.get(key), case.store(key)
    change = claim.within("StorePlan").get("change") or {"reasons": ()}
    is_unlisted = "unlisted" in change["reasons"]
    is_external = store is not None and bool(store.settings.get("external"))
    is_ours = live is not None and (
        is_external or (not live.has_newer_mark and live.mark[0] in ("", case.wanted.owner))
    )
    if store is None or live is None or live.is_expired or not is_ours:
        return differs(claim.value, 0)
    files = [file for file in store.files.values() if case.in_scope(key, file.key) and file.key not in asked_for]
    causes = [f"{file.key}: {cause}" for file in files if (cause := case.deviation(store, file, live))]
    count = len(files) - len(causes)
    if is_unlisted:
        return "" if claim.value <= count else f"it is {count}"
    told = {change["key"] for change in claim.holder.get("changes", ())}
    untold = [cause for cause in causes if cause.partition(": ")[0] not in told]
    return differs(claim.value, count) and f"it is {count}, for {' or '.join(untold)}"


@checks("StorePlan.owned")
def check_owned(claim: Claim, case: Case) -> str:
    live = case.store(store_key(claim))
    count = len(live.copies(case.wanted.owner)) if live and is_looked_at(live, claim, case) else 0
    if "unlisted" in (claim.within("StorePlan").get("change") or {"reasons": ()})["reasons"]:
        return "" if claim.value <= count else f"there are {count}"
    return differs(claim.value, count)


def is_looked_at(live: TrueStore, claim: Claim, case: Case) -> bool:
    """Whether a plan looks into a store: not into one of others, nor one that is replaced."""
    change = claim.within("StorePlan").get("change") or {}
    is_partly_listed = "unlisted" in change.get("reasons", ()) and bool(claim.within("StorePlan").get("live"))
    is_used = change.get("action") != "refuse" or live.mark[0] == case.wanted.owner or is_partly_listed
    return is_used and not live.is_expired


@checks("StorePlan.live", "status.Store.live", "StorePlan.unlisted")
def check_live(claim: Claim, case: Case) -> str:
    """What is listed, and how many more the service counts, are together all that there is."""
    live, said = case.store(store_key(claim)), claim.holder
    count = len(live.files) if live and not live.is_expired else 0
    total = said["live"] + said.get("unlisted", 0)
    if claim.name == "status.Store.live" or not said.get("unlisted"):
        return differs(said["live"], count)
    return "" if said["live"] < count <= total else f"there are {count}"


@checks("StorePlan.wanted", "status.Store.wanted", "output.Store.files")
def check_wanted(claim: Claim, case: Case) -> str:
    store = case.wanted.stores.get(store_key(claim))
    return differs(claim.value, len(store.files) if store else 0)


@checks("StorePlan.left_out{}", "status.Store.left_out{}")
def check_left_out(claim: Claim, case: Case) -> str:
    """Every file that is not taken, by its ending or by why, where the whole store is looked at."""
    store, kinds = case.wanted.stores.get(store_key(claim)), dict[str, list[str]]()
    for key, why in sorted(store.skipped.items()) if store and case.in_scope(store.key) else ():
        ending = splitext(key)[1].lower() if why == "unsupported" else ""
        kinds.setdefault(ending or why, []).append(key)
    return differs(claim.value, kinds)


@checks("StorePlan.unproven[]")
def check_unproven(claim: Claim, case: Case) -> str:
    """Each is the kind of a file to bring in, and no text that every service reads."""
    puts = [change for change in claim.holder["changes"] if change["action"] in PUTS]
    kinds = {splitext(change["desired"]["filename"])[1].lower() for change in puts}
    return "" if set(claim.value) <= kinds - {".md", ".txt"} else f"the kinds are {kinds}"


@checks("StorePlan.applied", "status.Store.applied")
def check_applied(claim: Claim, case: Case) -> str:
    live = case.store(store_key(claim))
    return differs(claim.value, live.metadata.get("vssync_applied", "") if live else "") if claim.value else ""


@checks("StorePlan.unrelated")
def check_unrelated(claim: Claim, case: Case) -> str:
    """Whether no copy of ours has a wanted key or wanted bytes; where only one or two are live, their folders count."""
    store, live = case.wanted.stores.get(store_key(claim)), case.store(store_key(claim))
    if store is None or live is None or not store.prune or not is_looked_at(live, claim, case):
        return differs(claim.value, False)
    owned = live.copies(case.wanted.owner)
    keys = {*store.files, *map(digest16, store.kept)}
    contents = {file.file_id or file.sha256 for file in store.files.values()}
    is_related = any(digest in keys for digest in owned) or any(
        {copy.id, copy.sha256} & contents for copies in owned.values() for copy in copies
    )
    is_possible = bool(owned) and bool(store.files) and not is_related
    return "" if claim.value is is_possible or (is_possible and len(owned) < 3) else f"it is {is_possible}"


_DIGESTS: dict[str, tuple[Any, ...]] = {}  # of all documents that this process judged
_KNOWLEDGE: dict[tuple[Any, ...], str] = {}


@checks("StorePlan.digest", "status.Store.desired_digest", "output.Store.desired_digest")
def check_digest(claim: Claim, case: Case) -> str:
    store = case.wanted.stores.get(store_key(claim))
    return digest_of(wanted_knowledge(store), claim.value) if store else differs(claim.value, "")


def wanted_knowledge(store: WantedStore) -> tuple[Any, ...]:
    """What a store should hold, as a digest should see it."""
    files = store.files.values()
    return tuple(sorted(_knowledge(f.key, f.file_id or f.sha256, f.attributes, f.chunking) for f in files))


@checks("StorePlan.live_digest", "status.Store.live_digest", "output.Store.live_digest")
def check_live_digest(claim: Claim, case: Case) -> str:
    is_partly_listed = claim.value == "unknown" and bool(claim.holder.get("unlisted"))
    # Where listings leave attributes out, nobody can tell what is in a store.
    is_bare = not claim.value and "lists-attributes=off" in case.run.dialect
    is_unknown = is_partly_listed or is_bare or is_hidden(claim, case)
    return "" if is_unknown else false_live_digest(claim.value, store_key(claim), case)


def false_live_digest(digest: str, key: str, case: Case) -> str:
    """What is wrong: it names what the store holds, and is unknown only where nobody can know."""
    store, live = case.wanted.stores.get(key), case.store(key)
    if not digest:
        is_external = store is not None and bool(store.settings.get("external"))
        is_readable = store and live and not live.is_expired and (is_external or live.mark[0] == case.wanted.owner)
        return "the store could be read" if is_readable else ""
    if store is None or live is None:
        return "there is no such store"
    ours = [file for file in live.files if file.owner == case.wanted.owner]
    is_unknown = any(file.is_uncompared or file.status != "completed" for file in ours)
    is_gone = any(file.id not in case.run.after.uploads for file in ours)  # only who looks for Files knows of it
    if digest == "unknown" and is_gone:
        return ""
    if is_unknown or digest == "unknown":
        return differs(digest == "unknown", is_unknown)
    return digest_of(tuple(sorted(_live_knowledge(file, store) for file in ours)), digest)


def _live_knowledge(copy: TrueFile, store: WantedStore) -> tuple[str, ...]:
    """The chunking is the mark's, which tells `auto` from its numbers; what a service changes counts as sent."""
    content = copy.id if copy.mark_parts[3] == "id" else copy.sha256 or copy.mark_parts[3]  # of a File that is gone
    wanted = store.files.get(copy.key_digest)
    attributes = wanted.attributes if wanted and copy.echo else copy.plain_attributes
    plain = {name: value for name, value in attributes.items() if name not in store.ignored}
    _, _, values, _ = _knowledge("", content, plain, "")
    return (copy.key_digest, content, values, copy.mark_parts[4])


def _knowledge(key: str, content: str, attributes: Values, chunking: str) -> tuple[str, ...]:
    values = sorted((name, kind_of(value), normal(value)) for name, value in attributes.items())
    return (digest16(key), content, json.dumps(values), digest16(chunking))


def digest_of(knowledge: tuple[Any, ...], digest: str) -> str:
    """Equal digests, equal knowledge base, and the other way round: in everything that was ever said here."""
    if _DIGESTS.setdefault(digest, knowledge) != knowledge:
        return "another knowledge base has it, too"
    if (other := _KNOWLEDGE.setdefault(knowledge, digest)) != digest:
        return f"the same knowledge base had {other}"
    return ""


def normal(value: Any) -> Any:
    """The one form of an attribute's value."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def kind_of(value: Any) -> str:
    return {bool: "b", str: "s"}.get(type(value), "n")


def attributes_digest(attributes: Values, ignored: frozenset[str] = frozenset()) -> str:
    """The identity of attributes in a mark, as its description says."""
    names = sorted(name for name in attributes if name not in (*ignored, "vssync_mark"))
    rows = [[name, kind_of(attributes[name]), normal(attributes[name])] for name in names]
    text = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_COUNTED = {"add": "create", "change": "update", "wait": "await"}


@checks("plan.declared")
def check_declared(claim: Claim, case: Case) -> str:
    return differs(claim.value, len(case.wanted.declared))


@checks("File.held_back[]")
def check_held_back(claim: Claim, case: Case) -> str:
    """What stands in its place is there, and carries no mark."""
    live = case.store(store_key(claim))
    files = [live.file(file_id) if live else None for file_id in claim.value]
    if not all(file and not file.owner for file in files):
        return "there is no such file without a mark"
    store, file, _ = subject(claim, case)
    deviation = case.deviation(store, file, live) if store and file and live else ""
    is_told = claim.value or claim.holder["changes"] or not deviation.startswith("held back")
    return "" if is_told else deviation


@checks("Counts.held", "Counts.gone", "Counts.stores", "Counts.left", "Counts.cancel")
def check_other_counts(claim: Claim, case: Case) -> str:
    """A plan's are those of its stores; those of a status must fit what is there."""
    name = str(claim.path[-1])
    if claim.path[0] == "counts":
        notes = Counter[str]()
        for note in (note for store in stores_of(case) for note in store.get("notes", ())):
            notes[note["kind"]] += note.get("count", 1) if note["kind"] == "adoptable" else 1
        batches = [batch for store in stores_of(case) for batch in store.get("batches", ())]
        counts = {"held": notes["adoptable"], "gone": notes["upload_gone"], "left": notes["left_store"]}
        counts |= {"stores": sum(bool(store.get("change")) for store in stores_of(case))}
        return differs(claim.value, (counts | {"cancel": sum(b["action"] == "cancel" for b in batches)})[name])
    said, store, live = (
        claim.within("status.Store"),
        case.wanted.stores.get(store_key(claim)),
        case.store(store_key(claim)),
    )
    if name == "gone":
        gone = [file for file in live.files if file.id not in case.run.after.uploads] if live else []
        return "" if claim.value <= len(gone) else f"there are {len(gone)}"
    if name == "stores":
        return differs(claim.value, int(said["action"] is not None))
    if name == "cancel":
        return "" if claim.value <= len(live.batches if live else ()) else "there are fewer batches"
    if name == "left":
        twins = max(0, len(case.marked(said["key"], case.run.after)) - 1)
        is_left = said["action"] is None and said["key"] not in case.wanted.removed
        return differs(claim.value, twins if store else int(is_left))
    most = sum(1 for _ in _held_back(store, live, case)) if store and live else 0  # of those alike in name
    return "" if claim.value <= most else f"at most {most} are"


@checks(*(f"Counts.{name}" for name in ("add", "change", "replace", "delete", "adopt", "wait", "refuse", "unchanged")))
def check_counts(claim: Claim, case: Case) -> str:
    """A plan's are those of its changes; those of a status must fit what is wanted and what is there."""
    name = str(claim.path[-1])
    if claim.path[0] == "counts":
        changes = Counter(change["action"] for store in stores_of(case) for change in store["changes"])
        return differs(
            claim.value,
            sum(store["unchanged"] for store in stores_of(case))
            if name == "unchanged"
            else changes[_COUNTED.get(name, name)],
        )
    key, said = store_key(claim), claim.holder
    store, live = case.wanted.stores.get(key), case.store(key)
    if name == "unchanged":
        return check_unchanged_count(claim, case)
    wanted = [file for file in store.files.values() if case.in_scope(key, file.key)] if store else []
    action = claim.within("status.Store")["action"]
    if action in ("create", "replace", "refuse") and (live is None or action == "replace"):
        return differs(claim.value, len(wanted) if name == "add" and action != "refuse" else 0)
    if store is None or live is None or action == "refuse":
        return ""
    owned = live.copies(case.wanted.owner)
    leaving = sum(digest not in store.files for digest in owned) + sum(len(copies) > 1 for copies in owned.values())
    if name == "delete":
        leaving += sum(file.is_provisional and file.owner == case.wanted.owner for file in live.files)
        return "" if claim.value <= leaving else f"{leaving} could go"
    total = sum(
        said[each] for each in ("add", "change", "replace", "adopt", "wait", "refuse", "held", "gone", "unchanged")
    )
    double = sum(len(copies) > 1 for digest, copies in owned.items() if digest in store.files)  # only the others go
    is_so = len(wanted) - double <= total <= len(wanted)
    return "" if is_so else f"{len(wanted)} files are wanted, {double} double"


def _held_back(store: WantedStore, live: TrueStore, case: Case) -> Iterator[WantedFile]:
    for file in store.files.values():
        if case.deviation(store, file, live).startswith("held back"):
            yield file
