"""Reads selected files: their SHA-256, and the wanted fields of their front matter, in one pass.

A file that changes twice while it is read is a problem, since nobody could say what would be uploaded.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from vssync.errors import Problem
from vssync.manifest.front_matter import MAX_FRONT_MATTER_BYTES, parse_front_matter
from vssync.manifest.resolve import Reading

_JOBS_PER_TASK = 64  # handed to a thread at once
_CHUNK_BYTES = 1024 * 1024  # held of a file


@dataclass(frozen=True, slots=True)
class ReadJob:
    """A file to read: its path below the root, and the front matter fields that are wanted."""

    path: str
    fields: Collection[str] = ()


_Result = tuple[Reading, tuple[Problem, ...]]


def read_files(
    root: str,
    jobs: Iterable[ReadJob],
    *,
    hashed: bool,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Reading], tuple[Problem, ...]]:
    """Readings by path, without files that have problems. `progress` is called with the files and bytes done."""
    jobs = tuple(jobs)
    readings: dict[str, Reading] = {}
    problems: list[Problem] = []
    size = 0
    results = _read_all(root, jobs, hashed, workers)
    for count, (job, (reading, job_problems)) in enumerate(zip(jobs, results, strict=True), 1):
        if job_problems:
            problems += job_problems
        else:
            readings[job.path] = reading
        size += reading.size
        if progress:
            progress(count, size)
    return readings, tuple(problems)


def _read_all(root: str, jobs: tuple[ReadJob, ...], hashed: bool, workers: int) -> Iterator[_Result]:
    if workers <= 1 or len(jobs) < _JOBS_PER_TASK:
        yield from (_read_file(root, job, hashed) for job in jobs)
        return
    groups = [jobs[start : start + _JOBS_PER_TASK] for start in range(0, len(jobs), _JOBS_PER_TASK)]
    with ThreadPoolExecutor(workers, "vssync-read") as threads:
        for results in threads.map(lambda group: [_read_file(root, job, hashed) for job in group], groups):
            yield from results


def _read_file(root: str, job: ReadJob, hashed: bool) -> _Result:
    """Reads one file, a second time if it changed meanwhile."""
    path = os.path.join(root, job.path)
    try:
        if result := _read_once(path, job, hashed) or _read_once(path, job, hashed):
            return result
        message, hint = "the file changed while it was read, twice", "wait until nothing writes to it"
    except OSError as error:
        message, hint = f"the file cannot be read: {error.strerror}", "make it readable, or leave it out"
    return Reading(), (Problem(job.path, 0, 0, message, hint),)


def _read_once(path: str, job: ReadJob, hashed: bool) -> _Result | None:
    """None if the file changed meanwhile."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        before = os.fstat(file.fileno())
        head = chunk = file.read(_CHUNK_BYTES)
        while hashed and chunk:
            digest.update(chunk)
            chunk = file.read(_CHUNK_BYTES)
    after = os.stat(path)
    if (before.st_size, before.st_mtime_ns, before.st_ino) != (after.st_size, after.st_mtime_ns, after.st_ino):
        return None
    sha256 = digest.hexdigest() if hashed else ""
    if not job.fields:
        return Reading(sha256, before.st_size), ()
    text = head[:MAX_FRONT_MATTER_BYTES].decode("utf-8", "ignore")
    fields, problems = parse_front_matter(text, job.path, job.fields)
    return Reading(sha256, before.st_size, fields), problems
