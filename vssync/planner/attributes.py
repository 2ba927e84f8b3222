"""Compares the attributes a copy has with those it should have, and says who changed what.

Three sides meet: live (what the service says), marked (the digest of what we last sent) and desired. Live other than
marked: somebody else changed it. Desired other than marked: the manifest changed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import combinations

from vssync.model.marks import KEY, MARK, attributes_digest, key_attribute, normalise, same, with_key
from vssync.model.plan import FieldChange, Reason
from vssync.model.state import Attributes, DesiredFile, Scalar
from vssync.planner.classify import OwnedFile

_TRACED = 5  # fields up to which it is found out who changed which: all combinations are tried


@dataclass(frozen=True, slots=True)
class AttributeDifference:
    """Fields that differ, and why; nothing when none does."""

    reasons: tuple[Reason, ...] = ()
    fields: tuple[FieldChange, ...] = ()


def compare_attributes(file: DesiredFile, copy: OwnedFile, ignore: Collection[str]) -> AttributeDifference:
    """What an attribute write would change on a copy of this key."""
    if attributes_equal(file, copy.file.attributes, ignore):
        return AttributeDifference()
    live = normalise(copy.file.attributes, ignore)
    desired = normalise(with_key(file.attributes, file.key), ignore)
    names = [name for name in sorted({*live, *desired}) if not same(live.get(name), desired.get(name))]
    if not names:
        return AttributeDifference()
    marked, found = copy.mark.attributes, attributes_digest(live)
    manifest_changed = found == marked or attributes_digest(desired) != marked
    if found == copy.mark.echo and not manifest_changed:
        return AttributeDifference()
    drifted = () if found in (marked, copy.mark.echo) else _drifted(live, desired, names, marked)
    causes = {Reason.ATTRIBUTES_CHANGED: manifest_changed, Reason.DRIFTED: bool(drifted)}
    fields = tuple(FieldChange(name, live.get(name), desired.get(name), name in drifted) for name in names)
    return AttributeDifference(tuple(reason for reason, holds in causes.items() if holds), fields)


def fields_between(live: Attributes, file: DesiredFile, ignore: Collection[str]) -> tuple[FieldChange, ...]:
    """The fields in which a file without a mark differs from the manifest."""
    before, after = normalise(live, ignore), normalise(file.attributes, ignore)
    names = [name for name in sorted({*before, *after}) if not same(before.get(name), after.get(name))]
    return tuple(FieldChange(name, before.get(name), after.get(name)) for name in names if name != KEY)


def preserved_attributes(live: Attributes, ignore: Collection[str]) -> dict[str, Scalar]:
    """The live attributes that others own; a write replaces the whole map, so they are sent along."""
    return {name: live[name] for name in sorted(ignore) if name in live}


def attributes_equal(file: DesiredFile, live: Attributes, ignore: Collection[str]) -> bool:
    """The quick answer for the many that are plainly equal; False only means to look closer."""
    if ignore:
        live = {name: value for name, value in live.items() if name not in ignore}
    if len(live) != len(file.attributes) + 2 or live.get(KEY) != key_attribute(file.key) or MARK not in live:
        return False
    for name, value in file.attributes.items():  # a plain loop: it runs for every attribute of every file
        found = live.get(name)
        if found != value or isinstance(found, bool) is not isinstance(value, bool):
            return False
    return True


def _drifted(live: Attributes, desired: Attributes, names: list[str], marked: str) -> tuple[str, ...]:
    """Which of the differing fields somebody else changed.

    What we sent agreed with live except there, and with the manifest there, unless both changed one field: then, and
    where too many differ to try, every field may have been changed.
    """
    for size in range(1, len(names) + 1) if len(names) <= _TRACED else ():
        for chosen in combinations(names, size):
            sent = {name: value for name, value in live.items() if name not in chosen}
            sent.update({name: desired[name] for name in chosen if name in desired})
            if attributes_digest(sent) == marked:
                return chosen
    return tuple(names)
