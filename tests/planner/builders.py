"""Builders of desired and live values, each argument with a plain default, and a small model of a service."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from vssync.applier.steps import Drop, Put, StoreSteps, Wait
from vssync.model.digests import mark_for, store_mark_for, with_key
from vssync.model.marks import STORE_OWNER, Mark, Origin
from vssync.model.plan import FileChange, Options, Plan, StorePlan
from vssync.model.service import Capabilities, ServiceSpec
from vssync.model.state import (
    Chunking,
    Contents,
    Desired,
    DesiredFile,
    DesiredStore,
    FileCounts,
    FileStatus,
    IngestError,
    LiveBatch,
    LiveFile,
    LiveStore,
    Scalar,
    Snapshot,
    StoreStatus,
    Upload,
)
from vssync.planner.assemble import make_plan

NOW = 10_000
OWNER = "kb/prod"
OLD = Chunking(400, 100)
NEW = Chunking(800, 400)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def desired_file(
    key: str = "a.md",
    content: str = "A",
    *,
    attributes: Mapping[str, Scalar] | None = None,
    chunking: Chunking = NEW,
    file_id: str = "",
    filename: str = "",
) -> DesiredFile:
    attributes = {"lang": "en"} if attributes is None else attributes
    place: dict[str, Any] = (
        {"file_id": file_id} if file_id else {"path": key, "sha256": sha(content), "size": len(content)}
    )
    return DesiredFile(key, filename or key.replace("/", "__"), attributes, chunking, **place)


def live_copy(
    of: DesiredFile | None = None,
    *,
    id: str = "f1",
    status: FileStatus = FileStatus.COMPLETED,
    at: int = 9_900,
    owner: str = OWNER,
    origin: Origin | None = None,
    tries: int = 1,
    error: str = "",
    ignore: tuple[str, ...] = (),
    live: Mapping[str, Scalar] | None = None,
    reported: Chunking | None = None,
) -> LiveFile:
    """A live copy as an apply of `of` left it; `live` are attributes somebody changed since."""
    of = of or desired_file()
    origin = origin or (Origin.DECLARED if of.file_id else Origin.UPLOADED)
    mark = mark_for(owner, of, ignore, origin=origin, tries=tries)
    attributes = {**with_key(of.attributes, of.key), **(live or {})}
    return LiveFile(id, status, at, attributes, reported, IngestError(error) if error else None, mark)


def with_mark(file: LiveFile, **fields: Any) -> LiveFile:
    """The same copy with other fields in its mark."""
    assert isinstance(file.mark, Mark)
    return replace(file, mark=replace(file.mark, **fields))


def unmarked(file: LiveFile, **fields: Any) -> LiveFile:
    """The same copy without its mark, and with other fields."""
    return replace(file, mark=None, **fields)


def without_attributes(file: LiveFile, *names: str) -> LiveFile:
    """The same copy with attributes taken away."""
    return replace(file, attributes={name: value for name, value in file.attributes.items() if name not in names})


def desired_store(*files: DesiredFile, key: str = "guide", **fields: Any) -> DesiredStore:
    return DesiredStore(key=key, name=fields.pop("name", key), files=files, **fields)


def live_store(of: DesiredStore | None = None, *, id: str = "vs1", owner: str = OWNER, **fields: Any) -> LiveStore:
    """A live store as an apply of `of` left it; an empty owner leaves it without a mark."""
    of = of or desired_store()
    mark = {STORE_OWNER: str(store_mark_for(owner, of))} if owner else {}
    plain: dict[str, Any] = {
        "name": of.name,
        "status": StoreStatus.COMPLETED,
        "created_at": 100,
        "metadata": {**of.metadata, **mark},
        "expires_after_days": of.expires_after_days,
    }
    return LiveStore(id, **{**plain, **fields})


def adopting_store(of: DesiredStore | None = None) -> LiveStore:
    """A live store whose adoption goes on."""
    of = of or desired_store()
    return live_store(of, metadata={**of.metadata, STORE_OWNER: str(store_mark_for(OWNER, of).as_adopting())})


def live_batch(id: str = "b1", *file_ids: str, status: FileStatus = FileStatus.IN_PROGRESS, **fields: Any) -> LiveBatch:
    return LiveBatch(id, status, 9_900, FileCounts(total=len(file_ids)), fields.get("listed", file_ids))


def plan(
    stores: DesiredStore | Iterable[DesiredStore] | None = None,
    live: Iterable[tuple[LiveStore, Contents]] = (),
    *,
    uploads: Iterable[Upload] = (),
    capabilities: Capabilities | None = None,
    owner: str = OWNER,
    created_here: Mapping[str, str] | None = None,
    snapshot: Mapping[str, Any] | None = None,
    **options: Any,
) -> Plan:
    """The plan of these stores; `snapshot` are further fields of the snapshot."""
    stores = (stores,) if isinstance(stores, DesiredStore) else tuple(stores or ())
    live = tuple(live)
    state = Snapshot(
        NOW,
        tuple(store for store, _ in live),
        {store.id: contents for store, contents in live},
        {upload.id: upload for upload in uploads},
        created_here or {},
        **(snapshot or {}),
    )
    return make_plan(
        Desired(
            owner,
            ServiceSpec(),
            tuple(store for store in stores if not store.removed),
            tuple(store for store in stores if store.removed),
        ),
        state,
        Options(**options),
        capabilities or Capabilities(),
    )


def plan_store(
    files: Iterable[DesiredFile] = (),
    copies: Iterable[LiveFile] = (),
    *,
    batches: Iterable[LiveBatch] = (),
    metadata: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> StorePlan:
    """The plan of one store that exists and is as it should be, but for its files."""
    store = desired_store(*files, **(settings or {}))
    live = live_store(store)
    live = replace(live, metadata={**live.metadata, **(metadata or {})})
    contents = Contents(tuple(copies), tuple(batches))
    return plan(store, [(live, contents)], **options).stores[0]


def summary(change: FileChange) -> tuple[str, str, tuple[str, ...]]:
    """What a change says in short: key, action, reasons."""
    return change.key, change.action.value, tuple(reason.value for reason in change.reasons)


# A model of a service that carries out a store's steps, one atomic effect after the other: stopping the generator
# anywhere is a crash there.

Files = dict[str, LiveFile]
Effects = Generator[Files, None, Files]


def effects(files: Files, steps: StoreSteps, outcome: FileStatus) -> Iterator[Files]:
    """The store's files after each effect; every ingestion ends with `outcome`."""
    for put in steps.puts:
        files = yield from _put(files, put, outcome)
    for update in steps.updates:
        files = {
            **files,
            update.file_id: replace(files[update.file_id], attributes=update.attributes, mark=update.mark),
        }
        yield files
    for wait in steps.copy_waits:
        files = yield from _wait(files, wait, outcome)
    for put in sorted(steps.late_puts, key=lambda put: not put.existing_id):
        files = yield from _detach(files, put.before_attach)
    for drop in steps.drops:
        if not drop.kept_id or _completed(files, drop.kept_id):
            files = yield from _detach(files, (drop,))
    for put in steps.late_puts:
        files = yield from _put(files, replace(put, before_attach=()), outcome)


def applied(files: Files, steps: StoreSteps) -> Files:
    """The store's files when everything was carried out and every ingestion went well."""
    for after in effects(files, steps, FileStatus.COMPLETED):
        files = after
    return files


def _put(files: Files, put: Put, outcome: FileStatus) -> Effects:
    files = yield from _detach(files, put.before_attach)
    file_id = put.existing_id or next(name for n in count() if (name := f"n{n}") not in files)
    assert file_id not in files, "a File attaches once per store"
    new = LiveFile(file_id, FileStatus.IN_PROGRESS, NOW, put.attributes, put.chunking, mark=put.mark)
    files = {**files, file_id: new}
    yield files
    files = {**files, file_id: replace(new, status=outcome)}
    yield files
    if outcome is FileStatus.COMPLETED:
        files = yield from _detach(files, put.after_completion)
    return files


def _wait(files: Files, wait: Wait, outcome: FileStatus) -> Effects:
    files = {**files, wait.file_id: replace(files[wait.file_id], status=outcome)}
    yield files
    if outcome is FileStatus.COMPLETED:
        files = yield from _detach(files, wait.drops)
    return files


def _detach(files: Files, drops: tuple[Drop, ...]) -> Effects:
    for drop in drops:
        files = {file_id: file for file_id, file in files.items() if file_id != drop.file_id}
        yield files
    return files


def _completed(files: Files, file_id: str) -> bool:
    return file_id in files and files[file_id].status is FileStatus.COMPLETED
