"""Making a plan, keeping it, and making it again before it is applied."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vssync import planfile, sources
from vssync.errors import Refused, VssyncError
from vssync.model import Snapshot
from vssync.observe import observe
from vssync.plan import Options, Plan
from vssync.planner import make_plan
from vssync.settings import Settings
from vssync.workflow.evidence import placed
from vssync.workflow.work import Work


def look(work: Work, options: Options) -> Snapshot:
    """One complete reading of everything the manifest concerns."""
    return observe(work.client, work.loaded.desired, options, work.pool, now=int(time.time()))


def plan(work: Work, options: Options) -> Plan:
    """What differs between the manifest and the service, refusals included."""
    given = work.settings
    recorded = replace(
        options,
        manifest=Path(given.manifest).as_posix(),
        env=given.env or "",
        variables=tuple(sorted(given.variables.items())),
    )
    return _made(work, recorded, look(work, recorded))


def _made(work: Work, options: Options, live: Snapshot, fulfilled: frozenset[tuple[str, str]] = frozenset()) -> Plan:
    with _uncollected():
        made = make_plan(work.loaded.desired, live, options, work.capabilities, fulfilled)
    return placed(made, work.loaded)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Planning makes many objects and no cycles: with 100,000 files the collector would take a fifth of the time."""
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
        return planfile.load(path.read_text("utf-8"))
    except OSError as error:
        raise VssyncError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise VssyncError(f"{path}: is no plan: not UTF-8 text") from error
    except VssyncError as error:
        raise VssyncError(f"{path}: {error}") from error


def save_plan(planned: Plan, path: Path) -> None:
    """Writes a plan whole or not at all."""
    try:
        sources.write(path, planfile.dump(planned))
    except OSError as error:
        raise VssyncError(f"{path}: cannot be written: {error.strerror}") from error


def settings_of(saved: Plan, given: Settings) -> Settings:
    """The settings under which a saved plan was made."""
    options = saved.options
    return replace(given, manifest=options.manifest or ".", env=options.env or None, variables=dict(options.variables))


def renew(work: Work, saved: Plan) -> Plan:
    """The plan as of now, when it holds nothing that the saved one did not, and nothing done of it already.

    Raises Refused, naming what moved, when it does.
    """
    options = saved.options
    live = look(work, options)
    fresh = _made(work, options, live)
    if done := planfile.fulfilled(saved, fresh):
        fresh = _made(work, options, live, done)
    if moved := planfile.stale(saved, fresh):
        lines = "\n".join(f"  {line}" for line in moved)
        raise Refused(f"The plan is stale: something moved since it was made.\n{lines}\nPlan again.")
    return fresh
