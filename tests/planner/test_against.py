"""Comparisons in the core: the state that an apply of before would leave, and what is said beside its plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.planner.builders import NEW, OLD, OWNER, desired_file, desired_store, summary
from vssync.model.marks import Removal
from vssync.model.plan import Action, Note, NoteKind, Options, Reason, Revision
from vssync.model.service import ServiceSpec
from vssync.model.state import AUTO, Desired, DesiredStore, Guards, Limit
from vssync.planner.against import ManifestComparison, applied_snapshot, compare_manifests

BEFORE = Revision("main", "4f2a91c" + "0" * 33)
A, B = desired_file("a.md", "A"), desired_file("b.md", "B")


def manifest(*stores: DesiredStore, owner: str = OWNER, **service: Any) -> Desired:
    staying = tuple(store for store in stores if not store.removed)
    return Desired(owner, ServiceSpec(**service), staying, tuple(store for store in stores if store.removed))


def compare(before: Desired | None, after: Desired, **options: Any) -> ManifestComparison:
    return compare_manifests(before, after, Options(**options), (BEFORE, None))


def changes(comparison: ManifestComparison) -> list[tuple[str, str, tuple[str, ...]]]:
    return [summary(change) for store in comparison.plan.stores for change in store.files]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((A, B), (A, B), []),
        ((A,), (A, B), [("b.md", "create", ("missing",))]),
        ((A, B), (A,), [("b.md", "delete", ("not_in_manifest",))]),
        ((A,), (desired_file("a.md", "A2"),), [("a.md", "replace", ("content_changed",))]),
        ((A,), (replace(A, chunking=OLD),), [("a.md", "replace", ("chunking_changed",))]),
        ((replace(A, chunking=AUTO),), (replace(A, chunking=NEW),), [("a.md", "replace", ("chunking_changed",))]),
        ((A,), (replace(A, attributes={"lang": "de"}),), [("a.md", "update", ("attributes_changed",))]),
        ((A,), (replace(A, filename="x.md"),), [("a.md", "replace", ("renamed",))]),
        ((A,), (replace(A, key="c.md", filename=A.filename),), [("c.md", "update", ("moved",))]),
        ((desired_file("f", file_id="file-1"),), (desired_file("f", file_id="file-1"),), []),
    ],
)
def test_files_are_compared_as_live_copies_are(before: Any, after: Any, expected: Any) -> None:
    assert changes(compare(manifest(desired_store(*before)), manifest(desired_store(*after)))) == expected


GUIDE = desired_store(A, B)


@pytest.mark.parametrize(
    ("before", "after", "action", "reasons"),
    [
        ((), (GUIDE,), Action.CREATE, (Reason.MISSING,)),
        ((GUIDE,), (GUIDE,), None, ()),
        ((GUIDE,), (replace(GUIDE, key="book", was=("guide",)),), Action.UPDATE, (Reason.MOVED,)),
        ((GUIDE,), (replace(GUIDE, name="Guide"),), Action.UPDATE, (Reason.SETTINGS_CHANGED,)),
        ((GUIDE,), (replace(GUIDE, protect=True),), Action.UPDATE, (Reason.SETTINGS_CHANGED,)),
        ((GUIDE,), (desired_store(removed=Removal.DELETE),), Action.DELETE, (Reason.REMOVED,)),
        ((GUIDE,), (desired_store(removed=Removal.KEEP),), Action.UPDATE, (Reason.RELEASED,)),
        ((desired_store(removed=Removal.DELETE),), (desired_store(removed=Removal.DELETE),), None, ()),
        ((), (replace(GUIDE, id="vs_1"),), Action.ADOPT, (Reason.UNMARKED,)),
        ((), (replace(GUIDE, external=True),), None, ()),
        ((), (desired_store(id="vs_1", removed=Removal.DELETE),), None, ()),
        ((replace(GUIDE, external=True),), (replace(GUIDE, external=True),), None, ()),
    ],
)
def test_stores_are_found_as_live_ones_are(before: Any, after: Any, action: Action | None, reasons: Any) -> None:
    (store,) = compare(manifest(*before), manifest(*after)).plan.stores
    assert (store.change and store.change.action, store.change.reasons if store.change else ()) == (action, reasons)


def test_a_store_that_left_the_manifest_is_kept_and_named() -> None:
    comparison = compare(manifest(GUIDE, replace(GUIDE, key="old", name="old")), manifest(GUIDE))
    assert comparison.plan.stores[1].notes == (Note(NoteKind.LEFT_STORE, count=2, detail="before:old"),)
    assert not comparison.same
    deleted = compare(manifest(GUIDE, replace(GUIDE, key="old", name="old")), manifest(GUIDE), allow_store_deletes=True)
    assert [change.action for change in deleted.plan.changes()] == [Action.DELETE] * 3


def test_a_guard_refuses_as_it_does_in_a_plan() -> None:
    many = [desired_file(f"{number}.md", str(number)) for number in range(10)]
    before, after = manifest(desired_store(*many)), manifest(desired_store(*many[:5]))
    assert "5 of 10 live files would be deleted" in compare(before, after).plan.refusals[0].message
    assert compare(before, after, max_delete=Limit(count=5)).plan.refusals == ()
    loose = manifest(desired_store(*many[:5], guards=Guards(max_delete=Limit(share=0.9))))
    change = compare(before, loose).governing[0]
    assert (change.name, change.before, change.after) == ("stores.guide.guards.max_delete", "30%", "90%")


@pytest.mark.parametrize("name", ["owner", "service.region", "stores.guide.prune", "stores.guide.ignore_attributes.0"])
def test_what_decides_over_an_apply_is_named_even_if_nothing_else_changes(name: str) -> None:
    after = {
        "owner": manifest(GUIDE, owner="other"),
        "service.region": manifest(GUIDE, region="us-x-1"),
        "stores.guide.prune": manifest(replace(GUIDE, prune=False)),
        "stores.guide.ignore_attributes.0": manifest(replace(GUIDE, ignore_attributes=("score",))),
    }[name]
    comparison = compare(manifest(GUIDE), after)
    assert [change.name for change in comparison.governing] == [name]
    assert not comparison.same
    assert {change.action for change in comparison.plan.changes()} == ({Action.ADOPT} if name == "owner" else set())


def test_what_is_left_out_counts_only_where_it_changed() -> None:
    drafts = replace(GUIDE, skipped={"c.md": "draft"})
    assert compare(manifest(drafts), manifest(drafts)).same
    assert compare(manifest(GUIDE), manifest(drafts)).left_out_before == {"guide": {}}
    assert compare(manifest(drafts), manifest(GUIDE)).left_out_before == {"guide": {"draft": ("c.md",)}}
    renamed = replace(drafts, key="book", was=("guide",))
    assert compare(manifest(drafts), manifest(renamed)).left_out_before == {}
    assert compare(manifest(GUIDE), manifest(drafts), targets=("guide/a.md",)).left_out_before == {}


def test_without_a_manifest_before_all_is_new() -> None:
    comparison = compare(None, manifest(GUIDE))
    assert changes(comparison) == [("a.md", "create", ("missing",)), ("b.md", "create", ("missing",))]
    assert comparison.governing == ()
    assert applied_snapshot(None, manifest(GUIDE)).stores == ()
