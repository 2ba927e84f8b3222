"""Loads a manifest with the files it names: walks, reads and hashes here; `manifest` decides what it all means."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from vssync.errors import ManifestError, Problem, VssyncError
from vssync.files import describe_path
from vssync.manifest import resolve
from vssync.manifest.build import build_manifest, check_document, declared_variables, resolve_includes
from vssync.manifest.diagnostics import (
    Diagnostic,
    Documents,
    adding_problems,
    did_you_mean,
    find_source_locations,
    locate_diagnostics,
    raise_if_any,
)
from vssync.manifest.lookups import GIT_DATE, Lookup
from vssync.manifest.select import Selection, find_warnings, select_files
from vssync.manifest.spec import Manifest
from vssync.manifest.yaml_loader import TreePath
from vssync.model.state import Desired, DesiredFile
from vssync.sources.convert import Converter, FileContents
from vssync.sources.documents import read_document, read_included, read_questions, with_questions
from vssync.sources.git import author_dates
from vssync.sources.paths import ALLOW_HINT, Sandbox, find_work_tree, on_disk, sandbox_around
from vssync.sources.read import EVERYTHING, LoadOptions, read_files, read_job, read_jobs
from vssync.sources.schemas import load_schema

if TYPE_CHECKING:
    from vssync.sources.revision import Checkout

MANIFEST_NAME = "vssync.yaml"
MANIFEST_NAMES = (MANIFEST_NAME, "vssync.yml")


@dataclass(frozen=True, slots=True)
class LoadedManifest:
    """A manifest and the desired state of its files."""

    desired: Desired
    sandbox: Sandbox  # whose first folder is the root
    file: str  # as shown to people
    manifest: Manifest
    warnings: tuple[Problem, ...] = ()
    commit_dates: Mapping[str, str] = field(default_factory=dict)  # by path, of files with an attribute from `git.date`
    converter: Converter = field(default_factory=Converter)

    @property
    def root(self) -> Path:
        """The real folder that each `DesiredFile.path` is relative to."""
        return self.sandbox.folders[0]

    @property
    def without_files(self) -> LoadedManifest:
        """The same stores as if they declared no files, for what is decided about a store whatever it holds."""
        stores = tuple(replace(store, files=(), skipped={}) for store in self.desired.stores)
        return replace(self, desired=replace(self.desired, stores=stores))

    @property
    def contents(self) -> FileContents:
        """The bytes that its files are uploaded as."""
        return FileContents(self.root, self.converter)


def find_manifest(path: Path) -> Path:
    """The manifest at a path: the file itself, or the `vssync.yaml` (or `.yml`) of a folder.

    Raises ManifestError if there is none, or if a folder has both.
    """
    files = [file for name in MANIFEST_NAMES if (file := path / name).is_file()] if path.is_dir() else [path]
    if len(files) > 1:
        raise ManifestError((Problem(str(path), 0, 0, f"holds {' and '.join(MANIFEST_NAMES)}", "keep one of them"),))
    file = files[0] if files else path / MANIFEST_NAME
    if not file.is_file():
        kind = describe_path(file)
        what = f"is {kind}, not a manifest" if kind else "there is no manifest"
        raise ManifestError((Problem(str(file), 0, 0, what, _manifest_hint(file)),))
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
    options: LoadOptions = EVERYTHING,
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
    is_read, options = options.hashed, replace(options, hashed=options.hashed and not manifest.problems)
    with adding_problems((*manifest.problems, *selection_problems)):
        commit_dates = _commit_dates(manifest, root, selections) if is_read else {}
    jobs = read_jobs(selections, options.hashed, commit_dates) if is_read else ()
    readings, read_problems = read_files(inner, jobs, options)
    asking = replace(manifest, stores=()) if options.is_past else manifest  # nobody asks the questions of the past
    questions, question_problems = read_questions(asking, file.parent, sandbox, options.checkout)
    problems = (*manifest.problems, *selection_problems, *read_problems, *question_problems)
    with adding_problems(problems):
        found = readings if is_read else None
        desired, warnings = resolve.resolve_desired(manifest, selections, found, is_past=options.is_past)
    if manifest.problems or (problems and not options.is_past):
        raise ManifestError(problems)
    desired, question_warnings = with_questions(desired, questions if is_read else {})
    own_warnings = problems if options.is_past else find_warnings(manifest, selections, listing)
    warnings = (*own_warnings, *warnings, *question_warnings)
    return LoadedManifest(desired, inner, str(file), manifest, warnings, commit_dates, options.converter)


def find_source_location(loaded: LoadedManifest, path: TreePath) -> str:
    """Where one value is written, as people read it: vssync.yaml:12:11."""
    return str(find_source_locations(loaded.manifest.documents, (path,))[path])


def file_provenance(loaded: LoadedManifest, store_key: str, file: DesiredFile) -> Mapping[str, resolve.Provenance]:
    """For each part of a file (`attributes.lang`), where it is written and looked up.

    Raises ManifestError if the file can no longer be read.
    """
    lookups = resolve.lookups_to_trace(loaded.manifest, store_key, file)
    to_read = (file.path, loaded.converter.extension_for(file) if file.source else "")
    jobs = [read_job(to_read, file.filename, lookups, loaded.commit_dates)] if lookups else []
    readings, problems = read_files(loaded.sandbox, jobs, LoadOptions(hashed=False, converter=loaded.converter))
    if problems:
        raise ManifestError(problems)
    looked_up = readings[to_read].findings.values if jobs else {}
    return resolve.trace_provenance(loaded.manifest, store_key, file, looked_up)


def read_documents(root: Path, lookups: Mapping[str, frozenset[Lookup]]) -> dict[str, resolve.Reading]:
    """What these files below a root say, by path; files that cannot be read are left out."""
    jobs = [read_job((path, ""), path, each, {}) for path, each in lookups.items()]
    return {path: reading for (path, _), reading in read_files(Sandbox((root,)), jobs, EVERYTHING)[0].items()}


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
