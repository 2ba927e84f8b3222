"""What holds after every request of a run, whatever else goes on: judged by the service's tables before it and after.

Nothing without our mark is changed or deleted; no key that is wanted is without a completed copy, but for the gaps
that the plan showed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from tests.simulation.desired import Wanted
from tests.simulation.truth import DAY, State, TrueFile, TrueStore, open_tables, read_tables
from vssync.model.plan import Options


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
    listed: State | None = None  # what there was when it last listed the stores
    owned: set[str] = field(default_factory=set)  # ids of files that carried its mark when it asked for something
    looked: dict[str, bytes] = field(default_factory=dict)  # by store, its files as they were first listed for it
    shown: dict[str, bytes] = field(default_factory=dict)  # by store, its files as they were last listed for it

    def begin(self, wanted: Wanted, options: Options) -> None:
        """Its manifest is read."""
        stores = wanted.stores.values()
        self.wanted, self.adopts = wanted, options.adopt or any(store.settings.get("adopt") for store in stores)

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
    made: dict[str, set[str]] = field(
        default_factory=dict
    )  # by owner, ids of what is its: made by its runs, or adopted
    uploaded: set[str] = field(default_factory=set)  # ids of what runs uploaded
    unmarked: set[str] = field(default_factory=set)  # store and file of what runs attached, and have not marked yet
    taken: set[str] = field(default_factory=set)  # uploads that others took out of a store, or the mark from
    detached: set[str] = field(default_factory=set)  # uploads that a run took out of their last store
    loose: dict[str, str] = field(default_factory=dict)  # who made it, of each upload that no store has held yet
    filled: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # by who and key, ids of stores
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
            if actor and environ["REQUEST_METHOD"] == "GET":
                answer = [b"".join(answer)]
                self._note_shown(actor, environ, answer[0])
            if has_changed and not actor:
                self.taken |= _marked(before) - _marked(self.state)
            if has_changed and actor:
                request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
                for problem in self._problems(actor, before, self.state):
                    raise ViolationError(f"{actor.name}: {request}: {problem}")
            return answer

        return application

    def _note_shown(self, actor: Actor, environ: WSGIEnvironment, body: bytes) -> None:
        _, _, *path = environ["PATH_INFO"].strip("/").split("/")
        if environ["PATH_INFO"].endswith("/vector_stores"):
            actor.listed = self.state
        elif len(path) == 2 and path[1] == "files":
            query = environ.get("QUERY_STRING", "")
            if "order=asc" in query:  # else it looks for a few
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
        new = (
            after.uploads.keys() - before.uploads.keys() if before.stores.keys() == after.stores.keys() else set[str]()
        )
        self.uploaded |= new  # with a store comes what a connector brings
        self.loose |= dict.fromkeys(new, actor.name)
        self.detached |= before.attached & after.uploads.keys() - after.attached
        for file_id in after.attached & self.loose.keys():
            del self.loose[file_id]
        ours |= self.uploaded
        ours |= after.stores.keys() - before.stores.keys()
        for store in after.stores.values():
            known = before.stores.get(store.id)
            marked = {file.id for file in store.files if file.owner == actor.owner}
            ours |= marked | ({store.id} if store.mark[0] == actor.owner else set())
            new = {file.id for file in store.files if not (known and known.file(file.id))}
            self.unmarked |= {f"{store.id}/{file_id}" for file_id in new}
            self.unmarked -= {f"{store.id}/{file_id}" for file_id in marked}

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
                is_known = file.id.encode() in actor.shown.get(old.id, b"")  # else it came after the last look
                if file.owner != actor.owner and f"{old.id}/{file.id}" not in self.unmarked and is_known:
                    yield f"deletes the store {old.id} ({old.name}) with {file.id} of {file.owner or 'nobody'} in it"
            return
        said = (old.name, old.metadata, old.expires_after_days), (new.name, new.metadata, new.expires_after_days)
        if said[0] != said[1] and owner not in ("", actor.owner):
            yield f"changes the store {old.id} ({old.name}) of {owner}"
        if not owner and new.mark[0] == actor.owner:
            actor.restored.add(old.id)
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


def _problem(actor: Actor, store: TrueStore, old: TrueFile, changed: TrueStore) -> str:
    new = changed.staying_file(old.id)
    if old.owner == actor.owner or (new and new.attributes == old.attributes):
        return ""
    if not old.owner and actor.adopts and (new is None or new.owner == actor.owner):
        wanted = [file for store in actor.wanted.stores.values() for file in store.files.values()]
        is_adopting = ";adopting" in store.metadata.get("vssync_owner", "")  # then our names are ours
        may_go = old.sha256 in {file.sha256 for file in wanted} or (
            is_adopting and old.filename in {file.filename for file in wanted}
        )
        return "" if new or may_go else f"detaches {old.id} ({old.filename}), which nothing equals"
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


def _completed(copies: list[TrueFile] | None) -> bool:
    return any(copy.status == "completed" and copy.sha256 and not copy.is_leaving for copy in copies or ())
