"""Compares the attributes a copy has with those it should have, and finds out who changed what."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain, combinations, compress

from vssync.model.digests import attributes_digest, normalise_attributes, values_equal, with_key
from vssync.model.marks import KEY, key_attribute
from vssync.model.plan import FieldChange, Reason
from vssync.model.state import Attributes, DesiredFile, Scalar
from vssync.planner.classify import OwnedCopy

_MAX_TRACED = 5  # with more differing fields, there are too many combinations to try


@dataclass(frozen=True, slots=True)
class AttributeDifference:
    """The fields that a write would change, and why; both are empty when none does."""

    reasons: tuple[Reason, ...] = ()
    fields: tuple[FieldChange, ...] = ()


def compare_attributes(file: DesiredFile, copy: OwnedCopy, ignored_names: Collection[str]) -> AttributeDifference:
    """What a write of attributes would change on a copy of the file, and whether the manifest or others caused that.

    The copy's mark has the digest of what was last sent, and as `echo` the digest of what the service then reported.
    """
    if attributes_plainly_equal(file, copy.file.attributes, ignored_names):
        return AttributeDifference()
    live = normalise_attributes(copy.file.attributes, ignored_names)
    desired = normalise_attributes(with_key(file.attributes, file.key), ignored_names)
    names = _differing_names(live, desired)
    if not names:
        return AttributeDifference()
    sent_digest, live_digest, echo = copy.mark.attributes_digest, attributes_digest(live), copy.mark.echo
    # `live` is not `desired`: if the live ones were sent, or the desired ones were not, the manifest has changed.
    manifest_changed = live_digest == sent_digest or attributes_digest(desired) != sent_digest
    if live_digest == echo and not manifest_changed:  # the service's own version of what is still wanted
        return AttributeDifference()
    is_untouched = live_digest in (sent_digest, echo)
    drifted_names = () if is_untouched else _find_drifted(live, desired, names, sent_digest)
    causes = {Reason.ATTRIBUTES_CHANGED: manifest_changed, Reason.DRIFTED: bool(drifted_names)}
    fields = (FieldChange(name, live.get(name), desired.get(name), drifted=name in drifted_names) for name in names)
    return AttributeDifference(tuple(compress(causes, causes.values())), tuple(fields))


def fields_between(live: Attributes, file: DesiredFile, ignored_names: Collection[str]) -> tuple[FieldChange, ...]:
    """The fields in which an unmarked file differs from the manifest; without a mark, none counts as drifted."""
    before, after = normalise_attributes(live, ignored_names), normalise_attributes(file.attributes, ignored_names)
    names = _differing_names(before, after)
    return tuple(FieldChange(name, before.get(name), after.get(name)) for name in names if name != KEY)


def _differing_names(live: Attributes, desired: Attributes) -> list[str]:
    return [name for name in sorted({*live, *desired}) if not values_equal(live.get(name), desired.get(name))]


def preserved_attributes(live: Attributes, ignored_names: Collection[str]) -> dict[str, Scalar]:
    """The live attributes that others own; a write replaces the whole map, so they are sent along."""
    return {name: live[name] for name in sorted(ignored_names) if name in live}


def attributes_plainly_equal(file: DesiredFile, live: Attributes, ignored_names: Collection[str]) -> bool:
    """A quick check that finds most equal attributes; False means that they must be compared in full."""
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

    The mark has only the digest of what was sent. So each set of fields is tried, smallest first: if the live values
    with the manifest's in those fields give that digest, those fields drifted. If no set does (a field changed on both
    sides), or too many fields differ to try, all of them count as drifted.
    """
    sizes = range(1, len(names) + 1) if len(names) <= _MAX_TRACED else ()
    for suspects in chain.from_iterable(combinations(names, size) for size in sizes):
        sent = {name: value for name, value in live.items() if name not in suspects}
        sent.update({name: desired[name] for name in suspects if name in desired})
        if attributes_digest(sent) == sent_digest:
            return suspects
    return tuple(names)
