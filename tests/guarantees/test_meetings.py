"""Two machines at work in one store, the second before any request of the first: what either reports is true.

The second makes its whole run before one request of the first one's, for which it planned before the first began, or
only then. If the first one's report says that all is as declared, then it is so when it ends; or the second ends with
exit code 4; or it came before the last request, which writes the stamp, as if it came after the run.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.guarantees import test_side_by_side, test_storm
from tests.guarantees.test_drift import attach
from tests.guarantees.test_two_machines import MANIFEST, Machine, Meeting
from tests.simulation import test_histories
from tests.simulation.truth import TrueStore, read_state
from tests.support import Clock, Silent
from vssync.commands.apply import apply_plan, locked_journal
from vssync.commands.batches import cancel_batch, list_batches
from vssync.commands.destroy import plan_destruction
from vssync.commands.gc import delete_orphans, find_orphans
from vssync.commands.plan import make_plan_now
from vssync.commands.session import Session
from vssync.local.app import open_service
from vssync.local.transport import LocalTransport
from vssync.model.plan import Options, Plan
from vssync.model.report import Report

HAND_BACK = "version: 1\nowner: shared\nstores: {docs: {removed: keep}}\n"
PLAIN = Options()
Act = Callable[[], Report | None]
Prepared = Callable[[str], AbstractContextManager[tuple[Machine, Machine]]]


def plan_to_apply(session: Session, options: Options) -> Plan:
    return make_plan_now(session, options)


def plan_to_destroy(session: Session, _: Options) -> Plan:
    return plan_destruction(session)


def applying(session: Session, options: Options) -> Act:
    planned = plan_to_apply(session, options)
    return lambda: None if planned.empty else apply_plan(session, planned, Silent())


def destroying(session: Session, options: Options) -> Act:
    planned = plan_to_destroy(session, options)
    return lambda: None if planned.empty or planned.refusals else apply_plan(session, planned, Silent())


def collecting(session: Session, _: Options) -> Act:
    def collect() -> None:
        with locked_journal(session) as journal:
            delete_orphans(session, journal, find_orphans(session, journal, suspected=True).orphans)

    return collect


def cancelling(session: Session, _: Options) -> Act:
    def cancel() -> None:
        for row in list_batches(session)[0]:
            cancel_batch(session, row.batch.id)

    return cancel


def deleting_the_store(session: Session, _: Options) -> Act:
    """A person does it."""

    def delete() -> None:
        for store in session.client.list_stores():
            session.client.delete_store(store.id)

    return delete


def detaching(session: Session, _: Options) -> Act:
    """A person takes all that was uploaded as a.md out of the store."""

    def detach() -> None:
        for store in session.client.list_stores():
            for file in session.client.list_files(store.id):
                if (upload := session.client.find_upload(file.id)) and upload.filename == "a.md":
                    session.client.detach_file(store.id, file.id)

    return detach


def bringing_in(session: Session, _: Options) -> Act:
    """A person attaches a file to each store."""

    def bring_in() -> None:
        for store in session.client.list_stores():
            attach(session.client, store.id, "theirs.md", {})

    return bring_in


def stores_of(machine: Machine) -> list[TrueStore]:
    return list(read_state(machine.folder.parent / "live" / "service.db", machine.clock.now).stores.values())


def holds_what_it_wants(machine: Machine) -> bool:
    """Whether our files, in all stores together, are those of the checkout, each once and under our mark."""
    files = [file for store in stores_of(machine) for file in store.files if file.mark]
    wanted = ((path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in machine.folder.glob("*.md"))
    return sorted((str(file.attributes["vssync_key"]), file.sha256) for file in files) == sorted(wanted)


def holds_nothing_of_ours(machine: Machine) -> bool:
    return not any(store.mark[0] or any(file.mark for file in store.files) for store in stores_of(machine))


@dataclass(frozen=True)
class Other:
    """What the second machine does; `late`: it plans that at the meeting. Its checkout differs by these files."""

    act: Callable[[Session, Options], Act]
    files: Mapping[str, str] = field(default_factory=dict)
    manifest: str = MANIFEST
    late: bool = False
    is_done: Callable[[Machine], bool] = holds_what_it_wants


@dataclass(frozen=True)
class Run:
    """What the first machine does, and so many requests it takes for that."""

    prepare: Callable[[Machine, Machine], None]
    requests: int
    is_done: Callable[[Machine], bool]
    plan: Callable[[Session, Options], Plan] = plan_to_apply
    options: Options = PLAIN


def edit(first: Machine, second: Machine) -> None:
    """One file is edited, one new, one gone."""
    for machine in (first, second):
        machine.write(a="old\n", b="b\n", e="e\n")
    assert first.apply().converged
    second.write(e=None)
    first.write(a="first\n", c="c\n", e=None)


def edit_and_be_interrupted(first: Machine, second: Machine) -> None:
    """The uploads of an earlier run are two days old, so that a gc takes them for orphans, and not attached yet."""
    edit(first, second)

    def interrupt() -> None:
        raise KeyboardInterrupt

    meeting = Meeting(LocalTransport(first.service))
    with first.session(meeting) as session:
        planned = make_plan_now(session, PLAIN)
        meeting.seen.clear()
        meeting.number, meeting.meet = 3, interrupt
        assert apply_plan(session, planned, Silent()).interrupted
    first.clock.interrupted = False
    first.clock.now += 2 * 86_400


def edit_and_leave(first: Machine, second: Machine) -> None:
    edit(first, second)
    assert first.apply().converged
    first.write(HAND_BACK)


def find_by_hand(first: Machine, second: Machine) -> None:
    """A store that a person made: one of its files is as declared, the other an older version."""
    for machine in (first, second):
        machine.write(a="first\n", b="b\n")
    with first.session() as session:
        store = session.client.create_store({"name": "docs"})
        for name, content in (("a.md", b"old\n"), ("b.md", b"b\n")):
            attach(session.client, store.id, name, {}, content=content)


RUNS = {
    "apply": Run(edit, 15, holds_what_it_wants),
    "go on": Run(edit_and_be_interrupted, 19, holds_what_it_wants),
    "adopt": Run(find_by_hand, 17, holds_what_it_wants, options=Options(adopt=True)),
    "destroy": Run(edit, 7, holds_nothing_of_ours, plan_to_destroy),
    "hand back": Run(edit_and_leave, 5, holds_nothing_of_ours),
}
EDITED = {"a": "second\n", "d": "d\n"}
OTHERS = {
    "destroys": Other(destroying, is_done=holds_nothing_of_ours),
    "destroys now": Other(destroying, late=True, is_done=holds_nothing_of_ours),
    "edits": Other(applying, EDITED),
    "edits now": Other(applying, EDITED, late=True),
    "adds": Other(applying, {"d": "d\n"}),
    "adds now": Other(applying, {"d": "d\n"}, late=True),
    "hands back": Other(applying, manifest=HAND_BACK, is_done=holds_nothing_of_ours),
    "hands back now": Other(applying, manifest=HAND_BACK, late=True, is_done=holds_nothing_of_ours),
    "cancels": Other(cancelling),
    "collects": Other(collecting, {"a": "first\n", "c": "c\n"}),
    "deletes the store": Other(deleting_the_store),
    "detaches": Other(detaching),
    "brings in": Other(bringing_in),
}
# The requests before which a run cannot see any more what the other does. An apply looks last at the store's metadata,
# one request before it writes its stamp: they show another apply, or that the store is gone, but not what a person took
# out of it. What another run writes into them just before the end of an adoption is overwritten. A destroy looks for
# stores before it deletes their uploads.
OTHER_APPLIES = tuple(name for name in OTHERS if name.startswith(("edits", "adds", "hands back")))
UNSEEN: dict[tuple[str, str], Collection[int]] = {
    **{("apply", name): (15,) for name in OTHER_APPLIES},
    **{("go on", name): (19,) for name in OTHER_APPLIES},
    **{("adopt", name): (12, 17) for name in OTHER_APPLIES},
    **{("destroy", name): (5, 6, 7) for name in OTHERS if name.endswith("now")},
    **{("hand back", name): (5,) for name in ("adds", "edits")},
    ("apply", "detaches"): (14, 15),
    ("go on", "detaches"): (18, 19),
    ("adopt", "detaches"): (16, 17),
}
IN_EVERY_RUN: dict[tuple[str, str], Collection[int]] = {
    ("apply", "destroys now"): range(8, 16),
    ("adopt", "destroys now"): (2, 16),
    ("destroy", "adds now"): (2, 4),
    **{("apply", name): (1, 14) for name in ("destroys", "adds", "edits now", "hands back", "cancels")},
}
POINTS = [(run, other, number) for run in RUNS for other in OTHERS for number in range(1, RUNS[run].requests + 1)]
QUICK_POINTS = [point for point in POINTS if point[2] in IN_EVERY_RUN.get(point[:2], ())]


def cases() -> Iterator[Any]:
    for point in POINTS:
        yield pytest.param(*point, marks=[] if point in QUICK_POINTS else [pytest.mark.slow])


@contextmanager
def open_machines(folder: Path, run: Run, clock: Clock) -> Iterator[tuple[Machine, Machine]]:
    with open_service(folder / "live", clock=clock.monotonic) as service:
        yield (
            Machine(folder / "first", service, clock, "a" * 40, run.options),
            Machine(folder / "second", service, clock, "b" * 40, run.options),
        )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Opens the two machines of a kind of run as they are when it begins, at the same place each time."""
    base = tmp_path_factory.mktemp("meetings")
    clocks: dict[str, float] = {}

    @contextmanager
    def machines(name: str) -> Iterator[tuple[Machine, Machine]]:
        run, folder, clock = RUNS[name], base / "here", Clock()
        shutil.rmtree(folder, ignore_errors=True)
        if name not in clocks:
            with open_machines(folder, run, clock) as both:
                run.prepare(*both)
            clocks[name] = clock.now
            folder.rename(base / name)
        shutil.copytree(base / name, folder)
        with open_machines(folder, run, Clock(clocks[name])) as both:
            yield both

    return machines


@pytest.mark.parametrize("name", RUNS)
def test_every_request_is_a_point(prepared: Prepared, name: str) -> None:
    run = RUNS[name]
    with prepared(name) as (first, _):
        meeting = Meeting(LocalTransport(first.service))
        with first.session(meeting) as session:
            planned = run.plan(session, run.options)
            meeting.paths.clear()
            assert apply_plan(session, planned, Silent()).converged
        assert (len(meeting.paths), run.is_done(first)) == (run.requests, True), meeting.paths


@pytest.mark.parametrize(("name", "other_name", "number"), list(cases()))
def test_what_is_reported_is_true(prepared: Prepared, name: str, other_name: str, number: int) -> None:
    run, other = RUNS[name], OTHERS[other_name]
    met: list[tuple[Report | None, bool]] = []  # the other's report, and whether all was as it wants then

    def meet() -> None:
        other_report = (act or other.act(two, run.options))()
        met.append((other_report, other.is_done(second)))

    with prepared(name) as (first, second):
        second.write(other.manifest, **other.files)
        meeting = Meeting(LocalTransport(first.service))
        with first.session(meeting) as one, second.session() as two:
            planned = run.plan(one, run.options)
            act = None if other.late else other.act(two, run.options)
            meeting.seen.clear()
            meeting.number, meeting.meet = number, meet
            report = apply_plan(one, planned, Silent())
        ((other_report, was_true),) = met
        is_denied = other_report is not None and not other_report.converged
        is_unseen = number in UNSEEN.get((name, other_name), ())
        assert report.converged <= (run.is_done(first) or is_denied or is_unseen)
        assert not (report.converged and other_report and other_report.converged and not (was_true or is_unseen))
        if run.plan is plan_to_apply and run.is_done is holds_what_it_wants:
            first.options = Options(adopt=True)  # what another run handed back
            first.apply()
            assert (first.apply().converged, run.is_done(first)) == (True, True)


@pytest.mark.wide(4)
@pytest.mark.parametrize("number", range(1, RUNS["apply"].requests))
def test_a_store_that_goes_during_an_apply_is_said_to_be_gone(prepared: Prepared, number: int) -> None:
    """Beside what its files were answered, which is only that the store does not exist."""
    with prepared("apply") as (first, second):
        meeting = Meeting(LocalTransport(first.service))
        with first.session(meeting) as one, second.session() as two:
            planned = make_plan_now(one, PLAIN)
            meeting.seen.clear()
            meeting.number, meeting.meet = number, deleting_the_store(two, PLAIN)
            report = apply_plan(one, planned, Silent())
        details = {outcome.detail for outcome in report.outcomes if not outcome.key}
        gone = f"{planned.stores[0].id} is gone, and its files with it"
        assert details == {f"{gone}: another run may be at work; plan again"}
        assert not report.converged


@pytest.mark.parametrize("number", [1, 2])
def test_a_file_that_came_after_the_plan_keeps_a_store(prepared: Prepared, number: int) -> None:
    with prepared("destroy") as (first, second):
        meeting = Meeting(LocalTransport(first.service))
        with first.session(meeting) as one, second.session() as two:
            planned = plan_destruction(one)
            meeting.seen.clear()
            meeting.number, meeting.meet = number, bringing_in(two, PLAIN)
            report = apply_plan(one, planned, Silent())
        assert "holds more files of others than when this was planned" in report.outcomes[0].detail
        assert not report.converged
        (store,) = stores_of(first)
        assert [file.filename for file in store.files if not file.mark] == ["theirs.md"]


def test_a_stamp_of_another_commit_stays(prepared: Prepared) -> None:
    """CI takes it for the commit that the store agreed with."""
    with prepared("apply") as (first, second):
        second.write(d="d\n")
        with first.session() as one:
            planned = make_plan_now(one, PLAIN)
            assert second.apply().converged
            report = apply_plan(one, planned, Silent())
        (details,) = (outcome.detail for outcome in report.outcomes if not outcome.key)
        assert f"another apply of {'b' * 7}" in details
        assert stores_of(first)[0].metadata["vssync_applied"].split(";")[1] == second.commit


THREE = [(number, inner) for number in range(1, 16, 3) for inner in range(1, 16, 3)]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "inner"), THREE)
def test_three_machines_at_once(prepared: Prepared, number: int, inner: int) -> None:
    """The second applies another commit at a request of the first one's apply, and the third destroys at one of its."""
    reports: list[Report | None] = []
    with prepared("apply") as (first, second):
        third = Machine(first.folder.parent / "third", first.service, first.clock)
        third.write(a="old\n")
        second.write(a="second\n", d="d\n")
        meetings = Meeting(LocalTransport(first.service)), Meeting(LocalTransport(first.service))
        with first.session(meetings[0]) as one, second.session(meetings[1]) as two, third.session() as three:
            planned = make_plan_now(one, PLAIN)

            def meet() -> None:
                act = applying(two, PLAIN)
                meetings[1].seen.clear()
                meetings[1].number = inner
                meetings[1].meet = lambda: reports.append(destroying(three, PLAIN)())
                reports.append(act())

            meetings[0].seen.clear()
            meetings[0].number, meetings[0].meet = number, meet
            report = apply_plan(one, planned, Silent())
        assert report.converged <= (
            holds_what_it_wants(first) or not all(other and other.converged for other in reports)
        )
        first.apply()
        assert (first.apply().converged, holds_what_it_wants(first)) == (True, True)


SHARED = """\
version: 1
owner: shared
environments: {one: {}, two: {}}
stores: {docs: {external: true, guards: {max_delete: 100%, max_replace: 100%}, files: [{path: "*.md"}]}}
"""
SHARING = [(act, number) for act in (applying, destroying) for number in range(1, 11)]


@pytest.mark.parametrize(
    ("act", "number"),
    [pytest.param(*point, marks=[] if point[1] in (3, 10) else [pytest.mark.slow]) for point in SHARING],
)
def test_two_environments_in_one_store_leave_each_other_alone(
    tmp_path: Path, act: Callable[[Session, Options], Act], number: int
) -> None:
    def held_by(machine: Machine) -> list[str]:
        (store,) = stores_of(machine)
        return sorted(file.filename for file in store.files if file.owner == f"shared/{machine.env}")

    clock = Clock()
    with open_service(tmp_path / "live", clock=clock.monotonic) as service:
        first, second = (Machine(tmp_path / env, service, clock, env=env) for env in ("one", "two"))
        for machine in (first, second):
            machine.write(SHARED, a="old\n", b="b\n")
        with first.session() as session:
            attach(session.client, session.client.create_store({"name": "docs"}).id, "theirs.md", {})
        assert first.apply().converged
        assert second.apply().converged
        for machine in (first, second):
            machine.write(SHARED, a="edited\n", c="c\n")
        meeting = Meeting(LocalTransport(service))
        reports: list[Report | None] = []
        with first.session(meeting) as one, second.session() as two:
            planned, act_now = make_plan_now(one, PLAIN), act(two, PLAIN)
            meeting.seen.clear()
            meeting.number, meeting.meet = number, lambda: reports.append(act_now())
            reports.append(apply_plan(one, planned, Silent()))
        assert [report and report.converged for report in reports] == [True, True]
        assert held_by(first) == ["a.md", "b.md", "c.md"]
        assert held_by(second) == ([] if act is destroying else ["a.md", "b.md", "c.md"])


def test_the_guide_says_how_many_these_are() -> None:
    text = (Path(__file__).parents[2] / "examples" / "quickstart" / "docs" / "promises.md").read_text()
    runs, others, points = len(RUNS), len(OTHERS), len(POINTS)
    quick, three, sharing = len(QUICK_POINTS), len(THREE), len(SHARING)
    assert f"{quick} of {runs} kinds of runs against {others} things that others do; in the slow tests" in text
    assert f"{points} of these, {sharing} of two environments in one store, and {three} of three machines" in text
    assert f"| {len(test_side_by_side.QUICK)} of {len(test_side_by_side.CASES)}; all in the slow tests |" in text
    assert f"| {test_storm.SOON}; {test_storm.ALL} in the slow tests |" in text
    assert f"| {test_histories.SOON}; {test_histories.ALL:,} in the slow tests;" in text
