"""Compares the attributes a copy has with those it should have, and says who changed what."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import combinations

from vssync.model.digests import attributes_digest, normalise_attributes, values_equal, with_key
from vssync.model.marks import KEY, key_attribute
from vssync.model.plan import FieldChange, Reason
from vssync.model.state import Attributes, DesiredFile, Scalar
from vssync.planner.classify import OwnedCopy

_MAX_TRACED = 5  # fields up to which it is found out who changed which: all combinations are tried


@dataclass(frozen=True, slots=True)
class AttributeDifference:
    """Fields that differ, and why; nothing when none does."""

    reasons: tuple[Reason, ...] = ()
    fields: tuple[FieldChange, ...] = ()


def compare_attributes(file: DesiredFile, copy: OwnedCopy, ignored_names: Collection[str]) -> AttributeDifference:
    """What an attribute write would change on a copy of this key."""
    if attributes_equal(file, copy.file.attributes, ignored_names):
        return AttributeDifference()
    live = normalise_attributes(copy.file.attributes, ignored_names)
    desired = normalise_attributes(with_key(file.attributes, file.key), ignored_names)
    names = [name for name in sorted({*live, *desired}) if not values_equal(live.get(name), desired.get(name))]
    if not names:
        return AttributeDifference()
    sent_digest, live_digest, echo = copy.mark.attributes, attributes_digest(live), copy.mark.echo
    # Where live is what was sent, only the manifest can differ.
    manifest_changed = live_digest == sent_digest or attributes_digest(desired) != sent_digest
    if live_digest == echo and not manifest_changed:  # the service's own version of what is still wanted
        return AttributeDifference()
    is_untouched = live_digest in (sent_digest, echo)
    drifted = () if is_untouched else _find_drifted(live, desired, names, sent_digest)
    causes = {Reason.ATTRIBUTES_CHANGED: manifest_changed, Reason.DRIFTED: bool(drifted)}
    fields = tuple(FieldChange(name, live.get(name), desired.get(name), name in drifted) for name in names)
    return AttributeDifference(tuple(reason for reason, holds in causes.items() if holds), fields)


def fields_between(live: Attributes, file: DesiredFile, ignored_names: Collection[str]) -> tuple[FieldChange, ...]:
    """The fields in which a file without a mark differs from the manifest."""
    before, after = normalise_attributes(live, ignored_names), normalise_attributes(file.attributes, ignored_names)
    names = [name for name in sorted({*before, *after}) if not values_equal(before.get(name), after.get(name))]
    return tuple(FieldChange(name, before.get(name), after.get(name)) for name in names if name != KEY)


def preserved_attributes(live: Attributes, ignored_names: Collection[str]) -> dict[str, Scalar]:
    """The live attributes that others own; a write replaces the whole map, so they are sent along."""
    return {name: live[name] for name in sorted(ignored_names) if name in live}


def attributes_equal(file: DesiredFile, live: Attributes, ignored_names: Collection[str]) -> bool:
    """The quick answer for the many that are plainly equal; False only means to look closer."""
    if ignored_names:
        live = {name: value for name, value in live.items() if name not in ignored_names}
    if len(live) != len(file.attributes) + 1 or live.get(KEY) != key_attribute(file.key):
        return False
    for name, value in file.attributes.items():  # a plain loop: it runs for every attribute of every file
        live_value = live.get(name)
        if live_value != value or isinstance(live_value, bool) is not isinstance(value, bool):
            return False
    return True


def _find_drifted(live: Attributes, desired: Attributes, names: list[str], sent_digest: str) -> tuple[str, ...]:
    """Which of the differing fields somebody else changed.

    The mark has only the digest of what was sent. So each set of fields is tried, smallest first: if the live values,
    with the manifest's in those fields, give that digest, then those fields drifted. Where none does, because a field
    changed on both sides, or where too many differ to try, all of them count as drifted.
    """
    for size in range(1, len(names) + 1) if len(names) <= _MAX_TRACED else ():
        for chosen in combinations(names, size):
            sent = {name: value for name, value in live.items() if name not in chosen}
            sent.update({name: desired[name] for name in chosen if name in desired})
            if attributes_digest(sent) == sent_digest:
                return chosen
    return tuple(names)
