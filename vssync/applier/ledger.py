"""The upload ledger: every upload that a run touches is in one state, and changes it in one place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from vssync.journal.records import UnattachedUpload
from vssync.manifest.placeholders import upload_digest
from vssync.model.report import Orphan
from vssync.model.state import DesiredFile, UploadIdentity


class UploadState(Enum):
    """Where an upload is."""

    SPARE = auto()  # an earlier run made it and no store holds it: taken instead of sending the same bytes again
    LOOSE = auto()  # this run made or took it, and has not attached it yet
    ATTACHED = auto()  # a store holds it, as far as this run knows
    TRASH = auto()  # nothing should hold it any more: deleted at the end of the run, after a listing of every store
    CLOSED = auto()  # deleted, or in use: no concern of this run any more


_NEXT = {
    UploadState.SPARE: {UploadState.LOOSE, UploadState.ATTACHED, UploadState.TRASH, UploadState.CLOSED},
    UploadState.LOOSE: {UploadState.ATTACHED, UploadState.TRASH, UploadState.CLOSED},
    UploadState.ATTACHED: {UploadState.LOOSE, UploadState.TRASH, UploadState.CLOSED},
    # Another store may still attach it: whether one did, the listing before its deletion shows.
    UploadState.TRASH: {UploadState.TRASH, UploadState.CLOSED},
    UploadState.CLOSED: set[UploadState](),
}
_REPORTED = (UploadState.TRASH, UploadState.LOOSE, UploadState.SPARE)  # what a report names, in its order


@dataclass(slots=True)
class LedgerEntry:
    """An upload: its state and why, the store it was detached from, the stores of this run that took it."""

    state: UploadState
    why: str = ""
    detached_from: str = ""
    stores: set[str] = field(default_factory=set)


def upload_identity(file: DesiredFile) -> UploadIdentity:
    """Uploads of one identity can stand for each other."""
    return file.sha256, file.filename


class UploadLedger:
    """Thread-safe. A File attaches once to a store, so no store is given the same one twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._manifest_name = ""
        self._entries: dict[str, LedgerEntry] = {}
        self._spares: dict[UploadIdentity, list[str]] = {}
        self._send_locks: dict[UploadIdentity, threading.Lock] = {}
        self._offers: dict[UploadIdentity, list[str]] = {}
        self._suspects: list[Orphan] = []

    def open(self, owner: str, spares: Iterable[UnattachedUpload], shared: Iterable[UploadIdentity]) -> None:
        """`spares` are unheld uploads of earlier runs, `shared` what several stores want, uploaded once for all."""
        self._manifest_name = owner.split("/", maxsplit=1)[0]
        for upload in spares:
            taken_out = "upload that an earlier run took out of its store"
            why = f"upload of {upload.name}, of an earlier run" if upload.name else taken_out
            self._entries[upload.file_id] = LedgerEntry(UploadState.SPARE, why)
            self._spares.setdefault((upload.sha256, upload.name), []).append(upload.file_id)
        self._send_locks = {identity: threading.Lock() for identity in shared}
        self._offers = {identity: [] for identity in self._send_locks}

    def obtain(
        self, store_id: str, file: DesiredFile, why: str, is_usable: Callable[[str], bool], send: Callable[[], str]
    ) -> str:
        """The File for a store: one that is there already, or else what `send` makes. It is loose until it is attached.

        A spare is taken when it is still usable. Of a shared identity one thread sends while the others wait.
        """
        identity = upload_identity(file)
        with self._send_locks.get(identity, nullcontext()):
            with self._lock:
                for file_id in self._offers.get(identity, ()):
                    stores = self._entries[file_id].stores
                    if store_id not in stores:
                        stores.add(store_id)  # whoever withdraws it meanwhile is told that this store took it
                        return file_id
            spares = self._spares.get(identity, [])  # one thread uses them: no other wants this identity, or it waits
            while spares and not is_usable(spares[0]):
                self.record_closed(spares.pop(0))
            file_id = spares.pop(0) if spares else send()
            self.record_loose(file_id, why)
            with self._lock:
                self._entries[file_id].stores.add(store_id)
                if identity in self._send_locks:
                    self._offers[identity].append(file_id)
            return file_id

    def withdraw(self, file_id: str, file: DesiredFile) -> bool:
        """Offers a File to no other store any more; whether only one store took it."""
        with self._lock:
            offers = self._offers.get(upload_identity(file), [])
            if file_id in offers:
                offers.remove(file_id)
            return len(self._entries[file_id].stores) == 1

    def record_loose(self, file_id: str, why: str) -> None:
        """A fresh upload, or one that was taken out to be attached again: an interrupted run must name it."""
        self._move(file_id, UploadState.LOOSE, why)

    def record_attached(self, file_ids: Iterable[str]) -> None:
        """The service accepted these."""
        for file_id in file_ids:
            self._move(file_id, UploadState.ATTACHED)

    def schedule_delete(self, file_id: str, why: str, detached_from: str = "") -> None:
        """An upload of ours that nothing should hold any more; it is deleted at the end of the run."""
        self._move(file_id, UploadState.TRASH, why, detached_from)

    def explain(self, file_id: str, why: str) -> None:
        """Says why an upload whose deletion was scheduled is still there."""
        with self._lock:
            self._entries[file_id].why = why

    def record_closed(self, file_id: str) -> None:
        """It is deleted, or a store turned out to hold it."""
        self._move(file_id, UploadState.CLOSED)

    def record_suspect(self, detail: str) -> None:
        """An upload without a known id: its reply was lost, so that it may exist."""
        with self._lock:
            self._suspects.append(Orphan("", detail, suspected=True))

    def is_known(self, file_id: str) -> bool:
        """Whether this run has a use for a File, or had one."""
        with self._lock:
            return file_id in self._entries

    def is_loose(self, file_id: str) -> bool:
        """Whether this run has an upload that no store holds, as far as it knows."""
        with self._lock:
            entry = self._entries.get(file_id)
            return entry is not None and entry.state is UploadState.LOOSE

    def is_proven_by_name(self, file: DesiredFile) -> bool:
        """Whether a file's upload name says whose it is and what it holds, so that no other File has it."""
        return upload_digest(self._manifest_name, file.sha256) in file.filename

    def pending_deletes(self) -> dict[str, LedgerEntry]:
        """What should go, by File id."""
        with self._lock:
            trash = (item for item in self._entries.items() if item[1].state is UploadState.TRASH)
            return {file_id: replace(entry) for file_id, entry in trash}

    def orphans(self) -> tuple[Orphan, ...]:
        """Uploads that nothing is known to hold, and those that may exist."""
        with self._lock:
            by_state = [
                Orphan(file_id, entry.why)
                for state in _REPORTED
                for file_id, entry in self._entries.items()
                if entry.state is state
            ]
            return (*by_state, *self._suspects)

    def _move(self, file_id: str, state: UploadState, why: str = "", detached_from: str = "") -> None:
        """Every change of state goes through here; one that the table does not allow is ignored."""
        with self._lock:
            entry = self._entries.get(file_id)
            if entry is None:
                self._entries[file_id] = LedgerEntry(state, why, detached_from)
            elif state in _NEXT[entry.state]:
                entry.state, entry.why, entry.detached_from = state, why, detached_from
