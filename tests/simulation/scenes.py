"""Scenes: short histories of one kind each, such as a person would tell of; what varies in them, a seed decides."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.dice import Dice, Scene, edit_all, edits, some
from tests.simulation.histories import History, Step, weeks_of
from tests.simulation.rare_scenes import RARE_SCENES

_TURNS = 16  # about those of the tests: the seeds by which mutants are known come first
_SLOTS, _RARE = 64, 39  # more than there are scenes, and where the rare ones begin: a new one changes no other's seeds
_AFTER = ("lost-reply", "reset-after", "status-after=502", "spoiled")


def history_of(seed: int) -> History:
    """The history of a seed: of every `_SLOTS` in a row, one of each scene, and otherwise some weeks of anything.

    After `_TURNS` of these, all of every second are weeks.
    """
    turn, slot = divmod(seed, _SLOTS)
    if slot not in _SCENE_OF or (turn >= _TURNS and turn % 2):
        return weeks_of(seed)
    dice = Dice(f"scene {seed}")
    dice.turn = turn
    steps, more = _SCENE_OF[slot](dice)
    return History(seed, tuple(steps), restless=dice.choice((0.1, 0.5, 0.9)), **more)


def first_applies_at_once(dice: Dice) -> Scene:
    beside = [Step("apply", machine, beside=machine > 0) for machine in range(dice.choice((2, 2, 3)))]
    return [*beside, Step("wait", pick=1200), Step("apply"), Step("apply", 1)], {"copes": True}


def other_commits_at_once(dice: Dice) -> Scene:
    """Two machines hold another text of one file each, and apply at once, again and again."""
    pick = dice.randrange(6)
    texts = [step for machine in (0, 1) for step in (Step("edit_file", pick=pick), Step("pull", machine))]
    texts += [Step("wait", pick=dice.choice((1, 60)))]
    both = [Step("apply"), Step("apply", 1, beside=True), Step("wait", pick=60)]
    return [Step("apply"), *(step for _ in range(3) for step in (*texts, *both, *both))], {}


def a_colleague_uses_our_uploads(dice: Dice) -> Scene:
    lent = [Step("lend_upload", pick=dice.randrange(100)) for _ in range(3)]
    return [Step("apply"), *lent, *edit_all(), Step("apply"), Step("gc --suspected --yes")], {}


def a_colleague_uses_what_a_killed_run_left(dice: Dice) -> Scene:
    killed = Step("apply", stop="killed", at=dice.randrange(20, 200))
    lent = [Step("lend_loose", pick=dice.randrange(100)) for _ in range(4)]
    then = dice.choice(
        ([Step("gc --yes")], [Step("apply")], [*edit_all(), Step("apply"), Step("gc --suspected --yes")])
    )
    return [*some(Step("apply"), dice), *edit_all(), killed, *lent, *then], {}


def an_application_writes_metadata(dice: Dice) -> Scene:
    write = Step("overwrite_metadata", pick=dice.randrange(100))
    return [Step("apply"), write, *edits(dice), Step("apply"), Step("apply")], {}


def marks_that_nobody_can_read(dice: Dice) -> Scene:
    odd = [Step("write_odd_mark", pick=dice.randrange(100)) for _ in range(dice.choice((1, 2)))]
    last = dice.choice(("apply", "apply --adopt", "destroy"))
    return [Step("apply"), *odd, *edits(dice), Step(last)], {}


def a_bad_hour(dice: Dice) -> Scene:
    fault = dice.next_of(("fails=server_error", "fails=rate_limit_exceeded", "fails-once", "status=503:POST:*:1-40"))
    return [*some(Step("apply"), dice), *edits(dice), Step("apply", faults=(fault,)), Step("wait", pick=600)], {}


def lists_that_are_late_or_short(dice: Dice) -> Scene:
    late = ("late-stores=20", "late-files=20", "late-counts=10", "late-stores=99999999")
    switch = dice.next_of((*late, "short-files=2", "short-stores=2", "sends-has-more=off"))
    applies = [Step("apply"), *edits(dice), Step("apply"), *edits(dice), Step("apply", dice.choice((0, 1)))]
    return applies, {"dialect": f"local,{switch}"}


def a_service_with_habits(dice: Dice) -> Scene:
    """What it always does, a run copes with at once."""
    habits = (
        *("short-pages=2", "duplicates", "ties", "unseen=2", "wrong-batch-id", "zero-counts"),
        *("slow-delete=3:DELETE:/vector_stores/*", "late-ingestion=3000", "status=503:*:*:5%", "rate-limit=120"),
        *("status=404:GET:/vector_stores/*/file_batches/*", "status=404:POST:/vector_stores/*/file_batches:1"),
    )
    whats = ("edit_file", "add_file", "rename_file", "copy_file", "set_value", "set_value")
    weeks = [step for _ in range(3) for step in (*edits(dice, *dice.sample(whats, 3)), Step("apply"))]
    at_once = dice.next_of(tuple(zip(*[iter(habits)] * 3, strict=True)))
    return weeks, {"habits": at_once, "copes": True, "patience": 400.0}


def a_service_that_differs(dice: Dice) -> Scene:
    """In one way that is known of some service, and that a run finds out about."""
    switches = (
        *("floats=on", "unreadable-batches=404", "has-batches=off", "ignores-files=on", "propagating-seconds=20"),
        *("takes-files=off", "creating-seconds=45", "garbles-names=on", "misses-with-400=on", "null-attributes=on"),
    )
    whats = ("edit_file", "add_file", "rename_file", "copy_file", "set_value", "set_value")
    weeks = [step for _ in range(2) for step in (*edits(dice, *dice.sample(whats, 4)), Step("apply"))]
    return weeks, {"dialect": f"local,{dice.next_of(switches)}", "copes": True, "patience": 500.0}


def a_store_is_taken_over(dice: Dice) -> Scene:
    """One that somebody filled by hand; later they do so again."""
    later = [Step("upload_our_size", pick=dice.randrange(100)), *edits(dice), Step("apply --adopt")]
    return [Step("make_store", pick=dice.randrange(3)), Step("apply --adopt"), *later], {}


def answers_that_are_lost(dice: Dice) -> Scene:
    where = dice.choice(("/vector_stores:1", "/files:50%", "/vector_stores/*/file_batches:1", "*:30%", "*:30%"))
    fault = f"{dice.next_of(_AFTER)}:POST:{where}"
    lost, later = Step("apply", faults=(fault,)), [Step("wait", pick=1200), Step("apply"), Step("gc --suspected")]
    return [*some(Step("apply"), dice), *edits(dice, "edit_file", "copy_file", "rename_file"), lost, *later], {
        "copes": True
    }


def deletions_that_go_wrong(dice: Dice) -> Scene:
    kinds = (*_AFTER, "status=500", "status=404")
    faults = (
        *(f"{kind}:DELETE:*:50%" for kind in kinds),
        "slow-delete=1000:DELETE:/vector_stores/*",
        "status=502:DELETE:*",
    )
    fault = dice.next_of(faults)
    switch = dice.choice(("", "", ",denies-deletions=on"))
    changes = edits(dice, "remove_file", "edit_file", "edit_file", "remove_file", "rename_file")
    return [Step("apply"), *changes, Step("apply", faults=(fault,))], {"dialect": f"local{switch}"} if switch else {}


def a_text_that_is_not_ingested(dice: Dice) -> Scene:
    fault = dice.next_of(
        ("fails=invalid_file", "fails=server_error", "stuck-in-progress", "refused-type", "fails-once")
    )
    changes = dice.choice((edit_all(), edits(dice), edits(dice, "set_value", "set_value", "set_value", "edit_file")))
    return [Step("apply"), *changes, Step("apply", faults=(f"{fault},file=*",))], {"patience": 800.0}


def requests_that_are_refused(dice: Dice) -> Scene:
    status = dice.next_of((400, 403, 404, 409, 422, 429, 500))
    where = dice.choice(
        ("/vector_stores/*/file_batches", "/vector_stores/*/file*", "/files", "/vector_stores/*/files/*")
    )
    fault = f"status={status}:POST:{where}{dice.choice(('', ':1', ':1-3', ':50%'))}"
    return [*some(Step("apply"), dice), *edits(dice, count=4), Step("apply", faults=(fault,)), Step("gc")], {}


def cut_off_and_begun_again(dice: Dice) -> Scene:
    stop = dice.choice(("killed", "killed", "interrupted"))
    cut = [Step("apply", stop=stop, at=dice.randrange(10, 250), faults=some("late-ingestion=30000", dice))]
    changes = dice.choice((edit_all(), edits(dice), []))
    looks = [Step("gc"), Step("plan"), Step("status")]
    return [
        *some(Step("apply"), dice),
        *edits(dice),
        *cut,
        *some(dice.choice(looks), dice),
        *changes,
        Step("apply"),
    ], {}


def equal_texts(dice: Dice) -> Scene:
    switch = dice.choice(("shares-chunks=on", "late-deletions=30", "stale-filters=on"))
    changes = edits(dice, "copy_file", "copy_file", "toggle_store", "copy_file")
    later = edits(dice, dice.choice(("remove_file", "set_value", "edit_file")), "set_value", "remove_file")
    return [*changes, Step("apply"), *later, Step("apply")], {"dialect": f"local,{switch}"}


def others_name_their_files_like_ours(dice: Dice) -> Scene:
    theirs = [
        Step(dice.choice(("upload_our_name", "upload_our_size", "attach_foreign")), pick=dice.randrange(100))
        for _ in range(3)
    ]
    last = Step(dice.choice(("apply", "apply --adopt")))
    return [
        Step("apply"),
        *theirs,
        Step("erase_mark", pick=dice.randrange(100)),
        *edits(dice),
        last,
        Step("apply"),
    ], {}


def all_is_destroyed(dice: Dice) -> Scene:
    theirs = [Step(dice.choice(("attach_foreign", "lend_upload")), pick=dice.randrange(100)) for _ in range(2)]
    habits = dice.choice(((), ("only-page", "short-pages=2"), ("wrong-counts",)))
    return [*edits(dice, "toggle_store"), Step("apply"), *some(theirs[0], dice), Step("destroy", faults=habits)], {}


def a_plan_is_reviewed(dice: Dice) -> Scene:
    """What happens between a plan and its apply, which may do no more than was seen."""
    meanwhile = dice.choice(
        (edit_all(), edits(dice), [Step("change_attributes", pick=3)], [Step("erase_mark", pick=2)])
    )
    return [Step("apply"), *edits(dice), Step("plan --out"), *meanwhile, Step("apply PLAN"), Step("apply")], {}


def a_store_expires(dice: Dice) -> Scene:
    """Nobody uses it for more than a week; of what was in it, some is changed or removed by then."""
    fault = dice.next_of(("", "lost-reply:POST:/vector_stores:1", "", "status-after=502:POST:/vector_stores:1"))
    late = Step("apply --allow-store-replace", faults=(fault,) if fault else ())
    changes = edits(dice, "edit_file", "remove_file", "rename_file", "add_file")
    return [Step("set_expiry"), Step("pull"), Step("apply"), *changes, Step("wait", pick=8 * 86_400), late], {}


def uploads_that_only_look_like_ours(dice: Dice) -> Scene:
    """Somebody uploads other texts of the same names and sizes, just before an upload of ours is lost, or long ago."""
    fault = dice.next_of(("reset-before", "lost-reply", "status=502"))
    wait = Step("wait", pick=dice.next_of((1, 1, 1, 90_000)))
    lost = Step("apply", faults=(f"{fault}:POST:/files:{dice.choice(('1', '50%', '1-2'))}",))
    return [*some(Step("apply"), dice), *edit_all(), Step("upload_alike"), wait, lost], {}


def the_same_text_in_two_stores(dice: Dice) -> Scene:
    """Each is uploaded once, however many are at work."""
    stores = [Step("toggle_store"), *edits(dice, "copy_file", "copy_file"), Step("apply")]
    return [*stores, Step("edit_file", pick=0), *edits(dice, "edit_file"), Step("apply")], {"workers": 2}


def a_store_is_made_twice_and_loses_its_mark(dice: Dice) -> Scene:
    """Two machines begin at once and agree on a store; later an application overwrites its metadata."""
    both = [Step("apply"), Step("apply", 1, beside=True)]
    written = [Step("overwrite_metadata"), *some(Step("change_store", pick=1), dice)]
    machines = dice.next_of(((0, 1), (1, 0)))
    return [*both, Step("wait", pick=60), *written, *(Step("apply", machine) for machine in machines)], {"workers": 2}


def one_applies_and_another_destroys(dice: Dice) -> Scene:
    """One begins later, as its first requests fail; or the last look of the other is slow."""
    late = some(f"status=503:GET:/vector_stores:1-{dice.randrange(1, 4)}", dice)
    changes = edits(dice, "toggle_store") if dice.turn % 2 else edit_all()
    both = [Step("destroy", 1), Step("apply", faults=late, beside=True)]
    if dice.turn % 4 == 0:
        changes, slow = edits(dice, "add_file", "add_file"), "delay=9000:GET:/vector_stores/*:1+"
        late = (f"status=503:GET:/vector_stores:1-{dice.randrange(1, 4)}",)
        both = [Step("destroy", 1, faults=late), Step("apply", faults=(slow,), beside=True)]
    return [Step("apply"), *changes, Step("pull", 1), *both], {}


def a_colleague_attaches_while_all_is_destroyed(dice: Dice) -> Scene:
    theirs = Step(dice.choice(("attach_foreign", "upload_our_name")), pick=dice.randrange(2, 60, 2), beside=True)
    return [*edits(dice, "toggle_store"), Step("apply"), Step("destroy"), theirs], {}


def files_that_are_attached_again(dice: Dice) -> Scene:
    """Other chunking and other attributes, on services where a File has to leave its store for that."""
    switches = ("shares-chunks=on,late-deletions=30", "stale-filters=on,late-deletions=30", "shares-chunks=on")
    more = dice.choice(("", "", ",reattaches=on"))
    first = [Step("set_value", pick=12), Step("set_value", pick=dice.choice((4, 18))), Step("apply")]
    again = [Step("set_value", pick=pick) for pick in (dice.choice((4, 11)), 9, 10)]
    stop, at = ("killed", dice.randrange(60, 200)) if dice.turn % 3 == 2 else ("", 0)
    cut = [Step("pull"), Step("apply", stop=stop, at=at), *edits(dice, "remove_file", "remove_file", "remove_file")]
    steps = [*first, *again, *cut, Step("apply"), *edits(dice, "set_value"), Step("apply")]
    return steps, {"dialect": f"local,{dice.next_of(switches)}{more}"}


def one_tidies_up_while_another_applies(dice: Dice) -> Scene:
    applies = Step("apply", faults=("status=503:POST:/vector_stores/*/file_batches:1-3",))
    later = (f"status=503:GET:/files:1-{dice.randrange(1, 4)}",)
    both = [applies, Step("gc --suspected --yes", 1, faults=later, beside=True)]
    return [*some(Step("apply"), dice), *edit_all(), Step("pull", 1), *both, Step("apply")], {}


def a_killed_run_is_tidied_up_after(dice: Dice) -> Scene:
    killed = Step("apply", stop="killed", at=dice.randrange(40, 250))
    gone = edits(dice, "remove_file", "remove_file", "remove_file", "edit_file")
    looks = dice.choice(([Step("gc --yes"), Step("plan")], [Step("plan")], [Step("gc"), Step("plan")]))
    return [
        *some(Step("apply"), dice),
        *edit_all(),
        killed,
        *some(Step("wait", pick=90_000), dice),
        *looks,
        *gone,
    ], {}


def files_that_are_declared_by_id(dice: Dice) -> Scene:
    """A person uploads by hand, and declares that; or declares what one of our documents made."""
    by_hand = [Step("declare_upload", pick=dice.randrange(100)), Step("pull"), Step("apply")]
    renamed = [*edits(dice, "rename_declared"), Step("apply")]
    fault = dice.next_of(((), ("fails=server_error,file=*",), (), ("status=503:POST:/files",)))
    ours = [Step("declare_ours", pick=dice.randrange(100)), Step("pull"), Step("apply", faults=fault)]
    return [*some(Step("apply"), dice), *by_hand, *renamed, *ours, *edit_all(), Step("apply"), Step("apply")], {}


def metadata_that_do_not_stay(dice: Dice) -> Scene:
    """A gateway drops a store's metadata."""
    fault = dice.next_of(("lost-metadata:POST:/vector_stores/*", "lost-metadata:POST:/vector_stores*:1"))
    changes = [Step("set_value", pick=dice.choice((7, 8))), *edits(dice, "set_value", "edit_file")]
    return [*some(Step("apply"), dice), *changes, Step("apply", faults=(fault,)), Step("apply")], {}


def a_key_loses_its_permission(dice: Dice) -> Scene:
    """To attach; what was uploaded by then waits for the next run."""
    fault = f"status={dice.next_of((403, 401))}:POST:/vector_stores/*/file*:{dice.choice(('1+', '2+', '3+'))}"
    changes = [*edit_all(), *edits(dice, "add_file", "copy_file")]
    return [*some(Step("apply"), dice), *changes, Step("apply", faults=(fault,)), Step("apply")], {}


def attributes_that_come_back_changed(dice: Dice) -> Scene:
    """A service writes some of them otherwise: once that is noted, it is no difference."""
    habits = (dice.next_of(("garbled-attributes,keys=lang", "garbled-attributes,keys=level", "garbled-attributes")),)
    weeks = [step for _ in range(2) for step in (*edits(dice, "edit_file", "set_value", "add_file"), Step("apply"))]
    return [*some(Step("apply"), dice), *weeks], {"habits": habits}


def a_laptop_is_closed(dice: Dice) -> Scene:
    """While its run waits for the service; in the morning it goes on."""
    closed = Step("apply", stop="suspended", at=dice.randrange(60, 260))
    habits = (dice.choice(("late-ingestion=20000", "late-ingestion=60000")),)
    return [*some(Step("apply"), dice), *edit_all(), closed], {"habits": habits, "copes": True}


def requests_that_are_sent_twice(dice: Dice) -> Scene:
    """By something in between, which passes on the last answer."""
    twice = Step("apply", faults=("twice:POST:*:some",))
    return [*some(twice, dice), *edits(dice, count=4), twice, *edits(dice), twice], {}


SCENES: tuple[Callable[[Dice], Scene], ...] = (
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
    a_store_expires,
    uploads_that_only_look_like_ours,
    the_same_text_in_two_stores,
    a_store_is_made_twice_and_loses_its_mark,
    one_applies_and_another_destroys,
    a_colleague_attaches_while_all_is_destroyed,
    files_that_are_attached_again,
    one_tidies_up_while_another_applies,
    a_killed_run_is_tidied_up_after,
    files_that_are_declared_by_id,
    metadata_that_do_not_stay,
    requests_that_are_sent_twice,
    a_laptop_is_closed,
    a_key_loses_its_permission,
    attributes_that_come_back_changed,
)
_SCENE_OF = dict(enumerate(SCENES)) | dict(enumerate(RARE_SCENES, _RARE))
