"""The numbers of a plan agree with what will be done."""

from __future__ import annotations

import json
from dataclasses import replace
from math import ceil

import pytest

from tests.planner.builders import live_store
from tests.render import builders
from tests.render.builders import change, copy, create, deleted, desired, plan, replaced, store, update
from vssync.api.pagination import Fetch, Page, read_bidirectional
from vssync.applier.steps import plan_steps
from vssync.limits import PAGE_SIZE
from vssync.model.plan import (
    Action,
    BatchChange,
    Counts,
    FieldChange,
    FileChange,
    Note,
    NoteKind,
    Plan,
    Reason,
    StoreChange,
    StorePlan,
)
from vssync.model.service import Capabilities, ServiceSpec
from vssync.model.state import FileCounts
from vssync.planner.estimate import Cost, count_changes, count_listing_requests, count_lookups, estimate_cost
from vssync.providers import PROVIDERS, Bucket
from vssync.render.json import plan_json
from vssync.render.wording import cost_line


@pytest.mark.parametrize(
    ("action", "counted"),
    [
        (Action.CREATE, Counts(add=1)),
        (Action.UPDATE, Counts(change=1)),
        (Action.REPLACE, Counts(replace=1)),
        (Action.DELETE, Counts(delete=1)),
        (Action.ADOPT, Counts(adopt=1)),
        (Action.AWAIT, Counts(wait=1)),
        (Action.REFUSE, Counts(refuse=1)),
        (Action.CANCEL, Counts()),  # batches only
    ],
)
def test_each_action_counts_once(action: Action, counted: Counts) -> None:
    assert count_changes(store(change("a.md", action, Reason.MISSING))) == counted


def test_stores_add_up() -> None:
    made = builders.everything()
    whole, parts = count_changes(*made.stores), [count_changes(each) for each in made.stores]
    assert whole.add == sum(part.add for part in parts) == 3
    assert whole.unchanged == sum(part.unchanged for part in parts) == 1_200


CHANGED, CANCELLED = StoreChange(Action.UPDATE, ()), BatchChange("b", Action.CANCEL, (), FileCounts())
LEFT, HELD = Note(NoteKind.LEFT_STORE, ""), Note(NoteKind.ADOPTABLE, "a.md", count=2)


@pytest.mark.parametrize(
    ("stores", "counted"),
    [
        ([store(change=CHANGED)], Counts(stores=1)),
        ([store(change=CHANGED), store(key="b", change=CHANGED), store(key="c")], Counts(stores=2)),
        ([store(notes=(LEFT,)), store(key="b", notes=(HELD,))], Counts(left=1, held=2)),
        ([store(notes=(Note(NoteKind.UPLOAD_GONE, "a.md"),))], Counts(gone=1)),
        ([store(batches=(CANCELLED, replace(CANCELLED, action=Action.AWAIT)))], Counts(cancel=1)),
    ],
)
def test_what_is_no_file_counts_as_well(stores: list[StorePlan], counted: Counts) -> None:
    assert count_changes(*stores) == counted
    assert Counts(**json.loads(plan_json(plan(*stores)))["counts"]) == counted


@pytest.mark.parametrize("name", ["small", "everything", "new-stores", "refused", "large"])
def test_uploads_and_batches_are_those_of_the_steps(name: str) -> None:
    made = builders.SAMPLE_PLANS[name]()
    all_steps = plan_steps(made)
    sent = [put.file.size for steps in all_steps for put in steps.all_puts if not put.existing_id]
    batches = sum(ceil(len(steps.all_puts) / 100) for steps in all_steps)
    found = estimate_cost(made)
    assert (found.bytes, found.uploads, found.batches) == (sum(sent), len(sent), batches)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (plan(), Cost()),
        (plan(store(update())), Cost(requests=1 + 2)),  # and a stamp: the store is read and written
        (plan(store(deleted())), Cost(requests=1 + 2 + 1 + 2, polls=64)),  # stores and files are listed
        (plan(store(deleted(keep=copy("file-2")))), Cost(requests=7, polls=64)),  # which is seen completed first
        (plan(store(change("a.md", Action.REFUSE, Reason.REFUSED), update())), Cost(requests=1)),  # not stamped
        (plan(store(update()), lookups=5), Cost(requests=8)),
        (
            plan(store(change("a.md", Action.AWAIT, Reason.INGESTING, fields=(FieldChange("a", 1, 2),)))),
            Cost(requests=2 + 2, polls=64),
        ),
        (
            plan(store(create(desired=desired(file_id="file-7")))),
            Cost(batches=1, requests=9 + 1, polls=64, seconds=0.2),
        ),
        (
            plan(
                store(*(create(f"{n}.md") for n in range(900))),
                service=ServiceSpec("oci", capabilities={"batches": 0}),
            ),
            # 10 pages take 11 requests, 9 times; and 10 once more for what others attached; 300 a minute
            Cost(900 * 1024, 900, 0, 2 * 900 + 9 * (1 + 11) + 10 + 2, 64 * 9, 3 * 60.0),
        ),
        (plan(store(create()), service=ServiceSpec()), Cost(1024, 1, 1, 7 + 1, 64)),
        (plan(store(create()), service=ServiceSpec("compatible")), Cost(1024, 1, 1, 5 + 1 + 4, 64, at_most=True)),
    ],
)
def test_small_costs(made: Plan, expected: Cost) -> None:
    assert estimate_cost(made) == expected


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({}, Cost(512, 2, 1, 2 + 3 + 4 + 1 + 2, 64, 0.2)),  # the batch is noted in the store, and the note removed
        ({"list_batches": True}, Cost(512, 2, 1, 2 + 3 + 1 + 1 + 2, 64, 0.2)),
        ({"store_updates": False}, Cost(512, 2, 1, 2 + 3 + 1, 64, 0.2)),  # no note, no stamp
        (
            {"batch_files": False},
            Cost(512, 2, 1, 2 + 1 + 2 + 2 + 1 + 2, 64, 0.2),
        ),  # each file's attributes by themselves
        ({"batches": False}, Cost(512, 2, 0, 2 + 2 + 2 + 1 + 2, 64, 0.4)),
        ({"batch_files": False, "attribute_updates": False}, Cost(512, 2, 0, 2 + 2 + 2 + 1 + 2, 64, 0.4)),
        ({"batches": False, "unheard_of": True}, Cost(512, 2, 0, 2 + 2 + 2 + 1 + 2, 64, 0.4)),
    ],
)
def test_what_the_service_lacks_has_its_price(capabilities: dict[str, bool], expected: Cost) -> None:
    files = [create(key, size=256) for key in ("a.md", "b.md")]
    assert estimate_cost(plan(store(*files), service=ServiceSpec("openai", capabilities=capabilities))) == expected


@pytest.mark.parametrize(
    ("count", "live", "looks"),
    [
        (1, 10, 2),  # the store's count and its listing
        (7, 10, 2),  # once for all
        (2, 1_000, 3),  # fewer files than pages: each by itself
        (7, 500, 1 + 5),
        (250, 250, 3 * (1 + 3)),  # in three rounds of batches
    ],
)
def test_detached_files_are_looked_for_a_round_at_a_time(count: int, live: int, looks: int) -> None:
    files = [replaced(f"{n}.md", drop=(copy(f"f{n}"),), reuse=f"f{n}", gap=True) for n in range(count)]
    costs = [
        estimate_cost(plan(store(*changes, live=live))) for changes in (files, [replace(f, drop=()) for f in files])
    ]
    assert costs[0].requests - costs[1].requests == count + looks


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 150, 199, 200, 201, 250, 299, 300, 301, 350, 1_000, 2_345])
def test_a_listing_from_both_ends_takes_as_many_requests_as_estimated(count: int) -> None:
    rows = [{"id": f"file-{n}", "created_at": n} for n in range(count)]
    cursors: list[str] = []

    def pages(ordered: list[dict[str, object]]) -> Fetch:
        def fetch(cursor: str) -> Page:
            cursors.append(cursor)
            start = next((n + 1 for n, row in enumerate(ordered) if row["id"] == cursor), 0)
            part = ordered[start : start + PAGE_SIZE]
            return Page(part, str(part[-1]["id"]) if part else "", start + PAGE_SIZE < len(ordered))

        return fetch

    listed = read_bidirectional(pages(rows), pages(rows[::-1]), lambda one, other: (one(), other()), count, dict)
    assert listed.ended
    assert len(cursors) == count_listing_requests(count)


def test_what_two_stores_want_is_uploaded_once() -> None:
    """Under one upload name; the same bytes twice in one store are two uploads, since a File attaches once to it."""
    twice = [desired(key, filename="a.md", size=7) for key in ("a.md", "b.md")]
    first = store(*(create(file.key, desired=file) for file in twice))
    other = store(create("a.md", desired=twice[0]), create("c.md", desired=desired("c.md", size=5)), key="other")
    found = estimate_cost(plan(first, other))
    assert (found.uploads, found.bytes) == (3, 19)


@pytest.mark.parametrize(
    ("files", "size", "seconds"),
    [
        (2_000, 500, 120),  # uploads, 1,000 a minute
        (900, 1, 180),  # attach requests, 300 a minute and store
    ],
)
def test_the_tightest_limit_sets_the_time(files: int, size: int, seconds: float) -> None:
    made = plan(store(*(create(f"{n}.md") for n in range(files))))
    service = replace(made.service, capabilities={"batch_size": size})
    assert estimate_cost(replace(made, service=service)).seconds == seconds


def test_attached_files_have_a_limit_of_their_own() -> None:
    files = [create(f"{n}.md", reuse="file-1") for n in range(4_000)]
    assert estimate_cost(plan(store(*files))).seconds == 120


@pytest.mark.parametrize(("files", "batches"), [(0, 0), (1, 1), (100, 1), (101, 2)])
def test_batches_are_as_few_as_their_size_allows(files: int, batches: int) -> None:
    assert estimate_cost(plan(store(*(replaced(f"{n}.md") for n in range(files))))).batches == batches


@pytest.mark.parametrize(
    ("unproven", "batches"),
    [
        ((), 2),
        ((".js",), 3),  # one .js and the three .md; the rest of the .js after these
        ((".js", ".md"), 3),
    ],
)
def test_kinds_that_nothing_vouches_for_are_tried_first(unproven: tuple[str, ...], batches: int) -> None:
    service = ServiceSpec(capabilities={"batch_size": 5})
    files = [create(f"{n}{kind}") for kind, count in ((".js", 7), (".md", 3)) for n in range(count)]
    assert estimate_cost(plan(store(*files, unproven=unproven), service=service)).batches == batches


def test_a_limit_of_all_requests_counts_for_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROVIDERS, "oci", replace(PROVIDERS["oci"], rates={Bucket.REQUESTS: 60}))
    cost = estimate_cost(plan(store(update())))
    assert cost.seconds == cost.requests


@pytest.mark.parametrize(
    ("files", "sizes", "lookups"),
    [
        (1, (), 0),
        (0, (10, 10), 0),  # nothing is deleted
        (1, (0, 10, 100), 3),  # a page each
        (1, (101, 5_000), 4),  # a page, and then the one upload
        (60, (5_000,), 51),
        (30, (5_000,), 31),
    ],
)
def test_other_stores_are_asked_before_uploads_are_deleted(files: int, sizes: tuple[int, ...], lookups: int) -> None:
    others = [live_store(id=f"vs{n}", counts=FileCounts(total=size)) for n, size in enumerate(sizes)]
    deletions = [deleted(f"{n}.md", drop=(copy(f"file-{n}"),)) for n in range(files)]
    made = plan(store(*deletions))
    assert count_lookups(made, [live_store(id="vs_1"), *others], Capabilities()) == lookups


@pytest.mark.parametrize(
    ("change", "reaches", "lookups"),
    [
        (create(), None, 3),  # written, searched, written again
        (update(), None, 4),  # after it was read
        (deleted(drop=()), None, 0),
        (create(), True, 0),
        (update(), False, 0),
    ],
)
def test_finding_out_about_search_has_its_price(change: FileChange, reaches: bool | None, lookups: int) -> None:
    assert count_lookups(plan(store(change)), (), Capabilities(updates_reach_search=reaches)) == lookups


@pytest.mark.parametrize(
    ("provider", "capabilities", "at_most"),
    [
        ("compatible", {}, True),
        ("compatible", {"batch_size": 50}, True),
        ("compatible", {"batch_files": True}, False),
        ("compatible", {"batches": False}, False),
        ("openai", {}, False),
        ("local", {}, False),
    ],
)
def test_where_it_is_not_known_whether_batches_work_the_dearer_way_is_assumed(
    provider: str, capabilities: dict[str, int], at_most: bool
) -> None:
    files = [create(f"{n}.md") for n in range(30)]
    cost, one_by_one = (
        estimate_cost(plan(store(*files), service=ServiceSpec(provider, capabilities=each)))
        for each in (capabilities, {"batches": False})
    )
    assert cost.at_most is at_most
    assert (cost.requests > one_by_one.requests) is at_most
    assert ("up to" in cost_line(cost).split(", ")[1]) is at_most
