"""A small model of a service that carries out a store's steps, one atomic effect after the other.

Stopping the generator anywhere is a crash there.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import count

from tests.planner.builders import NOW
from vssync.applier.steps import Drop, Put, StoreSteps, Wait
from vssync.model.state import FileStatus, LiveFile

Files = dict[str, LiveFile]
Effects = Generator[Files, None, Files]


def effects(files: Files, steps: StoreSteps, outcome: FileStatus) -> Iterator[Files]:
    """The store's files after each effect; every ingestion ends with `outcome`."""
    for wave in steps.waves:
        for put in wave.puts:
            files = yield from _put(files, put, outcome)
    for update in steps.updates:
        files = {
            **files,
            update.file_id: replace(files[update.file_id], attributes=update.attributes, mark=update.mark),
        }
        yield files
    for wait in steps.waits:
        files = yield from _wait(files, wait, outcome)
    for drop in steps.removes:
        if not drop.kept_id or _completed(files, drop.kept_id):
            files = yield from _detach(files, (drop,))


def applied(files: Files, steps: StoreSteps) -> Files:
    """The store's files when everything was carried out and every ingestion went well."""
    for after in effects(files, steps, FileStatus.COMPLETED):
        files = after
    return files


def _put(files: Files, put: Put, outcome: FileStatus) -> Effects:
    if put.gap:
        files = yield from _detach(files, put.drops)
    file_id = put.file_id or next(name for n in count() if (name := f"n{n}") not in files)
    assert file_id not in files, "a File attaches once per store"
    new = LiveFile(file_id, FileStatus.IN_PROGRESS, NOW, put.attributes, put.chunking, mark=put.mark)
    files = {**files, file_id: new}
    yield files
    files = {**files, file_id: replace(new, status=outcome)}
    yield files
    if outcome is FileStatus.COMPLETED and not put.gap:
        files = yield from _detach(files, put.drops)
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
