"""Making a plan, keeping it, and making it again before it is applied."""

from __future__ import annotations

import gc
import gzip
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vssync import planfile
from vssync.commands.session import Session, Settings
from vssync.commands.snapshot import read_snapshot
from vssync.errors import Refused, VssyncError
from vssync.manifest.diagnostics import TreePath
from vssync.manifest.explain import provenance
from vssync.model.plan import Options, Plan, Refusal
from vssync.model.state import DesiredStore, Snapshot
from vssync.planner.assemble import make_plan
from vssync.sources.load import LoadedManifest, locate_values
from vssync.sources.write import write_file
from vssync.staleness import check_stale, replaced_since


def read_live(work: Session, options: Options) -> Snapshot:
    """One complete reading of everything the manifest concerns."""
    return read_snapshot(work.client, work.loaded.desired, options, work.pool, now=int(time.time()))


def make_plan_now(work: Session, options: Options) -> Plan:
    """What differs between the manifest and the service, refusals included."""
    given = work.settings
    recorded = replace(
        options,
        manifest=Path(given.manifest).as_posix(),
        env=given.env or "",
        variables=tuple(sorted(given.variables.items())),
    )
    return _made(work, recorded, read_live(work, recorded))


def _made(work: Session, options: Options, live: Snapshot, fulfilled: frozenset[tuple[str, str]] = frozenset()) -> Plan:
    with _uncollected():
        made = make_plan(work.loaded.desired, live, options, work.capabilities, fulfilled)
    return with_source_locations(made, work.loaded)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Plans are many objects and no cycles: of 100,000 files the collector would take a fifth of the time, or half."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def load_plan(path: Path) -> Plan:
    """A saved plan.

    Raises VssyncError when it cannot be read.
    """
    try:
        data = path.read_bytes()
        with _uncollected():
            return planfile.load((gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8"))
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise VssyncError(f"{path}: is not a plan: its name ends in .gz, and its content is not gzip") from error
    except OSError as error:
        raise VssyncError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise VssyncError(f"{path}: is not a plan: not UTF-8 text") from error
    except VssyncError as error:
        raise VssyncError(f"{path}: {error}") from error


def save_plan(planned: Plan, path: Path) -> None:
    """Writes a plan whole or not at all, compressed when the name ends in `.gz`."""
    try:
        write_file(path, planfile.dump_lines(planned))
    except OSError as error:
        raise VssyncError(f"{path}: cannot be written: {error.strerror}") from error


def settings_of_plan(saved: Plan, given: Settings) -> Settings:
    """The settings under which a saved plan was made."""
    options = saved.options
    return replace(given, manifest=options.manifest or ".", env=options.env or None, variables=dict(options.variables))


def replan(work: Session, saved: Plan) -> Plan:
    """The plan as of now, when it holds nothing that the saved one did not, and nothing done of it already.

    Raises Refused, naming what moved, when it does.
    """
    options = saved.options
    live = read_live(work, options)
    fresh = _made(work, options, live)
    if done := replaced_since(saved, fresh):
        fresh = _made(work, options, live, done)
    if moved := check_stale(saved, fresh):
        lines = "\n".join(f"  {line}" for line in moved)
        raise Refused(f"The plan is stale: something moved since it was made.\n{lines}\nPlan again.")
    return fresh


_SHOWN = 5  # entries of one store


def with_source_locations(plan: Plan, loaded: LoadedManifest) -> Plan:
    """The plan whose refusals say where the store's files are chosen, and how many are found today."""
    stores = {store.key: store for store in loaded.desired.stores}
    refusals = [_placed(refusal, stores.get(refusal.store), loaded) for refusal in plan.refusals]
    return replace(plan, refusals=tuple(refusals))


def _placed(refusal: Refusal, store: DesiredStore | None, loaded: LoadedManifest) -> Refusal:
    if store is None:
        return refusal
    spec = next(spec for spec in loaded.manifest.stores if spec.settings.key == store.key)
    chosen = Counter(provenance(loaded.manifest, store.key, file, {})["file"] for file in store.files)
    patterns = {entry.layer.path: entry.pattern.text for entry in spec.entries if entry.pattern is not None}
    shown: list[TreePath] = sorted(patterns, key=lambda path: chosen[path])[:_SHOWN]
    places = locate_values(loaded, shown)
    lines = [f"{places[path]} {patterns[path]} matches {_files(chosen[path])} today." for path in sorted(shown)]
    if (more := len(patterns) - len(shown)) > 0:
        lines.append(
            f"{more:,} more entries match {_files(sum(chosen.values()) - sum(chosen[path] for path in shown))}."
        )
    return replace(refusal, way_out=(*lines, *refusal.way_out))


def _files(count: int) -> str:
    return f"{count:,} {'file' if count == 1 else 'files'}"
