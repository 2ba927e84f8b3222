"""What the other documents say: what became of a plan, whether a store is current, and which uploads are left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.simulation.claims import Claim
from tests.simulation.judge import Case, checks, copy_deviation, settings_deviation
from tests.simulation.plan_claims import differs, store_key
from tests.simulation.truth import DAY, State, digest16

Values = Mapping[str, Any]


@checks("report.converged")
def check_converged(claim: Claim, case: Case) -> str:
    deviations = case.deviations(case.run.after)
    if claim.value:
        return "; ".join(deviations)
    all_done = all(outcome["status"] == "done" for outcome in claim.holder["outcomes"])
    return "" if deviations or not all_done or case.run.interrupted else "all is as wanted"


@checks("report.targets[]", "report.excludes[]")
def check_scope(claim: Claim, case: Case) -> str:
    options = case.run.options
    given = options.targets if claim.name == "report.targets[]" else options.excludes
    return differs(list(claim.value), list(given))


@checks("report.interrupted")
def check_interrupted(claim: Claim, case: Case) -> str:
    return differs(claim.value, case.run.interrupted)


@checks("report.requests", "report.repeated", "report.throttled")
def check_requests(claim: Claim, case: Case) -> str:
    """Sent again is what a request alike had no good answer to."""
    exchanges, repeatable = case.run.exchanges, Counter[tuple[str, str]]()
    refused = repeated = 0
    for exchange in exchanges:
        refused += exchange.status == 429
        alike = (exchange.method, exchange.url)
        repeated += repeatable[alike] > 0
        repeatable[alike] += 1
    if claim.name == "report.requests":
        is_cut_off = case.run.interrupted and claim.value == len(exchanges) + 1  # counted, and then not sent
        return "" if is_cut_off else differs(claim.value, len(exchanges))
    if claim.name == "report.throttled":
        return "nothing asked to hold back" if claim.value and not refused else ""
    return "" if claim.value <= repeated else f"{repeated} requests are like an earlier one"


@checks("Audit.plan_digest")
def check_plan_digest(claim: Claim, case: Case) -> str:
    """That of the plan; of a saved one in part applied before, only its own file has it."""
    document, plan = case.run.document or {}, case.run.plan or {}
    return "" if document["already"] else differs(claim.value, plan["checksum"])


@checks("report.test{}")
def check_answers(claim: Claim, case: Case) -> str:
    """Those of `--test` are of stores that exist; what searches find is not for a reader of the state to judge."""
    ids = [store["id"] for store in (claim.value["stores"] if claim.value else ())]
    return "" if {*ids} <= {*case.run.after.stores, None} else "a store that was asked does not exist"


@checks("report.stores{}")
def check_store_ids(claim: Claim, case: Case) -> str:
    """Each store that the run looked at and that exists."""
    lost = {outcome["store"] for outcome in claim.holder["outcomes"] if _tells_of_lost_mark(outcome, case)}
    for key, store_id in claim.value.items():
        if store_id not in case.run.after.stores:
            if "ghost-stores" in case.run.dialect:  # what is gone is listed all the same
                continue
            return f"{key}: {store_id} does not exist"
        owner = case.wanted.owner if key in lost else case.run.after.stores[store_id].mark[0]
        wanted = case.wanted.declared.get(key)
        if wanted and wanted.settings.get("removed") == "keep":
            continue
        if owner != case.wanted.owner and not (wanted and wanted.settings.get("external")):
            return f"{key}: {store_id} is not ours"
    return ""


@checks(*(f"report.counts.{name}" for name in ("done", "failed", "unknown", "doubled", "skipped")))
def check_outcome_counts(claim: Claim, case: Case) -> str:
    outcomes = (case.run.document or {})["outcomes"]
    return differs(claim.value, sum(outcome["status"] == claim.path[-1] for outcome in outcomes))


@checks("report.already[]")
def check_already(claim: Claim, case: Case) -> str:
    for address in claim.value:
        key, _, file_key = address.partition("/")
        store, live = case.wanted.stores.get(key), case.store(key)
        file = store.files.get(digest16(file_key)) if store else None
        if store and file and live and (cause := case.deviation(store, file, live)):
            return f"{address}: {cause}"
        if (file is None and file_key and case.copies(key, file_key)) or (store is None and live is None):
            return f"{address} is {'there' if live else 'nowhere'}"
    return ""


@checks("report.outcomes[]")
def check_outcomes(claim: Claim, case: Case) -> str:
    """One for each change of the plan, and one for each other store that lost its mark."""
    planned = [outcome for outcome in claim.value if _planned(outcome, case) or not _tells_of_lost_mark(outcome, case)]
    said = sorted((outcome["store"], outcome["key"], outcome["action"]) for outcome in planned)
    return differs(said, sorted(_changes_of(case.run.plan or {})))


def _tells_of_lost_mark(outcome: Values, case: Case) -> bool:
    """Whether an outcome says that a store is not as it should be, and that store carries our mark no more."""
    is_of_store = not outcome["key"] and outcome["status"] == "failed"
    return is_of_store and not case.marked(outcome["store"], case.run.after)


def _changes_of(plan: Values) -> Iterator[tuple[str, str, str]]:
    for store in plan.get("stores", ()):
        yield from [(store["key"], "", store["change"]["action"])] if store.get("change") else []
        yield from ((store["key"], batch["id"], batch["action"]) for batch in store.get("batches", ()))
        yield from ((store["key"], change["key"], change["action"]) for change in store["changes"])


def _planned(outcome: Values, case: Case) -> Sequence[Values]:
    """The changes that an outcome is of: several of one key have one result."""
    return case.planned.get((outcome["store"], outcome["key"], outcome["action"]), ())


@checks("Outcome.store", "Outcome.key", "Outcome.action")
def check_outcome(claim: Claim, case: Case) -> str:
    is_so = _planned(claim.holder, case) or _tells_of_lost_mark(claim.holder, case)
    return "" if is_so else "the plan has no such change"


@checks("Outcome.status")
def check_status(claim: Claim, case: Case) -> str:
    """What is done is so; what failed is not; what was skipped is as it was before."""
    outcome = claim.holder
    changes = _planned(outcome, case)
    if outcome["action"] == "refuse" or not changes:
        return differs(claim.value, "failed")
    undone = _undone(outcome, changes, case)
    if claim.value == "done":
        return undone
    if claim.value == "failed":
        detail = outcome.get("detail", "").replace("; ", ", ")
        is_false = undone in ("", "is in_progress")
        return f"it is {'being ingested' if undone else 'done'}, said was `{detail}`" if is_false else ""
    if claim.value == "unknown":
        is_ghost = "ghost-" in case.run.dialect  # what is gone is listed all the same
        went_wrong = any(exchange.went_wrong for exchange in case.run.exchanges)
        is_open = went_wrong or is_ghost or case.run.interrupted or undone
        return "" if is_open else "nothing went wrong"
    if claim.value == "doubled":
        return "" if _has_double(outcome, case) else undone or "there is no second one"
    ids = [{copy.id for copy in case.copies(outcome["store"], outcome["key"], state)} for state in _states(case)]
    is_so = not outcome["key"] or ids[0] == ids[1] or case.run.has_company
    return "" if is_so else f"it had {ids[0]}, and has {ids[1]}"


@checks("Outcome.already")
def check_already_done(claim: Claim, case: Case) -> str:
    """Of what is done and came to be, whether requests of this run made it; not known where one had no good answer."""
    outcome, exchanges = claim.holder, case.run.exchanges[case.run.since :]
    posts = [exchange for exchange in exchanges if exchange.method == "POST"]
    if outcome["status"] != "done" or outcome["action"] not in ("create", "replace"):
        return "only what is done and came to be can have been so" if claim.value else ""
    if not outcome["key"]:
        live = case.store(outcome["store"])
        of_kind = [exchange for exchange in posts if exchange.url.endswith("/vector_stores")]
        is_ours = live is not None and any(exchange.made == live.id for exchange in of_kind)
    else:
        of_kind = [exchange for exchange in posts if exchange.attached]
        attached = frozenset[str]().union(*(exchange.attached for exchange in of_kind))
        is_ours = any(copy.id in attached for copy in case.copies(outcome["store"], outcome["key"]))
    is_known = is_ours or all(exchange.made and not exchange.went_wrong for exchange in of_kind)
    return differs(bool(claim.value), not is_ours) if is_known else ""


def _has_double(outcome: Values, case: Case) -> bool:
    """Whether another run made a second store, or attached a second copy."""
    if not outcome["key"]:
        return len(case.marked(outcome["store"], case.run.after)) > 1
    return len(case.copies(outcome["store"], outcome["key"])) > 1


def _states(case: Case) -> tuple[State, State]:
    return case.run.before, case.run.after


def _undone(outcome: Values, changes: Sequence[Values], case: Case) -> str:
    """What is not as it should be after a change."""
    store, live = case.wanted.stores.get(outcome["store"]), case.store(outcome["store"])
    if "counts" in changes[0]:
        return "it is in progress" if live and outcome["key"] in live.batches else ""
    if not outcome["key"]:
        if outcome["action"] == "delete":
            return "it exists" if live else ""
        if changes[0]["reasons"] == ["released"]:
            return "it carries our mark" if live else ""
        if store is None or live is None or live.is_expired:
            return "it does not exist"
        return settings_deviation(case.wanted.owner, store, live)
    if left := [
        copy["id"] for change in changes for copy in change.get("drop", ()) if _is_left(copy["id"], change, case)
    ]:
        return f"{left[0]} is still attached"
    file = store.files.get(digest16(outcome["key"])) if store else None
    kept = [change["keep"]["id"] for change in changes if change.get("keep")]
    if lost := [copy for copy in kept if outcome["action"] == "delete" and not (live and live.file(copy))]:
        return f"{lost[0]}, which was to be kept, is gone"
    if outcome["action"] == "delete" or store is None or file is None:
        return ""
    if live is None:
        return "the store does not exist"
    copies = live.copies(case.wanted.owner).get(digest16(file.key), [])
    causes = [copy_deviation(store, file, copy) for copy in copies]  # more than one may be an other outcome's fault
    return "" if "" in causes else case.deviation(store, file, live)


def _is_left(file_id: str, change: Values, case: Case) -> bool:
    """Whether a copy that goes is there; the same File may be attached anew."""
    live = case.store(change["store"])
    is_attached_again = file_id in (change.get("reuse"), (change.get("desired") or {}).get("file_id"))
    return live is not None and live.file(file_id) is not None and not is_attached_again


@checks("Outcome.attempts")
def check_attempts(claim: Claim, case: Case) -> str:
    most = case.writes + len(case.run.exchanges)
    is_tried = claim.holder["status"] in ("done", "unknown")
    return "" if bool(claim.value) >= is_tried and claim.value <= most else f"{most} requests were sent"


@checks("Outcome.request_id")
def check_request_id(claim: Claim, case: Case) -> str:
    return "" if not claim.value or claim.value in case.request_ids else "no answer had it"


@checks("report.orphans[]")
def check_orphans(claim: Claim, case: Case) -> str:
    """Every upload that this run made or took out of a store, and that none holds; what was lost is suspected."""
    before, after = _states(case)
    files = [file for store in before.stores.values() for file in store.files if file.owner == case.wanted.owner]
    held = {file.id for file in files if file.mark_parts[6] == "u" and not file.is_leaving}
    if case.run.interrupted or "ghost-files" in case.run.dialect:  # what was under way, or is listed though it is gone
        held = set()
    told = {orphan["file_id"] for orphan in claim.value}
    loose = {id_ for id_ in after.uploads if id_ not in before.uploads or id_ in held} - after.attached - told
    suspected = sum(not orphan["file_id"] for orphan in claim.value)
    return f"{sorted(loose)[0]} was uploaded, and no store holds it" if len(loose) > suspected else ""


@checks("gc.orphans[]")
def check_gc_orphans(claim: Claim, case: Case) -> str:
    return differs(len({orphan["file_id"] for orphan in claim.value}), len(claim.value))


@checks("gc.young", "gc.young_until")
def check_young(claim: Claim, case: Case) -> str:
    """No store holds them, and one of them comes of age last."""
    after = case.run.after
    unattached = after.uploads.keys() - after.attached
    if claim.name == "gc.young":
        return "" if claim.value <= len(unattached) else f"{len(unattached)} uploads are attached nowhere"
    ages = {after.uploaded_at[file_id] + DAY for file_id in unattached} if claim.holder["young"] else {None}
    return "" if claim.value in ages else "no upload comes of age then"


@checks("gc.deleted")
def check_deleted(claim: Claim, case: Case) -> str:
    gone = len(case.run.before.uploads.keys() - case.run.after.uploads.keys())
    return "" if claim.value is None and not gone else differs(claim.value or 0, gone)


@checks("Orphan.file_id", "Orphan.suspected")
def check_orphan(claim: Claim, case: Case) -> str:
    """It exists, and no store holds it, unless the run ended before it was told so."""
    file_id, after = claim.holder["file_id"], case.run.after
    if claim.name == "Orphan.suspected":
        return "a File without an id is only suspected" if not claim.value and not file_id else ""
    if case.run.interrupted and claim.holder["suspected"]:
        return ""
    if file_id in after.attached:
        return "a store holds it"
    return "" if not file_id or file_id in after.uploads else "there is no such File"


@checks("report.held[]", "HeldUpload.file_id")
def check_held(claim: Claim, case: Case) -> str:
    """A store holds each, or its mark did not say that it is an upload of ours."""
    if claim.name == "HeldUpload.file_id":
        files = [file for store in case.run.before.stores.values() for file in store.files if file.id == claim.value]
        is_ours = any(file.owner == case.wanted.owner and file.mark_parts[6] == "u" for file in files)
        is_kept = claim.value in case.run.after.attached or (files and not is_ours)
        return "" if is_kept else "no store holds it"
    return differs(len({upload["file_id"] for upload in claim.value}), len(claim.value))


@checks("status.agrees", "status.Store.agrees", "output.Store.current")
def check_agrees(claim: Claim, case: Case) -> str:
    """Whether all is as wanted: of the service, of a store, of a file."""
    if claim.name == "status.agrees":
        deviations = case.deviations(case.run.after)
        if file := claim.holder.get("file"):
            deviations = [deviation for deviation in deviations if deviation.startswith(f"{file['address']}: ")]
    else:
        store, live = case.wanted.stores.get(store_key(claim)), case.store(store_key(claim))
        is_done = store is None and live is None and store_key(claim) in case.wanted.removed
        left = [] if is_done else ["the store left the manifest"]
        deviations = list(case.store_deviations(store, case.run.after)) if store else left
        deviations += [f"{batch} is in progress" for batch in live.batches] if live else []
    if claim.value:
        return "; ".join(deviations)
    return "" if deviations else "all is as wanted"


@checks("output.stores{}")
def check_output_stores(claim: Claim, case: Case) -> str:
    told = claim.value.keys() | claim.holder["problems"].keys()
    missing = {key for key in case.wanted.stores if case.in_scope(key)} - told
    return f"{missing} is missing" if missing else ""


@checks("output.problems{}")
def check_output_problems(claim: Claim, case: Case) -> str:
    """A store that can be searched is as wanted nowhere."""
    searched = {key for key in claim.value if not list(case.store_deviations(case.wanted.stores[key], case.run.after))}
    return f"{searched} can be searched" if searched else ""
