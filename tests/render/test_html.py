"""Pages: the words of the text, all names to be unfolded, what must not be missed first, and readable colours."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise, product
from xml.etree import ElementTree

import pytest

from tests.render.builders import (
    SAMPLE_PLANS,
    SAMPLE_REPORTS,
    change,
    create,
    deleted,
    everything,
    mixed,
    outcomes,
    plan,
    replaced,
    store,
    update,
)
from tests.render.pages import body_of, read_page, text_of
from tests.render.test_questions import GUIDE, LOST, REPORT
from vssync.model.marks import ApplyStamp
from vssync.model.plan import Action, FieldChange, Note, NoteKind, Options, Plan, Reason, StoreChange
from vssync.model.questions import Question, QuestionSet
from vssync.model.report import Audit, Orphan, Report, Status
from vssync.model.state import Scalar
from vssync.planner.score import PatternResult, QuestionResult, RankedHit, StoreScore
from vssync.render.html import mark_difference, plan_html, questions_html, report_html
from vssync.render.layout import View
from vssync.render.plan_lines import plan_rows
from vssync.render.plan_text import plan_text, refusal_lines

HITS = (RankedHit("a", "f1", "", 0.8), RankedHit("b", "f2", "", 0.4))
AUDIT = Audit(ApplyStamp("4f2a91c" + "0" * 33, "eva", "", "2026-11-27T14:02:31Z"), "", "9f2c" * 16, "1.2.3")


def page_of(made: Plan, *, full: bool = False) -> str:
    return plan_html(made, View(full=full), AUDIT)


def sections(shown: str) -> dict[str, ElementTree.Element]:
    """The parts of a page by their heading."""
    parts = read_page(shown).iterfind(".//section")
    return {text_of(heading): part for part in parts if (heading := part.find("h2")) is not None}


@pytest.mark.wide(3)
@pytest.mark.parametrize("name", SAMPLE_PLANS)
def test_a_full_page_names_every_object_with_its_reason(name: str) -> None:
    made = SAMPLE_PLANS[name]()
    body = body_of(page_of(made, full=True))
    rows = [row for each in made.stores for row in plan_rows(each, full=True)]
    assert {row.key for row in rows if row.key not in body} == set()
    assert {row.text for row in rows if row.text not in body} == set()
    assert {line for row in rows for line in row.below if " ".join(line.split()) not in body} == set()
    assert {line for line in refusal_lines(made)[1:] if " ".join(line.split()) not in body} == set()


@pytest.mark.wide(3)
@pytest.mark.parametrize("name", SAMPLE_REPORTS)
def test_a_report_names_every_outcome(name: str) -> None:
    report = SAMPLE_REPORTS[name]()
    body = body_of(report_html(report, View(full=True)))
    assert {end.key for end in report.outcomes if end.key not in body} == set()
    assert {each.file_id for each in report.orphans if each.file_id not in body} == set()


def test_the_head_says_what_was_planned_where_when_and_from_which_commit() -> None:
    made = replace(everything(), options=Options(manifest="kb/vssync.yaml", env="prod", targets=("guide",)))
    facts = {text_of(fact[0]): text_of(fact[1]) for fact in read_page(page_of(made)).iterfind(".//header/dl/div")}
    assert facts == {
        "Owner": "support-kb",
        "Environment": "prod",
        "Service": "oci us-chicago-1",
        "Manifest": "kb/vssync.yaml",
        "Written": "27 Nov 2026 14:02 UTC",
        "By": "eva",
        "Version": "vssync 1.2.3",
        "Commit": "4f2a91c" + "0" * 33,
        "Plan": "9f2c" * 16,
        "Command": "vssync plan -f kb/vssync.yaml -e prod -t guide",
    }


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (plan(store()), "No changes."),
        (plan(store(create())), "Changes to apply."),
        (everything(), "Changes to apply; 4 need attention."),
        (plan(store(change("a.md", Action.REFUSE, Reason.REFUSED))), "No changes to apply, but 1 needs attention."),
        (SAMPLE_PLANS["refused"](), "Refused: nothing will be written."),
    ],
    ids=["nothing", "changes", "both", "attention", "refused"],
)
def test_a_plan_says_first_what_it_comes_to(made: Plan, verdict: str) -> None:
    shown = read_page(page_of(made)).find(".//header/p[2]")
    assert shown is not None
    assert text_of(shown) == verdict


def test_what_must_not_be_missed_comes_before_the_stores() -> None:
    refused = replace(everything(), refusals=SAMPLE_PLANS["refused"]().refusals)
    assert [*sections(page_of(refused))] == ["Totals", "Refused", "Needs attention", "Stores", "Batches in progress"]
    report = sections(report_html(mixed(), View()))
    assert [*report] == ["Totals", "Not done", "Stores"]
    assert "docs/b.md create failed unsupported_file: not a text request req_123" in text_of(report["Not done"])


def test_totals_are_those_of_the_text() -> None:
    made = everything()
    totals = [text_of(item) for item in sections(page_of(made))["Totals"].iterfind("ul/li")]
    assert plan_text(made, View()).splitlines()[-1] == f"Plan: {', '.join(totals)}."


def test_few_changes_are_rows_and_many_are_groups_by_folder() -> None:
    few = sections(page_of(plan(store(*(create(f"{n % 2}/{n}.md") for n in range(40)), deleted("2/a.md")))))["Stores"]
    assert "the 20 files" in text_of(few)
    files = [create(f"docs/{n % 3}/{n}.md") for n in range(60)] + [deleted(f"docs/{n % 3}/x{n}.md") for n in range(60)]
    many = sections(page_of(plan(store(*files))))["Stores"]
    words = text_of(many)
    assert "+ add 60 files new file 60.0 KB docs/0/ 20 files docs/0/0.md 1.0 KB docs/0/3.md" in words
    assert "- delete 60 files not in the manifest docs/0/ 20 files docs/0/x0.md docs/0/x3.md" in words


def test_changes_that_are_the_same_are_told_once_and_others_with_their_file() -> None:
    same = [update(f"a/{n}.md", FieldChange("lang", "en", "de")) for n in range(50)]
    own = [update(f"b/{n}.md", FieldChange("url", "", f"https://docs.example.com/{n}")) for n in range(5)]
    words = text_of(sections(page_of(plan(store(*same, *own))))["Stores"])
    assert words.count('lang " en " → to " de "') == 1
    assert words.count('url "" → to " https://docs.example.com/') == 5


@pytest.mark.parametrize(("full", "named"), [(False, 500), (True, 501)])
def test_a_long_list_is_cut_and_says_so(full: bool, named: int) -> None:
    words = body_of(page_of(plan(store(*(deleted(f"old/{n}.md") for n in range(501)))), full=full))
    assert words.count("old/") - 1 == named  # the folder itself
    assert ("and 1 more file: --full names all" in words) is not full


def test_a_change_that_stores_share_unfolds_to_the_stores() -> None:
    shared = [store(replaced("terms.md", size=358), key=f"tenant-{n}") for n in range(3)]
    block = read_page(page_of(plan(*shared))).find(".//details[@id='store-1']")
    assert block is not None
    assert "terms.md content changed 358 bytes in 3 stores the 3 stores tenant-0" in text_of(block)


def test_a_picture_has_what_comes_right_of_its_line_and_what_goes_left() -> None:
    files = [create(f"a/{n}.md") for n in range(6)] + [update(f"a/u{n}.md") for n in range(2)]
    files += [deleted(f"b/{n}.md") for n in range(4)]
    page = read_page(page_of(plan(store(*files))))
    drawn = [
        [(rect.get("class"), rect.get("x"), rect.get("width")) for rect in svg.iterfind("rect")]
        for svg in page.iterfind(".//svg")
    ]
    assert drawn == [[("add", "0", "75.0"), ("change", "75.0", "25.0")], [("delete", "-50.0", "50.0")]]
    assert {svg.get("viewBox") for svg in page.iterfind(".//svg")} == {"-50.0 0 150.0 10"}
    rows = [text_of(row) for row in page.iterfind(".//table[@class='growth']/tbody/tr")]
    assert rows == ["a/ 6 2", "b/ 4"]  # the numbers say the same


def test_a_folder_that_holds_all_changes_is_told_by_those_below_it() -> None:
    page = read_page(page_of(plan(store(*(create(f"site/docs/{n % 40}/{n}.md") for n in range(80))))))
    *pictured, rest = [text_of(row) for row in page.iterfind(".//table[@class='growth']/tbody/tr")]
    assert (pictured[0], len(pictured), rest) == ("site/docs/0/ 2", 11, "29 more folders 58")
    widths = [[rect.get("width") for rect in svg.iterfind("rect")] for svg in page.iterfind(".//svg")]
    assert widths == [["100.0"]] * 11 + [[]], "a sum of many is no bar beside theirs"
    words = text_of(sections(page_of(plan(store(*(create(f"docs/{n % 40}/{n}.md") for n in range(80))))))["Stores"])
    assert "new file 80.0 KB docs/0/ 2 files docs/0/0.md" in words


def test_stores_stand_beside_each_other_with_what_becomes_of_themselves() -> None:
    going = store(key="old", desired=None, change=StoreChange(Action.DELETE, (Reason.REMOVED,)))
    page = read_page(page_of(plan(store(create(), key="new", unchanged=3), going)))
    rows = [text_of(row) for row in page.iterfind(".//table[@class='growth']/tbody/tr")]
    assert rows == ["new 1 3", "old store to delete 0"]
    summary = page.find(".//details[@id='store-2']/summary")
    assert summary is not None
    assert "vs_1, store to delete" in text_of(summary)


def test_what_was_not_done_is_told_with_ids() -> None:
    report = mixed()
    words = body_of(report_html(replace(report, held=(Orphan("file-77", "held by vs_2"),)), View()))
    for part in ("guide vs_9", "file-abc suspected, uploaded as docs__c.md", "file-77 held by vs_2", "faq/old.md"):
        assert part in words


def test_many_failures_are_grouped_and_still_first() -> None:
    made = plan(store(*(create(f"docs/{n}.md") for n in range(100))))
    report = Report(made, outcomes(made, Status.FAILED, "server_error: try later"))
    words = text_of(sections(report_html(report, View()))["Not done"])
    assert "! needs attention 100 files create failed 100 files server_error: try later" in words
    assert words.count("server_error") == 1


@pytest.mark.parametrize(
    ("before", "after", "old", "new"),
    [
        ("basic", "standard", '"[basic]"', '"[standard]"'),
        (2024, 2025, "[2024]", "[2025]"),
        ("docs/v1/api/a", "docs/v2/api/a", '"docs/[v1]/api/a"', '"docs/[v2]/api/a"'),
        ("a b", "a b c", '"a b"', '"a b[ c]"'),
        ("a a", "a a a", '"a a"', '"a a[ a]"'),
        (None, True, "(none)", "[true]"),
        ("x", None, '["x"]', "(none)"),
        (1, "1", "[1]", '["1"]'),
        (1, True, "[1]", "[true]"),
    ],
)
def test_the_difference_is_marked(before: Scalar | None, after: Scalar | None, old: str, new: str) -> None:
    sides = mark_difference(FieldChange("x", before, after))
    assert [f"{start}[{middle}]{end}".replace("[]", "") for start, middle, end in sides] == [old, new]


def test_answers_are_told_by_store_with_what_was_found() -> None:
    shown = questions_html(replace(REPORT, stores=(GUIDE, LOST)), View(), AUDIT)
    words = text_of(sections(shown)["Questions"])
    assert text_of(sections(shown)["Totals"]) == "Totals 1 pass 3 fail 4 could not be asked 0 of 2 stores pass."
    parts = (
        "docs vs_ord_7hq2abcdefgh12x4da 1 of 4 pass, 25% (needs 90%). Failed: one `never` was broken.",
        "how do I rotate the signing key expected content/guide/keys.md: in the store, ranked 9 Found",
        "1 0.71 content/guide/sso.md 3 0.66 content/api/keys.md what does the lamp cost",
        "1 question that passes who expected content/guide/keys.md: ranked 2",
        "faq not live 4 questions could not be asked. ! needs attention 4 questions could not be asked it does not",
    )
    places = [words.find(part) for part in parts]
    assert places == sorted(places)
    assert places[0] > 0


@pytest.mark.parametrize(
    ("result", "labels"),
    [
        (QuestionResult(Question("q"), HITS, (PatternResult("b", 2, "b"),)), {"b": "expected"}),
        (QuestionResult(Question("q"), HITS, broken=(PatternResult("a", 1, "a"),)), {"a": "never"}),
        (QuestionResult(Question("q"), HITS, (PatternResult("c", 0, "c", "not in the manifest"),)), {}),
    ],
)
def test_what_was_found_says_what_it_was_expected_to_be(result: QuestionResult, labels: dict[str, str]) -> None:
    store_score = StoreScore("docs", QuestionSet((result.question,), 0), (result,), "vs_1")
    page = read_page(report_html(SAMPLE_REPORTS["all-done"](), View(), replace(REPORT, stores=(store_score,))))
    rows = page.findall(".//table[@class='found']/tbody/tr")
    assert [text_of(row) for row in rows] == [
        f"{rank} {score:.2f} {key} {labels.get(key, '')}".rstrip()
        for rank, key, score in ((1, "a", 0.8), (2, "b", 0.4))
    ]
    assert [rect.get("width") for rect in page.iterfind(".//table[@class='found']//rect")] == ["80.0", "40.0"]


def test_a_report_whose_questions_fail_says_so_first() -> None:
    verdicts = [
        read_page(report_html(SAMPLE_REPORTS["all-done"](), View(), answers)).findtext(".//header/p[2]")
        for answers in (None, REPORT, replace(REPORT, stores=()))
    ]
    good, bad = "Everything is as declared.", "Everything is as declared, but not enough questions are answered."
    assert verdicts == [good, bad, good]


def test_a_question_that_will_fail_is_not_to_be_missed() -> None:
    note = Note(NoteKind.LOST_QUESTION, "where", detail="`faq/a.md` leaves the store")
    shown = page_of(plan(store(deleted("faq/a.md"), notes=(note,))))
    assert "where will fail `faq/a.md` leaves the store" in text_of(sections(shown)["Needs attention"])


def luminance(color: str) -> float:
    """Of a colour such as #17653a, as the WCAG define it."""
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_every_colour_of_text_can_be_read_on_every_ground() -> None:
    style = read_page(page_of(plan())).findtext("head/style") or ""
    palettes = [dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in re.findall(r":root \{[^}]*--[^}]*\}", style)]
    assert len(palettes) == 2, "light and dark"
    grounds = ("page", "card", "raised", "alarm", "calm")
    for palette in palettes:
        for text, ground in product(palette.keys() - {*grounds, "line"}, grounds):
            dark, light = sorted(luminance(palette[name]) for name in (text, ground))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def test_tables_have_headers_and_captions_and_signs_have_words() -> None:
    page = read_page(page_of(everything()))
    for table in page.iter("table"):
        assert text_of(table[0]), "a caption"
        assert table.findall("thead/tr/th[@scope='col']")
        assert table.findall("tbody/tr/th[@scope='row']")
    headings = [int(element.tag[1]) for element in page.iter() if re.fullmatch("h[1-6]", element.tag)]
    assert headings[0] == 1
    assert all(deeper - upper <= 1 for upper, deeper in pairwise(headings))
    assert not [svg for svg in page.iter("svg") if svg.get("aria-hidden") != "true"]
    row = page.find(".//table[@class='rows']/tbody/tr/td")
    assert row is not None
    assert text_of(row) == "! needs attention"
