"""Reads manifests and the files they name. A shell: it walks, reads and hashes; what it finds is judged in `manifest`.

Nothing is read outside the git work tree of the manifest unless the person who runs vssync allows it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vssync.errors import ManifestError, Problem
from vssync.manifest import explain
from vssync.manifest.build import build_manifest, check_document, resolve_includes
from vssync.manifest.diagnostics import Diagnostic, TreePath, collect_with
from vssync.manifest.globs import compile_pattern, pattern_problem
from vssync.manifest.resolve import resolve_desired, wanted_fields
from vssync.manifest.select import Selection, select_files
from vssync.manifest.source_map import Documents, SourceLocation, find_locations, locate_diagnostics
from vssync.manifest.spec import Manifest
from vssync.manifest.yaml_loader import Document, parse_document
from vssync.model.state import Desired, DesiredFile
from vssync.sources.read import ReadJob, read_files
from vssync.sources.sandbox import Sandbox, sandbox_around
from vssync.sources.schemas import load_schema
from vssync.sources.walk import walk_files

MANIFEST_NAME = "vssync.yaml"
_READERS = 4  # threads
_ALLOW = "the person who runs vssync can say --allow-outside DIR"
NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LoadedManifest:
    """A manifest and everything it says of its files.

    `root` is absolute, and `DesiredFile.path` relative to it; `file` is the manifest's name as shown to people.
    """

    desired: Desired
    root: Path
    file: str
    manifest: Manifest


def find_manifest(path: Path) -> Path:
    """A manifest's file, or the `vssync.yaml` of a folder. Raises ManifestError where there is none."""
    found = path / MANIFEST_NAME if path.is_dir() else path
    if not found.is_file():
        hint = "`vssync init` writes one; -f says where yours is"
        raise ManifestError((Problem(str(found), 0, 0, "there is no manifest", hint),))
    return found


def load_sources(
    path: Path,
    *,
    env: str | None = None,
    variables: Mapping[str, str] = NO_VARIABLES,
    allow_outside: tuple[Path, ...] = (),
    hashed: bool = True,
    on_hashed: Callable[[int, int], None] | None = None,
) -> LoadedManifest:
    """Reads a manifest and the files it names, resolved for one environment.

    Without `hashed`, files are found and their sizes known, and no SHA-256. `on_hashed` is told how many files and
    bytes are done. Raises ManifestError with every problem of the manifest and its files, but those that cannot be told
    from what follows from another.
    """
    found = find_manifest(path)
    folder = Path(os.path.realpath(found.parent))
    fence = _sandbox(found, allow_outside)
    manifest = _manifest(found, folder, fence, env, variables)
    with collect_with(manifest.problems):
        root = _root(manifest, folder, fence)
        listing = walk_files(str(root), manifest.patterns, fence.within(root))
    chosen, unfit = select_files(manifest, listing)
    hashed = hashed and not (manifest.problems or unfit)
    jobs = _jobs(chosen, hashed)
    readings, unread = read_files(str(root), jobs, hashed=hashed, workers=_READERS, progress=on_hashed)
    problems = (*manifest.problems, *unfit, *unread)
    with collect_with(problems):
        desired = resolve_desired(manifest, chosen, readings)
    if problems:
        raise ManifestError(problems)
    return LoadedManifest(desired, root, str(found), manifest)


def locate_values(loaded: LoadedManifest, paths: Collection[TreePath]) -> dict[TreePath, SourceLocation]:
    """Where values of the resolved manifest are written; one pass over its files for all of them."""
    return find_locations(loaded.manifest.documents, paths)


def locate_value(loaded: LoadedManifest, path: TreePath) -> str:
    """Where one value is written, as people read it: vssync.yaml:12:11."""
    return str(locate_values(loaded, (path,))[path])


def file_provenance(loaded: LoadedManifest, store: str, file: DesiredFile) -> Mapping[str, TreePath | None]:
    """By part of a file (`attributes.lang`), the manifest's path that gave it, for `places`; None: front matter."""
    lifted = explain.front_matter_fields(loaded.manifest, store, file)
    jobs = [ReadJob(file.path, lifted)] if lifted else []
    readings, problems = read_files(str(loaded.root), jobs, hashed=False, workers=1)
    if problems:
        raise ManifestError(problems)
    return explain.provenance(loaded.manifest, store, file, readings[file.path].fields if jobs else {})


def _sandbox(found: Path, allowed: tuple[Path, ...]) -> Sandbox:
    """What may be read; the manifest itself lies inside, or the person who runs this has allowed where it is."""
    fence = sandbox_around(found.parent, allowed)
    if fence.holds(found):
        return fence
    message = f"the manifest leads by a link out of {fence.folders[0]}, or into its .git or .vssync"
    raise ManifestError((Problem(str(found), 0, 0, message, _ALLOW),))


def _manifest(found: Path, folder: Path, fence: Sandbox, env: str | None, variables: Mapping[str, str]) -> Manifest:
    """The manifest of a file and those it includes."""
    form = load_schema("manifest.schema.json")
    main = check_document(_document(found, str(found)), form)
    with collect_with(main.problems):
        included = _included(main, folder, fence, form, resolve_includes(main, env, variables))
    return build_manifest(Documents(main, included), form, env, variables)


def _document(file: Path, shown: str) -> Document:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ManifestError((Problem(shown, line, 1, "the manifest is not UTF-8 text", "save it as UTF-8"),)) from None
    except OSError as error:
        raise ManifestError((Problem(shown, 0, 0, f"the manifest cannot be read: {error.strerror}"),)) from None
    return parse_document(text, shown)


def _included(
    main: Document, folder: Path, fence: Sandbox, form: Mapping[str, Any], patterns: tuple[tuple[TreePath, str], ...]
) -> tuple[Document, ...]:
    """The files that `include` names, in the order of their names; every problem in them at once."""
    faults = [
        Diagnostic(path, f"`{text}` {flaw[0]}", flaw[1]) for path, text in patterns if (flaw := pattern_problem(text))
    ]
    _raise(main, faults)
    compiled = [(path, compile_pattern(text)) for path, text in patterns]
    listing = walk_files(str(folder), [pattern for _, pattern in compiled], fence)
    matched = {path: [found for _, found in listing.matching(pattern)] for path, pattern in compiled}
    _raise(main, [Diagnostic(path, "the pattern matches no file") for path, found in matched.items() if not found])
    shown = os.path.dirname(main.file)
    documents: dict[str, Document] = {}
    problems: list[Problem] = []
    for found in sorted((file for files in matched.values() for file in files), key=lambda file: file.path):
        name = os.path.join(shown, found.path)
        if found.trouble:
            problems.append(Problem(name, 0, 0, found.trouble))
        elif name != main.file and name not in documents:
            try:
                documents[name] = check_document(_document(folder / found.path, name), form, "included")
            except ManifestError as error:
                problems += error.problems
    if problems:
        raise ManifestError((*problems, *(problem for found in documents.values() for problem in found.problems)))
    return tuple(documents.values())


def _raise(main: Document, faults: list[Diagnostic]) -> None:
    if faults:
        raise ManifestError(locate_diagnostics(Documents(main), faults))


def _root(manifest: Manifest, folder: Path, fence: Sandbox) -> Path:
    """The manifest's root, which must be a folder inside the fence."""
    root = None if "\0" in manifest.root else Path(os.path.realpath(folder / manifest.root))
    if root is not None and not fence.holds(root):
        message = f"the root `{manifest.root}` lies outside of {fence.folders[0]}, or in its .git or .vssync"
        fault = Diagnostic(("root",), message, _ALLOW)
    elif root is None or not os.path.isdir(root):
        fault = Diagnostic(
            ("root",), f"the root `{manifest.root}` is no folder", "paths start at it; name one that exists"
        )
    else:
        return root
    raise ManifestError(locate_diagnostics(manifest.documents, (fault,)))


def _jobs(chosen: tuple[Selection, ...], hashed: bool) -> tuple[ReadJob, ...]:
    """What to read, each file once."""
    fields: dict[str, frozenset[str]] = {}
    for choice in (choice for one in chosen for choice in one.choices):
        wanted = wanted_fields(choice)
        if choice.found and (wanted or hashed):
            known = fields.get(choice.found.path)
            fields[choice.found.path] = known | wanted if known else wanted
    return tuple(ReadJob(path, wanted) for path, wanted in fields.items())
