"""What holds after every request of a run, whatever else goes on: judged by the service's tables before it and after.

Nothing without our mark is changed or deleted; no key that is wanted is without a completed copy, but for the gaps
that the plan showed.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from tests.simulation.desired import Wanted
from tests.simulation.truth import DAY, State, TrueFile, TrueStore, open_tables, read_tables
from vssync.limits import CLOCK_SKEW
from vssync.model.plan import Options

_PROOF = re.compile("[0-9a-f]{16}")  # in the name of an upload: a digest


class ViolationError(BaseException):
    """An invariant does not hold. No program's handler of exceptions may take it for one of its own."""


@dataclass
class Actor:
    """A run of vssync, as far as it says what it may do."""

    name: str
    plan: Callable[[], Mapping[str, Any] | None]
    has_company: bool = False  # somebody else is at work on the service meanwhile
    wanted: Wanted = Wanted("", {}, {})  # noqa: RUF009 (it is frozen)
    adopts: bool = False
    restored: set[str] = field(default_factory=set)  # ids of stores to which it gave a mark
    suspects: bool = False  # it is to delete what has our names, too
    destroys: bool = False
    allows_gap: bool = False  # a person said that search may miss others' files
    held: set[str] = field(default_factory=set)  # what stores of its owner held when it began
    found_uploads: set[str] = field(default_factory=set)  # those that there were when it began
    is_blind: bool = False  # the service may not show it what it made
    listed: State | None = None  # what there was when it last listed the stores
    owned: set[str] = field(default_factory=set)  # ids of files that carried its mark when it asked for something
    looked: dict[str, bytes] = field(default_factory=dict)  # by store, its files as they were first listed for it
    last_seen: dict[str, TrueStore] = field(default_factory=dict)  # as they were listed since it last took out a file
    shown: dict[str, bytes] = field(default_factory=dict)  # by store, its files as they were last listed for it
    held_then: dict[str, set[str]] = field(default_factory=dict)  # what each held when it was last listed
    metadata: dict[str, Mapping[str, str]] = field(default_factory=dict)  # by store, as it was last asked for

    def begin(self, wanted: Wanted, options: Options, state: State) -> None:
        """Its manifest is read."""
        stores = [store for store in state.stores.values() if store.mark[0] == wanted.owner]
        self.held, self.found_uploads = {file.id for store in stores for file in store.files}, {*state.uploads}
        self.wanted, self.adopts, self.allows_gap = wanted, options.adopt, options.allow_gap
        self.adopts |= any(store.settings.get("adopt") for store in wanted.stores.values())

    @property
    def owner(self) -> str:
        return self.wanted.owner

    def change_of(self, key: str) -> str:
        """What the plan shows of a store itself."""
        stores = (self.plan() or {}).get("stores", ())
        return next((store["change"]["action"] for store in stores if store["key"] == key and store.get("change")), "")

    def gaps(self) -> set[tuple[str, str]]:
        """Store and key of each change that was shown as `-/+`."""
        stores = (self.plan() or {}).get("stores", ())
        return {(store["key"], change["key"]) for store in stores for change in store["changes"] if change.get("gap")}


@dataclass
class Watch:
    """Sees every request between the service and whoever asks it."""

    database: Path
    now: Callable[[], float]
    state: State = field(default_factory=State)
    made: dict[str, set[str]] = field(default_factory=dict)  # ids of what its runs made or adopted, by owner
    senders: dict[str, str] = field(default_factory=dict)  # machines, by ids of what their runs uploaded
    unmarked: set[str] = field(default_factory=set)  # store and file of what runs attached, and have not marked yet
    taken: set[str] = field(default_factory=set)  # uploads that others took out of a store, or the mark from
    served: dict[str, tuple[str, str]] = field(default_factory=dict)  # store and key digest, by upload
    made_for: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)  # ids of stores, by machine and mark
    detached: set[str] = field(default_factory=set)  # uploads that a run took out of their last store
    loose: dict[str, str] = field(default_factory=dict)  # who made it, of each upload that no store has held yet
    filled: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # ids of stores, by machine and key
    crossed: set[str] = field(default_factory=set)  # stores whose metadata changed between a run's look and its write
    _connection: sqlite3.Connection | None = None
    _version: int = 0

    def close(self) -> None:
        if self._connection:
            self._connection.close()

    def around(self, service: WSGIApplication, actor: Actor | None) -> WSGIApplication:
        """The service, watched for somebody; `None` is no run of vssync, and may do anything."""

        def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            self.refresh()
            before = self.state
            if actor and actor.has_company:
                actor.owned |= _marked(before, actor.owner)
            answer = service(environ, start_response)
            has_changed = self.refresh()
            if actor and (mistaken := _mistaken_id(environ["PATH_INFO"], before)):
                raise ViolationError(f"{actor.name}: {environ['PATH_INFO']}: {mistaken} is the id of a store")
            if actor and environ["REQUEST_METHOD"] == "DELETE" and "/vector_stores/" in environ["PATH_INFO"]:
                actor.last_seen.clear()
            if actor and environ["REQUEST_METHOD"] == "GET":
                answer = [b"".join(answer)]
                self._note_shown(actor, environ, answer[0])
            elif actor and environ["REQUEST_METHOD"] == "POST":
                store_id = environ["PATH_INFO"].rpartition("/vector_stores/")[2]
                seen = actor.metadata.get(store_id)
                self.crossed |= {store_id} if seen is not None and seen != before.stores[store_id].metadata else set()
            if has_changed and not actor:
                self.taken |= _marked(before) - _marked(self.state)
            if has_changed and actor:
                request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
                for problem in chain(self._problems(actor, before, self.state), self._problems_of_use(actor, before)):
                    raise ViolationError(f"{actor.name}: {request}: {problem}")
            return answer

        return application

    def _note_shown(self, actor: Actor, environ: WSGIEnvironment, body: bytes) -> None:
        _, _, *path = environ["PATH_INFO"].strip("/").split("/")
        if environ["PATH_INFO"].endswith("/vector_stores"):
            actor.listed = self.state
        elif len(path) == 1 and path[0] in self.state.stores:
            actor.metadata[path[0]] = self.state.stores[path[0]].metadata
        elif len(path) == 2 and path[1] == "files":
            query = environ.get("QUERY_STRING", "")
            if "order=asc" in query:  # else it looks for a few
                store = self.state.stores.get(path[0])
                actor.last_seen |= {path[0]: store} if store else {}
                actor.held_then[path[0]] = {file.id for file in store.files} if store else set()
                actor.shown[path[0]] = body if "after=" not in query else actor.shown.get(path[0], b"") + body
                actor.looked.setdefault(path[0], body)

    def refresh(self) -> bool:
        """Reads the tables again if somebody wrote to them."""
        if not self._connection:
            if not self.database.exists():
                return False
            self._connection = open_tables(self.database)
        (version,) = self._connection.execute("pragma data_version").fetchone()
        if version == self._version:
            return False
        self._version, self.state = version, read_tables(self._connection, self.now())
        return True

    def _problems(self, actor: Actor, before: State, after: State) -> Iterator[str]:
        ours = self.made.setdefault(actor.owner, set())
        for store in before.stores.values():
            yield from self._problems_of_store(actor, store, after.stores.get(store.id))
        names = {file.filename for store in actor.wanted.stores.values() for file in store.files.values()}
        for file_id in before.uploads.keys() - after.uploads.keys() - ours:
            if actor.suspects and before.uploads[file_id][1] in names:
                continue
            yield f"deletes {file_id} ({before.uploads[file_id][1]}), which is not ours"
        for store in before.stores.values():
            gone = {file.id for file in store.files} & (before.uploads.keys() - after.uploads.keys())
            if gone and store.mark[0] != actor.owner and store.id not in ours:
                yield f"deletes {sorted(gone)[0]}, which {store.name} of {store.mark[0] or 'nobody'} holds"
        for file_id in (before.uploads.keys() - after.uploads.keys()) & self.loose.keys():
            is_young = self.now() - before.uploaded_at[file_id] < DAY
            if self.loose[file_id] != actor.name and is_young:
                yield f"deletes {file_id}, which {self.loose[file_id]} has uploaded today and may be about to attach"
        yield from self._doubles(actor, before, after)
        has_new_store = before.stores.keys() != after.stores.keys()  # with it comes what a connector brings
        sent = set[str]() if has_new_store else after.uploads.keys() - before.uploads.keys()
        self.senders |= dict.fromkeys(sent, actor.name)
        self.loose |= dict.fromkeys(sent, actor.name)
        self.detached |= before.attached & after.uploads.keys() - after.attached
        for file_id in after.attached & self.loose.keys():
            del self.loose[file_id]
        ours |= sent | (after.stores.keys() - before.stores.keys())
        for store in after.stores.values():
            known = before.stores.get(store.id)
            marked = {file.id for file in store.files if file.owner == actor.owner}
            ours |= marked | ({store.id} if store.mark[0] == actor.owner else set())
            new = {file.id for file in store.files if not (known and known.file(file.id))}
            self.unmarked |= {f"{store.id}/{file_id}" for file_id in new}
            self.unmarked -= {f"{store.id}/{file_id}" for file_id in marked}

    def _problems_of_use(self, actor: Actor, before: State) -> Iterator[str]:
        """What a run attached, made or deleted just now, and should not have."""
        after = self.state
        for store in after.stores.values():
            known = before.stores.get(store.id)
            is_new = not known and store.mark[0] == actor.owner
            if is_new and (made := self._stores_of(actor, store)):
                yield f"makes {store.id} for {store.mark[1]}, for which it made {made[0]}"
            for file in store.files:
                old = known.file(file.id) if known else None
                if not old:
                    yield from self._problems_of_attached(actor, file, before)
                    yield from _problems_beside(file, known)
                elif old.owner != actor.owner and file.is_hidden > old.is_hidden and not actor.allows_gap:
                    yield f"takes from {file.id} ({file.filename}) of {file.owner or 'nobody'} what search finds"
        yield from self._problems_of_sent(actor, before)
        for file_id in before.uploads.keys() - after.uploads.keys():
            store_id, digest = self.served.get(file_id, ("", ""))
            holder, seen = after.stores.get(store_id), actor.last_seen.get(store_id)
            has_copy = any(_serves(store, actor.owner, digest) for store in (holder, seen) if store)
            if holder and self._is_wanted(actor, holder, digest) and not has_copy:
                yield f"deletes {file_id}, and {holder.name} has no completed copy of {before.uploads[file_id][1]}"
        self.served |= {
            file.id: (store.id, file.key_digest)
            for store in after.stores.values()
            for file in store.files
            if file.owner == actor.owner and file.status == "completed"
        }

    def _stores_of(self, actor: Actor, store: TrueStore) -> list[str]:
        """The stores that this machine made before for the same key, and that it may still use."""
        made = self.made_for.setdefault((actor.name, *store.mark), set())
        known = [self.state.stores[store_id] for store_id in made & self.state.stores.keys()]
        made.add(store.id)
        return [each.id for each in known if each.mark == store.mark and not (each.is_expired or actor.is_blind)]

    def _problems_of_attached(self, actor: Actor, file: TrueFile, before: State) -> Iterator[str]:
        content = file.mark_parts[3] if file.mark_parts else ""
        if re.fullmatch("[0-9a-f]{64}", content) and file.sha256 not in ("", content):
            yield f"marks {file.id} ({file.filename}) as of other bytes than it has"
        # What a name proves may be what it has just sent, as far as it can know.
        age = self.now() - self.state.uploaded_at.get(file.id, 0)
        is_found = _PROOF.search(file.filename) and age < 2 * CLOCK_SKEW
        for store in before.stores.values() if not is_found else ():
            if store.mark[0] != actor.owner and store.file(file.id) and file.id not in actor.held:
                yield f"attaches {file.id} ({file.filename}), which {store.name} of {store.mark[0] or 'nobody'} holds"

    def _problems_of_sent(self, actor: Actor, before: State) -> Iterator[str]:
        """A name that holds a digest proves an upload, so it is found where the answer was lost."""
        files = [file for store in actor.wanted.stores.values() for file in store.files.values()]
        own = before.uploads.keys() & self.senders.keys() - actor.found_uploads
        for file_id in self.state.uploads.keys() - before.uploads.keys():
            upload = self.state.uploads[file_id]
            alike = [id_ for id_ in own if self.senders[id_] == actor.name and before.uploads[id_] == upload]
            if _PROOF.search(upload[1]) and len(alike) >= sum((each.sha256, each.filename) == upload for each in files):
                yield f"uploads {upload[1]} as {file_id}, though {alike} is there"

    def _is_wanted(self, actor: Actor, store: TrueStore, digest: str) -> bool:
        wanted = actor.wanted.stores.get(store.mark[1])
        return store.mark[0] == actor.owner and wanted is not None and digest in wanted.files

    def _doubles(self, actor: Actor, before: State, after: State) -> Iterator[str]:
        """A store beside one that this machine made or joined; in a new one, a copy beside one that it was shown."""
        keys = {wanted.name: key for key, wanted in actor.wanted.stores.items()}
        for store in after.stores.values():
            place = actor.name, store.mark[1] or keys.get(store.name, "")
            old = before.stores.get(store.id)
            if old is None:
                is_replaced = actor.change_of(place[1]) == "replace"
                for other in [before.stores[id_] for id_ in self.filled.get(place, set()) & before.stores.keys()]:
                    if not is_replaced and other.mark[0] in ("", actor.owner):
                        yield f"makes a second store of {place[1]}, though it has filled {other.id}"
                continue
            for file in store.files:
                if old.file(file.id) or file.owner != actor.owner:
                    continue
                if actor.change_of(place[1]) == "create":  # so the run made it, or joined it
                    self.filled.setdefault(place, set()).add(store.id)
                for copy in old.copies(actor.owner).get(file.key_digest, ()):
                    is_shown = copy.id.encode() in actor.looked.get(store.id, b"")
                    if is_shown and copy.status == "completed" and actor.change_of(place[1]) == "create":
                        yield f"attaches {file.id} beside {copy.id}, which it was shown"

    def _problems_of_store(self, actor: Actor, old: TrueStore, new: TrueStore | None) -> Iterator[str]:
        owner, ours = old.mark[0], self.made[actor.owner]
        if new is None:
            if owner != actor.owner and old.id not in ours:
                yield f"deletes the store {old.id} ({old.name}) of {owner or 'nobody'}"
            for file in old.files:
                is_known = file.id in actor.held_then.get(old.id, ())  # else it came after the last look
                if file.owner != actor.owner and f"{old.id}/{file.id}" not in self.unmarked and is_known:
                    yield f"deletes the store {old.id} ({old.name}) with {file.id} of {file.owner or 'nobody'} in it"
            if not actor.destroys:
                yield from self._problems_of_successor(actor, old)
            return
        said = (old.name, old.metadata, old.expires_after_days), (new.name, new.metadata, new.expires_after_days)
        if said[0] != said[1] and owner not in ("", actor.owner):
            yield f"changes the store {old.id} ({old.name}) of {owner}"
        if not owner and new.mark[0] == actor.owner:
            pinned = {store.settings.get("id") for store in actor.wanted.stores.values()}
            actor.restored |= set() if actor.adopts and old.id in pinned else {old.id}
            yield from () if actor.adopts else self._problems_of_taken(actor.owner, old, new)
        for file in old.files:
            if file.is_leaving:
                continue
            if old.id in actor.restored and file.owner == actor.owner and not new.staying_file(file.id):
                yield f"detaches {file.id} in the run that restores the mark of {old.name}"
            is_known = f"{old.id}/{file.id}" not in self.unmarked and file.id not in actor.owned
            if is_known and (problem := _problem(actor, old, file, new)):
                yield f"{old.name}: {problem}"
        if not actor.has_company:
            yield from _gaps(actor, old, new)

    def _problems_of_taken(self, owner: str, old: TrueStore, new: TrueStore) -> Iterator[str]:
        """A store that carries our mark now: it must have lost one."""
        others = [file for file in old.files if file.owner != owner]
        twins = [each.id for each in self.state.stores.values() if each.mark == new.mark and not each.is_expired]
        if 2 * len(others) > len(old.files) or len(twins) > 1:
            yield f"takes {old.id} ({old.name}), of which {len(others)} files are not ours; ours are {twins}"

    def _problems_of_successor(self, actor: Actor, old: TrueStore) -> Iterator[str]:
        """Files that are wanted, and that went with a store though no other has them."""
        for digest, copies in old.copies(actor.owner).items():
            others = [store for store in self.state.stores.values() if store.mark == old.mark]
            is_served = any(_serves(store, actor.owner, digest) for store in others)
            if self._is_wanted(actor, old, digest) and _completed(copies) and not is_served:
                yield f"deletes {old.id} ({old.name}), and no other store has {copies[0].filename}"


def _problems_beside(file: TrueFile, store: TrueStore | None) -> Iterator[str]:
    """What was attached for a key of which the only copy has a mark that nobody can read."""
    key = file.attributes.get("vssync_key")
    odd = (
        [each.id for each in store.files if each.has_odd_mark and each.attributes.get("vssync_key") == key]
        if store
        else []
    )
    if odd and store and file.owner and file.key_digest not in store.copies(file.owner):
        yield f"attaches {file.id} ({key}) beside {odd[0]}, whose mark it cannot read"


def _mistaken_id(path: str, state: State) -> str:
    """The id of a store that stands in a path where one of something else belongs."""
    ids = path.split("/")[4:]
    return next((id_ for id_ in ids if id_ in state.stores), "")


def _problem(actor: Actor, store: TrueStore, old: TrueFile, changed: TrueStore) -> str:
    new = changed.staying_file(old.id)
    if old.owner == actor.owner or (new and new.attributes == old.attributes):
        return ""
    if not (old.owner or old.has_odd_mark) and actor.adopts and (new is None or new.owner == actor.owner):
        wanted = [file for store in actor.wanted.stores.values() for file in store.files.values()]
        is_adopting = ";adopting" in store.metadata.get("vssync_owner", "")  # then our names are ours
        may_go = old.sha256 in {file.sha256 for file in wanted} or (
            is_adopting and old.filename in {file.filename for file in wanted}
        )
        return "" if may_go else f"{'marks' if new else 'detaches'} {old.id} ({old.filename}), which nothing equals"
    return f"{'changes' if new else 'detaches'} {old.id} ({old.filename}) of {old.owner or 'nobody'}"


def _marked(state: State, owner: str = "") -> set[str]:
    files = (file for store in state.stores.values() for file in store.files if not file.is_leaving)
    return {file.id for file in files if file.owner and file.owner in (owner or file.owner,)}


def _gaps(actor: Actor, old: TrueStore, new: TrueStore) -> Iterator[str]:
    """Keys that are wanted and that this request left without a completed copy."""
    was, now = old.copies(actor.owner), new.copies(actor.owner)
    stores = [store for store in actor.wanted.stores.values() if store.key == old.mark[1] or store.name == old.name]
    for store in stores:
        for digest, file in store.files.items():
            is_lost = _completed(was.get(digest)) and not _completed(now.get(digest))
            if is_lost and (store.key, file.key) not in actor.gaps():
                yield f"leaves {store.key}/{file.key} without a completed copy"


def _serves(store: TrueStore, owner: str, digest: str) -> bool:
    return _completed(store.copies(owner).get(digest, []))


def _completed(copies: list[TrueFile] | None) -> bool:
    return any(copy.status == "completed" and copy.sha256 and not copy.is_leaving for copy in copies or ())
