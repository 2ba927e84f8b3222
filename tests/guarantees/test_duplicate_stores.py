"""Two machines apply a manifest for the first time, at once: they agree on one store, and no file is lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.applier.world import Counting, Place, Seen
from tests.simulation.judged import apply_plan, make_plan_now
from tests.support import Silent
from vssync.commands import apply
from vssync.model.plan import NoteKind, Options, Plan
from vssync.model.report import Report, Status
from vssync.model.state import LiveStore

MANIFEST = """\
version: 1
owner: twins
service: {capabilities: {batch_size: 2}}
stores: {docs: {files: [{path: '*.md'}]}}
"""
KEYS = ("a.md", "b.md", "c.md")
PLAIN = Options()


@dataclass
class Machine(Place):
    """One of several machines with one service: each has a state folder of its own."""

    name: str = "one"

    @property
    def state(self) -> Path:
        return self.base / f"state-{self.name}"


@dataclass
class Hiding(httpx.BaseTransport):
    """A service whose list of stores, or of what is at `path`, lacks some: by their ids."""

    inner: httpx.BaseTransport
    is_hidden: Callable[[str], bool]
    path: str = "/v1/vector_stores"

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        if (request.method, request.url.path) != ("GET", self.path):
            return response
        body = json.loads(response.read())
        body["data"] = [row for row in body["data"] if not self.is_hidden(row["id"])]
        return httpx.Response(200, json=body)


@pytest.fixture
def machines(tmp_path: Path) -> tuple[Machine, Machine]:
    first = Machine(tmp_path)
    first.write({"vssync.yaml": MANIFEST, **{key: f"# {key}\n" for key in KEYS}})
    return first, Machine(tmp_path, first.clock, name="two")


def make_plan(machine: Machine, options: Options = PLAIN) -> Plan:
    with machine.work() as work:
        return make_plan_now(work, options)


def carry_out(
    machine: Machine, made: Plan, wrap: Callable[[httpx.BaseTransport], httpx.BaseTransport], *faults: str
) -> Report:
    with machine.work(wrap, faults=faults) as work:
        return apply_plan(work, made, Silent())


def carry_out_blindly(
    machine: Machine, made: Plan, wrap: Callable[[httpx.BaseTransport], httpx.BaseTransport]
) -> Report:
    """The same where the service hides stores, so that a run cannot say what is so of them."""
    with machine.work(wrap) as work:
        return apply.apply_plan(work, made, Silent())


def apply_now(machine: Machine, options: Options = PLAIN) -> Report:
    with machine.work() as work:
        return apply_plan(work, make_plan_now(work, options), Silent())


def stores_of(machine: Machine) -> tuple[LiveStore, ...]:
    with machine.work() as work:
        return work.client.list_stores()


def completed_keys(machine: Machine) -> set[str]:
    with machine.work() as work:
        (store,) = work.client.list_stores()
        return {str(file.attributes["vssync_key"]) for file in work.client.list_files(store.id)}


def apply_both(first: Machine, second: Machine, at: int, *faults: str) -> list[Report]:
    """Both plan, and then the second applies when the first has made so many requests; its report comes first.

    The faults are met by the first.
    """
    plans = [make_plan(first), make_plan(second)]
    assert [store.id for made in plans for store in made.stores] == ["", ""]
    reports: list[Report] = []

    def meanwhile(seen: Seen) -> None:
        if len(seen) == at:
            first.clock.now += 1  # within one second, the ids decide
            reports.append(carry_out(second, plans[1], Counting))

    meanwhile([])
    first.clock.now += 1
    reports.append(carry_out(first, plans[0], lambda inner: Counting(inner, meanwhile), *faults))
    return reports


def ends(report: Report) -> dict[str, str]:
    """How each change ended, by key; the store's own is empty."""
    return {outcome.key: "joined" if outcome.already else outcome.status.value for outcome in report.outcomes}


@pytest.mark.parametrize("at", range(15))
def test_two_first_applies_end_in_one_store(machines: tuple[Machine, Machine], at: int) -> None:
    """Wherever in the other's run one begins."""
    first, second = machines
    reports = apply_both(first, second, at)
    with first.work() as work:
        (store,) = work.client.list_stores()
        has_doubles = len(work.client.list_files(store.id)) > len(KEYS)
    assert all(report.converged for report in reports) is not has_doubles
    assert [dict(report.store_ids) for report in reports] == [{"docs": store.id}] * 2
    assert sorted(ends(report)[""] for report in reports) == ["done", "joined"]
    assert {end for report in reports for end in ends(report).values()} <= {"done", "joined", "doubled"}
    assert [dict(machine.past().stores) for machine in machines] == [{store.id: "docs"}] * 2
    assert completed_keys(first) == set(KEYS)
    assert apply_now(second).converged  # where both attached their copies, one of each goes
    assert list(make_plan(first).changes()) == []
    assert completed_keys(first) == set(KEYS)


@pytest.mark.parametrize("at", [0, 2, 3, 4])
def test_what_another_run_brought_in_is_taken_over(machines: tuple[Machine, Machine], at: int) -> None:
    """In its store or in ours, which it joined: before the first file is attached, there is no double."""
    reports = apply_both(*machines, at)
    assert all(report.converged for report in reports)
    assert ends(reports[1]) == {"": "done" if at else "joined", **dict.fromkeys(KEYS, "joined")}
    with machines[0].work() as work:  # the uploads made in vain are gone
        assert len(list(work.client.list_uploads())) == len(KEYS)


@pytest.mark.parametrize(
    ("fault", "setting", "status", "detail"),
    [
        ("", "attributes: {level: 1}", Status.SKIPPED, "another run attached another version of it meanwhile"),
        ("", "chunking: {size: 400, overlap: 100}", Status.SKIPPED, "another version of it meanwhile, file-"),
        ("fails=server_error,file=a.md", "attributes: {}", Status.UNKNOWN, "attached by another run as file-"),
    ],
)
def test_what_another_run_did_otherwise_is_left_to_the_next_plan(
    machines: tuple[Machine, Machine], fault: str, setting: str, status: Status, detail: str
) -> None:
    first, second = machines
    plans = [make_plan(first)]
    manifest = MANIFEST.replace("]}}\n", f"], overrides: [{{match: a.md, {setting}}}]}}}}\n")
    first.write({"vssync.yaml": manifest})
    plans.append(make_plan(second))
    first.write({"vssync.yaml": MANIFEST})
    carry_out(first, plans[0], Counting, *filter(None, [fault]))
    first.write({"vssync.yaml": manifest})
    report = carry_out(second, plans[1], Counting)
    assert ends(report) == {"": "joined", "a.md": status.value, "b.md": "joined", "c.md": "joined"}
    assert detail in next(outcome.detail for outcome in report.outcomes if outcome.key == "a.md")
    assert apply_now(second).converged
    assert completed_keys(first) == set(KEYS)


def test_nothing_is_attached_to_a_store_that_is_listed_in_part(machines: tuple[Machine, Machine]) -> None:
    first, second = machines
    first.write({f"{number}.md": f"# {number}\n" for number in range(9)})
    plan = make_plan(first)
    store_id = dict(apply_now(second).store_ids)["docs"]
    first.clock.now += 1

    def hide_files(inner: httpx.BaseTransport) -> Hiding:
        return Hiding(inner, lambda _: True, f"/v1/vector_stores/{store_id}/files")

    report = carry_out_blindly(first, plan, hide_files)
    assert Counter(ends(report).values()) == {"doubled": 1, "failed": 2, "skipped": 10}  # two are a batch
    assert f"uploaded, and not attached: another run made {store_id}" in report.outcomes[1].detail
    assert sorted(store.counts.total for store in stores_of(first)) == [0, 12]
    first.clock.now += 700
    assert apply_now(first, Options(allow_store_deletes=True)).converged


def test_a_store_that_was_joined_is_remembered(machines: tuple[Machine, Machine]) -> None:
    apply_both(*machines, 0)
    for machine in machines:
        with machine.work(lambda inner: Hiding(inner, lambda _: True)) as work:
            assert list(make_plan_now(work, PLAIN).changes()) == []


@pytest.mark.parametrize(
    ("provider", "faults", "is_reported"),
    [("local", ["status=403:DELETE:/vector_stores/*"], True), ("local,ghost-stores=600", [], False)],
)
def test_an_own_store_that_was_left_is_told_from_the_one_in_use(
    machines: tuple[Machine, Machine], provider: str, faults: list[str], *, is_reported: bool
) -> None:
    """It stays where it could not be deleted; one that was deleted may still be listed, and is no second store."""
    first, second = machines
    first.provider = second.provider = provider
    _, report = apply_both(first, second, 0, *faults)
    used = dict(report.store_ids)["docs"]
    (own,) = {store.id for store in stores_of(first)} - {used}
    detail = f"beside {used}, which this run uses, {own} was made for the same key; plan again"
    assert [outcome.detail for outcome in report.outcomes if not outcome.key] == [detail if is_reported else ""]


def test_stores_that_do_not_see_each_other_are_named_by_the_run_that_ends_last(
    machines: tuple[Machine, Machine],
) -> None:
    """The lists are late until both have attached. Ten minutes later the newer store may go."""
    first, second = machines
    plans = [make_plan(first), make_plan(second)]
    reports: list[Report] = []
    looks: list[str] = []

    def watch_second(inner: httpx.BaseTransport) -> httpx.BaseTransport:
        ids_before = {store.id for store in stores_of(first)}
        return Hiding(inner, ids_before.__contains__)

    def watch_first(inner: httpx.BaseTransport) -> httpx.BaseTransport:
        def meanwhile(seen: Seen) -> None:
            method, path = seen[-1]
            looks.extend([path] if (method, path) == ("GET", "/v1/vector_stores") else [])
            if (method, path) == ("POST", "/v1/files") and not reports:
                first.clock.now += 5
                reports.append(carry_out_blindly(second, plans[1], watch_second))

        def is_hidden(store_id: str) -> bool:
            return len(looks) < 2 and bool(reports) and store_id == dict(reports[0].store_ids)["docs"]

        return Hiding(Counting(inner, meanwhile), is_hidden)

    reports.append(carry_out_blindly(first, plans[0], watch_first))
    other, own = (dict(report.store_ids)["docs"] for report in reports)
    assert {store.id for store in stores_of(first)} == {other, own}
    assert [report.converged for report in reports] == [True, False]
    outcome = next(outcome for outcome in reports[1].outcomes if not outcome.key)
    assert (outcome.status, other in outcome.detail, own in outcome.detail) == (Status.DOUBLED, True, True)
    for machine in machines:
        (planned,) = make_plan(machine).stores
        assert planned.id == own  # the older
        assert [(note.kind, other in note.detail) for note in planned.notes] == [(NoteKind.LEFT_STORE, True)]
        assert len(make_plan(machine, Options(allow_store_deletes=True)).stores) == 1
    first.clock.now += 700
    assert apply_now(second, Options(allow_store_deletes=True)).converged
    assert [store.id for store in stores_of(first)] == [own]
    assert list(make_plan(first).changes()) == []


def test_a_store_that_no_list_shows_is_told_with_its_id_and_made_once(machines: tuple[Machine, Machine]) -> None:
    first, _ = machines

    def hide_all(inner: httpx.BaseTransport) -> httpx.BaseTransport:
        return Hiding(inner, lambda _: True)

    report = carry_out_blindly(first, make_plan(first), hide_all)
    assert not report.converged
    (store,) = stores_of(first)
    (outcome,) = (outcome for outcome in report.outcomes if outcome.status is not Status.DONE)
    assert (outcome.key, outcome.detail.splitlines()[-1]) == ("", f"id: {store.id}")
    with first.work(hide_all) as work:  # its state folder knows it: the service is asked for it by id
        assert list(make_plan_now(work, PLAIN).changes()) == []
