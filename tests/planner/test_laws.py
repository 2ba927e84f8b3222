"""Laws of planning, over generated stores: nothing invented, nothing missed, nothing of others touched."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.planner.builders import (
    OLD,
    OWNER,
    applied,
    desired_file,
    desired_store,
    live_batch,
    live_copy,
    live_store,
    plan,
    sha,
    unmarked,
    with_mark,
    without_attributes,
)
from vssync.applier.steps import plan_steps
from vssync.model.digests import chunking_digest
from vssync.model.marks import MARK, PROVISIONAL, Mark, key_digest
from vssync.model.plan import Action, FileChange, Plan
from vssync.model.service import Capabilities
from vssync.model.state import AUTO, Attributes, Chunking, Contents, DesiredFile, FileStatus, LiveFile, Scalar
from vssync.planner.classify import classify_files
from vssync.planner.content_digest import live_content_digest

texts = st.text("ab\u00e9\u00fc\u4e2d ", max_size=4)
values = texts | st.integers(-3, 2**53) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
maps = st.dictionaries(st.sampled_from(["lang", "team", "n", "x"]), values, max_size=4)
chunkings = st.sampled_from([AUTO, OLD, Chunking(800, 400)])
keys = st.sampled_from(["a.md", "b.md", "c.txt", "d/e.md", "d/\u00fc.md"])
contents = st.sampled_from(["A", "B", "C"])


@st.composite
def files(draw: st.DrawFn) -> tuple[DesiredFile, ...]:
    chosen = draw(st.lists(keys, unique=True, max_size=5))
    return tuple(desired_file(key, draw(contents), attributes=draw(maps), chunking=draw(chunkings)) for key in chosen)


@st.composite
def copies(draw: st.DrawFn) -> tuple[LiveFile, ...]:
    """A store's files as history may have left them: ours, others', unmarked, in every status."""
    found = []
    for n in range(draw(st.integers(0, 6))):
        made = desired_file(draw(keys), draw(contents), attributes=draw(maps), chunking=draw(chunkings))
        live = live_copy(
            made,
            id=f"f{n}",
            status=draw(st.sampled_from(FileStatus)),
            at=draw(st.sampled_from([1_000, 9_900])),
            owner=draw(st.sampled_from([OWNER, OWNER, OWNER, "kb/dev"])),
            tries=draw(st.integers(1, 3)),
            reported=draw(st.none() | chunkings),
        )
        found.append(unmarked(live) if draw(st.integers(0, 5)) == 0 else live)
    return tuple(found)


def planned(wants: tuple[DesiredFile, ...], live: tuple[LiveFile, ...], **options: Any) -> Plan:
    store = desired_store(*wants)
    return plan(store, [(live_store(store), Contents(live))], **options)


def in_place(wants: tuple[DesiredFile, ...]) -> tuple[LiveFile, ...]:
    return tuple(live_copy(file, id=f"f{n}") for n, file in enumerate(wants))


def float_numbers(value: Scalar) -> Scalar:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def decomposed(value: Scalar) -> Scalar:
    return unicodedata.normalize("NFD", value) if isinstance(value, str) else value


def plain(value: Scalar) -> Scalar:
    return value


def echoed(file: LiveFile, change: Callable[[Scalar], Scalar], reported: Chunking | None) -> LiveFile:
    """What a service gives back of what it was sent, in another order."""
    attributes = {name: change(value) for name, value in reversed(list(file.attributes.items()))}
    return replace(file, attributes=attributes, chunking=reported)


@given(files(), st.sampled_from([plain, float_numbers, decomposed]), st.none() | chunkings)
def test_what_a_service_does_to_values_is_no_change(
    wants: tuple[DesiredFile, ...], noise: Callable[[Scalar], Scalar], reported: Chunking | None
) -> None:
    live = tuple(echoed(file, noise, reported) for file in in_place(wants))
    made = planned(wants, live)
    assert made.empty
    assert made.stores[0].unchanged == len(wants)
    assert made.stores[0].live_digest == made.stores[0].digest


@given(files(), copies(), st.randoms(use_true_random=False))
def test_the_order_of_a_listing_changes_nothing(
    wants: tuple[DesiredFile, ...], live: tuple[LiveFile, ...], chance: random.Random
) -> None:
    store = desired_store(*wants, protect=True)
    others = [(live_store(desired_store(key=key, name=key), id=key), Contents()) for key in ("old", "older")]
    batches = (live_batch("b1", *(file.id for file in live[:2])), live_batch("b2", *(file.id for file in live[2:])))

    def shuffled(values: Any) -> Any:
        return tuple(chance.sample(list(values), len(values)))

    made = plan(store, [(live_store(store), Contents(live, batches)), *others])
    mixed = replace(store, files=shuffled(wants))
    again = plan(mixed, shuffled([(live_store(store), Contents(shuffled(live), shuffled(batches))), *others]))
    assert repr(again) == repr(made)


@given(files(), copies(), st.booleans(), st.booleans())
def test_nothing_without_our_mark_is_named_but_to_adopt_it(
    wants: tuple[DesiredFile, ...], live: tuple[LiveFile, ...], adopt: bool, prune: bool
) -> None:
    store = desired_store(*wants, prune=prune)
    (found,) = plan(store, [(live_store(store), Contents(live))], adopt=adopt).stores
    marks = {file.id: file.mark for file in live}
    for change in found.files:
        for named in (*change.drop, *((change.keep,) if change.keep else ())):
            mark = marks[named.id]
            assert change.action is Action.ADOPT or (isinstance(mark, Mark) and mark.owner == OWNER)


@given(files(), copies())
def test_when_nothing_needs_a_person_one_or_two_applies_converge(
    wants: tuple[DesiredFile, ...], live: tuple[LiveFile, ...]
) -> None:
    held = {file.id: file for file in live}
    made = planned(wants, live, retry_failed=True)
    for _ in range(2):
        for steps in plan_steps(made):
            held = applied(held, steps)
        made = planned(wants, tuple(held.values()), retry_failed=True)
    assert made.empty
    assert made.stores[0].unchanged == len(wants)


def other(value: Scalar | None) -> Scalar:
    """Another value, of another kind where that is the subtlest difference."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (int, float)):
        return -value or 1
    return "other"


def change_one(file: LiveFile, chance: random.Random) -> LiveFile:
    name = chance.choice(sorted(file.attributes))
    return replace(file, attributes={**file.attributes, name: other(file.attributes[name])})


NOTHINGS: tuple[Scalar, ...] = (0, False, "")


def add_one(file: LiveFile, chance: random.Random) -> LiveFile:
    value = chance.choice(NOTHINGS)
    return replace(file, attributes={**file.attributes, "added": value})


def take_one(file: LiveFile, chance: random.Random) -> LiveFile:
    name = chance.choice([*sorted(file.attributes), MARK])
    return unmarked(file) if name == MARK else without_attributes(file, name)


def end_one(file: LiveFile, chance: random.Random) -> LiveFile:
    return replace(file, status=chance.choice([status for status in FileStatus if status is not FileStatus.COMPLETED]))


DRIFTS = [change_one, add_one, take_one, end_one]


@pytest.mark.parametrize("drift", DRIFTS)
@given(wants=files().filter(bool), chance=st.randoms(use_true_random=False))
def test_every_drift_is_found_in_exactly_its_file(
    drift: Callable[[LiveFile, random.Random], LiveFile], wants: tuple[DesiredFile, ...], chance: random.Random
) -> None:
    live = list(in_place(wants))
    at = chance.randrange(len(live))
    live[at] = drift(live[at], chance)
    (found,) = planned(wants, tuple(live)).stores
    assert {change.key for change in found.files} == {wants[at].key}
    assert found.unchanged == len(wants) - 1


@given(files().filter(bool), st.data())
def test_a_missing_file_and_an_extra_copy_are_found(wants: tuple[DesiredFile, ...], data: st.DataObject) -> None:
    live = in_place(wants)
    at = data.draw(st.integers(0, len(live) - 1))
    (missing,) = planned(wants, live[:at] + live[at + 1 :]).stores[0].files
    (extra,) = planned(wants, (*live, replace(live[at], id="twin"))).stores[0].files
    assert (missing.key, missing.action) == (wants[at].key, Action.CREATE)
    assert (extra.key, extra.action, len(extra.drop)) == (wants[at].key, Action.DELETE, 1)


def knowledge(file: DesiredFile) -> tuple[object, ...]:
    """What a digest is over, compared by kind and value."""
    attributes: Attributes = file.attributes
    kinds = sorted((name, isinstance(value, str), isinstance(value, bool), value) for name, value in attributes.items())
    return file.key, file.sha256, file.file_id, tuple(kinds), file.chunking


@given(files(), files())
def test_content_digests_are_equal_exactly_when_the_knowledge_is(
    left: tuple[DesiredFile, ...], right: tuple[DesiredFile, ...]
) -> None:
    digests = [planned(wants, ()).stores[0].digest for wants in (left, right)]
    assert (digests[0] == digests[1]) is (set(map(knowledge, left)) == set(map(knowledge, right)))


@pytest.mark.parametrize(
    ("copy", "digest"),
    [
        (live_copy(), "desired"),
        (with_mark(live_copy(), content="?"), "unknown"),
        (live_copy(status=FileStatus.FAILED), "unknown"),
        (live_copy(status=FileStatus.IN_PROGRESS), "unknown"),
        (with_mark(live_copy(), key_digest=PROVISIONAL, content="?"), "unknown"),
        (live_copy(desired_file(content="B")), "other"),
        (live_copy(desired_file("b.md")), "other"),
        (live_copy(live={"lang": "de"}), "other"),
        (with_mark(live_copy(), chunking_digest=chunking_digest(AUTO)), "other"),
        (live_copy(owner="others"), "other"),
    ],
)
def test_a_live_digest_is_that_of_the_manifest_exactly_where_the_store_holds_that(copy: LiveFile, digest: str) -> None:
    made = planned((desired_file(),), (copy,)).stores[0]
    names = {made.digest: "desired", "unknown": "unknown"}
    assert names.get(made.live_digest, "other") == digest


@given(files(), st.none() | copies())
def test_a_live_digest_is_that_of_the_copies_whichever_way_it_is_found(
    wants: tuple[DesiredFile, ...], live: tuple[LiveFile, ...] | None
) -> None:
    """Where all is as desired, the desired digest stands for it."""
    live = in_place(wants) if live is None else live
    by_digest = {key_digest(file.key): file for file in wants}
    expected = live_content_digest(classify_files(live, (OWNER,)), by_digest, ())
    assert planned(wants, live).stores[0].live_digest == expected


CONVERTED = replace(desired_file("a.pdf", "new bytes"), source="0" * 64 + ".pdf1")


@pytest.mark.parametrize(("converters", "same"), [("pdf1", True), ("pdf2", False)])
def test_a_file_converted_from_the_same_source_is_the_same_knowledge(converters: str, *, same: bool) -> None:
    before = replace(CONVERTED, sha256=sha("old bytes"), source="0" * 64 + f".{converters}")
    made = planned((CONVERTED,), (live_copy(before),)).stores[0]
    assert (made.unchanged == 1, made.live_digest == made.digest) == (same, same)


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "0" * 64},
        {"attributes": {"lang": "EN"}},
        {"attributes": {"lang": "en", "x": 0}},
        {"chunking": AUTO},
        {"key": "b.md"},
        {"file_id": "ext", "path": "", "sha256": ""},
    ],
)
def test_whatever_makes_another_knowledge_base_makes_another_digest(change: dict[str, Any]) -> None:
    before, after = desired_file(), replace(desired_file(), **change)
    assert planned((before,), ()).stores[0].digest != planned((after,), ()).stores[0].digest
    assert planned((before,), ()).stores[0].digest == planned((replace(before, filename="x.md"),), ()).stores[0].digest


@given(files(), copies())
def test_every_desired_key_gets_exactly_one_decision(
    wants: tuple[DesiredFile, ...], live: tuple[LiveFile, ...]
) -> None:
    (found,) = planned(wants, live).stores
    desired = {file.key for file in wants}
    decided: list[FileChange] = [change for change in found.files if change.key in desired]
    assert len({change.key for change in decided}) + found.unchanged == len(wants)


@given(files(), copies(), st.data())
def test_no_file_is_attached_or_dropped_twice_nor_kept_and_dropped(
    wants: tuple[DesiredFile, ...], live: tuple[LiveFile, ...], data: st.DataObject
) -> None:
    declared = data.draw(st.permutations([f"f{n}" for n in range(7)]))
    by_id = data.draw(st.sets(st.integers(0, 4)))
    wants = tuple(desired_file(want.key, file_id=declared[n]) if n in by_id else want for n, want in enumerate(wants))
    some = st.lists(st.sampled_from([f"guide/{want.key}" for want in wants]), max_size=2) if wants else st.just([])
    (found,) = planned(
        wants,
        live,
        capabilities=Capabilities(
            shares_chunks=data.draw(st.booleans()), updates_reach_search=data.draw(st.sampled_from([True, False, None]))
        ),
        allow_gap=data.draw(st.booleans()),
        adopt=data.draw(st.booleans()),
        replace=tuple(data.draw(some)),
        targets=tuple(data.draw(some)),
    ).stores
    assert found.unchanged >= 0
    changes = [change for change in found.files if change.action is not Action.REFUSE]
    attached = [change.desired.file_id or change.reuse for change in changes if change.attaches and change.desired]
    dropped = [copy.id for change in changes for copy in change.drop]
    for ids in ([file_id for file_id in attached if file_id], dropped):
        assert len(ids) == len(set(ids))
    for change in changes:
        others = {copy.id for other in changes if other is not change for copy in other.drop}
        assert not (change.keep and change.keep.id in others)
        assert not (change.attaches and change.desired and (change.desired.file_id or change.reuse) in others)
