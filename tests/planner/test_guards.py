"""Guards: what a plan may take away before a person must say so, and what a refusal says."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

import pytest

from tests.planner.builders import desired_file, desired_store, live_copy, live_store
from tests.planner.builders import plan as make
from vssync.cli.options import CommandOptions
from vssync.cli.plan import plan as plan_command
from vssync.commands.session import parse_variables
from vssync.model.marks import STORE_PROTECT
from vssync.model.plan import Action, Options, Plan
from vssync.model.service import ServiceSpec
from vssync.model.state import Contents, DesiredFile, DesiredStore, Guards, Limit, StoreStatus
from vssync.planner.guards import check_guards
from vssync.providers import LOCAL, PROVIDERS

LOOSE = Guards(Limit(1.0), Limit(1.0))


def plan(
    live: int,
    *,
    gone: int = 0,
    changed: int = 0,
    guards: Guards | None = None,
    others: tuple[DesiredStore, ...] = (),
    **options: Any,
) -> Plan:
    """A store `acme` of `live` files, of which some left the manifest and some have other content."""
    files = [desired_file(f"{n:03}.md", str(n)) for n in range(live)]
    copies = tuple(live_copy(file, id=f"f{n}") for n, file in enumerate(files))
    wants = [replace(file, sha256="0" * 64) if n < changed else file for n, file in enumerate(files[: live - gone])]
    store = desired_store(*wants, key="acme", guards=guards or Guards())
    return make((store, *others), [(live_store(store), Contents(copies))], **options)


@pytest.mark.parametrize(
    ("most", "numbers", "held"),
    [
        (None, (12, 0, 12), ""),
        (12, (12, 0, 0), ""),  # nothing is attached
        (5, (12, 6, 0), ""),
        (12, (11, 0, 1), ""),
        (12, (12, 0, 1), "13 files while the plan is applied"),
        (11, (12, 1, 2), "14 files while the plan is applied"),  # of the deleted one and of two old copies
        (10, (12, 1, 2), "11 files"),
        (13, (12, 0, 12), "14 files while the plan is applied"),  # two a batch
    ],
)
def test_a_store_holds_no_more_than_the_provider_allows(
    monkeypatch: pytest.MonkeyPatch, most: int | None, numbers: tuple[int, int, int], held: str
) -> None:
    monkeypatch.setitem(PROVIDERS, "local", replace(LOCAL, max_store_files=most))
    live, gone, changed = numbers
    made = plan(live, gone=gone, changed=changed, guards=LOOSE, max_delete=Limit(1.0))
    small = replace(made, service=ServiceSpec(capabilities={"batch_size": 2}))
    expected = [f"acme: it would hold {held}; local allows {most} in a store."] if held else []
    assert [refusal.message for refusal in check_guards(small)] == expected


@pytest.mark.parametrize(
    ("make_plan", "message"),
    [
        (partial(plan, 10, gone=3), ""),
        (partial(plan, 10, gone=4), "acme: 4 of 10 live files would be deleted (40%, limit 30%)."),
        (partial(plan, 9, gone=4), ""),
        (partial(plan, 430, gone=412), "acme: 412 of 430 live files would be deleted (96%, limit 30%)."),
        (partial(plan, 1000, gone=301), "acme: 301 of 1,000 live files would be deleted (30.1%, limit 30%)."),
        (partial(plan, 100, gone=29, max_delete=Limit(share=0.29)), ""),
        (partial(plan, 1000, gone=333, max_delete=Limit(share=33.3 / 100)), ""),
        (
            partial(plan, 2000, gone=667, max_delete=Limit(share=33.3 / 100)),
            "acme: 667 of 2,000 live files would be deleted (33.4%, limit 33.3%).",
        ),
        (partial(plan, 5000, gone=1501), "acme: 1,501 of 5,000 live files would be deleted (30.02%, limit 30%)."),
        (partial(plan, 10, gone=4, max_delete=Limit(count=4)), ""),
        (
            partial(plan, 10, gone=4, max_delete=Limit(count=3)),
            "acme: 4 of 10 live files would be deleted (40%, limit 3 files).",
        ),
        (partial(plan, 10, gone=4, max_delete=Limit(share=0.5)), ""),
        (partial(plan, 10, changed=5), ""),
        (partial(plan, 10, changed=6), "acme: 6 of 10 live files would be replaced (60%, limit 50%)."),
        (partial(plan, 10, changed=6, max_replace=Limit(count=6)), ""),
        (partial(plan, 10, changed=6, guards=LOOSE), ""),
        (partial(plan, 4, gone=4), "acme: 4 of 4 live files would be deleted (100%)."),
        (partial(plan, 4, gone=4, max_delete=Limit(count=4)), ""),
        (partial(plan, 10, gone=6, guards=LOOSE), "acme: 6 of 10 live files would be deleted (60%)."),
        (partial(plan, 10, gone=6, guards=LOOSE, max_delete=Limit(1.0)), ""),
        (partial(plan, 4, gone=4, excludes=("acme",)), ""),
        (partial(plan, 10, replace=("acme",)), ""),
        (partial(plan, 0), ""),
    ],
)
def test_a_guard_counts_our_files_and_says_its_numbers(make_plan: Callable[[], Plan], message: str) -> None:
    assert [refusal.message for refusal in make_plan().refusals] == ([message] if message else [])


@pytest.mark.parametrize("why", ["ignored", "draft"])
def test_what_is_ignored_or_a_draft_now_counts_as_deleted(why: str) -> None:
    made = of_another_manifest(THREE, skipped=dict.fromkeys(THREE, why))
    assert [refusal.message for refusal in made.refusals] == ["guide: 3 of 3 live files would be deleted (100%)."]


def test_what_is_held_back_is_no_deletion() -> None:
    made = plan(10, gone=6)
    (store,) = made.stores
    held = tuple(replace(change, action=Action.REFUSE) for change in store.files)
    assert made.refusals
    assert check_guards(replace(made, stores=(replace(store, files=held),))) == ()


def of_another_manifest(live: tuple[str, ...], *wanted: DesiredFile, **options: Any) -> Plan:
    """A store `guide` with these live keys, and what the manifest wants instead."""
    settings = {name: options.pop(name) for name in ("prune", "skipped") if name in options}
    store = desired_store(*wanted, **settings)
    copies = [live_copy(desired_file(key, key), id=f"f{n}") for n, key in enumerate(live)]
    return make(store, [(live_store(store), Contents(tuple(copies)))], **options)


THREE = ("docs/a.md", "docs/b.md", "docs/c.md")
NONE_OF_THREE = "guide: none of its live keys (3) is in the manifest."
OTHER = desired_file("docs/x.md", "x")


@pytest.mark.parametrize(
    ("made", "hint"),
    [
        (plan(4, gone=4), "The manifest chooses no file"),
        (plan(10, gone=6), "another manifest of the same owner"),
        (plan(10, gone=4), "did not finish"),
        (of_another_manifest(THREE, OTHER), "another manifest use the same `owner`"),
        (of_another_manifest(THREE, OTHER), "If this is intended:  vssync plan --max-delete 3"),
        (plan(10, gone=4), "If this is intended:  vssync plan --max-delete 4"),
        (plan(10, changed=6), "If this is intended:  vssync plan --max-replace 6"),
    ],
)
def test_a_refusal_says_what_it_looks_like_and_the_way_out(made: Plan, hint: str) -> None:
    (refusal,) = made.refusals
    assert refusal.store in ("acme", "guide")
    assert any(hint in line for line in refusal.way_out)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (of_another_manifest(THREE, OTHER), NONE_OF_THREE),
        (of_another_manifest(THREE, OTHER, targets=("guide/docs/x.md",)), NONE_OF_THREE),
        (of_another_manifest(THREE, OTHER, excludes=("guide/docs/a.md",)), NONE_OF_THREE),
        (of_another_manifest(THREE, desired_file("terms.pdf", file_id="ext")), NONE_OF_THREE),
        (of_another_manifest(THREE, OTHER, max_delete=Limit(count=3)), ""),
        (of_another_manifest(THREE, OTHER, prune=False), ""),
        (of_another_manifest(THREE, OTHER, skipped={"docs/a.md": "empty"}), ""),
        (of_another_manifest(THREE, OTHER, desired_file("docs/a.md", "edited")), ""),
        (of_another_manifest(THREE, OTHER, desired_file("docs/a.md", "edited"), targets=("guide/docs/x.md",)), ""),
        (of_another_manifest(THREE, desired_file("moved/a.md", "docs/a.md")), ""),
        (of_another_manifest(THREE, desired_file("a.pdf", file_id="f1")), ""),
        (of_another_manifest(THREE[:2], OTHER), ""),
        (of_another_manifest(THREE[:2], desired_file("docs/deep/x.md")), ""),
        (of_another_manifest(("docs/old/a.md",), desired_file("docs/new/b.md")), ""),
        (of_another_manifest(("a.md",), desired_file("b.md", "B")), ""),
        (
            of_another_manifest(THREE[:2], desired_file("site/x.md")),
            "guide: none of its live keys (2) is in the manifest.",
        ),
        (of_another_manifest(("a.md",), OTHER), "guide: none of its live keys (1) is in the manifest."),
        (of_another_manifest((), OTHER), ""),
    ],
)
def test_a_store_of_which_nothing_is_wanted_is_another_manifests(made: Plan, message: str) -> None:
    assert [refusal.message for refusal in made.refusals] == ([message] if message else [])


def test_a_store_is_left_out_only_where_there_are_others() -> None:
    (alone,) = plan(10, gone=4).refusals
    assert not any("--exclude" in line for line in alone.way_out)
    (refusal,) = plan(10, gone=4, others=(desired_store(key="other"),)).refusals
    assert refusal.way_out[-1] == "Without acme:         vssync plan --exclude acme"


def test_a_protected_store_is_never_deleted() -> None:
    live = live_store()
    live = replace(live, metadata={**live.metadata, STORE_PROTECT: "true"})
    (refusal,) = make((), [(live, Contents())], allow_store_deletes=True).refusals
    assert refusal.message == "guide: the store is protected and would be deleted."
    assert make((), [(live, Contents())]).refusals == ()


def test_a_protected_store_that_expired_is_not_replaced() -> None:
    store = desired_store(protect=True)
    made = make(store, [(live_store(store, status=StoreStatus.EXPIRED), Contents())], allow_store_replace=True)
    (refusal,) = made.refusals
    assert refusal.message == "guide: the store is protected and would be replaced."
    assert refusal.way_out == ("To replace it, first set `protect: false` in the manifest.",)


def test_deleting_a_store_on_purpose_is_not_counted_file_by_file() -> None:
    copies = tuple(live_copy(desired_file(f"{n}.md"), id=f"f{n}") for n in range(20))
    made = make((), [(live_store(), Contents(copies))], allow_store_deletes=True)
    assert (len(made.stores[0].files), made.refusals) == (20, ())


def test_both_guards_of_every_store_speak() -> None:
    made = plan(20, gone=8, changed=11)
    assert ["deleted" in refusal.message for refusal in made.refusals] == [True, False]


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ({}, "vssync plan --max-delete 4"),
        ({"manifest": "."}, "vssync plan --max-delete 4"),
        (
            {"manifest": "my docs/kb.yaml", "env": "prod", "variables": (("site", "a b"),)},
            "vssync plan -f 'my docs/kb.yaml' -e prod --var 'site=a b' --max-delete 4",
        ),
        (
            {"targets": ("acme", "a*"), "excludes": ("acme/000.md",), "adopt": True, "max_delete": Limit(count=3)},
            "vssync plan -t acme -t 'a*' --exclude acme/000.md --adopt --max-delete 4",
        ),
    ],
)
def test_the_way_out_can_be_typed(options: dict[str, Any], command: str) -> None:
    (refusal,) = plan(10, gone=4, **options).refusals
    assert f"If this is intended:  {command}" in refusal.way_out


EVERY_OPTION: dict[str, Any] = {
    "manifest": "kb.yaml",
    "env": "prod",
    "variables": (("a", "1"), ("b", "x y")),
    "session_options": (
        *("--allow-outside", "../shared docs", "--auth", "api_key", "--profile", "ci", "--region", "eu-frankfurt-1"),
        *("--allow-host", "a.test", "--allow-host", "b.test", "--allow-http", "c.test", "--workers", "2"),
        *("--limits", "uploads=5"),
    ),
    "targets": ("acme", "bee"),
    "excludes": ("bee/*.md",),
    "adopt": True,
    "adopt_from": ("kb/old", "kb/older"),
    "compare": True,
    "replace": ("acme/000.md",),
    "retry_failed": True,
    "allow_gap": True,
    "allow_store_deletes": True,
    "allow_store_replace": True,
    "delete_unmanaged": 1,
    "max_delete": Limit(share=0.29),
    "max_replace": Limit(count=0),
}


def test_the_way_out_keeps_every_option_of_the_plan() -> None:
    others = (desired_store(desired_file("b.md"), key="bee"),)
    options = Options(**EVERY_OPTION)
    of_destroy = {"delete_unlisted"}
    given = [field for field in fields(Options) if field.name not in of_destroy]
    assert all(getattr(options, field.name) != field.default for field in given)
    (refusal,) = plan(10, gone=4, others=others, **EVERY_OPTION).refusals
    allowing, leaving_out = (parse_plan_command(line.partition(":")[2]) for line in refusal.way_out[-2:])
    assert allowing == replace(options, max_delete=Limit(count=4))
    assert leaving_out == replace(options, excludes=(*options.excludes, "acme"))


def parse_plan_command(line: str) -> Options:
    """What the command line makes of a command."""
    values = plan_command.make_context("plan", shlex.split(line)[2:]).params
    shared = {field.name: values[field.name] for field in fields(CommandOptions) if field.name in values}
    options = CommandOptions(**shared)
    return replace(
        options.plan_options(),
        manifest=options.manifest,
        env=options.env or "",
        variables=tuple(parse_variables(options.variables).items()),
        session_options=options.settings().words,
    )


def test_a_long_key_keeps_its_distance() -> None:
    live = live_store(desired_store(key="tenant-handbook"))
    live = replace(live, metadata={**live.metadata, STORE_PROTECT: "true"})
    (refusal,) = make(desired_store(key="other"), [(live, Contents())], allow_store_deletes=True).refusals
    assert refusal.way_out[-1].startswith("Without tenant-handbook:  vssync plan --exclude tenant-handbook ")
