"""Planning and applying as the commands do it, with everything judged that they would print, and how they would end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from tests.simulation import (
    change_claims,
    copy_claims,
    cost_claims,
    diff_claims,
    note_claims,
    plan_claims,
    report_claims,
    store_claims,
    total_claims,
)
from tests.simulation.desired import Wanted, WantedStore, read_desired
from tests.simulation.judge import Run, judge
from tests.simulation.truth import RequestLog, State, read_state
from vssync import planfile
from vssync.applier.watcher import Watcher
from vssync.cli.process import DONE, INCOMPLETE
from vssync.cli.session import plan_exit_code
from vssync.commands import apply, destroy, gc, plan, status
from vssync.commands.output import output_json
from vssync.commands.session import Session
from vssync.errors import VssyncError
from vssync.journal.writer import Journal
from vssync.model.plan import Options, Plan
from vssync.model.report import FoundOrphans, Orphan, Report
from vssync.model.state import Limit
from vssync.planner.environment_diff import EnvironmentState, compare_environments, live_environment
from vssync.render.diff import diff_json
from vssync.render.json import orphans_json, report_json, status_json
from vssync.render.status import inspection_json

CHECKED_BY = (
    plan_claims,
    total_claims,
    note_claims,
    store_claims,
    copy_claims,
    change_claims,
    report_claims,
    diff_claims,
    cost_claims,
)  # importing them registers their checkers
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Witness:
    """Sees what a session cannot: the service's tables, by its clock, and the requests as they went out."""

    database: Path
    now: Callable[[], float]
    log: RequestLog
    dialect: str

    def state(self) -> State:
        return read_state(self.database, self.now())


@dataclass(frozen=True)
class JudgedSession(Session):
    """A session with a witness, and what its manifest wanted when it was opened."""

    witness: Witness | None = None
    wanted: Wanted = field(default_factory=lambda: Wanted("", {}, {}))

    @classmethod
    def of(cls, session: Session, witness: Witness) -> JudgedSession:
        values = {each.name: getattr(session, each.name) for each in fields(Session)}
        return cls(**values, witness=witness, wanted=read_desired(session))


class FalseClaimError(AssertionError):
    """A run said what is not so."""


_RECORDED: list[list[Run]] = []
_STARTED = Counter[Path]()  # runs, by the database of their service


@contextmanager
def recorded_runs() -> Iterator[list[Run]]:
    """The runs that are judged while the block runs."""
    _RECORDED.append([])
    try:
        yield _RECORDED[-1]
    finally:
        _RECORDED.pop()


def assert_true(run: Run) -> None:
    """Raises FalseClaimError for what a run said and is not so."""
    for runs in _RECORDED:
        runs.append(run)
    if falsehoods := judge(run):
        raise FalseClaimError("\n".join(map(str, falsehoods)))


def make_plan_now(session: JudgedSession, options: Options) -> Plan:
    """A plan, with what `plan`, `status` and `output` would print of it judged."""
    run, made = _watch(session, "plan", options, lambda: plan.make_plan_now(session, options))
    return _judge_plan(run, made)


def replan(session: JudgedSession, saved: Plan) -> Plan:
    """A saved plan as of now, judged likewise."""
    run, made = _watch(session, "plan", saved.options, lambda: plan.replan(session, saved))
    assert_true(replace(run, document=_document(planfile.dump(made)), code=plan_exit_code(made, detailed=True)))
    return made


def plan_destruction(session: JudgedSession, *, delete_unmanaged: int | None = None) -> Plan:
    """The plan to destroy everything, judged as one of a manifest that wants nothing."""
    options = Options(allow_store_deletes=True, delete_unmanaged=delete_unmanaged, max_delete=Limit(share=1.0))
    session = replace(session, wanted=_nothing(session.wanted))

    def make() -> Plan:
        return destroy.plan_destruction(session, delete_unmanaged=delete_unmanaged)

    run, made = _watch(session, "plan", options, make)
    assert_true(replace(run, document=_document(planfile.dump(made)), code=plan_exit_code(made, detailed=True)))
    return made


def apply_plan(
    session: JudgedSession,
    made: Plan,
    watcher: Watcher,
    *,
    fail_fast: bool = False,
    journal: Journal | None = None,
    saved: Plan | None = None,
) -> Report:
    """An apply, with its report and its exit code judged."""
    if destroys := made.options.allow_store_deletes and not any(store.wanted for store in made.stores):
        session = replace(session, wanted=_nothing(session.wanted))
    kind = "destroy" if destroys else "report"

    def act() -> Report:
        return apply.apply_plan(session, made, watcher, fail_fast=fail_fast, journal=journal, saved=saved)

    run, report = _watch(session, kind, made.options, act)
    code = DONE if report.converged else INCOMPLETE
    clock = session.client.clock
    assert_true(
        replace(
            run,
            document=_document(report_json(report, kind)),
            code=code,
            plan=_document(planfile.dump(made)),
            interrupted=getattr(clock, "interrupted", report.interrupted),
        )
    )
    return report


def inspect_file(session: JudgedSession, address: str) -> None:
    """What `status ADDRESS` says of one file, judged."""
    run, inspection = _watch(
        session, "status", Options(targets=(address,)), lambda: status.inspect_file(session, address)
    )
    assert_true(replace(run, document=_document(inspection_json(inspection, session.loaded.desired))))


def read_environment(session: JudgedSession, name: str) -> tuple[Run, EnvironmentState]:
    """One side of a comparison, and the run that read it."""
    run, live = _watch(session, "diff", Options(), lambda: plan.read_live(session, Options()))
    return run, live_environment(name, session.loaded.desired, live, session.capabilities)


def compare(left: tuple[Run, EnvironmentState], right: tuple[Run, EnvironmentState]) -> None:
    """What `diff` says of two sides, judged."""
    document = _document(diff_json(compare_environments(left[1], right[1])))
    assert_true(replace(right[0], left=left[0], document=document, detailed=False))


def collect_orphans(session: JudgedSession, *, suspected: bool = False, delete: bool = False) -> tuple[Orphan, ...]:
    """What `gc` finds and, if asked to, deletes; judged."""

    def act() -> tuple[FoundOrphans, tuple[Orphan, ...]]:
        with apply.locked_journal(session) as journal:
            found = gc.find_orphans(session, journal, suspected=suspected)
            return found, gc.delete_orphans(session, journal, found.orphans) if delete else found.orphans

    run, (found, left) = _watch(session, "gc", Options(), act)
    deleted = len(found.orphans) - len(left) if delete else None
    document = orphans_json(replace(found, orphans=left), session.wanted.owner, deleted=deleted)
    assert_true(replace(run, document=_document(document)))
    return left


def _judge_plan(run: Run, made: Plan) -> Plan:
    assert_true(replace(run, document=_document(planfile.dump(made)), code=plan_exit_code(made, detailed=True)))
    if replace(made.options, manifest="", env="", variables=(), targets=()) != Options():
        return made  # with options that `status` and `output` do not take
    assert_true(replace(run, kind="status", document=_document(status_json(made))))
    with suppress(VssyncError):  # for a store that cannot be used yet
        assert_true(replace(run, kind="output", document=_document(output_json(made)), code=DONE, detailed=False))
    return made


def _watch(session: JudgedSession, kind: str, options: Options, act: Callable[[], Result]) -> tuple[Run, Result]:
    """The result, and the run so far. An error that ends a command is judged by its exit code."""
    witness = session.witness
    assert witness
    settings, since = session.settings, len(witness.log.exchanges)
    options = replace(options, env=settings.env or "", variables=tuple(sorted(settings.variables.items())))
    run = Run(
        kind, session.wanted, witness.state(), options=options, detailed=True, since=since, dialect=witness.dialect
    )
    _STARTED[witness.database] += 1
    number, code = _STARTED[witness.database], None
    try:
        result = act()
    except VssyncError as error:
        code = error.exit_code
        raise
    finally:
        has_company = _STARTED[witness.database] > number
        exchanges = tuple(witness.log.exchanges)
        run = replace(run, after=witness.state(), exchanges=exchanges, code=code, has_company=has_company)
        if code is not None:
            assert_true(run)
    return run, result


def _nothing(wanted: Wanted) -> Wanted:
    """What is wanted by who destroys: external stores stay, with none of our files."""
    stores: dict[str, WantedStore] = {
        key: replace(store, files={}, skipped={})
        for key, store in wanted.stores.items()
        if store.settings.get("external")
    }
    return replace(wanted, stores=stores)


def _document(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text)
    return document
