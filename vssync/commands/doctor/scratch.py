"""The store and files of a trial, remembered from before they are made until they are seen removed.

No journal is kept of them: a trial belongs to no manifest, so no later run could go on with it or take its place.
Killed, it leaves a store that expires within a day, and at most a few Files whose names say what made them.
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

Seen = TypeVar("Seen")
PATIENCE = 300.0  # seconds for a store to answer, a file to be ingested, an index to notice
_PAUSE = 1.0


@dataclass(slots=True)
class ScratchStore:
    """What a trial made. Names carry a random word, which is also in every text."""

    client: Client
    word: str = field(default_factory=lambda: f"vssyncdoctor{secrets.token_hex(4)}")
    store_id: str = ""
    _begun: bool = False
    _files: dict[str, str] = field(default_factory=dict)  # upload name to File id; empty while nobody knows

    def make_store(self) -> None:
        """The store, once it can be used. It expires by itself, should everything else fail."""
        body = {
            "name": self.word,
            "metadata": {"made_by": "vssync doctor --write"},
            "expires_after": {"anchor": "last_active_at", "days": 1},
        }
        self._begun = True
        self.store_id = self.client.create_store(body).id
        if not self.until(lambda: self.client.is_ready(self.store_id), bool):
            raise VssyncError(f"{self.store_id}: the new store did not answer within {PATIENCE:,.0f} s")

    def upload(self, text: str) -> str:
        """The id of a new File with the text and the random word."""
        name = f"{self.word}-{len(self._files) + 1}.txt"
        self._files[name] = ""
        self._files[name] = self.client.upload_file(io.BytesIO(f"{self.word} {text}\n".encode()), name).id
        return self._files[name]

    def ended(self, file_id: str) -> LiveFile:
        """A file of the store when it is completed.

        Raises VssyncError when it ends otherwise, or not in time.
        """
        found = self.until(lambda: self._file(file_id), lambda file: file is not None and file.status.ended)
        if found is None or found.status is not FileStatus.COMPLETED:
            why = f"{found.status} {found.error.code if found.error else ''}".strip() if found else "not visible"
            raise VssyncError(f"{file_id}: a small text file was not ingested: {why}")
        return found

    def _file(self, file_id: str) -> LiveFile | None:
        try:
            return self.client.get_file(self.store_id, file_id)
        except NotFound:
            return None

    def until(self, look: Callable[[], Seen], done: Callable[[Seen], bool], patience: float = PATIENCE) -> Seen:
        """What `look` sees when it is `done`, or when patience, in seconds, ends."""
        clock = self.client.clock
        end = clock.monotonic() + patience
        while not done(seen := look()) and clock.monotonic() < end:
            clock.sleep(_PAUSE)
        return seen

    def clean(self, tell: Emit) -> bool:
        """Removes everything, and tells what stayed; whether nothing did. Goes on whatever fails."""
        left = [f"upload {name}: its reply was lost, so it may exist" for name, id in self._files.items() if not id]
        removed = 0
        jobs: list[tuple[str, Callable[[], None]]] = [(f"store {self.word}", self._remove_store)] if self._begun else []
        jobs += [
            (f"upload {name} ({file_id})", partial(self.client.delete_upload, file_id))
            for name, file_id in self._files.items()
            if file_id
        ]
        try:
            while jobs:
                what, remove = jobs[0]
                try:
                    remove()
                    removed += 1
                except VssyncError as error:
                    left.append(f"{what}: {error}")
                jobs.pop(0)
        finally:
            left += [f"{what}: not removed" for what, _ in jobs]
            if left:
                tell(failed("clean up", "something of the trial may be left; remove it by hand:", *left))
            elif removed:
                tell(ok("clean up", f"the trial's store and its {removed - 1:,} files are removed"))
        return not left

    def _remove_store(self) -> None:
        """By its id, or by its name when the reply that told the id was lost."""
        named = (
            [store.id for store in self.client.list_stores() if store.name == self.word] if not self.store_id else []
        )
        for store_id in (self.store_id, *named):
            if store_id:
                self.client.delete_store(store_id)
