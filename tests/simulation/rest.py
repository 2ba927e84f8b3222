"""What holds when nobody is at work: after each step, and at the end of a history."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from tests.simulation.desired import Wanted, WantedFile, WantedStore
from tests.simulation.judge import Case, Run, is_right
from tests.simulation.others import Others
from tests.simulation.truth import State, TrueFile, TrueStore, digest16

if TYPE_CHECKING:
    from tests.simulation.world import World

_SHARE, _LOOKS = 1.2, 40  # of what a plan says that it takes; more requests that a run may make


def problems_of_cost(run: Run) -> Iterator[str]:
    """A run takes about as many requests as its plan said; one that met faults takes more."""
    if run.plan is None or any(exchange.went_wrong for exchange in run.exchanges):
        return
    cost, made = _cost_of(run.plan), run.exchanges[run.since :]
    writes = sum(exchange.is_write for exchange in made)
    uploads = sum(exchange.is_write and bool(re.search("/v1/files$", exchange.url)) for exchange in made)
    if uploads > cost["uploads"]:
        yield f"{uploads} uploads, and the plan said {cost['uploads']}"
    # What an expired store holds, a plan cannot know.
    writes -= sum(len(store.files) for store in run.before.stores.values() if store.is_expired)
    if writes > cost["requests"]:
        yield f"{writes} requests wrote, and the plan said {cost['requests']}"
    if len(made) > _SHARE * cost["requests"] + cost["polls"] + _LOOKS:
        yield f"{len(made)} requests, and the plan said {cost}"


def problems_of_waste(run: Run) -> Iterator[str]:
    """An upload that nothing refused is kept for the next run: an error that is not about it does not delete it."""
    for upload in {exchange.made for exchange in run.exchanges if exchange.url.endswith("/files") and exchange.made}:
        statuses = [exchange.status for exchange in run.exchanges if upload in exchange.attached]
        if statuses and all(status in (401, 403, 409, 429) for status in statuses) and upload not in run.after.uploads:
            yield f"{upload} was deleted, though the service refused {statuses} and no file"


def problems_of_own_requests(run: Run) -> Iterator[str]:
    """What a run that had company can know by its own requests.

    A store that its report calls made by it was made by one of them; one that is as wanted was there when it was last
    asked for.
    """
    document = run.document or {}
    made = {exchange.made for exchange in run.exchanges if exchange.url.endswith("/vector_stores")}
    went_wrong = any(exchange.went_wrong for exchange in run.exchanges if exchange.method == "POST")
    for outcome in document.get("outcomes", ()):
        is_new = not outcome["key"] and (outcome["action"], outcome["status"]) == ("create", "done")
        store_id = document["stores"].get(outcome["store"])
        if is_new and not went_wrong and bool(outcome.get("already")) is (store_id in made):
            yield f"{outcome['store']}: already is {outcome.get('already', False)}, and this run made {made}"
    for store_id in document.get("stores", {}).values() if run.code == 0 and run.kind == "report" else ():
        path = re.compile(rf"/vector_stores/{store_id}(/files)?([?]|$)")
        statuses = [exchange.status for exchange in run.exchanges if path.search(exchange.url)]
        if statuses[-1:] == [404]:
            yield f"it ended with 0, and {store_id} was gone when it was last asked for"


def _cost_of(plan: Any) -> dict[str, int]:
    cost = plan.get("cost") or {}
    return {name: cost.get(name, 0) for name in ("requests", "uploads", "polls")}


def problems_of_company(runs: Sequence[Run], state: State, crossed: Collection[str]) -> Iterator[str]:
    """Runs that met: what each of them said is done is so, but for what another's documents say otherwise.

    Where they undid each other, one of them says so; but in stores that are `crossed`, by id, neither can know of it.
    """
    done = [run for run in runs if run.kind == "report" and run.code == 0]
    if len(done) < len(runs):
        return
    yield from _problems_of_doubles(done, state)
    yield from _problems_of_commits(done, crossed)
    for run in done:
        case = Case(run)
        for store in run.wanted.stores.values():
            live = case.store(store.key, state)
            if not live or not all(_wants(other.wanted, store) for other in done):
                continue
            for digest, file in store.files.items():
                copies = live.copies(run.wanted.owner).get(digest, [])
                if not all(_wants(other.wanted, store, file) for other in done):
                    continue
                if not any(copy.status == "completed" and copy.sha256 for copy in copies):
                    yield f"all ended with 0, and {store.key}/{file.key} has no completed copy"


def _problems_of_commits(runs: Sequence[Run], crossed: Collection[str]) -> Iterator[str]:
    """Of two runs that wanted other files in a store, and planned them from the same state, one says so."""
    for one, other in combinations(runs, 2):
        if one.wanted.owner != other.wanted.owner or one.options.targets or other.options.targets:
            continue
        for key, plan in _changed_stores(one).items():
            same = _changed_stores(other).get(key)
            if plan["id"] in crossed:
                continue  # the stamp of one was overwritten
            if same and same["applied"] == plan["applied"] and one.wanted.stores[key] != other.wanted.stores[key]:
                yield f"both ended with 0, and each brought another commit into {key}"


def _changed_stores(run: Run) -> dict[str, Any]:
    stores = (run.plan or {}).get("stores", ())
    return {store["key"]: store for store in stores if store["changes"] and store["key"] in run.wanted.stores}


def problems_of_resend(run: Run, world: World, machine: str) -> Iterator[str]:
    """What a machine uploaded and left is used, but for what it had no answer to when it was stopped."""
    steps, watch, before, after = world.history.steps, world.watch, run.before, run.after
    if run.kind != "report" or world.history.habits or any(step.faults for step in steps):
        return
    loose = [id_ for id_, sender in watch.senders.items() if sender == machine and id_ not in watch.taken]
    loose = [id_ for id_ in loose if id_ in before.uploads and id_ not in before.attached | after.attached]
    sent = Counter(after.uploads[id_] for id_ in after.uploads.keys() - before.uploads.keys())
    again = (Counter(before.uploads[id_] for id_ in loose) & sent).total()
    if again > world.history.workers * sum(bool(step.stop) for step in steps):
        yield f"{again} files were sent again, though an earlier run had sent them"


def problems_of_short_listing(run: Run) -> Iterator[str]:
    """Nothing is uploaded that is there, though a listing lacks it."""
    case = Case(run)
    for plan in (run.plan or {}).get("stores", ()):
        if (plan.get("change") or {}).get("action") == "replace":
            continue  # its files go into a new one
        store, live = run.wanted.stores.get(plan["key"]), case.store(plan["key"], run.before)
        for change in plan["changes"]:
            file = store.files.get(digest16(change["key"])) if store and change["action"] == "create" else None
            copies = live.copies(run.wanted.owner).get(digest16(change["key"]), []) if live else []
            if file and any(is_right(file, copy) for copy in copies):
                yield f"{plan['key']}/{file.key} is there, and is uploaded again"


def problems_of_unrelated(run: Run) -> Iterator[str]:
    """A store of which no file is wanted, by its key or its bytes, is another manifest's until a person says more."""
    case = Case(run)
    for store in run.wanted.stores.values() if run.plan and not run.options.max_delete else ():
        live = case.store(store.key, run.before)
        owned = live.copies(run.wanted.owner) if live and not live.is_expired else {}
        contents = {file.sha256 for file in store.files.values()} & {
            copy.sha256 for each in owned.values() for copy in each
        }
        is_unrelated = len(owned) > 2 and store.files and not (owned.keys() & store.files.keys() or contents)
        if is_unrelated and live and store.prune and live.files != run.after.stores.get(live.id, live).files:
            yield f"{store.key}: it holds nothing that is wanted, and was changed"


def problems_of_destroy(run: Run, known: Collection[str], *, is_calm: bool) -> Iterator[str]:
    """Nothing of ours is left, unless others have a part in it, or the service has faults."""
    left = [store for id_, store in run.after.stores.items() if store.mark[0] == run.wanted.owner and id_ in known]
    theirs = [file for store in left for file in store.files if file.owner != run.wanted.owner]
    names = {store.name for store in run.wanted.stores.values()}
    lost = [store for store in run.after.stores.values() if store.name in names and not store.metadata]
    if left and (run.code == 0 or (is_calm and not (theirs or lost))):
        yield f"destroy ended with {run.code}, and {left[0].id} is left"


def problems_of_review(run: Run, reviewed: str) -> Iterator[str]:
    """A saved plan names the bytes of each upload that its apply makes, and each file that it takes out of a store."""
    before, after = run.before, run.after
    for file_id in after.uploads.keys() - before.uploads.keys():
        if after.uploads[file_id][0] not in reviewed:
            yield f"{after.uploads[file_id][1]} was uploaded, and its bytes are not those of the reviewed plan"
    for file_id in before.attached - after.attached:
        if file_id not in reviewed:
            yield f"{file_id} was detached, and the reviewed plan does not name it"


def _problems_of_doubles(runs: Sequence[Run], state: State) -> Iterator[str]:
    """Runs that all ended well left one store of a key, and in it one copy of each file."""
    for run in runs:
        for store in run.wanted.stores.values():
            live = [each for each in state.stores.values() if each.mark == (run.wanted.owner, store.key)]
            if len(live) > 1:
                yield f"all ended with 0, and there are {len(live)} stores of {store.key}"
            for each in live:
                for digest, copies in each.copies(run.wanted.owner).items():
                    if digest in store.files and len(copies) > 1:
                        yield f"all ended with 0, and {store.files[digest].key} is there {len(copies)} times"


def _wants(wanted: Wanted, store: WantedStore, file: WantedFile | None = None) -> bool:
    """Whether a manifest wants a store of this key and name, and a file of this key in it."""
    same = wanted.stores.get(store.key)
    if not same or same.name != store.name:
        return False
    return file is None or any(other.key == file.key for other in same.files.values())


def problems_of_search(run: Run, others: Others, texts: dict[str, str]) -> Iterator[str]:
    """Every wanted file is found by its text together with all of its attributes.

    Where equal texts share what search finds, one of them is, as plans warn.
    """
    case, shares = Case(run), "shares-chunks" in run.dialect
    for store in run.wanted.stores.values():
        live = case.store(store.key)
        assert live
        for digest, file in store.files.items():
            if file.file_id:
                continue
            is_twin = sum(other.sha256 == file.sha256 for other in live.files) > 1
            kept = _as_kept(live.copies(run.wanted.owner).get(digest, []), file)
            if not (shares and is_twin) and not _finds(others, live, kept, texts[file.path]):
                yield f"{store.key}/{file.key} is not found by its text and attributes"


def _as_kept(copies: Sequence[TrueFile], file: WantedFile) -> WantedFile:
    """The file with the attributes that the service made of its own, where a mark says that it changed them."""
    changed = next((copy for copy in copies if copy.echo), None)
    return replace(file, attributes=changed.plain_attributes) if changed else file


def _finds(others: Others, live: TrueStore, file: WantedFile, text: str) -> bool:
    values = {**file.attributes, "vssync_key": file.key}
    filters = [{"type": "eq", "key": name, "value": value} for name, value in values.items()]
    body = {"query": text, "max_num_results": 50, "filters": {"type": "and", "filters": filters}}
    hits = others.ask("POST", f"/vector_stores/{live.id}/search", json=body).get("data", ())
    return any(text.strip() in hit["content"][0]["text"] for hit in hits)
