"""Compares the manifest and its files with those of a git revision, without a service or a credential."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vssync.commands.plan import options_of, with_sources
from vssync.commands.session import Settings, load_manifest
from vssync.errors import ManifestError, Problem, VssyncError
from vssync.model.plan import Options
from vssync.planner.against import ManifestComparison, compare_manifests
from vssync.sources.load import (
    MANIFEST_NAMES,
    LoadedManifest,
    LoadOptions,
    find_manifest,
    load_sources,
    without_collector,
)
from vssync.sources.paths import from_disk
from vssync.sources.revision import Checkout, checked_out, resolve_revision
from vssync.text import count_noun


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
        with checked_out(file.parent, revision) as checkout:
            before, notes = _load_before(settings, file, checkout)
        desired, options = before.desired if before else None, options_of(settings, options)
        words = ("--against", against, *(("--at", at) if at else ()))
        options = replace(options, session_options=(*options.session_options, *words))
        with without_collector():
            revisions = (revision, later.revision if later else None)
            comparison = compare_manifests(desired, loaded.desired, options, revisions)
        plan = with_sources(comparison.plan, loaded)
    if later:
        named = (replace(each, way_out=tuple(map(later.name_in, each.way_out))) for each in plan.refusals)
        plan = replace(plan, refusals=tuple(named))
        notes = tuple(dict.fromkeys((*notes, *later.all_notes)))
    return replace(comparison, plan=plan, notes=notes)


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
            options=LoadOptions(checkout=checkout, is_past=is_past),
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
