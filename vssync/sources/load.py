"""Loads a manifest with the files it names: walks, reads and hashes here; `manifest` decides what it all means."""

from __future__ import annotations

import gc
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType

from vssync.errors import ManifestError, Problem, VssyncError
from vssync.manifest import resolve
from vssync.manifest.build import build_manifest, check_document, declared_variables, resolve_includes
from vssync.manifest.diagnostics import (
    Diagnostic,
    Documents,
    adding_problems,
    did_you_mean,
    locate_diagnostics,
    locate_values,
    raise_if_any,
)
from vssync.manifest.front_matter import FRONT_MATTER_EXTENSIONS, TextReader
from vssync.manifest.globs import Listing, Pattern
from vssync.manifest.lookups import GIT_DATE, Lookup, look_up
from vssync.manifest.select import Selection, find_warnings, select_files
from vssync.manifest.spec import Manifest
from vssync.manifest.yaml_loader import TreePath
from vssync.model.state import Desired, DesiredFile, extension_of
from vssync.providers import TEXT_EXTENSIONS
from vssync.sources.documents import read_document, read_included, read_questions, with_questions
from vssync.sources.git import author_dates
from vssync.sources.paths import ALLOW_HINT, Sandbox, find_work_tree, on_disk, sandbox_around
from vssync.sources.revision import Checkout
from vssync.sources.schemas import load_schema
from vssync.sources.walk import walk_files

MANIFEST_NAME = "vssync.yaml"
MANIFEST_NAMES = (MANIFEST_NAME, "vssync.yml")
_READERS = 4  # threads
_JOBS_PER_TASK = 64  # files that a thread takes at once
_CHUNK_BYTES = 1024 * 1024  # of a file, held in memory
# Git LFS's specification: a pointer file has fewer bytes than this, and begins with this line.
_MAX_POINTER_BYTES, _LFS_POINTER = 1024, b"version https://git-lfs.github.com/spec/v1\n"
_LFS_FIELDS = re.compile(rb"(?m)^oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,15})$")


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """How a manifest and its files are read.

    Without `hashed`, a file is read only if attributes are looked up in it: files have no SHA-256, and a draft or blank
    file is left out only if it is read. `on_hashed` is called with the numbers of files and bytes read so far.

    In a `checkout`, a Git LFS pointer stands for its document. Nobody can fix a manifest that `is_past`, an earlier
    revision's, any more: files with problems are left out, its warnings are these problems, and variables that it does
    not declare are ignored.
    """

    hashed: bool = True
    on_hashed: Callable[[int, int], None] | None = None
    checkout: Checkout | None = None
    is_past: bool = False

    def walk(self, root: Path, patterns: Iterable[Pattern], sandbox: Sandbox) -> Listing:
        """The files below a root that the patterns may match. Raises ManifestError for folders it cannot read."""
        return (self.checkout.walk if self.checkout else walk_files)(str(root), patterns, sandbox)


_EVERYTHING = LoadOptions()


@dataclass(frozen=True, slots=True)
class LoadedManifest:
    """A manifest and the desired state of its files."""

    desired: Desired
    sandbox: Sandbox  # whose first folder is the root
    file: str  # as shown to people
    manifest: Manifest
    warnings: tuple[Problem, ...] = ()
    commit_dates: Mapping[str, str] = field(default_factory=dict)  # by path, of files with an attribute from `git.date`

    @property
    def root(self) -> Path:
        """The real folder that each `DesiredFile.path` is relative to."""
        return self.sandbox.folders[0]


def find_manifest(path: Path) -> Path:
    """The manifest at a path: the file itself, or the `vssync.yaml` (or `.yml`) of a folder.

    Raises ManifestError if there is none, or if a folder has both.
    """
    files = [file for name in MANIFEST_NAMES if (file := path / name).is_file()] if path.is_dir() else [path]
    if len(files) > 1:
        raise ManifestError((Problem(str(path), 0, 0, f"holds {' and '.join(MANIFEST_NAMES)}", "keep one of them"),))
    file = files[0] if files else path / MANIFEST_NAME
    if not file.is_file():
        raise ManifestError((Problem(str(file), 0, 0, "there is no manifest", _manifest_hint(file)),))
    return file


def _manifest_hint(file: Path) -> str:
    """Where the manifest that is looked for may be: beside it under a similar name, or in a folder around it."""
    if similar := did_you_mean(file.name, (path.name for path in file.parent.glob("*.y*ml") if path.is_file())):
        return similar
    folder = file.parent.resolve()
    tree = find_work_tree(folder)
    around = (parent / name for parent in folder.parents if parent.is_relative_to(tree) for name in MANIFEST_NAMES)
    if found := next((path for path in around if path.is_file()), None):
        return f"did you mean `-f {os.path.relpath(found)}`?"
    return "`vssync init` writes one; -f says where yours is"


@contextmanager
def without_collector() -> Iterator[None]:
    """For many objects and no cycles: with 100,000 files, the collector would take up to half of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@without_collector()
def load_sources(
    path: Path,
    *,
    env: str | None = None,
    variables: Mapping[str, str] = MappingProxyType({}),
    allow_outside: tuple[Path, ...] = (),
    allow_large: bool = False,
    options: LoadOptions = _EVERYTHING,
) -> LoadedManifest:
    """Reads a manifest and the files it names, resolved for one environment.

    Raises ManifestError with every problem of the manifest and its files, except those that may only follow from
    another.
    """
    file = find_manifest(path)
    sandbox = sandbox_around(file.parent, allow_outside, allow_large=allow_large)
    if not sandbox.allows(file):
        raise ManifestError((Problem(str(file), 0, 0, f"the manifest {sandbox.way_out}", ALLOW_HINT),))
    manifest = _load_manifest(file, sandbox, env, variables, options)
    with adding_problems(manifest.problems):
        root = _find_root(manifest, file, sandbox, options.checkout)
        inner = sandbox.around(root)
        listing = options.walk(root, manifest.patterns, inner)
    selections, selection_problems = select_files(manifest, listing)
    options = replace(options, hashed=options.hashed and not manifest.problems)
    with adding_problems((*manifest.problems, *selection_problems)):
        commit_dates = _commit_dates(manifest, root, selections)
    jobs = _read_jobs(selections, options.hashed, commit_dates)
    readings, read_problems = _read_files(inner, jobs, options)
    asking = replace(manifest, stores=()) if options.is_past else manifest  # nobody asks the questions of the past
    questions, question_problems = read_questions(asking, file.parent, sandbox, options.checkout)
    problems = (*manifest.problems, *selection_problems, *read_problems, *question_problems)
    with adding_problems(problems):
        desired, warnings = resolve.resolve_desired(manifest, selections, readings, is_past=options.is_past)
    if manifest.problems or (problems and not options.is_past):
        raise ManifestError(problems)
    desired, question_warnings = with_questions(desired, questions)
    found = problems if options.is_past else find_warnings(manifest, selections, listing)
    warnings = (*found, *warnings, *question_warnings)
    return LoadedManifest(desired, inner, str(file), manifest, warnings, commit_dates)


def locate_value(loaded: LoadedManifest, path: TreePath) -> str:
    """Where one value is written, as people read it: vssync.yaml:12:11."""
    return str(locate_values(loaded.manifest.documents, (path,))[path])


def file_provenance(loaded: LoadedManifest, store_key: str, file: DesiredFile) -> Mapping[str, resolve.Provenance]:
    """For each part of a file (`attributes.lang`), where it is written and looked up.

    Raises ManifestError if the file can no longer be read.
    """
    lookups = resolve.lookups_to_trace(loaded.manifest, store_key, file)
    jobs = [_read_job(file.path, file.filename, lookups, loaded.commit_dates)] if lookups else []
    readings, problems = _read_files(loaded.sandbox, jobs, LoadOptions(hashed=False))
    if problems:
        raise ManifestError(problems)
    looked_up = readings[file.path].findings.values if jobs else {}
    return resolve.trace_provenance(loaded.manifest, store_key, file, looked_up)


def read_documents(root: Path, lookups: Mapping[str, frozenset[Lookup]]) -> dict[str, resolve.Reading]:
    """What these files below a root say, by path; files that cannot be read are left out."""
    jobs = [_read_job(path, path, each, {}) for path, each in lookups.items()]
    return _read_files(Sandbox((root,)), jobs, _EVERYTHING)[0]


def _load_manifest(
    file: Path, sandbox: Sandbox, env: str | None, variables: Mapping[str, str], options: LoadOptions
) -> Manifest:
    """The manifest in this file and the files that it includes, which are read in the order of their paths."""
    schema = load_schema("manifest.schema.json")
    main = check_document(read_document(file, str(file), sandbox), schema)
    folder = Path(os.path.realpath(file.parent))
    with adding_problems(main.problems):
        if options.is_past:
            variables = {name: variables[name] for name in declared_variables(main) & variables.keys()}
        patterns = resolve_includes(main, env, variables)
        listing = options.walk(folder, patterns.values(), sandbox)
        matches = {path: [file for _, file in listing.chosen_by(pattern)] for path, pattern in patterns.items()}
        unmatched = [Diagnostic(path, "the pattern matches no file") for path, files in matches.items() if not files]
        raise_if_any(Documents(main), unmatched)
        distinct = {file.path: file for files in matches.values() for file in files}
        included = read_included(main, folder, schema, [file for _, file in sorted(distinct.items())], sandbox)
    return build_manifest(Documents(main, included), schema, env, variables)


def _find_root(manifest: Manifest, file: Path, sandbox: Sandbox, checkout: Checkout | None) -> Path:
    """The folder that all paths are relative to. Raises ManifestError unless it exists inside the sandbox."""
    written = on_disk(manifest.root)
    root = None if "\0" in written else Path(os.path.realpath(file.parent / written))
    if root and checkout:
        root = checkout.real_root(root, file.parent, written)
    if root and not sandbox.allows(root):
        message = f"the root `{manifest.root}` lies outside of {sandbox.folders[0]}, or in its .git or .vssync"
        hint = ALLOW_HINT
    elif not root or not os.path.isdir(root):
        message, hint = f"the root `{manifest.root}` is not a folder", "paths start there; name a folder that exists"
    else:
        return root
    raise ManifestError(locate_diagnostics(manifest.documents, [Diagnostic(("root",), message, hint)]))


def _commit_dates(manifest: Manifest, root: Path, selections: tuple[Selection, ...]) -> Mapping[str, str]:
    """By path, the date of the last commit of each file that has an attribute from `git.date`.

    Raises ManifestError if git cannot be asked.
    """
    files = [
        file
        for selection in selections
        for file in selection.files
        if file.disk_file and any(GIT_DATE in lookup.sources for lookup in file.settings.lookups)
    ]
    try:
        return author_dates(root, [file.disk_file.path for file in files if file.disk_file]) if files else {}
    except VssyncError as error:
        attributes = ((layer.path, *each) for layer in files[0].settings.layers for each in layer.attributes.items())
        path = next(
            (*path, "attributes", name)
            for path, name, value in attributes
            if isinstance(value, Lookup) and GIT_DATE in value.sources
        )
        raise_if_any(manifest.documents, [Diagnostic(path, f"`git.date`: {error}")])
        raise


@dataclass(frozen=True, slots=True)
class _ReadJob:
    """A file to read: its path below the root, and what is looked up in it."""

    path: str
    lookups: frozenset[Lookup] = frozenset()
    is_text: bool = False  # it must be text that services can read
    may_have_front_matter: bool = False  # front matter and headings are looked for
    commit_date: str = ""


def _read_jobs(
    selections: tuple[Selection, ...], hashed: bool, commit_dates: Mapping[str, str]
) -> tuple[_ReadJob, ...]:
    """One job for each file that must be read, for all stores; without `hashed`, only files with lookups."""
    jobs: dict[str, _ReadJob] = {}
    for file in (file for selection in selections for file in selection.files):
        lookups = resolve.lookups_in(file)
        if file.disk_file and (lookups or hashed):
            job = _read_job(file.disk_file.path, file.filename, lookups, commit_dates)
            if earlier := jobs.get(job.path):
                job = replace(
                    job,
                    lookups=job.lookups | earlier.lookups,
                    is_text=job.is_text or earlier.is_text,
                    may_have_front_matter=job.may_have_front_matter or earlier.may_have_front_matter,
                )
            jobs[job.path] = job
    return tuple(jobs.values())


def _read_job(path: str, filename: str, lookups: frozenset[Lookup], commit_dates: Mapping[str, str]) -> _ReadJob:
    """How to read a file: as text, or for front matter, if its name or its upload name has such an extension."""
    extensions = {extension_of(path), extension_of(filename)}
    is_text, may_have_fields = bool(extensions & TEXT_EXTENSIONS), bool(extensions & FRONT_MATTER_EXTENSIONS)
    return _ReadJob(path, lookups, is_text, may_have_fields, commit_dates.get(path, ""))


def _read_files(
    sandbox: Sandbox, jobs: Sequence[_ReadJob], options: LoadOptions
) -> tuple[dict[str, resolve.Reading], tuple[Problem, ...]]:
    """What was read below the sandbox's first folder, by path, and the problems of the files that could not be."""
    readings: dict[str, resolve.Reading] = {}
    problems: list[Problem] = []
    total_bytes = 0
    for count, (job, result) in enumerate(zip(jobs, _read_all(sandbox, jobs, options), strict=True), 1):
        if isinstance(result, Problem):
            problems.append(result)
        else:
            readings[job.path] = result
            total_bytes += result.size
        if options.on_hashed:
            options.on_hashed(count, total_bytes)
    return readings, tuple(problems)


def _read_all(sandbox: Sandbox, jobs: Sequence[_ReadJob], options: LoadOptions) -> Iterator[resolve.Reading | Problem]:
    folder = str(sandbox.folders[0])

    def read(job: _ReadJob) -> resolve.Reading | Problem:
        return _read_file(sandbox, f"{folder}/{on_disk(job.path)}", job, options)

    if len(jobs) < _JOBS_PER_TASK:
        yield from map(read, jobs)
        return
    groups = [jobs[start : start + _JOBS_PER_TASK] for start in range(0, len(jobs), _JOBS_PER_TASK)]
    with ThreadPoolExecutor(_READERS, "vssync-read") as threads:
        yield from chain.from_iterable(threads.map(lambda group: [*map(read, group)], groups))


def _read_file(sandbox: Sandbox, path: str, job: _ReadJob, options: LoadOptions) -> resolve.Reading | Problem:
    try:
        if reading := _read_once(sandbox, path, job, options) or _read_once(sandbox, path, job, options):
            return reading
        message, hint = "the file changed while it was read, twice", "wait until nothing writes to it"
    except OSError as error:
        message, hint = f"the file cannot be read: {error.strerror}", "make it readable, or leave it out"
    return Problem(job.path, 0, 0, message, hint)


def _read_once(sandbox: Sandbox, path: str, job: _ReadJob, options: LoadOptions) -> resolve.Reading | None:
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
    after = os.stat(path)
    if (before.st_size, before.st_mtime_ns, before.st_ino) != (after.st_size, after.st_mtime_ns, after.st_ino):
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
