"""What steps each action of a plan comes to, and what is deleted only after what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.planner.builders import (
    OWNER,
    adopting_store,
    desired_file,
    desired_store,
    live_batch,
    live_copy,
    live_store,
    plan,
    unmarked,
    with_mark,
    without_attributes,
)
from vssync.applier.steps import BatchStep, Drop, Put, StoreSteps, Wait, plan_steps
from vssync.model.digests import attributes_digest, mark_for, with_key
from vssync.model.marks import KEY, Mark, Origin, key_digest
from vssync.model.plan import Action, Plan, Reason, StorePlan
from vssync.model.state import Contents, FileStatus, LiveFile, StoreStatus, Upload

A = desired_file()
B = desired_file(content="B")
PRESUMED = A.presumed_content
EXT = desired_file("terms.pdf", file_id="ext")
BUSY, FAILED = FileStatus.IN_PROGRESS, FileStatus.FAILED


def steps(files: Any, copies: Any, *, settings: dict[str, Any] | None = None, **options: Any) -> StoreSteps:
    store = desired_store(*files, **(settings or {}))
    batches = options.pop("batches", ())
    live = adopting_store(store) if options.pop("adopting", False) else live_store(store)
    planned = plan(store, [(live, Contents(tuple(copies), tuple(batches)))], **options)
    (made,) = plan_steps(planned)
    return made


def puts(made: StoreSteps) -> list[Put]:
    return list(made.puts)


def test_an_empty_plan_has_no_steps() -> None:
    store = desired_store(A)
    assert plan_steps(plan(store, [(live_store(store), Contents((live_copy(),)))])) == ()


def test_a_new_file_carries_its_attributes_and_mark() -> None:
    (put,) = puts(steps([A], []))
    assert put == Put("a.md", A, with_key(A.attributes, A.key), mark_for(OWNER, A, origin=Origin.UPLOADED), A.chunking)


def test_a_replaced_copy_goes_after_the_new_one_is_completed() -> None:
    (put,) = puts(steps([B], [live_copy()]))
    assert (put.existing_id, put.before_attach, put.after_completion) == (
        "",
        (),
        (Drop("a.md", "f1", deletes_upload=True),),
    )


@pytest.mark.parametrize(
    ("live", "uploaded"),
    [
        (live_copy(), True),
        (live_copy(origin=Origin.ADOPTED), False),
        (live_copy(origin=Origin.DECLARED), False),
    ],
)
def test_an_upload_is_deleted_only_when_our_mark_says_we_made_it(live: LiveFile, uploaded: bool) -> None:
    assert steps([], [live], max_delete=None, settings={}).drops == (Drop("a.md", "f1", uploaded),)


def test_the_upload_of_another_owner_stays_after_a_takeover() -> None:
    made = steps([], [live_copy(owner="kb/dev")], adopt_from=("kb/dev",))
    assert made.drops == (Drop("a.md", "f1", deletes_upload=False),)


def test_a_dead_copy_is_detached_before_its_file_is_attached_again() -> None:
    (put,) = puts(steps([A], [live_copy(status=FAILED)]))
    assert (put.existing_id, put.before_attach, put.after_completion) == (
        "f1",
        (Drop("a.md", "f1", deletes_upload=False),),
        (),
    )
    assert put.mark.tries == 2


def test_what_serves_stays_until_the_file_attached_again_is_completed() -> None:
    made = steps([A], [live_copy(B, id="f0", at=1), live_copy(status=FAILED)])
    (put,) = puts(made)
    assert put.before_attach == (Drop("a.md", "f1", deletes_upload=False),)
    assert (put.after_completion, made.drops) == ((Drop("a.md", "f0", deletes_upload=True),), ())


def test_an_adopted_file_attached_again_stays_adopted_and_unread() -> None:
    (put,) = puts(steps([A], [with_mark(live_copy(status=FAILED), content=PRESUMED, origin=Origin.ADOPTED)]))
    assert (put.mark.origin, put.mark.content) == (Origin.ADOPTED, PRESUMED)


def test_a_declared_file_is_attached_by_its_id() -> None:
    (put,) = puts(steps([EXT], []))
    assert (put.existing_id, put.mark.origin, put.mark.content) == ("ext", Origin.DECLARED, "id")


def test_an_update_keeps_what_the_mark_knows_of_the_content() -> None:
    live = with_mark(live_copy(live={"lang": "de"}), content=PRESUMED, origin=Origin.ADOPTED, tries=2, echo="0" * 16)
    (update,) = steps([A], [live]).updates
    assert isinstance(live.mark, Mark)
    assert update.mark == replace(live.mark, echo="")
    assert update.attributes == {"lang": "en", KEY: "a.md"}


def test_a_move_writes_the_new_key() -> None:
    (update,) = steps([desired_file("b.md", filename="a.md")], [live_copy()]).updates
    assert update.mark
    assert (update.mark.key_digest, update.attributes[KEY], update.file_id) == (key_digest("b.md"), "b.md", "f1")


def test_a_takeover_writes_our_name() -> None:
    (update,) = steps([A], [live_copy(owner="kb/dev")], adopt_from=("kb/dev",)).updates
    assert update.mark == mark_for(OWNER, A, origin=Origin.UPLOADED)


@pytest.mark.parametrize(
    ("file", "sha256", "origin", "content"),
    [(A, "", Origin.ADOPTED, PRESUMED), (A, A.sha256, Origin.ADOPTED, A.sha256), (EXT, "", Origin.DECLARED, "id")],
)
def test_adoption_adds_a_mark_that_does_not_claim_too_much(
    file: Any, sha256: str, origin: Origin, content: str
) -> None:
    stranger = unmarked(without_attributes(live_copy(id="ext"), KEY))
    uploads = [Upload("ext", "a.md", 1, 1, sha256=sha256)]
    made = steps([file], [stranger], adopt=True, uploads=uploads, adopting=True)
    (update,) = made.updates
    assert update.mark
    assert (update.mark.origin, update.mark.content, made.puts) == (origin, content, ())


def test_attributes_of_others_go_along_and_stay_out_of_the_mark() -> None:
    live = live_copy(live={"reviewed": True, "lang": "de"}, ignore=("reviewed",))
    made = steps([A], [live], settings={"ignore_attributes": ("reviewed",)})
    (update,) = made.updates
    assert update.attributes == {"lang": "en", KEY: "a.md", "reviewed": True}
    assert update.mark
    assert update.mark.attributes_digest == attributes_digest({"lang": "en", KEY: "a.md"})
    assert made.ignored_attributes == ("reviewed",)


def test_surplus_goes_only_after_reading_the_kept_copy() -> None:
    made = steps([A], [live_copy(), live_copy(id="f2", at=9_950)])
    assert made.drops == (Drop("a.md", "f1", deletes_upload=True, kept_id="f2"),)


def test_a_copy_under_way_is_waited_for_and_put_right_meanwhile() -> None:
    made = steps([A], [live_copy(B), live_copy(id="f2", status=BUSY, live={"lang": "de"})])
    assert made.copy_waits == (Wait("a.md", "f2", (Drop("a.md", "f1", deletes_upload=True),)),)
    assert [update.file_id for update in made.updates] == ["f2"]


@pytest.mark.parametrize(
    ("drops", "has_writes"), [((), False), ((Drop("a.md", "file-1", deletes_upload=True, kept_id="file-2"),), True)]
)
def test_waiting_for_a_copy_writes_only_where_another_goes_afterwards(
    drops: tuple[Drop, ...], has_writes: bool
) -> None:
    assert StoreSteps("guide", "vs_1", copy_waits=(Wait("a.md", "file-2", drops),)).has_writes is has_writes


def test_a_refused_file_has_no_step() -> None:
    store = desired_store(A)
    assert (
        plan_steps(plan(store, [(live_store(store), Contents((live_copy(status=FAILED, error="invalid_file"),)))]))
        == ()
    )


def test_files_are_sent_in_key_order() -> None:
    files = [desired_file(f"{n}.md", str(n)) for n in range(5)]
    made = steps(reversed(files), [])
    assert [put.key for put in made.puts] == [f"{number}.md" for number in range(5)]


@pytest.mark.parametrize(("tries", "attempts"), [(1, 3), (4, 3), (5, 1), (9, 1)])
def test_a_file_that_failed_in_five_runs_goes_last_and_is_tried_once(tries: int, attempts: int) -> None:
    made = steps([A, desired_file("b.md")], [live_copy(status=FAILED, error="server_error", tries=tries)])
    assert {put.key: put.max_attempts for put in made.puts} == {"a.md": attempts, "b.md": 3}
    assert [put.key for put in made.puts] == (["b.md", "a.md"] if attempts == 1 else ["a.md", "b.md"])


def test_live_batches_are_cancelled_or_waited_for() -> None:
    right, wrong = live_copy(id="f1", status=BUSY), live_copy(desired_file("b.md", "B"), id="f2", status=BUSY)
    files = [A, desired_file("b.md", "B2")]
    made = steps(files, [right, wrong], batches=[live_batch("b1", "f1"), live_batch("b2", "f2")])
    assert (made.batch_waits, made.cancels) == ((BatchStep("b1"),), (BatchStep("b2"),))


EXPIRED = live_store(status=StoreStatus.EXPIRED)


@pytest.mark.parametrize(
    ("planned", "setup", "teardown"),
    [
        (plan(desired_store()), Action.CREATE, None),
        (plan(desired_store(name="x"), [(live_store(), Contents())]), Action.UPDATE, None),
        (plan(desired_store(), [(live_store(owner=""), Contents())], adopt=True), Action.ADOPT, None),
        (plan(desired_store(), [(EXPIRED, Contents())], allow_store_replace=True), Action.REPLACE, Action.REPLACE),
        (plan((), [(live_store(), Contents())], allow_store_deletes=True), None, Action.DELETE),
    ],
)
def test_a_store_is_set_up_first_and_torn_down_last(
    planned: Plan, setup: Action | None, teardown: Action | None
) -> None:
    (made,) = plan_steps(planned)
    assert (made.setup and made.setup.action, made.teardown and made.teardown.action) == (setup, teardown)


@pytest.mark.parametrize("options", [{}, {"allow_store_deletes": True, "delete_unmanaged": 0}])
def test_a_refused_store_has_no_step(options: dict[str, Any]) -> None:
    assert plan_steps(plan(desired_store(A), [(live_store(owner=""), Contents())], **options)) == ()


@pytest.mark.parametrize("action", list(Action))
def test_every_action_on_a_file_has_steps_or_is_refused(action: Action) -> None:
    """A new action without a meaning here is an error, not a step forgotten."""
    unchanged = (
        plan(desired_store(A), [(live_store(desired_store(A)), Contents((live_copy(live={"x": 1}),)))])
        .stores[0]
        .files[0]
    )
    change = replace(
        unchanged, action=action, reasons=(Reason.DRIFTED,), drop=(unchanged.keep,) if unchanged.keep else ()
    )
    planned = Plan(OWNER, plan().service, (StorePlan("guide", "guide", "vs1", desired_store(), files=(change,)),))
    if action is Action.CANCEL:
        with pytest.raises(ValueError, match="cannot be cancelled"):
            plan_steps(planned)
    else:
        assert bool(plan_steps(planned)) is (action is not Action.REFUSE)
