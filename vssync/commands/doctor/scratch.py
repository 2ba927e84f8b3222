"""The store and files of the write probes, remembered from before they are created until they are seen removed.

They belong to no manifest, so no journal records them. If the process is killed, it leaves a store that expires within
a day, and a few Files whose names say what made them.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from vssync.api.client import Client
from vssync.commands.doctor.finding import Emit, failed, ok
from vssync.errors import NotFound, VssyncError
from vssync.model.state import FileStatus, LiveFile

Value = TypeVar("Value")
TIMEOUT = 300.0  # seconds for a store to answer, or a file to be ingested
_POLL_INTERVAL = 1.0


@dataclass(slots=True)
class ScratchStore:
    """A store and its files. Their names carry a random word, which is also in every text."""

    client: Client
    word: str = field(default_factory=lambda: f"vssyncdoctor{secrets.token_hex(4)}")
    store_id: str = ""
    _may_exist: bool = False
    _file_ids: dict[str, str] = field(default_factory=dict)  # by upload name; empty until the reply

    def create_store(self) -> None:
        """Creates the store, and waits until it can be used. It expires by itself, should everything else fail."""
        body = {
            "name": self.word,
            "metadata": {"made_by": "vssync doctor --write"},
            "expires_after": {"anchor": "last_active_at", "days": 1},
        }
        self._may_exist = True
        self.store_id = self.client.create_store(body).id
        if not self.wait_until(lambda: self.client.is_ready(self.store_id), bool):
            raise VssyncError(f"{self.store_id}: the new store did not answer within {TIMEOUT:,.0f} s")

    def upload(self, text: str) -> str:
        """The id of a new File with the text and the random word."""
        name = f"{self.word}-{len(self._file_ids) + 1}.txt"
        self._file_ids[name] = ""
        self._file_ids[name] = self.client.upload_file(io.BytesIO(f"{self.word} {text}\n".encode()), name).id
        return self._file_ids[name]

    def wait_for_file(self, file_id: str) -> LiveFile:
        """A file of the store, once it is completed.

        Raises VssyncError when it ends otherwise, or not in time.
        """
        file = self.wait_until(lambda: self._get_file(file_id), lambda file: file is not None and file.status.ended)
        if file is None or file.status is not FileStatus.COMPLETED:
            status = f"{file.status} {file.error.code if file.error else ''}".strip() if file else "not visible"
            raise VssyncError(f"{file_id}: a small text file was not ingested: {status}")
        return file

    def _get_file(self, file_id: str) -> LiveFile | None:
        try:
            return self.client.get_file(self.store_id, file_id)
        except NotFound:
            return None

    def wait_until(
        self, read: Callable[[], Value], is_done: Callable[[Value], bool], timeout: float = TIMEOUT
    ) -> Value:
        """What `read` returns when it is done, or at the end of so many seconds."""
        clock = self.client.clock
        end = clock.monotonic() + timeout
        while not is_done(value := read()) and clock.monotonic() < end:
            clock.sleep(_POLL_INTERVAL)
        return value

    def clean(self, emit: Emit) -> bool:
        """Removes everything whatever fails, and emits what is left; whether nothing is."""
        left = [f"upload {name}: its reply was lost, so it may exist" for name, id in self._file_ids.items() if not id]
        removals: list[tuple[str, Callable[[], None]]] = []
        if self._may_exist:
            removals.append((f"store {self.word}", self._delete_store))
        for name, file_id in self._file_ids.items():
            if file_id:
                removals.append((f"upload {name} ({file_id})", partial(self.client.delete_upload, file_id)))
        removed = 0
        try:
            while removals:
                name, remove = removals[0]
                try:
                    remove()
                    removed += 1
                except VssyncError as error:
                    left.append(f"{name}: {error}")
                removals.pop(0)
        finally:
            left += [f"{name}: not removed" for name, _ in removals]
            if left:
                emit(failed("clean up", "something may be left; remove it by hand:", *left))
            elif removed:
                emit(ok("clean up", f"the scratch store and its {removed - 1:,} files are removed"))
        return not left

    def _delete_store(self) -> None:
        """By its id, or by its name when the reply with the id was lost."""
        ids = [self.store_id]
        if not self.store_id:
            ids = [store.id for store in self.client.list_stores() if store.name == self.word]
        for store_id in ids:
            self.client.delete_store(store_id)
