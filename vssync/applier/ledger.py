"""Files that can be taken instead of uploading the same bytes under the same name again.

There are two kinds: what an earlier run of this machine uploaded and no store holds, as its journal proves; and what
this run uploaded for another store. A File attaches once to a store, so no store gets one twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

from vssync.journal.records import UnattachedUpload
from vssync.manifest.placeholders import upload_digest
from vssync.model.state import DesiredFile

UploadIdentity = tuple[str, str]  # sha256, upload name


class UploadPool:
    """Thread-safe. `spare` are unheld uploads of earlier runs, `shared` the forms that are wanted more than once now.

    `owner` is whose uploads they are.
    """

    def __init__(
        self, spare: Iterable[UnattachedUpload] = (), shared: Iterable[UploadIdentity] = (), owner: str = ""
    ) -> None:
        self._lock = threading.Lock()
        self._name = owner.split("/", maxsplit=1)[0]
        self._had: set[str] = set()
        self._spare: dict[UploadIdentity, list[UnattachedUpload]] = {}
        for kept in spare:
            self._spare.setdefault((kept.sha256, kept.name), []).append(kept)
        self._turns = {form: threading.Lock() for form in shared}
        self._users: dict[UploadIdentity, dict[str, set[str]]] = {form: {} for form in self._turns}

    def obtain(
        self, store_id: str, form: UploadIdentity, usable: Callable[[str], bool], send: Callable[[], str]
    ) -> str:
        """The File for a store: one that is there already, or what `send` makes.

        A spare one is taken when it is still `usable`. Of a shared form one thread sends while the others wait.
        """
        with self._turn(form):
            file_id = self._of_another_store(store_id, form) or self._spare_one(form, usable) or send()
            with self._lock:
                self._had.add(file_id)
                if form in self._users:
                    self._users[form].setdefault(file_id, set()).add(store_id)
            return file_id

    def has(self, file_id: str) -> bool:
        """Whether this run uploaded or took a File."""
        with self._lock:
            return file_id in self._had

    def proves(self, file: DesiredFile) -> bool:
        """Whether a file's upload name says whose it is and what it holds, so that no other File has it."""
        return upload_digest(self._name, file.sha256) in file.filename

    def withdraw(self, file_id: str) -> bool:
        """Offers a File to no other store any more; whether only one store took it."""
        with self._lock:
            users = [takers.pop(file_id) for takers in self._users.values() if file_id in takers]
        return all(len(stores) == 1 for stores in users)

    def unused(self) -> tuple[UnattachedUpload, ...]:
        """Uploads of earlier runs that nothing took."""
        with self._lock:
            return tuple(kept for alike in self._spare.values() for kept in alike)

    def _turn(self, form: UploadIdentity) -> AbstractContextManager[object]:
        return self._turns.get(form, nullcontext())

    def _of_another_store(self, store_id: str, form: UploadIdentity) -> str:
        with self._lock:
            offers = self._users.get(form, {})
            return next((file_id for file_id, stores in offers.items() if store_id not in stores), "")

    def _spare_one(self, form: UploadIdentity, usable: Callable[[str], bool]) -> str:
        while found := self._take(form):
            if usable(found):
                return found
        return ""

    def _take(self, form: UploadIdentity) -> str:
        with self._lock:
            alike = self._spare.get(form)
            return alike.pop(0).file_id if alike else ""
