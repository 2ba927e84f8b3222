"""The upload ledger: the state of every upload that a run touches, so that none is lost or sent twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import Enum, auto

from vssync.journal.records import UnattachedUpload
from vssync.manifest.placeholders import upload_digest
from vssync.model.report import Orphan
from vssync.model.state import DesiredFile, UploadIdentity


class UploadState(Enum):
    """Where an upload is, and what the run does with it."""

    SPARE = auto()  # an earlier run made it and no store holds it: used instead of sending the same bytes again
    LOOSE = auto()  # this run made, took or detached it, and has not attached it yet
    ATTACHED = auto()  # a store holds it, as far as this run knows
    TO_DELETE = auto()  # nothing should hold it any more: deleted at the end of the run, after a listing of every store
    CLOSED = auto()  # deleted, or held by a store after all: this run is done with it


_NEXT = {
    UploadState.SPARE: {UploadState.LOOSE, UploadState.ATTACHED, UploadState.TO_DELETE, UploadState.CLOSED},
    UploadState.LOOSE: {UploadState.ATTACHED, UploadState.TO_DELETE, UploadState.CLOSED},
    UploadState.ATTACHED: {UploadState.LOOSE, UploadState.TO_DELETE, UploadState.CLOSED},
    # It stays so even if a store attaches it: the listing before the deletion finds that out.
    UploadState.TO_DELETE: {UploadState.TO_DELETE, UploadState.CLOSED},
    UploadState.CLOSED: set[UploadState](),
}
_UNATTACHED = (UploadState.TO_DELETE, UploadState.LOOSE, UploadState.SPARE)  # reported, in this order


@dataclass(slots=True)
class LedgerEntry:
    """What the ledger holds of an upload."""

    state: UploadState
    description: str = ""  # as a report says it
    stores: set[str] = field(default_factory=set)  # ids of those that obtained it from the ledger
    is_uncertain: bool = False  # a store may hold it, by a request that was sent, or since it was in two


def upload_identity(file: DesiredFile) -> UploadIdentity:
    """Uploads with the same bytes and name can stand for each other."""
    return file.sha256, file.filename


class UploadLedger:
    """The uploads of one run. A File attaches once to a store, so no store is given the same one twice. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner_name = ""
        self._entries: dict[str, LedgerEntry] = {}
        self._spares: dict[UploadIdentity, list[str]] = {}
        # The next two hold only the identities that are wanted more than once.
        self._send_locks: dict[UploadIdentity, threading.Lock] = {}  # each held while one thread uploads
        self._offers: dict[UploadIdentity, list[str]] = {}  # the ids of Files made for other threads to use
        self._suspects: list[Orphan] = []

    def open(self, owner: str, spares: Iterable[UnattachedUpload], shared: Iterable[UploadIdentity]) -> None:
        """Begins with the uploads that earlier runs left and no store holds; `shared` are wanted more than once."""
        self._owner_name = owner.partition("/")[0]
        for upload in spares:
            detached = "upload that an earlier run took out of its store"
            description = f"upload of {upload.name}, of an earlier run" if upload.name else detached
            self._entries[upload.file_id] = LedgerEntry(UploadState.SPARE, description)
            self._spares.setdefault((upload.sha256, upload.name), []).append(upload.file_id)
        self._send_locks = {identity: threading.Lock() for identity in shared}
        self._offers = {identity: [] for identity in self._send_locks}

    def obtain(
        self, store_id: str, file: DesiredFile, is_usable: Callable[[str], bool], send: Callable[[], str]
    ) -> tuple[str, bool]:
        """The id of a File for a store, loose until it is attached; and whether this is its first store in this run.

        It is one that this run has for another store, or a spare that is still usable, or one that `send` makes.
        What is wanted more than once is sent by one thread while the others wait. Raises what `is_usable` or `send`
        raises.
        """
        identity = upload_identity(file)
        with self._send_locks.get(identity, nullcontext()):
            with self._lock:
                for file_id in self._offers.get(identity, ()):
                    stores = self._entries[file_id].stores
                    if store_id not in stores:
                        stores.add(store_id)  # at once, so that `withdraw` knows of it
                        return file_id, False
            # No lock is needed: only one thread wants this upload, or the others wait for the send lock.
            spares = self._spares.get(identity, [])
            while spares and not is_usable(spares[0]):
                self.record_closed(spares.pop(0))
            file_id = spares.pop(0) if spares else send()
            self.record_loose(file_id, f"upload of {file.key} that was not attached yet")
            with self._lock:
                self._entries[file_id].stores.add(store_id)
                if identity in self._send_locks:
                    self._offers[identity].append(file_id)
            return file_id, True

    def withdraw(self, file_id: str, file: DesiredFile) -> bool:
        """Offers a File to no more stores; returns whether only one has obtained it."""
        with self._lock:
            offers = self._offers.get(upload_identity(file), [])
            if file_id in offers:
                offers.remove(file_id)
            return len(self._entries[file_id].stores) == 1

    def record_loose(self, file_id: str, description: str) -> None:
        """Records a fresh upload, or one that is detached to be attached again: until then no store holds it."""
        self._move(file_id, UploadState.LOOSE, description)

    def record_uncertain(self, file_ids: Iterable[str]) -> None:
        """Records that a run that ends now does not know whether a store holds these.

        A request to attach or delete them goes out, or they were taken out of one store and another may have them.
        """
        with self._lock:
            for entry in filter(None, map(self._entries.get, file_ids)):
                entry.is_uncertain = True

    def record_attached(self, file_ids: Iterable[str]) -> None:
        """Records that the service accepted these Files for ingestion, or that a store holds them still."""
        for file_id in file_ids:
            self._move(file_id, UploadState.ATTACHED)

    def schedule_delete(self, file_id: str, description: str) -> None:
        """Schedules an upload of ours that nothing should hold any more to be deleted at the end of the run."""
        self._move(file_id, UploadState.TO_DELETE, description)
        self.record_uncertain([file_id])

    def add_note(self, file_id: str, note: str) -> None:
        """Adds to an upload's description, such as why it is still there."""
        with self._lock:
            self._entries[file_id].description += f"; {note}"

    def record_closed(self, file_id: str) -> None:
        """Records that an upload was deleted, or that a store turned out to hold it."""
        self._move(file_id, UploadState.CLOSED)

    def record_suspect(self, detail: str) -> None:
        """Records that an upload may exist whose id is not known, since its reply was lost."""
        with self._lock:
            self._suspects.append(Orphan("", detail, suspected=True))

    def is_known(self, file_id: str) -> bool:
        """Whether a File is or was among this run's uploads."""
        with self._lock:
            return file_id in self._entries

    def is_loose(self, file_id: str) -> bool:
        """Whether this run has an upload that no store holds, as far as it knows."""
        with self._lock:
            entry = self._entries.get(file_id)
            return entry is not None and entry.state is UploadState.LOOSE

    def loose_ids(self) -> list[str]:
        """The ids of the uploads that no store holds, as far as this run knows."""
        with self._lock:
            return [id_ for id_, entry in self._entries.items() if entry.state is UploadState.LOOSE]

    def is_proven_by_name(self, file: DesiredFile) -> bool:
        """Whether a file's upload name holds a digest of owner and content, so that no other File can have it."""
        return upload_digest(self._owner_name, file.sha256) in file.filename

    def pending_deletes(self) -> dict[str, str]:
        """The descriptions of the uploads to delete, by File id."""
        with self._lock:
            entries = self._entries.items()
            return {id_: entry.description for id_, entry in entries if entry.state is UploadState.TO_DELETE}

    def orphans(self, *, interrupted: bool = False) -> tuple[Orphan, ...]:
        """Uploads that nothing is known to hold, and those that may exist."""
        with self._lock:
            unattached = [(id_, entry) for id_, entry in self._entries.items() if entry.state in _UNATTACHED]
            unattached.sort(key=lambda pair: _UNATTACHED.index(pair[1].state))
            orphans = (
                Orphan(id_, f"{entry.description}, as far as is known", suspected=True)
                if interrupted and entry.is_uncertain
                else Orphan(id_, entry.description)
                for id_, entry in unattached
            )
            return (*orphans, *self._suspects)

    def _move(self, file_id: str, state: UploadState, description: str = "") -> None:
        """Changes an upload's state and description; a change that the table does not allow is ignored."""
        with self._lock:
            entry = self._entries.get(file_id)
            if entry is None:
                self._entries[file_id] = LedgerEntry(state, description)
            elif state in _NEXT[entry.state]:
                entry.state, entry.description = state, description
