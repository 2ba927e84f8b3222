"""Every write of a run, with a line in the journal before it is sent and one after its response.

The rest of the applier reads through the client and writes only through this module, so no write lacks its lines.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from vssync.api.client import Client
from vssync.api.parse import AttachmentEntry, BatchPoll
from vssync.errors import LostReply, ServiceError, VssyncError
from vssync.journal.records import Operation, Write
from vssync.journal.writer import Journal
from vssync.model.marks import RESERVED_PREFIX, STORE_OWNER, Mark, fit_metadata
from vssync.model.state import Attributes, Chunking, DesiredFile, LiveFile, LiveStore
from vssync.sources.convert import FileContents

MetadataEdit = Callable[[Mapping[str, str]], Mapping[str, str] | None]


class MetadataLost(VssyncError):
    """The service lost the metadata of a store that was updated, and once more when all of it was sent again."""


@dataclass(frozen=True, slots=True)
class Writes:
    """The client's writes, journaled. They raise what the client raises, and VssyncError where the journal fails."""

    client: Client
    journal: Journal

    def upload(
        self,
        contents: FileContents,
        file: DesiredFile,
        on_made: Callable[[str], None],
        on_lost: Callable[[LostReply], str],
    ) -> str:
        """Uploads a file and returns the File's id. Raises VssyncError where the file changed before or meanwhile.

        `on_made` gets the id as soon as it is known, also where the file then turns out to have changed. After a lost
        reply, `on_lost` returns the id or raises the error again.
        """
        write = Write(Operation.UPLOAD, name=file.filename, size=file.size, sha256=file.sha256)
        with self.journal.around(write) as record_id, open_unchanged(contents, file) as handle:
            try:
                file_id = self.client.upload_file(handle, file.filename).id
            except LostReply as error:
                file_id = on_lost(error)
            record_id(file_id)
            on_made(file_id)
        return file_id

    def delete_upload(self, file_id: str, name: str = "", size: int = 0) -> None:
        """Deletes an upload.

        For one that `gc` found by name and size, pass these, and the journal stops suspecting that it exists.
        """
        with self.journal.around(Write(Operation.DELETE_UPLOAD, files=(file_id,), name=name, size=size)):
            self.client.delete_upload(file_id)

    def create_batch(self, store_id: str, entries: Sequence[AttachmentEntry]) -> BatchPoll:
        file_ids = tuple(entry.file_id for entry in entries)
        with self.journal.around(Write(Operation.ATTACH, store_id, file_ids)) as record_id:
            poll = self.client.create_batch(store_id, entries)
            record_id(poll.batch.id)
        return poll

    def create_uniform_batch(self, store_id: str, file_ids: Sequence[str], chunking: Chunking, mark: Mark) -> None:
        """Attaches files that all get this chunking and this mark, and no other attributes."""
        with self.journal.around(Write(Operation.ATTACH, store_id, tuple(file_ids))) as record_id:
            record_id(self.client.create_uniform_batch(store_id, file_ids, {}, chunking, mark).batch.id)

    def attach(self, store_id: str, entry: AttachmentEntry) -> LiveFile:
        with self.journal.around(Write(Operation.ATTACH, store_id, (entry.file_id,))):
            return self.client.attach_file(store_id, entry)

    def detach(self, store_id: str, file_id: str, *, is_our_upload: bool, file: DesiredFile | None = None) -> None:
        """Detaches a file. An upload of ours may be held by no store from then on; `file` is what it was made from."""
        name, size, sha256 = (file.filename, file.size, file.sha256) if file else ("", 0, "")
        with self.journal.around(Write(Operation.DETACH, store_id, (file_id,), name, size, sha256, is_our_upload)):
            self.client.detach_file(store_id, file_id)

    def set_attributes(self, store_id: str, file_id: str, attributes: Attributes, mark: Mark | None) -> LiveFile:
        with self.journal.around(Write(Operation.ATTRIBUTES, store_id, (file_id,))):
            return self.client.set_attributes(store_id, file_id, attributes, mark)

    def cancel_batch(self, store_id: str, batch_id: str) -> None:
        with self.journal.around(Write(Operation.CANCEL, store_id, name=batch_id)):
            self.client.cancel_batch(store_id, batch_id)

    def create_store(self, key: str, body: Mapping[str, object]) -> LiveStore:
        with self.journal.around(Write(Operation.CREATE_STORE, name=str(body["name"]), key=key)) as record_id:
            live = self.client.create_store(body)
            record_id(live.id)
        return live

    def update_metadata(self, store_id: str, edit: MetadataEdit, key: str = "", **settings: object) -> LiveStore:
        """Writes what `edit` makes of a store's metadata, and `settings` with it; nothing where that is None.

        Where `key` is given, the journal remembers that the store of this id has this key in the manifest.

        A write replaces the whole map (OpenAI spec), so it is read just before: what others write between these two
        requests is lost. Raises MetadataLost where the store lacks what was written, VssyncError where it carries
        another mark.
        """
        live = self.client.get_store(store_id)
        if (metadata := edit(live.metadata)) is None:
            return live
        sent, lost = fit_metadata(metadata), set[str]()
        for _ in range(2):
            with self.journal.around(Write(Operation.UPDATE_STORE, store_id, key=key)):
                live = self.client.update_store(store_id, {**settings, "metadata": sent})
            if lost_metadata(sent, live):
                with ambiguous_if_unread(f"{store_id} was updated"):
                    live = self.client.get_store(store_id)
            if not (lost := lost_metadata(sent, live)):
                return live
        way_out = f"declare it with `id: {store_id}` and `external: true`, and " if STORE_OWNER in lost else ""
        raise MetadataLost(
            f"the service lost the metadata of {store_id} when it was updated ({', '.join(sorted(lost))}): {way_out}"
            "set `store_updates: false` under `service.capabilities`, so that stores are not updated"
        )

    def delete_store(self, store_id: str, uploads: tuple[str, ...]) -> None:
        """Deletes a store; `uploads` are our own uploads in it."""
        with self.journal.around(Write(Operation.DELETE_STORE, store_id, uploads, ours=bool(uploads))):
            self.client.delete_store(store_id)


def lost_metadata(sent: Mapping[str, str], live: LiveStore) -> set[str]:
    """The names of metadata that a store lacks, and of ours whose value differs; others may have changed theirs since.

    Raises VssyncError where it carries another mark.
    """
    found, mark = live.metadata, sent.get(STORE_OWNER)
    if mark and (live_mark := found.get(STORE_OWNER, mark)) != mark:
        raise VssyncError(
            f"{live.id} carries another mark than was written, {live_mark}: either another run wrote to it at the same "
            "time, or the service kept the old metadata; plan again"
        )
    ours = (name for name, value in sent.items() if name.startswith(RESERVED_PREFIX) and found.get(name) != value)
    return (sent.keys() - found.keys()).union(ours)


@contextmanager
def ambiguous_if_unread(context: str) -> Iterator[None]:
    """Turns an error of the reads after a write into LostReply: the write has not failed, its effect is unknown."""
    try:
        yield
    except ServiceError as error:
        raise LostReply(f"{context}, and then: {error}", error.answer) from error


@contextmanager
def open_unchanged(contents: FileContents, file: DesiredFile) -> Iterator[BinaryIO]:
    """The open file, at its start. It is hashed before the body of `with`, and checked for changes after it.

    Raises VssyncError when it cannot be read or is not what was planned: what was uploaded must then not be used.
    """
    try:
        with contents.open(file) as handle:
            before = _size_and_time(handle)
            if hashlib.file_digest(handle, "sha256").hexdigest() != file.sha256:
                raise VssyncError(f"{file.path}: changed since the plan was made; plan again")
            handle.seek(0)
            yield handle
            if _size_and_time(handle) != before:
                raise VssyncError(f"{file.path}: changed while it was uploaded; apply again")
    except OSError as error:
        raise VssyncError(f"{file.path}: cannot be read: {error.strerror}") from error


def _size_and_time(handle: BinaryIO) -> tuple[int, int]:
    if isinstance(handle, BytesIO):
        return 0, 0  # it was converted, and is no file
    status = os.fstat(handle.fileno())
    return status.st_size, status.st_mtime_ns
