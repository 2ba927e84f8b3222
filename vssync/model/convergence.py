"""Convergence: how far the live stores are as declared, before an apply or after one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from vssync.model.plan import Action, NoteKind, Plan

HELD_BACK = frozenset({NoteKind.ADOPTABLE, NoteKind.INCOMPARABLE})  # files that no apply uploads before a person acts
OPEN_NOTES = HELD_BACK | {NoteKind.LEFT_STORE, NoteKind.UPLOAD_GONE}  # not as declared, though no change is planned


@dataclass(frozen=True, slots=True)
class Convergence:
    """How far the stores in scope are as declared; what `--target` and `--exclude` leave out does not count."""

    as_declared: frozenset[str]  # keys of stores
    reached: bool  # all of them are as declared


def find_convergence(plan: Plan, undone: Collection[str] | None = None) -> Convergence:
    """How far all is as declared: before an apply, or after one that left changes undone in the stores `undone`.

    A store is as declared when each of its desired files is completed, as desired, under our mark; when nothing in it
    is held back, refused, waited for, unknown, or still to be deleted; and when the manifest declares it, or says to
    remove it and nothing of that is left to do. What `prune: false` or `skip` keeps does not count, nor do uploads that
    no store lists.
    """
    changed = {store.key for store in plan.stores if store.change or store.files or store.batches}
    noted = {store.key for store in plan.stores if any(note.kind in OPEN_NOTES for note in store.notes)}
    open_keys = noted | (changed if undone is None else set(undone))
    as_declared = frozenset(store.key for store in plan.stores) - open_keys
    return Convergence(as_declared, reached=not (open_keys or plan.refusals))


def leaves_something(plan: Plan) -> bool:
    """Whether even an apply that does all it can leaves something in scope not as declared."""
    refused = {
        store.key
        for store in plan.stores
        for change in (store.change, *store.files)
        if change and change.action is Action.REFUSE
    }
    return not find_convergence(plan, refused).reached


def count_uncompared(plan: Plan) -> int:
    """How many files were adopted and never compared: they count as declared, as far as anybody knows."""
    return sum(note.count for store in plan.stores for note in store.notes if note.kind is NoteKind.UNCOMPARED)
