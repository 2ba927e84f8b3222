"""Judges what a run said: each claim of its document, and its exit code, by what is so in the service and on disk.

A checker gives what is so instead, or nothing where the claim is true. Every claim that a schema allows has one, but
for those of `UNCHECKED`, which are only told: texts, times, a version, a path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

from tests.simulation.claims import Claim, claims_of
from tests.simulation.desired import Wanted, WantedFile, WantedStore
from tests.simulation.truth import Exchange, State, TrueFile, TrueStore, digest16
from vssync.model.plan import Options

JUDGED = ("plan", "report", "destroy", "status", "output", "gc", "diff")
UNCHECKED = frozenset(
    {
        "*.vssync",
        "*.detail",
        "*.seconds",
        "Refusal.message",
        "Refusal.way_out[]",
        "Options.manifest",
        "File.entry",
        *(f"Audit.{name}" for name in ("time", "actor", "commit", "run", "run_url")),
        "diff.left",
        "diff.right",
    }
)
_EMPTY, _PLAIN = State(), Options()


@dataclass(frozen=True)
class Run:
    """One command: what it was asked, what it said, and what was so before and after it.

    `exchanges` are all requests of its session, `plan` is the document of the plan that a report is of. `code` is None
    where no exit code was made.
    """

    kind: str
    wanted: Wanted
    before: State = _EMPTY
    after: State = _EMPTY
    document: Mapping[str, Any] | None = None
    code: int | None = None
    exchanges: Sequence[Exchange] = ()
    options: Options = _PLAIN
    plan: Mapping[str, Any] | None = None
    detailed: bool = False  # --detailed-exitcode
    interrupted: bool = False
    since: int = 0  # how many of the exchanges were made before the command
    dialect: str = "local"  # which service, with what switches
    has_company: bool = False  # another machine was at work meanwhile
    told: str = ""  # what it printed for people
    left: Run | None = None  # of what this one is compared with


@dataclass(frozen=True)
class Falsehood:
    """A claim that is not so, in a sentence."""

    claim: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.claim}: {self.sentence}"


Checker = Callable[[Claim, "Case"], str]
CHECKERS: dict[str, Checker] = {}


def checks(*names: str) -> Callable[[Checker], Checker]:
    """Makes a function the checker of these claims."""

    def register(checker: Checker) -> Checker:
        assert not CHECKERS.keys() & set(names)
        CHECKERS.update(dict.fromkeys(names, checker))
        return checker

    return register


def checker_of(claim: str) -> Checker | None:
    """The checker of a claim, by its name or by that of its field in every document."""
    return CHECKERS.get(claim) or CHECKERS.get(f"*.{claim.partition('.')[2]}")


@cache
def is_unchecked(claim: str) -> bool:
    """Whether a claim is only told."""
    return claim in UNCHECKED or f"*.{claim.rpartition('.')[2]}" in UNCHECKED


def judge(run: Run) -> list[Falsehood]:
    """What a run said and is not so."""
    case = Case(run)
    falsehoods = [Falsehood(f"exit code of {run.kind}", text) for text in _false_code(case)]
    for claim in claims_of(run.kind, run.document) if run.document is not None else ():
        if not is_unchecked(claim.name):
            checker = checker_of(claim.name)
            text = checker(claim, case) if checker else "has no checker"
            if text:
                falsehoods.append(Falsehood(claim.name, f"{claim.place} is {claim.value!r:.200}, but {text}"))
    return falsehoods


@dataclass
class Case:
    """A run, and what can be made out about it."""

    run: Run
    _deviations: dict[int, list[str]] = field(default_factory=dict)
    subjects: dict[int, Any] = field(default_factory=dict)  # what a checker made out about an object of the document
    _stores: dict[tuple[str, int], TrueStore | None] = field(default_factory=dict)

    @property
    def wanted(self) -> Wanted:
        return self.run.wanted

    @cached_property
    def planned(self) -> Mapping[tuple[str, str, str], Sequence[Mapping[str, Any]]]:
        """The plan's changes, by store key, key or id, and action; those of a store itself have no key."""
        found: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
        for store in (self.run.plan or {}).get("stores", ()):
            own = [{**store["change"], "key": ""}] if store.get("change") else []
            for change in (*store["changes"], *store.get("batches", ()), *own):
                place = (store["key"], change.get("key", change.get("id")), change["action"])
                found.setdefault(place, []).append(change)
        return found

    @cached_property
    def writes(self) -> int:
        """How many requests could change something."""
        return sum(exchange.is_write for exchange in self.run.exchanges)

    @cached_property
    def request_ids(self) -> set[str]:
        return {exchange.request_id for exchange in self.run.exchanges}

    def store(self, key: str, state: State | None = None) -> TrueStore | None:
        """The live store of a key: the pinned one, that with the mark, or by name; one that can be used goes first."""
        state = state or self.run.after
        place = (key, id(state))
        if place not in self._stores:
            self._stores[place] = self._find_store(key, state)
        return self._stores[place]

    def _find_store(self, key: str, state: State) -> TrueStore | None:
        key, _, store_id = key.partition("@")
        wanted = self.wanted.stores.get(key)
        if not store_id and key in self.wanted.removed:
            return next(iter(self.to_remove(key, state)), None)
        pinned = store_id or (str(wanted.settings.get("id") or "") if wanted else "")
        if pinned:
            return state.stores.get(pinned)
        marked = self.marked(key, state)
        by_name = [] if wanted is None else [live for live in state.stores.values() if live.name == wanted.name]
        found = marked or [live for live in by_name if not live.is_expired] or by_name
        return min(found, key=lambda live: (live.is_expired, not live.files), default=None)

    def to_remove(self, key: str, state: State) -> list[TrueStore]:
        """The live stores to delete or give up, or that stand in the way of that."""
        wanted, owner, marked = self.wanted.removed[key], self.wanted.owner, self.marked(key, state)
        store_id = str(wanted.settings.get("id") or "")
        others = [live for live in state.stores.values() if not live.is_expired and live.mark[0] != owner]
        named = [live for live in others if (live.id == store_id if store_id else live.name == wanted.name)]
        if wanted.settings.get("external"):
            return [live for live in named if any(file.owner == owner for file in live.files)]
        if wanted.settings["removed"] == "keep":
            named = [live for live in named if any(file.owner == owner for file in live.files)]
        return [live for live in marked if store_id in ("", live.id)] or named

    def marked(self, key: str, state: State) -> list[TrueStore]:
        """The stores that carry this owner's mark for a key, or for one that it had before."""
        wanted = self.wanted.declared.get(key)
        keys = {key, *(wanted.settings.get("was") or () if wanted else ())}
        return [live for live in state.stores.values() if live.mark[0] == self.wanted.owner and live.mark[1] in keys]

    def copies(self, store_key: str, key: str, state: State | None = None) -> list[TrueFile]:
        """The live copies of ours of a file's key, which may be told by its digest."""
        live = self.store(store_key, state)
        digest = key[1:] if re.fullmatch(r"~[0-9a-f]{16}", key) else digest16(key)
        return live.copies(self.wanted.owner).get(digest, []) if live and not live.is_expired else []

    def versions(self, store_key: str, file_id: str) -> list[TrueFile]:
        """A store's file before the run and after it; ingestion goes on meanwhile."""
        stores = [self.store(store_key, state) for state in (self.run.before, self.run.after)]
        found = [store.file(file_id) for store in stores if store]
        return [file for file in found if file]

    def in_scope(self, store_key: str, key: str = "") -> bool:
        """Whether the options leave a file in the plan, or, without a key, a whole store."""
        options = self.run.options

        def names(pattern: str) -> bool:
            if pattern in (store_key, f"{store_key}/{key}") or (not key and pattern == "*"):
                return True
            parts = re.split(r"(\*\*|\*)", pattern)
            signs = {"**": ".*", "*": "[^/]*"}
            whole = "".join(signs.get(part, re.escape(part)) for part in parts)
            return bool(re.fullmatch(whole, f"{store_key}/{key}") or re.fullmatch(whole, store_key))

        if any(map(names, options.excludes)):
            return False
        if not key and any(pattern.startswith(f"{store_key}/") for pattern in options.excludes):
            return False
        return not options.targets or any(map(names, options.targets))

    def deviations(self, state: State) -> list[str]:
        """In what the live state is not as wanted, within the scope of the options."""
        if id(state) not in self._deviations:
            self._deviations[id(state)] = list(self._find_deviations(state))
        return self._deviations[id(state)]

    def _find_deviations(self, state: State) -> Iterator[str]:
        for store in self.wanted.stores.values():
            yield from self.store_deviations(store, state)
        for key in filter(self.in_scope, self.wanted.removed):
            yield from (f"{key}: {live.id} is to be removed" for live in self.to_remove(key, state))
        for live in state.stores.values():
            owner, key = live.mark
            if owner == self.wanted.owner and key not in self._keys() and self.in_scope(key):
                yield f"{key}: the store left the manifest"

    def _keys(self) -> set[str]:
        stores = self.wanted.declared.values()
        return {*self.wanted.declared, *(key for store in stores for key in store.settings.get("was") or ())}

    def store_deviations(self, store: WantedStore, state: State) -> Iterator[str]:
        """In what a store is not as wanted."""
        files = {digest: file for digest, file in store.files.items() if self.in_scope(store.key, file.key)}
        live = self.store(store.key, state)
        is_whole = self.in_scope(store.key)
        if live is None or live.is_expired:
            if files or is_whole:
                yield f"{store.key}: the store {'is expired' if live else 'does not exist'}"
            return
        if is_whole and (difference := settings_deviation(self.wanted.owner, store, live)):
            yield f"{store.key}: {difference}"
        if is_whole and len(self.marked(store.key, state)) > 1:
            yield f"{store.key}: another store has the same mark"
        for file in files.values():
            if cause := self.deviation(store, file, live):
                yield f"{store.key}/{file.key}: {cause}"
        kept = {digest16(key) for key in store.kept}
        for digest, copies in live.copies(self.wanted.owner).items() if store.prune else ():
            key = str(copies[-1].attributes.get("vssync_key", digest))
            if digest not in store.files and digest not in kept and self.in_scope(store.key, key):
                yield f"{store.key}/{key}: is not in the manifest"
        if is_whole and any(file.owner == self.wanted.owner and file.is_provisional for file in live.files):
            yield f"{store.key}: a file was left unmarked by a run that did not end"

    def deviation(self, store: WantedStore, file: WantedFile, live: TrueStore) -> str:
        """In what the copies of a file are not as wanted; empty where there is one, and search finds what is wanted."""
        copies = live.copies(self.wanted.owner).get(digest16(file.key), [])
        if not copies:
            alike = [other.id for other in live.files if not other.owner and other.filename == file.filename]
            return f"held back for {alike[0]}, which carries no mark" if alike else "missing"
        if len(copies) > 1:  # one that another key declares is not this key's any more
            declared_ids = {other.file_id for other in store.files.values() if other is not file}
            copies = [copy for copy in copies if copy.id not in declared_ids]
        if len(copies) != 1:
            return f"{len(copies)} copies"
        if "ignores-chunking" in self.run.dialect:
            copies = [replace(copies[0], chunking=file.chunking)]
        return copy_deviation(store, file, copies[0])


def copy_deviation(store: WantedStore, file: WantedFile, copy: TrueFile) -> str:
    """In what one copy is not as wanted."""
    if copy.status != "completed":
        return f"is {copy.status}"
    if not is_chunked(file, copy):
        return "has other chunking"
    if not has_content(file, copy) and not copy.is_uncompared:  # what was never compared is counted as such
        return "has other content"
    if file.file_id and copy.mark_parts[3] != "id":
        return "is marked as an upload"
    if not file.file_id and copy.filename != file.filename and copy.mark_parts[6] != "a":
        return f"has the upload name {copy.filename}"
    if not same_attributes(store, file, copy.attributes) and not copy.echo:
        return f"has the attributes {dict(copy.plain_attributes)}"
    if not same_attributes(store, file, copy.found_by) and not copy.echo:
        return f"is found by the attributes {dict(copy.found_by)}"
    return "" if copy.chunks or not copy.size else "cannot be found by search"


def has_content(file: WantedFile, copy: TrueFile) -> bool:
    """Whether a copy's bytes are those wanted."""
    return copy.id == file.file_id if file.file_id else copy.sha256 == file.sha256


def is_right(file: WantedFile, copy: TrueFile) -> bool:
    """Whether a copy has the content and the chunking."""
    return has_content(file, copy) and is_chunked(file, copy)


def is_chunked(file: WantedFile, copy: TrueFile) -> bool:
    """Whether a copy has the chunking."""
    return copy.mark_parts[4:5] == [digest16(file.chunking)] and file.chunking in ("auto", copy.chunking)


def same_attributes(store: WantedStore, file: WantedFile, attributes: Mapping[str, Any]) -> bool:
    """Whether these are a file's attributes and its key; numbers may be floats."""
    live = {name: value for name, value in attributes.items() if name not in (*store.ignored, "vssync_mark")}
    return same_values(live, with_key(file, store.ignored))


def with_key(file: WantedFile, ignored: frozenset[str] = frozenset()) -> dict[str, Any]:
    """A file's attributes as they are sent."""
    key = file.key if len(file.key) <= 512 else f"{file.key[:495]}~{digest16(file.key)}"
    return {**{name: value for name, value in file.attributes.items() if name not in ignored}, "vssync_key": key}


def same_values(left: Any, right: Any) -> bool:
    """Equality in which true is not 1, also inside of mappings and lists."""
    if left is None or isinstance(left, str | int | float):
        return isinstance(left, bool) is isinstance(right, bool) and bool(left == right)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same_values(left[name], right[name]) for name in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same_values, left, right))
    return bool(left == right)


def settings_deviation(owner: str, store: WantedStore, live: TrueStore) -> str:
    """In what a store's own settings are not as wanted; one of others carries no mark."""
    if store.settings.get("external"):
        return ""
    if live.mark != (owner, store.key):
        return f"its mark is {live.metadata.get('vssync_owner', '')!r}"
    is_protected, protect = bool(live.metadata.get("vssync_protect")), bool(store.settings.get("protect"))
    pairs = {"name": (live.name, store.name), "expiry": (live.expires_after_days, store.expires_after_days)}
    pairs |= {name: (live.metadata.get(name), value) for name, value in store.metadata.items()}
    pairs["protect"] = (is_protected, protect)
    return next((f"{name} is {is_!r}" for name, (is_, should_be) in pairs.items() if is_ != should_be), "")


_READS = ("plan", "status", "output")


def _false_code(case: Case) -> Iterator[str]:
    """What is not so in an exit code: 0 done, 1 error, 2 changes, 3 refused, 4 not everything done, 64 usage."""
    run, code = case.run, case.run.code
    if code is None:
        return
    if code not in (0, 1, 2, 3, 4, 64):
        yield f"it is {code}"
    writes = [exchange for exchange in run.exchanges[run.since :] if exchange.is_write]
    if writes and (run.kind in _READS or code in (1, 3, 64)):
        yield f"it is {code}, and the run wrote: {writes[0].method} {writes[0].url}"
    deviations = case.deviations(run.after)
    if code == 0 and (run.kind in ("report", "destroy") or run.detailed) and deviations:
        yield f"it is 0, but {'; '.join(deviations)}"
    if code == 2 and not (deviations or run.options.replace):
        yield "it is 2, but everything is as wanted"
    refusals = (run.document if run.kind == "plan" else run.plan or {}) or {}
    if code == 3 and run.document is not None and run.kind == "plan" and not refusals.get("refusals"):
        yield "it is 3, but the plan has no refusal"
    if code != 3 and run.kind == "plan" and refusals.get("refusals"):
        yield f"it is {code}, but the plan has a refusal"
    if run.kind in ("report", "destroy") and run.document is not None and (code == 0) is not run.document["converged"]:
        yield f"it is {code}, but the report says converged: {run.document['converged']}"
