"""Compares the manifest and its files with those of a git revision, without a service or a credential."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

from vssync.commands.plan import options_of, with_sources
from vssync.commands.session import Settings, load_manifest
from vssync.errors import ManifestError, Problem, VssyncError
from vssync.model.plan import Options, Plan, Reason
from vssync.model.state import DesiredFile
from vssync.planner.against import DocumentChange, ManifestComparison, compare_manifests
from vssync.sources.load import MANIFEST_NAMES, LoadedManifest, find_manifest, load_sources, without_collector
from vssync.sources.paths import from_disk
from vssync.sources.read import LoadOptions
from vssync.sources.revision import Checkout, checked_out, resolve_revision
from vssync.text import count_noun

_MAX_DOCUMENTS = 20  # converted ones of which reviewers see the text
_MAX_TEXT = 200_000  # bytes, so that no comparison of two texts takes long
_TEXT_CHANGED = frozenset((Reason.CONTENT_CHANGED, Reason.CONVERTER_CHANGED))


def compare_with_revision(
    settings: Settings,
    options: Options,
    against: str,
    at: str = "",
    *,
    load: Callable[[Settings], LoadedManifest] = load_manifest,
) -> ManifestComparison:
    """What changes from the revision `against` to the work tree, which `load` loads, or to the revision `at`.

    Raises VssyncError for a revision that is not there or cannot be read, and what `load` and `make_plan` raise. What
    is wrong with the earlier manifest is a note: a change that fixes it must not fail.
    """
    path = Path(settings.manifest)
    revision = resolve_revision(path if path.is_dir() else path.parent, against)
    with _loaded_after(settings, at, load) as (file, loaded, later):
        options, words = options_of(settings, options), ("--against", against, *(("--at", at) if at else ()))
        options = replace(options, session_options=(*options.session_options, *words))
        with checked_out(file.parent, revision) as checkout:
            before, notes = _load_before(settings, file, checkout)
            with without_collector():
                revisions = (revision, later.revision if later else None)
                comparison = compare_manifests(before.desired if before else None, loaded.desired, options, revisions)
            documents = tuple(_document_changes(comparison.plan, before, loaded)) if before else ()
        plan = with_sources(comparison.plan, loaded)
    if later:
        named = (replace(each, way_out=tuple(map(later.name_in, each.way_out))) for each in plan.refusals)
        plan = replace(plan, refusals=tuple(named))
        notes = tuple(dict.fromkeys((*notes, *later.all_notes)))
    return replace(comparison, plan=plan, notes=notes, documents=documents)


def _document_changes(plan: Plan, before: LoadedManifest, after: LoadedManifest) -> Iterator[DocumentChange]:
    """The first of the converted documents whose text changed, with both texts, unless these are long."""
    earlier = {(store.key, file.key): file for store in before.desired.stores for file in store.files if file.source}
    pairs = (
        (store.key, change, earlier.get((store.key, change.was or change.key)))
        for store in plan.stores
        for change in store.files
        if change.desired and change.desired.source and not _TEXT_CHANGED.isdisjoint(change.reasons)
    )
    readable = (
        (key, old, change.desired)
        for key, change, old in pairs
        if old and change.desired and max(old.size, change.desired.size) <= _MAX_TEXT
    )
    for key, old, new in islice(readable, _MAX_DOCUMENTS):
        with suppress(OSError, VssyncError):  # it went meanwhile, and is shown as changed all the same
            yield DocumentChange(key, new.key, _read_text(before, old), _read_text(after, new))


def _read_text(loaded: LoadedManifest, file: DesiredFile) -> str:
    with loaded.contents.open(file) as handle:
        return handle.read().decode()


@contextmanager
def _loaded_after(
    settings: Settings, at: str, load: Callable[[Settings], LoadedManifest]
) -> Iterator[tuple[Path, LoadedManifest, Checkout | None]]:
    """The later manifest and its file, and where both are if that is not the work tree, while they are there."""
    path = Path(settings.manifest)
    if not at:
        yield find_manifest(path), load(settings), None
        return
    file = path / MANIFEST_NAMES[0] if path.is_dir() else path  # the work tree need not have it
    with checked_out(file.parent, resolve_revision(file.parent, at)) as checkout:
        loaded = _load_at(settings, file, checkout, is_past=False)
        if not loaded:
            raise VssyncError(f"{at}: has no manifest here; compare it with another revision, or name one by -f")
        yield file, loaded, checkout


def _load_before(settings: Settings, file: Path, checkout: Checkout) -> tuple[LoadedManifest | None, tuple[str, ...]]:
    """The earlier manifest as far as it can be read, and notes on what cannot be."""
    name = checkout.revision.name
    try:
        loaded = _load_at(settings, file, checkout, is_past=True)
    except ManifestError as error:
        flaw = f"the manifest of {name} cannot be used, so everything counts as new: {_first_of(error.problems)}"
        return None, (flaw, *checkout.all_notes)
    if loaded is None:
        return None, (f"{name} has no manifest here, so everything counts as new",)
    if not loaded.warnings:
        return loaded, checkout.all_notes
    flaw = f"not every file of {name} can be read, and those count as new: {_first_of(loaded.warnings)}"
    return loaded, (flaw, *checkout.all_notes)


def _load_at(settings: Settings, file: Path, checkout: Checkout, *, is_past: bool) -> LoadedManifest | None:
    """What the manifest of this file was as of a revision; None where there was none.

    Raises ManifestError and VssyncError.
    """
    inner = Path(os.path.realpath(file.parent)).relative_to(checkout.tree)
    names = MANIFEST_NAMES if file.name in MANIFEST_NAMES else (file.name,)
    checkout.write(from_disk((inner / name).as_posix()) for name in names)
    files = [file for name in names if (file := checkout.folder / inner / name).is_file()]
    if not files:
        return None
    try:
        loaded = load_sources(
            files[0],
            env=settings.env,
            variables=settings.variables,
            allow_outside=settings.allow_outside,
            allow_large=settings.allow_large,
            options=LoadOptions(checkout=checkout, is_past=is_past, converter=settings.converter),
        )
    except ManifestError as error:
        raise ManifestError(_renamed(checkout, error.problems)) from None
    return replace(loaded, warnings=_renamed(checkout, loaded.warnings))


def _renamed(checkout: Checkout, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """The problems, with files named as git names those of a revision: `main:docs/a.md`."""
    return tuple(
        replace(problem, file=checkout.name_in(problem.file), message=checkout.name_in(problem.message))
        for problem in problems
    )


def _first_of(problems: tuple[Problem, ...]) -> str:
    """One problem of several, on one line."""
    first, *others = sorted(set(problems))
    more = f" (and {count_noun(len(others), 'more problem')})" if others else ""
    return " ".join(str(replace(first, hint="")).split()) + more
