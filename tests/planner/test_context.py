"""Addresses: what is in scope changes, what is not stays exactly as it is, and nothing is named in vain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.planner.builders import desired_file, desired_store, live_copy, live_store, plan, summary
from vssync.errors import UsageProblem
from vssync.model.plan import Options, Plan
from vssync.model.state import Contents, Verdict

NEW = desired_file("docs/new.md", "N")
CHANGED = desired_file("docs/[a].md", "A2")


def two_stores(**options: Any) -> Plan:
    """`acme` has a file to create, one to replace and one to delete, and another name; `zoo` has one to create."""
    copies = (
        live_copy(replace(CHANGED, sha256="0" * 64), id="f1"),
        live_copy(desired_file("old/gone.md", "G"), id="f2"),
    )
    acme = desired_store(NEW, CHANGED, key="acme", name="acme corp")
    live = live_store(desired_store(key="acme"))
    return plan((acme, desired_store(desired_file("z.md", "Z"), key="zoo")), [(live, Contents(copies))], **options)


def changed(made: Plan) -> list[str]:
    files = [f"{store.key}/{change.key}" for store in made.stores for change in store.files]
    return sorted(files + [f"{store.key}" for store in made.stores if store.change])


ALL = ["acme", "acme/docs/[a].md", "acme/docs/new.md", "acme/old/gone.md", "zoo", "zoo/z.md"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ALL),
        ({"targets": ("acme",)}, ALL[:4]),
        ({"targets": ("a*",)}, ALL[:4]),
        ({"targets": ("{acme,other}",)}, ALL[:4]),
        ({"excludes": ("{acme,other}/old/*",), "targets": ("acme",)}, ALL[:3]),
        ({"targets": ("acme/docs/**",)}, ["acme/docs/[a].md", "acme/docs/new.md"]),
        ({"targets": ("acme/docs/[a].md",)}, ["acme/docs/[a].md"]),
        ({"targets": ("acme/{old,new}/*",)}, ["acme/old/gone.md"]),
        ({"targets": ("zoo/z.md",)}, ["zoo", "zoo/z.md"]),
        ({"targets": ("*/*.md",)}, ["zoo", "zoo/z.md"]),
        ({"excludes": ("acme",)}, ["zoo", "zoo/z.md"]),
        ({"excludes": ("acme/old/**",)}, [ALL[0], *ALL[1:3], *ALL[4:]]),
        ({"targets": ("acme",), "excludes": ("acme/docs/**",)}, ["acme", "acme/old/gone.md"]),
    ],
)
def test_only_what_is_in_scope_changes(options: dict[str, Any], expected: list[str]) -> None:
    assert changed(two_stores(**options)) == expected


@pytest.mark.parametrize("field", ["targets", "excludes", "replace"])
@pytest.mark.parametrize("address", ["nowhere", "acme/nothing.md", "zoo/docs/**", "acme/Docs/new.md"])
def test_an_address_that_meets_nothing_is_named(field: str, address: str) -> None:
    with pytest.raises(UsageProblem, match=address.replace("*", r"\*")):
        two_stores(**{field: (address,)})


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("acme/*", "; `*` does not cross a `/`: write acme/**/*."),
        ("acme/n*.md", "; `*` does not cross a `/`: write acme/**/n*.md."),
        ("acme/none/*.md", "."),
        ("nowhere/*", "."),
    ],
)
def test_a_star_that_does_not_go_deep_enough_is_explained(address: str, hint: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        two_stores(replace=(address,))
    assert str(caught.value).endswith(f"`vssync status` shows the stores{hint}")


@pytest.mark.parametrize("address", ["acme/old/gone.md", "acme/docs/new.md"])
def test_a_live_key_and_a_desired_one_are_both_addresses(address: str) -> None:
    assert changed(two_stores(targets=(address,))) == [address]


GONE = Contents((live_copy(desired_file("gone.md"), id="g1"),))
LEFT = (live_store(desired_store(key="left"), id="vs_left"), Contents((live_copy(desired_file("x.md"), id="x1"),)))
HELD = desired_store(key="held", id="vs_held", description="pinned, and not there")
SHORT = [
    (live_store(desired_store(key=key), id=f"vs_{key}"), Contents(count=2, verdict=Verdict.SHORT))
    for key in ("short", "old")
]


HALF_LISTED = [
    (live_store(desired_store(key="half"), id="vs_h1"), GONE),
    (
        live_store(desired_store(key="half"), id="vs_h2"),
        Contents(count=2, verdict=Verdict.BARE, problem="no attributes"),
    ),
]


@pytest.mark.parametrize(
    ("options", "unknown"),
    [
        ({"excludes": ("b/gone.md",)}, ""),
        ({"excludes": ("b/typo.md",)}, "b/typo.md"),
        ({"targets": ("a",), "excludes": ("b/gone.md",)}, ""),
        ({"targets": ("a",), "excludes": ("b/g*",)}, ""),
        ({"targets": ("a",), "replace": ("b/gone.md",)}, ""),
        ({"targets": ("a",), "excludes": ("c/gone.md",)}, "c/gone.md"),
        ({"targets": ("a", "b/gone.md"), "excludes": ("b",)}, ""),
        ({"excludes": ("left/x.md",)}, ""),
        ({"excludes": ("left/typo.md",)}, "left/typo.md"),
        ({"targets": ("a",), "excludes": ("left/x.md",)}, ""),
        ({"excludes": ("held/x.md",)}, ""),
        ({"targets": ("short/unlisted.md",)}, ""),
        ({"excludes": ("old/unlisted.md",)}, ""),
        ({"excludes": ("half/unlisted.md",)}, ""),
    ],
)
def test_only_a_key_that_was_looked_for_is_unknown(options: dict[str, Any], unknown: str) -> None:
    """What lies out of scope was not listed, and some stores only in part, so that no key is missing there."""
    stores = (desired_store(NEW, key="a"), desired_store(key="b"), desired_store(key="short"), HELD)
    live = [(live_store(desired_store(key="b"), id="vs_b"), GONE), LEFT, *SHORT, *HALF_LISTED]
    if unknown:
        with pytest.raises(UsageProblem, match=f"^{unknown}: "):
            plan(stores, live, **options)
    else:
        assert plan(stores, live, **options).options == Options(**options)


def test_a_store_that_left_the_manifest_can_be_excluded() -> None:
    live = (live_store(desired_store(key="old")), Contents())
    kept = plan(desired_store(), [live], excludes=("old",), allow_store_deletes=True)
    assert [(store.key, store.change and store.change.action) for store in kept.stores] == [("guide", "create")]


def test_a_move_needs_both_keys_in_scope() -> None:
    store = desired_store(desired_file("b.md", filename="a.md"))
    live = [(live_store(store), Contents((live_copy(desired_file("a.md")),)))]
    (moved,) = plan(store, live).stores
    (created,) = plan(store, live, targets=("guide/b.md",)).stores
    assert [summary(change) for change in moved.files] == [("b.md", "update", ("moved",))]
    assert [summary(change) for change in created.files] == [("b.md", "create", ("missing",))]
