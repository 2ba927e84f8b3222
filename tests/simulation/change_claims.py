"""What a plan says of each change: the action, why, on which copies, and what would be different after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.simulation.claims import Claim
from tests.simulation.judge import (
    Case,
    checks,
    copy_deviation,
    has_content,
    is_right,
    same_values,
    with_key,
)
from tests.simulation.plan_claims import PUTS, differs, store_key, subject
from tests.simulation.total_claims import attributes_digest
from tests.simulation.truth import TrueFile, digest16

Values = Mapping[str, Any]


class Subject:
    """A change, what is wanted, and the copies it is about, as they were before the run and after it."""

    def __init__(self, claim: Claim, case: Case) -> None:
        self.case = case
        self.change: Values = claim.within("FileChange")
        self.store, self.file, self.live = subject(claim, case)
        self.copies = case.copies(self.change["store"], self.change["key"])
        self.keep = self._versions(self.change.get("keep"))
        self.named = [*self.keep, *(file for copy in self.change.get("drop", ()) for file in self._versions(copy))]

    def _versions(self, copy: Values | None) -> list[TrueFile]:
        return self.case.versions(self.change["store"], copy["id"]) if copy else []

    def any_copy(self, holds: Callable[[TrueFile], bool]) -> bool:
        versions = [version for copy in self.copies for version in self.case.versions(self.change["store"], copy.id)]
        return any(map(holds, [*versions, *self.named]))

    def is_mine(self, copy: TrueFile) -> bool:
        return copy.owner == self.case.wanted.owner

    def is_right(self, copy: TrueFile) -> bool:
        return self.file is not None and is_right(self.file, copy)

    def serves(self) -> bool:
        """Whether a copy with the wanted content and chunking is completed."""
        return any(self.is_right(copy) and copy.status == "completed" for copy in self.copies)


def subject_of(claim: Claim, case: Case) -> Subject:
    """Made once for all claims of a change."""
    place = id(claim.within("FileChange"))
    if place not in case.subjects:
        case.subjects[place] = Subject(claim, case)
    made: Subject = case.subjects[place]
    return made


@checks("FileChange.store", "FileChange.key")
def check_address(claim: Claim, case: Case) -> str:
    if claim.name == "FileChange.store":
        plan = claim.within("StorePlan") or {"key": claim.within("File").get("address", "").partition("/")[0]}
        return differs(claim.value, plan["key"])
    of = subject_of(claim, case)
    is_known = of.file or of.copies or any(file.is_provisional or file.has_odd_mark for file in of.named)
    return "" if is_known else "neither the manifest nor the store has such a file"


@checks("StorePlan.changes[]", "File.changes[]")
def check_changes(claim: Claim, case: Case) -> str:
    """Every file that is not as wanted is there or in a note; and so is every copy that nobody wants."""
    store, live = case.wanted.stores.get(store_key(claim)), case.store(store_key(claim))
    if claim.name == "File.changes[]":
        _, file, _ = subject(claim, case)
        deviation = case.deviation(store, file, live) if store and file and live else ""
        return f"{deviation}" if deviation and not claim.value else ""
    if store is None or (claim.holder.get("change") or {}).get("action") == "refuse":
        return ""
    told = {change["key"] for change in claim.value} | {note.get("key") for note in claim.holder.get("notes", ())}
    told |= {change.get("was") for change in claim.value}
    dropped = {copy["id"] for change in claim.value for copy in change.get("drop", ())}
    is_new = live is None or live.is_expired
    for file in store.files.values():
        cause = "missing" if is_new or live is None else case.deviation(store, file, live)
        if cause and file.key not in told and case.in_scope(store.key, file.key):
            return f"{file.key}: {cause}"
    for digest, copies in live.copies(case.wanted.owner).items() if live and not is_new and store.prune else ():
        key = str(copies[-1].attributes.get("vssync_key", ""))
        is_told = key in told or f"~{digest}" in told or {copy.id for copy in copies} <= dropped
        if digest not in store.files and key not in store.kept and not is_told and case.in_scope(store.key, key):
            return f"{key} is not in the manifest"
    return ""


@checks("FileChange.action")
def check_action(claim: Claim, case: Case) -> str:
    of = subject_of(claim, case)
    if claim.value == "delete":
        is_surplus = of.file is None or len(of.copies) > 1
        is_surplus |= any(copy.is_provisional or _has_moved(copy, of) for copy in of.named)
        return "" if is_surplus and of.change.get("drop") else "it is wanted"
    if claim.value == "update" and of.change["reasons"] == ["released"]:
        return "" if any(map(of.is_mine, of.keep)) else "it does not carry this owner's mark"
    if claim.value == "refuse" and "not_in_manifest" in of.change["reasons"]:
        return "it is wanted" if of.file else ""
    if claim.value == "refuse" and any(copy.has_odd_mark for copy in of.keep):
        return ""
    if of.file is None or of.store is None:
        return "the manifest has no such file"
    if claim.value == "refuse":
        return "" if not of.serves() or not of.live or case.deviation(of.store, of.file, of.live) else "it is as wanted"
    if claim.value == "create" and (of.keep or of.serves()):
        return "it is there"
    if claim.value == "replace" and not (of.change.get("drop") and of.named):
        # The old copy stays where another key declares it, which takes it over in the next plan.
        declared_ids = {file.file_id for file in of.store.files.values() if file is not of.file}
        return "" if any(copy.id in declared_ids for copy in of.keep) else "nothing is there to be replaced"
    if claim.value == "update" and not any(map(of.is_right, of.keep)):
        return f"its copy {copy_deviation(of.store, of.file, of.keep[-1])}" if of.keep else "it has no copy"
    if claim.value == "adopt" and any(map(of.is_mine, of.keep)):
        return "it carries this owner's mark"
    if claim.value == "await" and not any(copy.status == "in_progress" for copy in of.keep):
        return "nothing is in progress"
    is_asked_for = "requested" in of.change["reasons"]
    if of.live is None or of.live.is_expired or is_asked_for or claim.value == "await":
        return ""
    return "" if case.deviation(of.store, of.file, of.live) else "it is as wanted"


def _mark_part(number: int, of: Subject, value: str) -> bool:
    return of.any_copy(lambda copy: copy.mark_parts[number : number + 1] not in ([], [value]))


_FILE_REASONS: dict[str, Callable[[Subject], bool]] = {
    "missing": lambda of: not of.serves(),
    "content_changed": lambda of: of.any_copy(lambda copy: of.file is not None and not has_content(of.file, copy)),
    "chunking_changed": lambda of: of.file is not None and _mark_part(4, of, digest16(of.file.chunking)),
    "attributes_changed": lambda of: (
        of.file is not None
        and (_mark_part(5, of, attributes_digest(with_key(of.file, of.store.ignored if of.store else frozenset()))))
    ),
    "drifted": lambda of: any(_has_drifted(copy, of) for copy in of.keep),
    "renamed": lambda of: of.any_copy(lambda copy: of.file is not None and copy.filename != of.file.filename),
    "moved": lambda of: of.change.get("was", "") not in ("", of.change["key"]),
    "superseded": lambda of: (
        len(of.copies) > 1 or any(copy.is_provisional or _has_moved(copy, of) for copy in of.named)
    ),
    "not_in_manifest": lambda of: of.file is None,
    "removed": lambda of: of.change["store"].partition("@")[0] in of.case.wanted.removed,
    "released": lambda of: of.change["store"].partition("@")[0] in of.case.wanted.removed,
    "destroy": lambda of: of.file is None,  # of a manifest that wants nothing
    "ingesting": lambda of: any(copy.status == "in_progress" for copy in of.keep),
    "ingest_failed": lambda of: of.any_copy(lambda copy: copy.status == "failed"),
    "cancelled": lambda of: of.any_copy(lambda copy: copy.status in ("cancelled", "in_progress")),
    "stalled": lambda of: of.any_copy(lambda copy: copy.status == "in_progress"),
    "refused": lambda of: of.any_copy(lambda copy: copy.status in ("failed", "cancelled", "in_progress")),
    "requested": lambda of: bool(of.case.run.options.replace),
    "unmarked": lambda of: any(not copy.owner for copy in of.keep),
    "unreadable": lambda of: any(copy.has_odd_mark for copy in of.keep),
    "other_owner": lambda of: (
        any(copy.owner and not of.is_mine(copy) for copy in of.live.files if of.live) if of.live else False
    ),
    "declared": lambda of: any(
        of.file and copy.id == of.file.file_id and copy.mark_parts[3] != "id" for copy in of.keep
    ),
    "file_gone": lambda of: of.file is not None and of.file.file_id not in of.case.run.before.uploads,
    "impossible": lambda of: of.change["action"] == "refuse",
    "not_allowed": lambda of: of.change["action"] == "refuse",
    "shared_chunks": lambda of: of.change["action"] in PUTS,
}


def _has_moved(copy: TrueFile, of: Subject) -> bool:
    """Whether a copy of another key has the wanted bytes."""
    return of.file is not None and copy.key_digest != digest16(of.file.key) and has_content(of.file, copy)


def _has_drifted(copy: TrueFile, of: Subject) -> bool:
    ignored = of.store.ignored if of.store else frozenset()
    return bool(copy.mark_parts) and attributes_digest(copy.attributes, ignored) not in (copy.mark_parts[5], copy.echo)


@checks("FileChange.reasons[]")
def check_reasons(claim: Claim, case: Case) -> str:
    return false_reason(claim.value, _FILE_REASONS, subject_of(claim, case))


def false_reason(reasons: list[str], known: Mapping[str, Callable[[Any], bool]], of: Any) -> str:
    if not reasons:
        return "a change has a reason"
    return next((f"{reason!r} does not hold" for reason in reasons if not known.get(reason, bool)(of)), "")


@checks("FileChange.drop[]")
def check_drop(claim: Claim, case: Case) -> str:
    """A change in place of old copies names all of them."""
    of = subject_of(claim, case)
    ids = {copy["id"] for copy in claim.value}
    others = {copy.id for copy in of.copies} - {copy.id for copy in of.keep}
    if of.change["action"] in PUTS and not others <= ids:
        return f"{others - ids} is a copy, too"
    return "a copy is meant" if of.change["action"] == "delete" and not ids else ""


@checks("FileChange.fields[]", "StoreChange.fields[]")
def check_fields(claim: Claim, case: Case) -> str:
    """An update names all that differs."""
    said = {field["name"] for field in claim.value}
    if claim.name.startswith("Store"):
        store, live = case.wanted.stores.get(store_key(claim)), case.store(store_key(claim))
        if store is None or live is None or claim.holder["action"] != "update":
            return ""
        pairs = {"name": (live.name, store.name), "expires_after": (live.expires_after_days, store.expires_after_days)}
        pairs |= {f"metadata.{name}": (live.metadata.get(name), value) for name, value in store.metadata.items()}
        missing = {name for name, (is_, should_be) in pairs.items() if is_ != should_be} - said
        return f"{missing} differs, too" if missing else ""
    of = subject_of(claim, case)
    if of.change["action"] != "update" or not of.keep or of.file is None or of.store is None:
        return ""
    live_values, wanted = _compared(of.keep[-1], of)
    names = {name for name in {*live_values, *wanted} if not same_values(live_values.get(name), wanted.get(name))}
    return differs(sorted(said), sorted(names - ({"vssync_key"} if of.change.get("was") else set())))


def _compared(copy: TrueFile, of: Subject) -> tuple[dict[str, Any], dict[str, Any]]:
    """A copy's attributes and those wanted, without what is not compared."""
    ignored = of.store.ignored if of.store else frozenset()
    live = {name: value for name, value in copy.attributes.items() if name not in (*ignored, "vssync_mark")}
    return live, with_key(of.file, ignored) if of.file else {}


@checks("FieldChange.name", "FieldChange.before", "FieldChange.after", "FieldChange.drifted")
def check_field(claim: Claim, case: Case) -> str:
    field = claim.holder
    if not claim.within("FileChange"):
        return _check_setting(claim, field, case)
    of = subject_of(claim, case)
    if not of.keep or of.file is None:
        return "it is about no copy"
    copy, (live, wanted) = of.keep[-1], _compared(of.keep[-1], of)
    if field["name"] == "chunking":
        marked_auto = copy.mark_parts[4:5] == [digest16("auto")]
        is_told = claim.name != "FieldChange.before" or claim.value != "not reported"  # services may report nothing
        live = {"chunking": "auto" if marked_auto else copy.chunking if is_told else claim.value}
        wanted = {"chunking": of.file.chunking}
    if field["name"] == "upload name":
        live, wanted = {"upload name": copy.filename}, {"upload name": of.file.filename}
    if field["name"] not in {**live, **wanted}:
        return "there is no such attribute"
    side = {"before": live, "after": wanted}.get(str(claim.path[-1]))
    if side is not None:
        return differs(claim.value, side.get(field["name"]))
    if claim.name == "FieldChange.drifted" and field["name"] not in ("chunking", "upload name") and copy.mark_parts:
        if not _has_drifted(copy, of):
            return differs(claim.value, False)
        if copy.mark_parts[5] == attributes_digest(wanted):
            return differs(claim.value, True)
    return ""


def _check_setting(claim: Claim, field: Values, case: Case) -> str:
    store, live = case.wanted.stores.get(store_key(claim)), case.store(store_key(claim))
    if store is None or live is None:
        return "there is no such store"
    pairs: dict[str, tuple[Any, Any]] = {
        "name": (live.name, store.name),
        "expires_after": (live.expires_after_days, store.expires_after_days),
        "protect": (bool(live.metadata.get("vssync_protect")), bool(store.settings.get("protect"))),
    }
    name = field["name"].removeprefix("metadata.")
    pairs |= {field["name"]: (live.metadata.get(name), store.metadata.get(name))} if name != field["name"] else {}
    if field["name"] not in pairs:
        return "there is no such setting"
    side = {"before": 0, "after": 1}.get(str(claim.path[-1]))
    return "" if side is None else differs(claim.value, pairs[field["name"]][side])


@checks("FileChange.preserve{}")
def check_preserve(claim: Claim, case: Case) -> str:
    of = subject_of(claim, case)
    ignored = of.store.ignored if of.store else frozenset()
    if of.change["reasons"] == ["released"]:  # all that is there but our own
        ignored = frozenset(name for copy in of.named for name in copy.attributes if not name.startswith("vssync_"))
    values = [{name: copy.attributes[name] for name in ignored if name in copy.attributes} for copy in of.named]
    return "" if any(same_values(claim.value, value) for value in [*values, {}]) else f"they are {values}"


@checks("FileChange.tries")
def check_tries(claim: Claim, case: Case) -> str:
    of = subject_of(claim, case)
    tries = {int(copy.mark_parts[7]) for copy in of.named if copy.mark_parts}
    retries = {number + 1 for number in tries}
    is_retry = not {"ingest_failed", "stalled"}.isdisjoint(of.change["reasons"])
    allowed = retries if is_retry else {1} | tries | (retries if "cancelled" in of.change["reasons"] else set())
    return "" if claim.value in allowed else f"the copies were tried {tries}"


@checks("FileChange.reuse")
def check_reuse(claim: Claim, case: Case) -> str:
    of, uploads = subject_of(claim, case), {**case.run.before.uploads, **case.run.after.uploads}
    if not claim.value or of.file is None:
        return "" if not claim.value else "it is about no file"
    return "" if uploads.get(claim.value, ("",))[0] == of.file.sha256 else "there is no such File with these bytes"


@checks("FileChange.gap")
def check_gap(claim: Claim, case: Case) -> str:
    """Whether search finds nothing of it for a while: no other completed copy serves until the new one does."""
    of = subject_of(claim, case)
    attached = of.change.get("reuse") or (of.file.file_id if of.file else "")
    ids = {copy.id for copy in of.copies} | {copy.id for copy in of.named}
    left = [copy for copy in of.copies if copy.status == "completed" and copy.id != attached]
    is_needed = attached in ids and not left and of.change["action"] in PUTS
    shares = case.wanted.service.get("capabilities", {}).get("shares_chunks") or case.wanted.service.get("provider")
    return (
        ""
        if claim.value is is_needed
        or (claim.value and ids and shares == "compatible")
        or (shares is True and claim.value is bool(ids))
        else f"it is {is_needed}"
    )


@checks("FileChange.was")
def check_was(claim: Claim, case: Case) -> str:
    of = subject_of(claim, case)
    if not claim.value:
        return "it was moved" if "moved" in of.change["reasons"] else ""
    digest = claim.value[1:] if claim.value.startswith("~") else digest16(claim.value)
    return "" if digest in {copy.key_digest for copy in of.named} else "no copy was"
