"""What a plan says of stores, files and batches, and of what it would do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.simulation.claims import Claim
from tests.simulation.desired import WantedFile, WantedStore
from tests.simulation.judge import (
    Case,
    checks,
    same_values,
)
from tests.simulation.truth import TrueStore, digest16
from vssync.local.dialects import parse_dialect

Values = Mapping[str, Any]
PUTS = ("create", "replace")


def differs(said: Any, so: Any) -> str:
    """What is so instead; nothing where both are equal."""
    return "" if same_values(said, so) else f"it is {so!r:.300}"


def so_in_some(file_values: list[Any], said: Any) -> str:
    """The same where it may have changed in the run."""
    return "" if any(same_values(said, value) for value in file_values) else f"it is {file_values}"


@checks("*.format")
def check_format(claim: Claim, case: Case) -> str:
    return differs(claim.value, 1)


@checks("*.kind")
def check_kind(claim: Claim, case: Case) -> str:
    return differs(claim.value, case.run.kind)


@checks("*.owner")
def check_owner(claim: Claim, case: Case) -> str:
    """Of a document; that of a mark is checked with the mark."""
    return differs(claim.value, case.wanted.owner)


@checks("*.provider")
def check_provider(claim: Claim, case: Case) -> str:
    return differs(claim.value, case.wanted.service.get("provider") or "local")


_SERVICE = ("region", "project", "compartment", "data_url", "control_url", "auth", "control_auth", "profile")


@checks(*(f"ServiceSpec.{name}" for name in _SERVICE), "ServiceSpec.capabilities{}")
def check_service(claim: Claim, case: Case) -> str:
    value = case.wanted.service.get(str(claim.path[-1]))
    return differs(claim.value, value or type(claim.value)())


_FLAGS = ("adopt", "compare", "retry_failed", "allow_gap", "allow_store_deletes", "allow_store_replace")
_LISTS = (
    "targets[]",
    "excludes[]",
    "replace[]",
    "adopt_from[]",
    "variables[]",
    "delete_unlisted[]",
    "session_options[]",
)


@checks(*(f"Options.{name}" for name in (*_FLAGS, *_LISTS, "env", "delete_unmanaged")))
def check_option(claim: Claim, case: Case) -> str:
    return differs(claim.value, getattr(case.run.options, str(claim.path[-1])))


@checks("Options.max_delete?", "Options.max_replace?", "Limit.share", "Limit.count")
def check_limit(claim: Claim, case: Case) -> str:
    if claim.path[0] != "options":  # a store's own
        store = case.wanted.stores[claim.within("StorePlan")["key"]]
        share, count = store.limit(str(claim.path[-2]))
        return differs(claim.value, share if claim.path[-1] == "share" else count)
    if claim.name.endswith("?"):
        return differs(claim.value is None, getattr(case.run.options, str(claim.path[-1])) is None)
    limit = getattr(case.run.options, str(claim.path[-2]))
    return differs(claim.value, getattr(limit, str(claim.path[-1])))


@checks("plan.refusals[]", "Refusal.store")
def check_refusals(claim: Claim, case: Case) -> str:
    """A refusal names a store of the plan; without one, no guard is exceeded."""
    if claim.name == "Refusal.store":
        return "" if claim.value in ("", *(store["key"] for store in stores_of(case))) else "the plan has no such store"
    refused = {refusal.get("store", "") for refusal in claim.value}
    for store in stores_of(case):
        share, count = wanted.limit("max_delete") if (wanted := case.wanted.stores.get(store["key"])) else (1.0, None)
        leaving = sum("not_in_manifest" in change["reasons"] for change in store["changes"])
        is_few = store["owned"] < 10
        is_over = leaving > count if count is not None else not is_few and leaving > round(share * store["owned"], 6)
        if is_over and not case.run.options.max_delete and not refused & {"", store["key"]}:
            return f"{store['key']}: {leaving} of {store['owned']} files would be deleted"
    return ""


def stores_of(case: Case) -> list[Values]:
    """The stores of the plan at hand."""
    stores: list[Values] = (case.run.document or {}).get("stores", [])
    return stores


@checks("plan.batches_unlisted")
def check_batches_unlisted(claim: Claim, case: Case) -> str:
    """Known only where a store was read; nobody asks where it is stated."""
    dialect, service = parse_dialect(case.run.dialect), case.wanted.service
    stated = (service.get("capabilities") or {}).get("list_batches", service.get("provider") not in ("openai", "oci"))
    lists = bool(stated) and dialect.lists_batches and dialect.has_batches and not dialect.unreadable_batches
    was_read = any(case.store(store["key"]) for store in stores_of(case))
    failed = any(
        each.went_wrong and each.url.partition("?")[0].endswith("/file_batches") for each in case.run.exchanges
    )
    is_excused = failed if claim.value else not was_read
    return "" if is_excused else differs(claim.value, not lists)


@checks("plan.stores[]", "status.stores[]")
def check_stores(claim: Claim, case: Case) -> str:
    """All that the manifest has within the scope, and all that carry the owner's mark."""
    said = [store["key"] for store in claim.value]
    should_be = {key for key in case.wanted.declared if case.in_scope(key)}
    missing = should_be - set(said)
    strange = [key for key in said if key not in case.wanted.declared and not case.store(key)]
    return f"{missing} is missing" if missing else f"{strange} does not exist" if strange else ""


@checks("StorePlan.key", "status.Store.key")
def check_store_key(claim: Claim, case: Case) -> str:
    return "" if claim.value in case.wanted.declared or case.store(claim.value) else "there is no such store"


@checks("StorePlan.name", "status.Store.name", "output.Store.name")
def check_store_name(claim: Claim, case: Case) -> str:
    wanted, live = case.wanted.declared.get(store_key(claim)), case.store(store_key(claim))
    if store_key(claim) in case.wanted.removed and live:
        wanted = None  # its name is that of what is there
    names = {wanted.name} if wanted else set()
    return "" if claim.value in names | ({live.name} if live and not wanted else set()) else f"it is {names}"


@checks("StorePlan.id", "status.Store.id", "output.Store.id")
def check_store_id(claim: Claim, case: Case) -> str:
    live = case.store(store_key(claim))
    return "" if is_hidden(claim, case) else differs(claim.value or "", live.id if live else "")


def is_hidden(claim: Claim, case: Case) -> bool:
    """Whether a store was denied, so that only its id, which the manifest lacks, could tell which it is."""
    asked = (each for each in case.run.exchanges if re.search(r"/vector_stores(\?|$)", each.url))
    is_denied = any(exchange.status in (401, 403, 404) for exchange in asked)
    store = claim.within("StorePlan") or claim.within("status.Store")
    return is_denied and not store.get("id")


def store_key(claim: Claim) -> str:
    """The key of the store that a claim is about."""
    for definition in ("StorePlan", "status.Store"):
        if store := claim.within(definition):
            return str(store["key"])
    if change := claim.within("FileChange"):
        return str(change["store"])
    if file := claim.within("File"):
        return str(file["address"]).partition("/")[0]
    return str(claim.path[1])


def subject(claim: Claim, case: Case) -> tuple[WantedStore | None, WantedFile | None, TrueStore | None]:
    """The store and file that a change, or a copy in it, is about."""
    store, live = case.wanted.stores.get(store_key(claim)), case.store(store_key(claim))
    key = claim.within("FileChange").get("key") or claim.within("File").get("address", "").partition("/")[2]
    return store, store.files.get(digest16(str(key))) if store else None, live


@checks("StorePlan.desired?", "status.Store.in_manifest", "FileChange.desired?", "File.desired?")
def check_is_desired(claim: Claim, case: Case) -> str:
    """A file is desired but where its copies go."""
    is_said = claim.value if claim.name == "status.Store.in_manifest" else claim.value is not None
    if claim.name in ("StorePlan.desired?", "status.Store.in_manifest"):
        return differs(is_said, store_key(claim) in case.wanted.declared)
    _, file, _ = subject(claim, case)
    if claim.name == "FileChange.desired?" and claim.holder["action"] == "delete":
        return differs(is_said, False)
    return differs(is_said, file is not None)


_STORE_FIELDS = ("description", "expires_after_days", "protect", "external", "id", "prune", "adopt", "removed")


@checks(
    *(f"DesiredStore.{name}" for name in (*_STORE_FIELDS, "key", "name", "was[]", "metadata{}")),
    "DesiredStore.ignore_attributes[]",
)
def check_desired_store(claim: Claim, case: Case) -> str:
    store, name = case.wanted.declared[store_key(claim)], str(claim.path[-1])
    own = {"key": store.key, "name": store.name, "metadata": store.metadata}
    default = True if name == "prune" else type(claim.value)() if claim.value is not None else None
    return differs(claim.value, own.get(name, store.settings.get(name, default)))


_FILE_FIELDS = ("key", "filename", "attributes{}", "path", "file_id", "size", "sha256", "source", "dated[]")


@checks(*(f"DesiredFile.{name}" for name in _FILE_FIELDS), "Chunking.size", "Chunking.overlap")
def check_desired_file(claim: Claim, case: Case) -> str:
    _, file, _ = subject(claim, case)
    if file is None:
        return "the manifest has no such file"
    if claim.name == "DesiredFile.key" and "chunking" not in claim.holder and file.chunking != "auto":
        return f"its chunking is {file.chunking}"
    if claim.name.startswith("Chunking"):
        size, _, overlap = file.chunking.replace("auto", "0/0").partition("/")
        return differs(claim.value, int(size if claim.path[-1] == "size" else overlap))
    wanted = getattr(file, str(claim.path[-1]))
    return differs(claim.value, list(wanted) if isinstance(wanted, tuple) else wanted)
