"""Converged: the one answer to whether all is as declared, for plans, reports, exit codes, `status` and `output`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from vssync.model.plan import NoteKind, Plan, StorePlan

# Files of the manifest that no apply brings in before a person acts.
HELD_BACK = frozenset({NoteKind.ADOPTABLE, NoteKind.INCOMPARABLE})
# What is not as declared although nothing will be done about it.
OPEN_NOTES = HELD_BACK | {NoteKind.LEFT_STORE, NoteKind.UPLOAD_GONE}


@dataclass(frozen=True, slots=True)
class Convergence:
    """How far what was looked at is as declared; what lies outside `--target` and `--exclude` was not looked at."""

    as_declared: frozenset[str]  # keys of stores
    looked_at: int  # stores
    reached: bool  # all of them are as declared


def find_convergence(plan: Plan, undone: Collection[str] | None = None) -> Convergence:
    """How far all is as declared, before an apply, or after one that left changes undone in the stores `undone`.

    A store is as declared when each of its desired files is completed, as desired, under our mark; when nothing in it
    is held back, refused, waited for, unknown, or still to be deleted; and when the manifest declares it. What
    `prune: false` or `skip` keeps does not count, nor do uploads that no store lists.
    """
    open_keys = {store.key for store in plan.stores if is_changed(store)} if undone is None else set(undone)
    open_keys |= {store.key for store in plan.stores if any(note.kind in OPEN_NOTES for note in store.notes)}
    as_declared = frozenset(store.key for store in plan.stores) - open_keys
    return Convergence(as_declared, len(plan.stores), not (open_keys or plan.refusals))


def count_unread(plan: Plan) -> int:
    """How many files were adopted and never compared: they count as declared, as far as anybody knows."""
    return sum(note.count for store in plan.stores for note in store.notes if note.kind is NoteKind.UNREAD)


def is_changed(store: StorePlan) -> bool:
    """Whether there is something to do in a store, to wait for, or that needs attention."""
    return bool(store.change or store.files or store.batches)


def count_held_back(store: StorePlan) -> int:
    """How many files of the manifest are held back."""
    return sum(note.count for note in store.notes if note.kind in HELD_BACK)
