"""The comment on all manifests of a job: what it says first, what it shows of many changes, and that it always fits."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.render.builders import ARBITRARY_PLANS, create, deleted, everything, nothing, plan, replaced, store, update
from tests.render.hostile import HOSTILE
from tests.render.test_golden import Golden, sample_comparison
from tests.render.test_nasty import nasty_review
from vssync.model.plan import Action, FieldChange, GuardChange, Plan, Reason, Refusal, StoreChange
from vssync.render.comment import FewerMatches, JobReview, ManifestReview, review_markdown
from vssync.text import size_in_bytes, size_in_utf16

FILES = "https://git.example/acme/kb/blob/4f2a91c/"
RUN = "[run](https://git.example/runs/1)"
FEWEST_ROOM = 2_000  # characters, in which no forge is as narrow


def job(*manifests: ManifestReview, **given: Any) -> JobReview:
    made = JobReview(
        manifests,
        environment="prod",
        repository="acme/kb",
        commit="4f2a91c0aa",
        base="main",
        time=datetime(2026, 11, 27, 14, 2, tzinfo=UTC),
        run_url="https://git.example/runs/1",
        files_url=FILES,
    )
    return replace(made, **given)


def runbooks() -> ManifestReview:
    new = (create("runbooks/restart.md", size=4_200), create("runbooks/failover.md", size=12_000))
    images = {".png": tuple(f"runbooks/{number}.png" for number in range(4))}
    made = store(*new, replaced("runbooks/oncall.md"), key="runbooks", unchanged=340, left_out=images)
    return ManifestReview("billing-kb", plan(made, owner="billing-kb/prod"), root="teams/billing/kb")


def faq() -> ManifestReview:
    """Twelve files of 24 go, and three more are drafts."""
    gone = [deleted(f"faq/{number}.md") for number in range(12)]
    drafts = tuple(f"faq/draft-{number}.md" for number in range(9))
    made = store(*gone, key="faq", owned=24, unchanged=12, left_out={"draft": drafts})
    ways = (
        "`vssync.yaml:9:7` `faq/**/*.md` matches 12 files today.",
        "A build or checkout that did not finish looks like this.",
        "If this is intended:  vssync plan --max-delete 12",
    )
    refusal = Refusal("faq: 12 of 24 live files would be deleted (50%, limit 30%).", "faq", ways)
    return ManifestReview(
        "support-kb",
        plan(made, owner="support-kb/prod", refusals=(refusal,)),
        comparison=replace(sample_comparison(), left_out_before={"faq": {"draft": drafts[:6]}}, governing=(), notes=()),
        labels={"faq": ("vssync/support-kb/prod/max-delete=12",)},
        fewer={"faq": (FewerMatches("teams/support/kb/vssync.yaml:9:7", "faq/**/*.md", 12, 24),)},
    )


def two() -> JobReview:
    return job(runbooks(), faq(), untouched=("search-kb",))


def blocked() -> JobReview:
    """A guard that is raised, a manifest with an error, a change that git does not explain, a label too early."""
    place = "teams/support/kb/vssync.yaml"
    changes = (
        GuardChange("max_delete", "faq", "30%", "100%", f"{place}:12:5"),
        GuardChange("protect", "faq", True, False, f"{place}:13:5"),
        GuardChange("owner", "", "support-kb", "support"),
    )
    problems = (
        "search/vssync.yaml:4:7: stores.guide.files.0.pth: is not a field\nsearch/vssync.yaml:9:7: matches no file"
    )
    note = "label `vssync/ops-kb/max-delete=3` was set before the last push (2026-11-27 13:00 UTC): set it again"
    return job(
        replace(faq(), settings=changes, labels={}, fewer={}),
        ManifestReview("search-kb", error=problems),
        ManifestReview(
            "ops-kb",
            plan(store(deleted("ops/old.md"), key="ops")),
            "Nothing was written: git does not explain 1 change.\n  ops/ops/old.md: delete: nothing was committed",
            notes=(note,),
        ),
    )


def tenants() -> JobReview:
    """One shared page changes in 22 stores; one has another change, too, and one goes."""
    terms = replaced("shared/terms.md", size=358)
    same = [store(terms, key=f"tenant-{number:02}", live=231, unchanged=230) for number in range(21)]
    acme = store(terms, create("clients/acme/contract.pdf", size=1_150_000), key="acme", live=212, unchanged=211)
    removal = StoreChange(Action.DELETE, (Reason.REMOVED,))
    oldco = store(key="oldco", live=180, owned=180, change=removal)
    return job(ManifestReview("advisory", plan(acme, oldco, *same, owner="advisory/prod")))


def fork() -> JobReview:
    return job(ManifestReview("support-kb", comparison=sample_comparison()), untouched=("billing-kb", "search-kb"))


@pytest.mark.parametrize("make", [two, blocked, tenants, fork], ids=lambda make: make.__name__)
def test_a_comment(make: Callable[[], JobReview], golden: Golden) -> None:
    golden(f"comment-{make.__name__}.md", review_markdown(make())[0])


def many(stores: int = 6, of_each: int = 100) -> JobReview:
    """Hundreds of changes of each kind in each store."""
    made = []
    for number in range(stores):
        new = [create(f"{number}/site/{n % 3}/{n}-新.md") for n in range(of_each)]
        edited = [replaced(f"{number}/guide/{n % 7}/{n}.md") for n in range(of_each)]
        changed = [update(f"{number}/ref/{n}.md", FieldChange("n", None, n)) for n in range(of_each)]
        gone = [deleted(f"{number}/old/{n % 5}/{n}.md") for n in range(of_each)]
        made.append(store(*new, *edited, *changed, *gone, key=f"store-{number:03}", unchanged=900))
    return job(ManifestReview("lamp-docs", plan(*made, owner="lamp-docs/prod")))


def test_no_summary_holds_markdown_which_a_forge_does_not_read_there() -> None:
    summaries = re.findall("<summary>(.*?)</summary>", "".join(review_markdown(tenants()) + review_markdown(many())))
    assert any("1 store to delete" in summary for summary in summaries)
    assert not [summary for summary in summaries if "**" in summary or "`" in summary]


def test_each_kind_of_change_has_its_share_of_what_is_shown() -> None:
    comment, summary = review_markdown(many())
    first = comment[comment.index("<details open") : comment.index("</details>")]
    counts = [len(re.findall(f"(?m)^{re.escape(sign)} +0/", first)) for sign in ("-", "+/-", "~", "+")]
    assert counts == [6, 6, 7, 1], "new files of one folder are one row"
    assert first.index("\n-   94 more files\n      0/old/") < first.index("\n+/- 94 more files")
    assert re.search(r"(?m)^\+   0/site/ +100 new files +100.0 KB$", first)
    assert all(f"0/{name}.md" in summary for name in ("old/4/99", "guide/1/99", "ref/99", "site/0/99-新"))


@pytest.mark.wide(2)
@pytest.mark.parametrize("stores", [1, 300, pytest.param(40, marks=pytest.mark.slow)])
def test_a_large_comment_fits_and_ends_with_its_footer(stores: int) -> None:
    comment, summary = review_markdown(many(stores, 30))
    assert size_in_utf16(comment) <= 65_536
    assert size_in_bytes(summary) <= 1 << 20
    for text in (comment, summary):
        assert text.endswith("Plan of <code>4f2a91c</code> against live, 14:02 UTC; a merge applies it. " + RUN)


@pytest.mark.parametrize(
    ("manifests", "untouched", "heading"),
    [
        ([runbooks()], (), "vssync, prod: <code>billing-kb</code> changes"),
        ([ManifestReview("quiet", nothing())], (), "vssync, prod: <code>quiet</code> does not change"),
        ([runbooks(), faq()], ("a",), "vssync, prod: 2 of 3 knowledge bases change, 1 refused"),
        ([runbooks(), ManifestReview("b", error="no")], (), "vssync, prod: 1 of 2 knowledge bases changes, 1 failed"),
        ([], ("a", "b"), "vssync, prod: 0 of 2 knowledge bases change"),
    ],
)
def test_a_heading(manifests: list[ManifestReview], untouched: tuple[str, ...], heading: str) -> None:
    comment, _ = review_markdown(job(*manifests, untouched=untouched))
    assert comment.splitlines()[:2] == ["<!-- vssync:plan:acme/kb/prod -->", f"### {heading}"]


@pytest.mark.parametrize("make", [two, blocked, fork], ids=lambda make: make.__name__)
def test_what_is_refused_or_failed_is_not_said_to_be_applied_by_a_merge(make: Callable[[], JobReview]) -> None:
    assert ("a merge applies it" in review_markdown(make())[0]) is (make is fork)


@pytest.mark.parametrize(
    ("labels", "way"),
    [
        (("vssync/a/max-delete=1",), "Meant? Add the label <code>vssync&#47;a&#47;max-delete&#61;1</code>."),
        (("one", "two"), "Meant? Add the labels <code>one</code> and <code>two</code>."),
        ((), "If it must be: <code>vssync plan --x</code>"),
    ],
)
def test_without_a_label_a_refusal_says_what_to_type(labels: tuple[str, ...], way: str) -> None:
    refusal = Refusal("faq: no.", "faq", ("If it must be:  vssync plan --x",))
    review = ManifestReview("kb", plan(store(key="faq"), refusals=(refusal,)), labels={"faq": labels})
    comment, _ = review_markdown(job(review))
    assert f"> **Refused: <code>kb &#47; faq</code>**: no.<br>{way}\n" in comment


def assert_whole(text: str) -> None:
    """Every block of code, table and fold is closed, and folds are not inside of code."""
    fence, depth = "", 0
    for line in text.split("\n"):
        if match := re.match("`{3,}", line):
            fence = "" if line == fence else fence or match[0]
        elif not fence:
            depth += line.count("<details") - line.count("</details>")
            assert depth in (0, 1)
    assert not fence
    assert depth == 0


@given(ARBITRARY_PLANS, ARBITRARY_PLANS, st.sampled_from(HOSTILE), st.integers(FEWEST_ROOM, 65_536))
@settings(max_examples=60)
def test_any_comment_fits_and_is_whole(one: Plan, other: Plan, text: str, most: int) -> None:
    review = nasty_review(text)
    reviews = (
        *review.manifests,
        ManifestReview(text, one),
        ManifestReview("kb", other),
        ManifestReview("e", everything()),
    )
    comment, summary = review_markdown(replace(review, manifests=reviews), most)
    assert size_in_utf16(comment) <= most
    assert comment.startswith("<!-- vssync:drift:")
    assert RUN.replace("runs/1", "run") in comment.split("\n")[-1]
    assert_whole(comment)
    assert_whole(summary)
