"""Scenes of what is rare: an unlucky moment, a strange service, a mistake, another owner."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.dice import Dice, Scene, edit_all, edits, some
from tests.simulation.histories import Step


def first_applies_where_lists_are_late(dice: Dice) -> Scene:
    beside = [Step("apply", machine, beside=machine > 0) for machine in range(2)]
    late = dice.next_of((5, 20, 60))
    return [*beside, Step("wait", pick=1200), Step("apply"), Step("apply", 1)], {"dialect": f"local,late-stores={late}"}


def an_expired_store_is_replaced(dice: Dice) -> Scene:
    """It is replaced, where the service has a bad hour."""
    where = ("lost-reply:POST:/vector_stores:1", "spoiled:POST:*", "fails=server_error", "fails=invalid_file,file=*a*")
    fault = dice.next_of((*where, "status=403:POST:/vector_stores/*/file*", "status-after=502:POST:/vector_stores:1"))
    apply = "apply --allow-store-replace"
    habit = "status=502:POST:/vector_stores:1"
    first = [Step("set_expiry"), Step("pull"), Step("apply"), Step("wait", pick=8 * 86_400)]
    if dice.turn % 3 == 2:
        return [*first, Step(apply)], {"habits": (habit,), "copes": True}
    return [*first, *edits(dice), Step(apply, faults=(fault,)), Step("wait", pick=900), Step(apply)], {}


def a_store_is_copied(dice: Dice) -> Scene:
    copied = [Step("wait", pick=dice.choice((900, 7_200))), Step("copy_store", pick=dice.turn), *edits(dice)]
    return [Step("apply"), *copied, Step("apply"), Step("apply")], {}


def names_that_prove_an_upload(dice: Dice) -> Scene:
    """They hold a digest, equal texts have equal names, and answers to uploads get lost."""
    kind = dice.next_of(("lost-reply", "status=502", "status-after=502", "reset-before"))
    lost = Step("apply", faults=(f"{kind}:POST:/files:{dice.choice(('50%', '1-3', '30%'))}",))
    detached = [Step("lend_upload", pick=3), Step("detach_file", pick=3)] if dice.random() < 0.5 else []
    changes = edits(dice, "copy_file", "copy_file", "edit_file")
    first = [Step("name_by_digest"), *some(Step("copy_file", pick=1), dice), Step("pull"), Step("apply")]
    return [*first, *detached, Step("wait", pick=dice.choice((60, 86_400))), *changes, lost, Step("apply")], {}


def two_stores_of_a_service_that_differs(dice: Dice) -> Scene:
    switch = dice.next_of(("has-batches=off", "takes-files=off", "ignores-files=on", "unreadable-batches=404"))
    first = [Step("toggle_store"), *edits(dice, "add_file", "add_file"), Step("apply")]
    more = {"dialect": f"local,{switch}", "workers": dice.choice((2, 4)), "copes": True, "patience": 500.0}
    return [*first, *edit_all(), Step("apply")], more


def refused_after_it_was_done(dice: Dice) -> Scene:
    """Something between takes what the service did for an error, or says so before it was done."""
    status, kind = (
        dice.next_of((400, 403, 409, 422, 400, 409, 422)),
        dice.choice(("status-after", "status-after", "status")),
    )
    fault = (
        f"{kind}={status}:POST:/vector_stores/*/file{dice.choice(('_batches', 's', '*'))}{dice.choice(('', ':1-2'))}"
    )
    return [*some(Step("apply"), dice), *edits(dice, count=4), Step("apply", faults=(fault,)), Step("gc")], {}


def cut_otherwise_and_refused(dice: Dice) -> Scene:
    """What is cut otherwise is detached, to be attached again."""
    status, where = (400, 500, 403, 422)[dice.turn // 2 % 4], dice.choice(("file_batches", "file_batches", "file*"))
    fault = f"status={status}:POST:/vector_stores/*/{where}"
    recut = [Step("set_value", pick=12), Step("set_value", pick=11), Step("pull")]
    if dice.turn % 2:  # or was not ingested
        failed = [*edit_all(), Step("apply", faults=("fails=server_error,file=*",)), Step("wait", pick=600)]
        return [*some(Step("apply"), dice), *failed, Step("apply", faults=(fault,)), Step("gc")], {}
    more = {"patience": 200.0} if where == "file_batches" else {}
    return [Step("apply"), *recut, Step("apply", faults=(fault,)), Step("gc")], more


def a_service_that_asks_to_wait(dice: Dice) -> Scene:
    fault = dice.next_of(("status=503,retry-after=0:*:*:30%", "status=429,retry-after=20:*:*:10%"))
    apply = Step("apply", faults=(fault,))
    return [Step("toggle_store"), *edits(dice), apply, *edits(dice), apply], {"workers": dice.choice((2, 4))}


def killed_again_and_again(dice: Dice) -> Scene:
    killed = [Step("apply", stop="killed", at=dice.randrange(40, 260)) for _ in range(dice.choice((1, 1, 2)))]
    return [*some(Step("apply"), dice), *edit_all(), *killed, Step("apply")], {}


def a_reviewed_file_changes(dice: Dice) -> Scene:
    """Between the plan and its apply: its text once more, or a copy of it appears."""
    pick = dice.randrange(5)
    edit = [Step("edit_file", pick=pick), Step("pull")]
    change, then = dice.next_of(
        ((edit, edit), ([Step("remove_file", pick=pick), Step("pull")], [Step("double_file", pick=pick + 1)]))
    )
    return [Step("apply"), *change, Step("plan --out"), *then, Step("apply PLAN"), Step("apply")], {}


def a_build_writes_meanwhile(dice: Dice) -> Scene:
    builds = [Step("build", pick=dice.randrange(100), at=dice.randrange(1, 4), beside=True) for _ in range(3)]
    return [*some(Step("apply"), dice), *edit_all(), Step("apply"), *builds, Step("apply")], {}


def others_have_a_text_of_ours(dice: Dice) -> Scene:
    pick = dice.randrange(6)
    changes = edits(dice, dice.choice(("edit_file", "remove_file", "swap_files")), "edit_file", "remove_file")
    steps = [Step("apply"), *(Step("attach_equal_text", pick=each) for each in (pick, pick + 1, pick + 3)), *changes]
    return [*steps, Step("apply")], {"dialect": "local,shares-chunks=on"}


def a_store_leaves_the_manifest(dice: Dice) -> Scene:
    look = Step(dice.next_of(("status --detailed-exitcode", "plan --detailed-exitcode", "apply")))
    return [Step("toggle_store"), Step("pull"), Step("apply"), Step("toggle_store"), Step("pull"), look], {}


def a_manifest_is_copied(dice: Dice) -> Scene:
    """Another team begins with our manifest, and forgets to change the owner."""
    return [*edits(dice), Step("apply"), Step("replace_all"), Step("pull"), Step("apply"), Step("apply")], {}


def a_kind_that_is_refused(dice: Dice) -> Scene:
    """Or storage that is full: what is so of one file is so of all."""
    if dice.turn % 2:
        return [Step("add_files", pick=1), Step("pull"), Step("apply"), Step("remove_kind"), Step("pull")], {
            "dialect": "local,refuses=.rst",
            "most_writes": 30,
        }
    status, where = dice.choice((400, 403)), dice.choice(("/files", "/vector_stores/*/file*"))
    full = Step("apply", faults=(f"status={status}:POST:{where}",))
    most = 18 if where == "/files" else 24  # batches are halved until it is clear that no file is at fault
    return [Step("apply"), Step("add_files"), Step("pull"), full], {"most_writes": most}


def batches_that_seem_missing(dice: Dice) -> Scene:
    """For a while, or when they are read; the manifest says that there are some, or the service shows it."""
    missing = "status=404:POST:/vector_stores/*/file_batches:1"
    stated = [Step("state_batches"), Step("pull"), Step("apply")]
    if dice.turn % 2:
        return stated, {"habits": (missing, "status=404:GET:/vector_stores/*/file_batches/*"), "most_writes": 10}
    return [Step("apply"), *edit_all(), Step("apply")], {"habits": (missing,), "most_writes": 24}


def one_of_two_stores_has_an_odd_mark(dice: Dice) -> Scene:
    odd = Step("write_odd_mark", pick=dice.choice((3, 9, 15)))
    return [Step("toggle_store"), Step("pull"), Step("apply"), odd, Step("destroy")], {}


def a_store_of_our_name(dice: Dice) -> Scene:
    """Somebody filled one, and nobody wants it adopted."""
    return [Step("make_store", pick=dice.randrange(3)), Step("apply"), *edits(dice), Step("apply")], {}


def a_batch_that_is_still_wanted(dice: Dice) -> Scene:
    """A run is cut off while files are ingested; then one of them changes."""
    cut = Step("apply", stop="killed", at=dice.randrange(100, 400), faults=("late-ingestion=600000",))
    return [*some(Step("apply"), dice), *edit_all(), cut, *edits(dice, "edit_file"), Step("plan"), Step("apply")], {}


def another_owner_is_at_work(dice: Dice) -> Scene:
    """On a machine of its own, with stores of its own, or files in one of ours."""
    theirs = [Step("pull theirs", 1, pick=dice.turn), Step("apply", 1)]
    both = [Step("apply", beside=False), Step("apply", 1, beside=True)]
    last = dice.choice(([Step("destroy"), Step("apply")], [Step("apply", 1)], [Step("gc --suspected --yes", 1)]))
    return [Step("apply"), *theirs, *edits(dice), *some(Step("pull", 1), dice), *both, *last], {}


def contents_that_nobody_can_read(dice: Dice) -> Scene:
    """Long after a store was filled, a file is put in place of ours that only looks like it."""
    alike = [Step("wait", pick=365 * 86_400), Step("upload_our_size", pick=dice.randrange(100))]
    more = {"dialect": "local,refuses-content=assistants+user_data"}
    return [Step("apply"), *alike, *some(Step("edit_file", pick=3), dice), Step("pull"), Step("apply --adopt")], more


def a_listing_that_stops_early(dice: Dice) -> Scene:
    """Of a store that others use, too, only the first page is shown."""
    theirs = [Step("attach_foreign", pick=dice.randrange(100)) for _ in range(2)]
    last = Step(dice.next_of(("destroy", "apply")), faults=("only-page", f"short-pages={dice.choice((2, 3))}"))
    some_of_ours = [*(Step("edit_file", pick=pick) for pick in range(3)), Step("pull"), Step("apply")]
    return [Step("apply"), *theirs, *some_of_ours, *edits(dice), last], {}


def answers_lost_of_what_goes_then(dice: Dice) -> Scene:
    lost = Step("apply", faults=(f"{dice.next_of(('lost-reply', 'reset-after'))}:POST:/files:50%",))
    gone = edits(dice, "remove_file", "remove_file", "rename_file", "remove_file")
    return [*some(Step("apply"), dice), *edit_all(), lost, *gone, Step("apply"), Step("gc --suspected")], {}


def uploads_get_other_names(dice: Dice) -> Scene:
    look = Step(dice.next_of(("status --detailed-exitcode", "plan --detailed-exitcode", "apply")))
    return [Step("apply"), Step("set_value", pick=13), *edits(dice, count=1), look], {}


def what_only_seems_deleted(dice: Dice) -> Scene:
    """The service says so, or something between does."""
    changes = edits(dice, "edit_file", "remove_file", "edit_file", "add_file")
    if dice.turn % 2:
        refused = Step("apply", faults=("refused-type,file=*",))
        return [Step("apply"), *changes, refused], {"dialect": "local,denies-deletions=on"}
    where = dice.choice(("*", "/files/*", "/vector_stores/*/files/*"))
    return [Step("apply"), *changes, Step("apply", faults=(f"spoiled:DELETE:{where}:all",))], {}


RARE_SCENES: tuple[Callable[[Dice], Scene], ...] = (
    a_listing_that_stops_early,
    first_applies_where_lists_are_late,
    an_expired_store_is_replaced,
    a_store_is_copied,
    names_that_prove_an_upload,
    two_stores_of_a_service_that_differs,
    refused_after_it_was_done,
    cut_otherwise_and_refused,
    a_service_that_asks_to_wait,
    killed_again_and_again,
    a_reviewed_file_changes,
    a_build_writes_meanwhile,
    others_have_a_text_of_ours,
    a_store_leaves_the_manifest,
    a_manifest_is_copied,
    a_kind_that_is_refused,
    batches_that_seem_missing,
    one_of_two_stores_has_an_odd_mark,
    a_store_of_our_name,
    a_batch_that_is_still_wanted,
    another_owner_is_at_work,
    what_only_seems_deleted,
    contents_that_nobody_can_read,
    answers_lost_of_what_goes_then,
    uploads_get_other_names,
)
