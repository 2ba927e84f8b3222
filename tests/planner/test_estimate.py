"""The numbers of a plan agree with what will be done."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import pytest

from tests.render import builders
from tests.render.builders import change, create, deleted, desired, plan, replaced, store, update
from vssync.applier.steps import plan_steps
from vssync.model.plan import Action, Counts, FieldChange, Plan, Reason
from vssync.model.state import Capabilities, ServiceSpec
from vssync.planner.estimate import Cost, count_changes, count_new_batches, estimate_cost


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
        (plan(store(update())), Cost(requests=1)),
        (plan(store(deleted())), Cost(requests=4)),
        (
            plan(store(change("a.md", Action.AWAIT, Reason.INGESTING, fields=(FieldChange("a", 1, 2),)))),
            Cost(requests=2),
        ),
        (plan(store(create(desired=desired(file_id="file-7")))), Cost(batches=1, requests=4, seconds=0.2)),
        (plan(store(create()), service=ServiceSpec()), Cost(1024, 1, 1, 5)),
        (plan(store(create()), service=ServiceSpec("compatible")), Cost(1024, 1, 1, 5)),
    ],
)
def test_small_costs(made: Plan, expected: Cost) -> None:
    assert estimate_cost(made) == expected


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({}, Cost(512, 2, 1, 2 + 3 + 1, 0.2)),
        ({"batch_files": False}, Cost(512, 2, 1, 2 + 3 + 2 + 1, 0.2)),  # each file's attributes by themselves
        ({"batches": False}, Cost(512, 2, 0, 2 + 2 + 1, 0.4)),
        ({"batch_files": False, "attribute_updates": False}, Cost(512, 2, 0, 2 + 2 + 1, 0.4)),
        ({"batches": False, "unheard_of": True}, Cost(512, 2, 0, 2 + 2 + 1, 0.4)),
    ],
)
def test_what_the_service_lacks_has_its_price(capabilities: dict[str, bool], expected: Cost) -> None:
    files = [create(key, size=256) for key in ("a.md", "b.md")]
    assert estimate_cost(plan(store(*files), service=ServiceSpec("openai", capabilities=capabilities))) == expected


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
    assert count_new_batches(store(*(replaced(f"{n}.md") for n in range(files))), Capabilities()) == batches
