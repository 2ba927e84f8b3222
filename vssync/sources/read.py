"""Reads files: their digests and sizes, their Markdown where they are converted, what attributes look up in them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from vssync.errors import Problem
from vssync.manifest import resolve
from vssync.manifest.front_matter import FRONT_MATTER_EXTENSIONS, MAX_FRONT_MATTER, TextReader
from vssync.manifest.globs import Listing, Pattern
from vssync.manifest.lookups import Lookup, look_up
from vssync.manifest.select import FileToRead, Selection
from vssync.model.state import extension_of
from vssync.providers import TEXT_EXTENSIONS
from vssync.sources.convert import Converter
from vssync.sources.converter import CONVERTER_SET
from vssync.sources.paths import Sandbox, is_unchanged, on_disk
from vssync.sources.walk import walk_files

if TYPE_CHECKING:
    from vssync.sources.revision import Checkout

_READERS = 4  # threads
_JOBS_PER_TASK = 64  # files that a thread takes at once
_SLOW_SECONDS = 0.0002  # for a file: it is large or on a slow disk, and threads help with both
_CHUNK_BYTES = 1024 * 1024  # of a file, held in memory
# Git LFS's specification: a pointer file has fewer bytes than this, and begins with this line.
_MAX_POINTER_BYTES, _LFS_POINTER = 1024, b"version https://git-lfs.github.com/spec/v1\n"
_UNREADABLE_HINT = "make it readable, or leave it out"
_LFS_FIELDS = re.compile(rb"(?m)^oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,15})$")


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a manifest and its files are read.

    Without `hashed`, no file is read, and nothing is converted: files have no SHA-256 and not the attributes that are
    looked up in them, and drafts are among them. `on_hashed` is called with the numbers of files and bytes read so far.

    In a `checkout`, a Git LFS pointer stands for its document. Nobody can fix a manifest that `is_past`, an earlier
    revision's, any more: files with problems are left out, its warnings are these problems, and variables that it does
    not declare are ignored.
    """

    hashed: bool = True
    on_hashed: Callable[[int, int], None] | None = None
    checkout: Checkout | None = None
    is_past: bool = False
    converter: Converter = field(default_factory=Converter)

    def walk(self, root: Path, patterns: Iterable[Pattern], sandbox: Sandbox) -> Listing:
        """The files below a root that the patterns may match. Raises ManifestError for folders it cannot read."""
        return (self.checkout.walk if self.checkout else walk_files)(str(root), patterns, sandbox)


EVERYTHING = LoadOptions()


@dataclass(frozen=True, slots=True)
class ReadJob:
    """A file to read: its path below the root, and what is looked up in it."""

    path: str
    converted_from: str = ""  # the extension of a file that is converted first; it is read as Markdown
    lookups: frozenset[Lookup] = frozenset()
    is_text: bool = False  # it must be text that services can read
    may_have_front_matter: bool = False  # front matter and headings are looked for
    commit_date: str = ""


def read_jobs(selections: tuple[Selection, ...], hashed: bool, commit_dates: Mapping[str, str]) -> tuple[ReadJob, ...]:
    """One job for each file that must be read, for all stores; without `hashed`, only texts with lookups."""
    jobs: dict[FileToRead, ReadJob] = {}
    for file in (file for selection in selections for file in selection.files):
        lookups = resolve.lookups_in(file)
        if file.to_read and (hashed or (lookups and not file.to_read[1])):
            job = read_job(file.to_read, file.filename, lookups, commit_dates)
            if earlier := jobs.get(file.to_read):
                job = replace(
                    job,
                    lookups=job.lookups | earlier.lookups,
                    is_text=job.is_text or earlier.is_text,
                    may_have_front_matter=job.may_have_front_matter or earlier.may_have_front_matter,
                )
            jobs[file.to_read] = job
    return tuple(jobs.values())


def read_job(
    to_read: FileToRead, filename: str, lookups: frozenset[Lookup], commit_dates: Mapping[str, str]
) -> ReadJob:
    """How to read a file: as text, or for front matter, if its name or its upload name has such an extension."""
    path, converted_from = to_read
    extensions = {extension_of(path), extension_of(filename)}
    is_text, may_have_fields = bool(extensions & TEXT_EXTENSIONS), bool(extensions & FRONT_MATTER_EXTENSIONS)
    return ReadJob(path, converted_from, lookups, is_text, may_have_fields, commit_dates.get(path, ""))


def read_files(
    sandbox: Sandbox, jobs: Sequence[ReadJob], options: LoadOptions, clock: Callable[[], float] = perf_counter
) -> tuple[dict[FileToRead, resolve.Reading], tuple[Problem, ...]]:
    """What was read below the sandbox's first folder, and the problems of the files that could not be read."""
    readings: dict[FileToRead, resolve.Reading] = {}
    problems: list[Problem] = []
    total_bytes = 0
    jobs = sorted(jobs, key=lambda job: bool(job.converted_from))
    split = next((number for number, job in enumerate(jobs) if job.converted_from), len(jobs))
    results = chain(_read_all(sandbox, jobs[:split], options, clock), _read_converted(sandbox, jobs[split:], options))
    for count, (job, result) in enumerate(zip(jobs, results, strict=True), 1):
        if isinstance(result, Problem):
            problems.append(result)
        else:
            readings[job.path, job.converted_from] = result
            total_bytes += result.size
        if options.on_hashed:
            options.on_hashed(count, total_bytes)
    return readings, tuple(problems)


def _read_all(
    sandbox: Sandbox, jobs: Sequence[ReadJob], options: LoadOptions, clock: Callable[[], float]
) -> Iterator[resolve.Reading | Problem]:
    """What each file says, read by several threads once files turn out to be slow: small ones would wait for them."""
    folder = str(sandbox.folders[0])
    seconds: list[float] = []

    def read(job: ReadJob) -> resolve.Reading | Problem:
        return _read_file(sandbox, f"{folder}/{on_disk(job.path)}", job, options)

    groups = iter([jobs[start : start + _JOBS_PER_TASK] for start in range(0, len(jobs), _JOBS_PER_TASK)])
    while not are_slow(seconds) and (group := next(groups, None)):
        times = [clock()]
        for job in group:
            yield read(job)
            times.append(clock())
        seconds = [end - begin for begin, end in pairwise(times)]
    with ThreadPoolExecutor(_READERS, "vssync-read") as threads:
        yield from chain.from_iterable(threads.map(lambda group: [*map(read, group)], groups))


def are_slow(seconds: Sequence[float]) -> bool:
    """Whether most of the files that were read one after the other took so long that several threads would help."""
    return bool(seconds) and sorted(seconds)[len(seconds) // 2] > _SLOW_SECONDS


def _read_converted(
    sandbox: Sandbox, jobs: Sequence[ReadJob], options: LoadOptions
) -> Iterator[resolve.Reading | Problem]:
    """What the Markdown of each file says. A pointer of Git LFS, which has none, is read as any other file is."""
    root = sandbox.folders[0]
    pointers = {job.path: pointer for job in jobs if (pointer := _read_pointer(sandbox, job, options))}
    files = ((root / on_disk(job.path), job.converted_from) for job in jobs if job.path not in pointers)
    converted = options.converter.convert_files(files, sandbox) if len(pointers) < len(jobs) else iter(())
    for job in jobs:
        if job.path in pointers:
            yield pointers[job.path]
            continue
        file = next(converted)
        markdown, problem = file.conversion.markdown, file.conversion.problem
        reading = resolve.Reading(hashlib.sha256(markdown).hexdigest() if options.hashed else "", len(markdown))
        if file.conversion.is_unread:
            yield Problem(job.path, 0, 0, f"the file {problem}", _UNREADABLE_HINT)
            continue
        if problem:
            flaw = Problem(job.path, 0, 0, f"cannot be converted to Markdown: it {problem}", "exclude it")
            yield replace(reading, problem=flaw)
            continue
        findings = look_up(job.lookups, markdown.decode()[:MAX_FRONT_MATTER], job.path, job.commit_date)
        yield replace(reading, findings=findings, is_blank=not markdown, source=file.source)
    assert next(converted, None) is None  # so that it ends what it began


def _read_pointer(sandbox: Sandbox, job: ReadJob, options: LoadOptions) -> resolve.Reading | None:
    """What a Git LFS pointer says in place of a document; None for any other file."""
    path = sandbox.folders[0] / on_disk(job.path)
    try:
        if path.stat().st_size >= _MAX_POINTER_BYTES or not path.read_bytes().startswith(_LFS_POINTER):
            return None
    except OSError:
        return None  # which is found again when it is converted
    reading = _read_file(sandbox, str(path), job, options)
    if isinstance(reading, Problem) or reading.problem:
        return reading if isinstance(reading, resolve.Reading) else None
    return replace(reading, source=f"{reading.sha256}.{CONVERTER_SET}")


def _read_file(sandbox: Sandbox, path: str, job: ReadJob, options: LoadOptions) -> resolve.Reading | Problem:
    try:
        if reading := _read_once(sandbox, path, job, options) or _read_once(sandbox, path, job, options):
            return reading
        message, hint = "the file changed while it was read, twice", "wait until nothing writes to it"
    except OSError as error:
        message, hint = f"the file cannot be read: {error.strerror}", _UNREADABLE_HINT
    return Problem(job.path, 0, 0, message, hint)


def _read_once(sandbox: Sandbox, path: str, job: ReadJob, options: LoadOptions) -> resolve.Reading | None:
    """Reads what the job asks for; None if the file changed meanwhile. Raises OSError."""
    if not (options.hashed or job.may_have_front_matter):
        return resolve.Reading(findings=look_up(job.lookups, "", job.path, job.commit_date))
    digest, text, pointer = hashlib.sha256(), TextReader(), b""
    with sandbox.open(path) as (file, before):
        left = before.st_size
        while chunk := os.read(file, min(left + 1, _CHUNK_BYTES)):
            if before.st_size < _MAX_POINTER_BYTES and chunk.startswith(_LFS_POINTER):
                pointer = chunk
            left -= len(chunk)
            if job.is_text:
                text.feed(chunk, final=left <= 0)
            if options.hashed:
                digest.update(chunk)
            if left <= 0 or not options.hashed:
                break
    if not is_unchanged(before, os.stat(path)):
        return None
    sha256 = digest.hexdigest() if options.hashed else ""
    if options.checkout and (fields := _LFS_FIELDS.search(pointer)):
        return resolve.Reading(fields[1].decode(), int(fields[2]))
    if pointer:
        problem = Problem(job.path, 0, 0, "is a Git LFS pointer, not the document itself", "run `git lfs pull`")
        return resolve.Reading(sha256, before.st_size, problem=problem)
    if text.flaw:
        problem = Problem(job.path, text.line, min(text.line, 1), text.flaw, "save it as UTF-8")
        return resolve.Reading(sha256, before.st_size, problem=problem)
    head = text.head if job.may_have_front_matter else ""
    is_blank = job.is_text and text.is_blank and left <= 0
    findings = look_up(job.lookups, head, job.path, job.commit_date)
    return resolve.Reading(sha256, before.st_size, findings, is_blank=is_blank)
