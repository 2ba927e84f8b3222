"""Reads chosen files: their SHA-256, and the front matter of those that lift any, in one pass.

Streams, so that memory does not depend on sizes. A file that changes while it is read is read once more; if it changes
again, that is a problem, since nobody could say what would be uploaded.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import RawIOBase

from vssync.errors import Problem
from vssync.manifest.front_matter import MAX_FRONT_MATTER_BYTES, parse_front_matter
from vssync.manifest.resolve import Reading

GROUP = 64  # files handed to a thread at once
CHUNK = 1024 * 1024  # bytes held of a file


@dataclass(frozen=True, slots=True)
class ReadJob:
    """A file to read: its path below the root, and the front matter fields somebody lifts."""

    path: str
    fields: Collection[str] = ()


class FileChanged(Exception):
    """The file was not the same before and after it was read."""


Result = tuple[Reading, tuple[Problem, ...]]


def read_files(
    root: str,
    jobs: Iterable[ReadJob],
    *,
    hashed: bool,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Reading], tuple[Problem, ...]]:
    """Readings by path, of all files but those with problems. `progress` is told how many files and bytes are done."""
    jobs = tuple(jobs)
    readings: dict[str, Reading] = {}
    problems: list[Problem] = []
    size = 0
    for count, (job, (reading, wrong)) in enumerate(zip(jobs, _results(root, jobs, hashed, workers), strict=True), 1):
        if wrong:
            problems += wrong
        else:
            readings[job.path] = reading
        size += reading.size
        if progress:
            progress(count, size)
    return readings, tuple(problems)


def _results(root: str, jobs: tuple[ReadJob, ...], hashed: bool, workers: int) -> Iterator[Result]:
    if workers <= 1 or len(jobs) < GROUP:
        yield from (_one(root, job, hashed) for job in jobs)
        return
    groups = [jobs[at : at + GROUP] for at in range(0, len(jobs), GROUP)]
    with ThreadPoolExecutor(workers, "vssync-read") as threads:
        for results in threads.map(lambda group: [_one(root, job, hashed) for job in group], groups):
            yield from results


def _one(root: str, job: ReadJob, hashed: bool) -> Result:
    """Reads one file, a second time where it changed meanwhile."""
    path = os.path.join(root, job.path)
    try:
        try:
            return _attempt(path, job, hashed)
        except FileChanged:
            return _attempt(path, job, hashed)
    except FileChanged:
        return _wrong(job, "the file changed while it was read, twice", "wait until nobody writes it")
    except OSError as error:
        return _wrong(job, f"the file cannot be read: {error.strerror}", "make it readable, or leave it out")


def _wrong(job: ReadJob, message: str, hint: str) -> Result:
    return Reading(), (Problem(job.path, 0, 0, message, hint),)


def _attempt(path: str, job: ReadJob, hashed: bool) -> Result:
    with open(path, "rb", buffering=0) as file:
        before = os.fstat(file.fileno())
        head = file.read(CHUNK)
        digest = _digest(head, file) if hashed else ""
    if not _same(before, os.stat(path)):
        raise FileChanged
    reading = Reading(digest, before.st_size)
    if not job.fields:
        return reading, ()
    fields, problems = parse_front_matter(head[:MAX_FRONT_MATTER_BYTES].decode("utf-8", "ignore"), job.path, job.fields)
    return replace(reading, fields=fields), problems


def _digest(head: bytes, rest: RawIOBase) -> str:
    digest = hashlib.sha256(head)
    while chunk := rest.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _same(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_size, before.st_mtime_ns, before.st_ino) == (after.st_size, after.st_mtime_ns, after.st_ino)
