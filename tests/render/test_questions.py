"""What `vssync test` shows: what fails and where it is, and how many pass; and what a comment on a plan says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.render.builders import mixed, plan, store
from vssync.model.plan import Note, NoteKind
from vssync.model.questions import AttributeFilter, CompoundFilter, Question, QuestionSet
from vssync.model.service import ServiceSpec
from vssync.planner.score import PatternResult, QuestionReport, QuestionResult, RankedHit, StoreScore
from vssync.render.comment import JobReview, ManifestReview, plan_markdown, review_markdown
from vssync.render.layout import View
from vssync.render.markdown import report_markdown
from vssync.render.plan_text import plan_text
from vssync.render.test import filter_text, question_blocks, questions_markdown, questions_text, store_total
from vssync.text import display_width

KEYS, PRICES, INTERNAL = "content/guide/keys.md", "content/pricing.md", "content/internal/discounts.md"
FOUND = tuple(
    RankedHit(key, "file-1", "", score)
    for key, score in (("content/guide/sso.md", 0.71), ("content/guide/sso.md", 0.7), ("content/api/keys.md", 0.66))
)
RESULTS = (
    QuestionResult(
        Question("how do I rotate the signing key", expect=(KEYS,)),
        FOUND,
        (PatternResult(KEYS, 9, KEYS, "in the store, ranked 9"),),
    ),
    QuestionResult(
        Question("what does the lamp cost", expect=("content/*.md",), filter=AttributeFilter("eq", "lang", ("en",))),
        (),
        (PatternResult("content/*.md", 0, PRICES, "left out of the store (draft)"),),
    ),
    QuestionResult(
        Question("is there a student discount", never=("content/internal",)),
        (RankedHit(INTERNAL, "file-2", "", 0.4),),
        broken=(PatternResult("content/internal", 3, INTERNAL),),
    ),
    QuestionResult(Question("who", expect=(KEYS,)), FOUND, (PatternResult(KEYS, 2, KEYS),)),
)
GUIDE = StoreScore(
    "docs", QuestionSet(tuple(each.question for each in RESULTS), 90), RESULTS, "vs_ord_7hq2abcdefgh12x4da"
)
REPORT = QuestionReport("lamp-docs/prod", ServiceSpec("oci", "us-chicago-1"), (GUIDE,))
LOST = replace(GUIDE, key="faq", id="", results=tuple(replace(each, error="it does not exist") for each in RESULTS))
SCREEN = """\
lamp-docs, prod: docs  vs_ord_7hq2...x4da               4 questions, the first 5

  x   how do I rotate the signing key
        expected  content/guide/keys.md: in the store, ranked 9
        found     0.71  content/guide/sso.md
                  0.66  content/api/keys.md
  x   what does the lamp cost
        expected  content/*.md: left out of the store (draft)
                  (content/pricing.md)
        filter    lang = en
        found     nothing
  x   is there a student discount
        never     content/internal: content/internal/discounts.md came 3rd

1 of 4 pass, 25% (needs 90%). Failed: one `never` was broken."""
PASSED = """\
      who
        expected  content/guide/keys.md: ranked 2"""
MISSING = """\
lamp-docs, prod: faq  not live                          4 questions, the first 5

  !   4 questions could not be asked
        it does not exist

4 questions could not be asked.

0 of 2 stores pass."""


def test_the_screen_shows_what_fails() -> None:
    assert questions_text(REPORT, View()) == SCREEN
    assert PASSED not in SCREEN
    assert PASSED in questions_text(REPORT, View(full=True))
    both = replace(REPORT, stores=(GUIDE, LOST))
    assert questions_text(both, View()) == f"{SCREEN}\n\n{MISSING}"
    assert questions_text(both, View(quiet=True)).splitlines()[0] == f"docs: {SCREEN.splitlines()[-1]}"


@pytest.mark.parametrize(
    ("tops", "head", "missing"),
    [
        ((5, 5), "2 questions, the first 5", "not among the first 5"),
        ((1, 5), "2 questions, the first 5 at most", "not the first hit"),
        ((3, 1, 8), "3 questions, the first 8 at most", "not among the first 3"),
        ((1,), "1 question, the first hit", "not the first hit"),
    ],
)
def test_the_heading_says_how_many_hits_count(tops: tuple[int, ...], head: str, missing: str) -> None:
    lost = PatternResult(KEYS, 0, KEYS)
    results = tuple(QuestionResult(Question("who", expect=(KEYS,), top=top), FOUND, (lost,)) for top in tops)
    heading, _, *lines = questions_text(replace(REPORT, stores=(replace(GUIDE, results=results),)), View()).splitlines()
    assert heading.endswith(f"  {head}")
    assert lines[1] == f"        expected  {KEYS}: {missing}"


def test_many_failures_are_cut_and_nothing_leaves_the_screen() -> None:
    wide = replace(RESULTS[0], question=Question("große Frage " * 40, expect=(KEYS * 20,)))
    many = replace(GUIDE, results=(wide,) * 52)
    lines = questions_text(replace(REPORT, stores=(many,)), View()).splitlines()
    assert "  x   and 2 more questions that fail (--full)" in lines
    assert [line for line in lines if display_width(line) > 80 and KEYS * 2 not in line] == []
    unasked = replace(GUIDE, results=tuple(replace(wide, error=f"no {number}") for number in range(52)))
    lines = questions_text(replace(REPORT, stores=(unasked,)), View()).splitlines()
    assert "  !   and 2 more questions that could not be asked (--full)" in lines
    text = questions_markdown(replace(REPORT, stores=(many,) * 60), View())
    assert len(text) < 65_536
    assert text.endswith("Cut here: `vssync test` shows more.")
    with_report = report_markdown(mixed(), View(), question_blocks(replace(REPORT, stores=(many,) * 60), View()))
    assert len(with_report) < 65_536, "both are one text"
    assert with_report.index("### vssync report") < with_report.index("### vssync test")


@pytest.mark.parametrize(
    ("needed", "outcomes", "total"),
    [
        (100, "pp", "2 of 2 pass."),
        (50, "pf", "1 of 2 pass, 50% (needs 50%)."),
        (66.6, "pf", "1 of 2 pass, 50% (needs 66.6%). Failed."),
        (0, "nn", "0 of 2 pass, 0% (needs 0%). Failed: 2 `never` were broken."),
        (0, "pu", "1 of 2 pass, 50% (needs 0%). 1 could not be asked."),
        (100, "fu", "0 of 2 pass, 0% (needs 100%). 1 could not be asked. Failed."),
        (100, "uu", "2 questions could not be asked."),
    ],
)
def test_a_line_says_how_many_pass_and_why_that_is_not_enough(needed: float, outcomes: str, total: str) -> None:
    unasked = replace(RESULTS[3], error="no")
    results = tuple({"p": RESULTS[3], "f": RESULTS[0], "n": RESULTS[2], "u": unasked}[each] for each in outcomes)
    questions = QuestionSet(tuple(each.question for each in results), needed)
    assert store_total(StoreScore("docs", questions, results)) == total


def test_a_filter_is_shown_as_people_write_it() -> None:
    lang, year = AttributeFilter("in", "lang", ("de", "en")), AttributeFilter("gte", "year", (2020,))
    assert filter_text(CompoundFilter("and", (lang, year))) == "lang in de, en and year >= 2020"
    assert filter_text(CompoundFilter("or", (lang, year))) == "(lang in de, en) or (year >= 2020)"


def test_a_comment_names_the_questions_that_lose_their_document() -> None:
    note = Note(NoteKind.LOST_QUESTION, "`where`", detail="`faq/a.md` leaves the store")
    one, two, many = (plan(store(notes=(note,) * count)) for count in (1, 2, 1_234))
    line = "<code>&#96;where&#96;</code> loses its document: <code>faq&#47;a&#46;md</code> leaves the store."
    assert f"\n\n**Questions**: {line}\n\n" in plan_markdown(one, View())
    assert f"\n\n**Questions**:\n\n- {line}\n- {line}\n\n" in plan_markdown(two, View())
    assert f"\n- {line}\n- and 1,214 more questions\n\n" in plan_markdown(many, View())
    assert f"\n      {'`where`':34} will fail\n        `faq/a.md` leaves the store\n" in plan_text(one, View())
    assert f"\n      {'1,234 questions':34} will fail\n" in plan_text(many, View())
    job = JobReview((ManifestReview("kb", one), ManifestReview("shop", one)))
    assert f"**Questions**:\n\n- <code>kb</code>: {line}\n- <code>shop</code>: {line}\n\n" in review_markdown(job)[0]
    assert "**Questions**" not in plan_markdown(plan(store()), View())
