"""Scenes: short histories of one kind each, such as a person would tell of; what varies in them, a seed decides."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tests.simulation.histories import EDITS, History, Step, weeks_of

Scene = tuple[list[Step], dict[str, Any]]  # its steps, and what else is not as by default
_AFTER = ("lost-reply", "reset-after", "status-after=502", "spoiled")


def history_of(seed: int) -> History:
    """The history of a seed: of every two, one is a scene and one is some weeks of anything."""
    return weeks_of(seed) if seed % 2 else scene_of(seed, seed // 2)


def scene_of(seed: int, number: int) -> History:
    """One variation of a scene."""
    rng = random.Random(f"scene {seed}")
    steps, more = SCENES[number % len(SCENES)](rng)
    return History(seed, tuple(steps), restless=rng.choice((0.1, 0.5, 0.9)), **more)


def _edits(rng: random.Random, *whats: str, count: int = 3) -> list[Step]:
    """Some edits, or these, which the first machine has then."""
    whats = whats or tuple(rng.choice(EDITS) for _ in range(count))
    return [*(Step(what, pick=rng.randrange(100)) for what in whats), Step("pull")]


def _edit_all() -> list[Step]:
    return [*(Step("edit_file", pick=pick) for pick in range(6)), Step("pull")]


def first_applies_at_once(rng: random.Random) -> Scene:
    beside = [Step("apply", machine, beside=machine > 0) for machine in range(rng.choice((2, 2, 3)))]
    return [*beside, Step("wait", pick=1200), Step("apply"), Step("apply", 1)], {}


def other_commits_at_once(rng: random.Random) -> Scene:
    """Two machines hold another text of one file each, and apply at once, again and again."""
    pick = rng.randrange(6)
    texts = [step for machine in (0, 1) for step in (Step("edit_file", pick=pick), Step("pull", machine))]
    both = [Step("apply"), Step("apply", 1, beside=True), Step("wait", pick=60)]
    return [Step("apply"), *texts, *both, *both], {}


def a_colleague_uses_our_uploads(rng: random.Random) -> Scene:
    lent = [Step("lend_upload", pick=rng.randrange(100)) for _ in range(3)]
    return [Step("apply"), *lent, *_edit_all(), Step("apply"), Step("gc --suspected --yes")], {}


def a_colleague_uses_what_a_killed_run_left(rng: random.Random) -> Scene:
    killed = Step("apply", stop="killed", at=rng.randrange(20, 200))
    lent = [Step("lend_loose", pick=rng.randrange(100)) for _ in range(4)]
    then = rng.choice(
        ([Step("gc --yes")], [Step("apply")], [*_edit_all(), Step("apply"), Step("gc --suspected --yes")])
    )
    return [*_some(Step("apply"), rng), *_edit_all(), killed, *lent, *then], {}


def an_application_writes_metadata(rng: random.Random) -> Scene:
    write = Step("overwrite_metadata", pick=rng.randrange(100))
    return [Step("apply"), write, *_edits(rng), Step("apply"), Step("apply")], {}


def marks_that_nobody_can_read(rng: random.Random) -> Scene:
    odd = [Step("write_odd_mark", pick=rng.randrange(100)) for _ in range(rng.choice((1, 2)))]
    last = rng.choice(("apply", "apply --adopt", "destroy"))
    return [Step("apply"), *odd, *_edits(rng), Step(last)], {}


def a_bad_hour(rng: random.Random) -> Scene:
    fault = rng.choice(("fails=server_error", "fails=rate_limit_exceeded", "fails-once", "status=503:POST:*:1-40"))
    return [*_some(Step("apply"), rng), *_edits(rng), Step("apply", faults=(fault,)), Step("wait", pick=600)], {}


def lists_that_are_late_or_short(rng: random.Random) -> Scene:
    switch = rng.choice(
        ("late-stores=20", "late-stores=99999999", "short-files=2", "late-files=20", "short-stores=2", "late-counts=10",
         "sends-has-more=off", "ignores-order=on", "skips-same-second=on")
    )  # fmt: skip
    applies = [Step("apply"), *_edits(rng), Step("apply"), *_edits(rng), Step("apply", rng.choice((0, 1)))]
    return applies, {"dialect": f"local,{switch}"}


def a_service_with_habits(rng: random.Random) -> Scene:
    """What it always does, a run copes with at once."""
    habits = (
        *("short-pages=2", "duplicates", "ties", "unseen=2", "wrong-batch-id", "zero-counts"),
        *("slow-delete=3:DELETE:/vector_stores/*", "late-ingestion=3000", "status=503:*:*:5%", "rate-limit=120"),
        *("status=404:GET:/vector_stores/*/file_batches/*", "status=404:POST:/vector_stores/*/file_batches:1"),
    )
    whats = ("edit_file", "add_file", "rename_file", "copy_file", "set_value", "set_value")
    weeks = [step for _ in range(3) for step in (*_edits(rng, *rng.sample(whats, 3)), Step("apply"))]
    return weeks, {"habits": tuple(rng.sample(habits, 3)), "copes": True, "patience": 400.0}


def a_service_that_differs(rng: random.Random) -> Scene:
    """In one way that is known of some service, and that a run finds out about."""
    switches = (
        *("floats=on", "null-attributes=on", "garbles-names=on", "plain-names=on", "unreadable-batches=404"),
        *("has-batches=off", "takes-files=off", "ignores-files=on", "lists-batches=off", "queued-seconds=10"),
        *("creating-seconds=45", "propagating-seconds=20", "misses-with-400=on", "unsettled=2", "batch-ids=batch_"),
    )
    whats = ("edit_file", "add_file", "rename_file", "copy_file", "set_value", "set_value")
    weeks = [step for _ in range(2) for step in (*_edits(rng, *rng.sample(whats, 4)), Step("apply"))]
    return weeks, {"dialect": f"local,{rng.choice(switches)}", "copes": True, "patience": 500.0}


def a_store_is_taken_over(rng: random.Random) -> Scene:
    """One that somebody filled by hand; later they do so again."""
    later = [Step("upload_our_size", pick=rng.randrange(100)), *_edits(rng), Step("apply --adopt")]
    return [Step("make_store", pick=rng.randrange(3)), Step("apply --adopt"), *later], {}


def answers_that_are_lost(rng: random.Random) -> Scene:
    where = rng.choice(
        ("POST:/vector_stores:1", "POST:/files:50%", "POST:/vector_stores/*/file_batches:1", "POST:*:30%")
    )
    fault = f"{rng.choice(_AFTER)}:{where}"
    return [*_some(Step("apply"), rng), *_edits(rng), Step("apply", faults=(fault,)), Step("gc --suspected")], {}


def deletions_that_go_wrong(rng: random.Random) -> Scene:
    kind = rng.choice(
        ("status=500", "status=404", "status=502", "reset-after", "status-after=502", "lost-reply", "spoiled")
    )
    fault = rng.choice((f"{kind}:DELETE:*:50%", f"{kind}:DELETE:*:50%", "slow-delete=1000:DELETE:/vector_stores/*"))
    switch = rng.choice(("", "", ",denies-deletions=on"))
    edits = [*_edits(rng, "remove_file", "edit_file", "edit_file", "remove_file", "rename_file")]
    return [Step("apply"), *edits, Step("apply", faults=(fault,))], {"dialect": f"local{switch}"} if switch else {}


def a_text_that_is_not_ingested(rng: random.Random) -> Scene:
    fault = rng.choice(("fails=invalid_file", "fails=server_error", "stuck-in-progress", "refused-type", "fails-once"))
    edits = rng.choice((_edit_all(), _edits(rng), _edits(rng, "set_value", "set_value", "set_value", "edit_file")))
    return [Step("apply"), *edits, Step("apply", faults=(f"{fault},file=*",))], {"patience": 800.0}


def requests_that_are_refused(rng: random.Random) -> Scene:
    status = rng.choice((400, 403, 404, 409, 422, 429, 500))
    where = rng.choice(
        ("/vector_stores/*/file_batches", "/vector_stores/*/file*", "/files", "/vector_stores/*/files/*")
    )
    fault = f"status={status}:POST:{where}{rng.choice(('', ':1', ':1-3', ':50%'))}"
    return [*_some(Step("apply"), rng), *_edits(rng, count=4), Step("apply", faults=(fault,)), Step("gc")], {}


def cut_off_and_begun_again(rng: random.Random) -> Scene:
    stop = rng.choice(("killed", "killed", "interrupted"))
    cut = [Step("apply", stop=stop, at=rng.randrange(10, 250), faults=_some("late-ingestion=30000", rng))]
    edits = rng.choice((_edit_all(), _edits(rng), []))
    looks = [Step("gc"), Step("plan"), Step("status")]
    return [*_some(Step("apply"), rng), *_edits(rng), *cut, *_some(rng.choice(looks), rng), *edits, Step("apply")], {}


def equal_texts(rng: random.Random) -> Scene:
    switch = rng.choice(("shares-chunks=on", "late-deletions=30", "stale-filters=on"))
    edits = _edits(rng, "copy_file", "copy_file", "toggle_store", "copy_file")
    later = _edits(rng, rng.choice(("remove_file", "set_value", "edit_file")), "set_value", "remove_file")
    return [*edits, Step("apply"), *later, Step("apply")], {"dialect": f"local,{switch}"}


def others_name_their_files_like_ours(rng: random.Random) -> Scene:
    theirs = [
        Step(rng.choice(("upload_our_name", "upload_our_size", "attach_foreign")), pick=rng.randrange(100))
        for _ in range(3)
    ]
    last = Step(rng.choice(("apply", "apply --adopt")))
    return [Step("apply"), *theirs, Step("erase_mark", pick=rng.randrange(100)), *_edits(rng), last, Step("apply")], {}


def all_is_destroyed(rng: random.Random) -> Scene:
    theirs = [Step(rng.choice(("attach_foreign", "lend_upload")), pick=rng.randrange(100)) for _ in range(2)]
    habits = rng.choice(((), ("only-page", "short-pages=2"), ("wrong-counts",)))
    return [*_edits(rng, "toggle_store"), Step("apply"), *_some(theirs[0], rng), Step("destroy", faults=habits)], {}


def a_plan_is_reviewed(rng: random.Random) -> Scene:
    """What happens between a plan and its apply, which may do no more than was seen."""
    meanwhile = rng.choice(
        (_edit_all(), _edits(rng), [Step("change_attributes", pick=3)], [Step("erase_mark", pick=2)])
    )
    return [Step("apply"), *_edits(rng), Step("plan --out"), *meanwhile, Step("apply PLAN"), Step("apply")], {}


def _some(step: Any, rng: random.Random) -> Any:
    """The step, or none."""
    return (step,) if rng.random() < 0.5 else ()


SCENES: tuple[Callable[[random.Random], Scene], ...] = (
    first_applies_at_once,
    answers_that_are_lost,
    a_service_with_habits,
    other_commits_at_once,
    deletions_that_go_wrong,
    a_colleague_uses_our_uploads,
    a_text_that_is_not_ingested,
    cut_off_and_begun_again,
    lists_that_are_late_or_short,
    an_application_writes_metadata,
    requests_that_are_refused,
    a_colleague_uses_what_a_killed_run_left,
    others_name_their_files_like_ours,
    a_bad_hour,
    equal_texts,
    marks_that_nobody_can_read,
    all_is_destroyed,
    a_plan_is_reviewed,
    a_service_that_differs,
    a_store_is_taken_over,
)
