"""Names, numbers and values as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vssync.model.plan import Action, Counts, NoteKind, Reason
from vssync.model.service import ServiceSpec
from vssync.model.state import FileCounts
from vssync.planner.estimate import Cost
from vssync.render import wording
from vssync.text import (
    display_width,
    escape_control,
    format_elapsed,
    format_estimate,
    format_size,
    pad_right,
    shorten_apart,
    shorten_list,
    shorten_middle,
)


@pytest.mark.parametrize(
    ("known", "kind"),
    [(wording.SIGNS, Action), (wording.DONE, Action), (wording.REASONS, Reason), (wording.NOTES, NoteKind)],
)
def test_everything_has_its_word(known: Mapping[StrEnum, str], kind: type[StrEnum]) -> None:
    assert set(known) == set(kind)
    assert all(known.values())


@pytest.mark.parametrize(
    ("owner", "service", "text"),
    [
        ("support-kb/prod", ServiceSpec("oci", "us-chicago-1"), "support-kb, prod: oci us-chicago-1"),
        ("quickstart", ServiceSpec(), "quickstart: local"),
        ("kb", ServiceSpec("openai"), "kb: openai"),
        (
            "kb",
            ServiceSpec("compatible", data_url="https://kb.example.com:8321/v1"),
            "kb: compatible kb.example.com:8321",
        ),
        (
            "kb",
            ServiceSpec("compatible", data_url="https://me:secret@kb.example.com/v1"),
            "kb: compatible kb.example.com",
        ),
        ("kb", ServiceSpec("local", data_url="http://127.0.0.1:8700/v1"), "kb: local 127.0.0.1:8700"),
        ("kb", ServiceSpec("oci", "eu-1", data_url="https://x/v1"), "kb: oci eu-1"),
    ],
)
def test_the_first_line(owner: str, service: ServiceSpec, text: str) -> None:
    assert wording.heading_line(owner, service) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1,023 bytes"),
        (1024, "1.0 KB"),
        (12_698, "12.4 KB"),
        (1_023_900, "999.9 KB"),
        (1_048_575, "1.0 MB"),
        (5 * 1024**3, "5.0 GB"),
        (5_000 * 1024**3, "5,000.0 GB"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert format_size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.1, "under a minute"),
        (60, "about 1 minute"),
        (61, "about 2 minutes"),
        (7_000, "about 117 minutes"),
        (7_200, "about 2 hours"),
        (9_000, "about 3 hours"),
    ],
)
def test_estimate(seconds: float, text: str) -> None:
    assert format_estimate(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (26.2, "26 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (7_500, "2 h 5 min"),
    ],
)
def test_elapsed(seconds: float, text: str) -> None:
    assert format_elapsed(seconds) == text


@pytest.mark.parametrize(
    ("reasons", "text"),
    [
        ((Reason.MISSING,), "new file"),
        ((Reason.CONTENT_CHANGED, Reason.CHUNKING_CHANGED), "content and chunking changed"),
        (
            (Reason.CONTENT_CHANGED, Reason.CHUNKING_CHANGED, Reason.ATTRIBUTES_CHANGED, Reason.REQUESTED),
            "content, chunking and attributes changed, requested with --replace",
        ),
        ((Reason.ATTRIBUTES_CHANGED, Reason.DRIFTED), "attributes changed, changed outside vssync"),
        ((), ""),
    ],
)
def test_reasons(reasons: tuple[Reason, ...], text: str) -> None:
    assert wording.reason_text(reasons) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "(none)"),
        (True, "true"),
        (1, "1"),
        (1.0, "1.0"),
        ("1", '"1"'),
        ("é", '"é"'),
        ("a\x1b\u202e", '"a\\u001b\\u202e"'),
    ],
)
def test_value(value: str | float | None, text: str) -> None:
    assert wording.format_value(value) == text


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (
            Counts(add=1, change=1, replace=1, unchanged=1202),
            "Plan: 1 to add, 1 to change, 1 to replace, 0 to delete, 1,202 unchanged.",
        ),
        (
            Counts(delete=1_000, adopt=2, wait=3, refuse=1),
            "Plan: 0 to add, 0 to change, 0 to replace, 1,000 to delete, 0 unchanged, "
            "2 to adopt, 3 to wait for, 1 needs attention.",
        ),
        (Counts(refuse=2), "Plan: 0 to add, 0 to change, 0 to replace, 0 to delete, 0 unchanged, 2 need attention."),
    ],
)
def test_plan_line(counts: Counts, text: str) -> None:
    assert wording.plan_line(counts) == text


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (Cost(21_914, 2, 1, 10, seconds=0.2), "Cost: 21.4 KB in 2 uploads, about 10 requests, under a minute."),
        (Cost(requests=3, polls=1_280), "Cost: about 3 requests, up to 1,280 polls."),
        (Cost(10, 1, 1, 1), "Cost: 10 bytes in 1 upload, about 1 request."),
        (Cost(requests=3), "Cost: about 3 requests."),
        (Cost(), "Cost: nothing is sent."),
    ],
)
def test_cost_line(cost: Cost, text: str) -> None:
    assert wording.cost_line(cost) == text


@pytest.mark.parametrize(
    ("id", "text"),
    [
        ("vs_ord_7hq2m5xkc3p9w8z1b6r4t0n2x4da", "vs_ord_7hq2...x4da"),
        ("vs_0123456789abcdef", "vs_0123456789abcdef"),
        ("vs_" + "6889" * 8, "vs_6889...6889"),
        ("assistant-AbCdEfGhIjKlMnOpQrSt", "assistant-AbCd...QrSt"),
        ("0123456789" * 4, "0123...6789"),
    ],
)
def test_a_long_id_is_cut(id: str, text: str) -> None:
    assert wording.short_id(id) == text


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("é", 1), ("", 0), ("\U0001f600", 2)]
)
def test_cells(text: str, columns: int) -> None:
    assert display_width(text) == columns


@pytest.mark.parametrize(
    ("text", "room", "short"),
    [
        ("docs/intro.md", 13, "docs/intro.md"),
        ("docs/guide/intro.md", 14, "docs...ntro.md"),
        ("日本語日本語.md", 9, "日....md"),
        ("abcdef", 4, "...f"),
    ],
)
def test_shorten(text: str, room: int, short: str) -> None:
    assert shorten_middle(text, room) == short


@pytest.mark.parametrize(
    ("room", "short"),
    [
        (99, "content and chunking changed, ingestion failed, missing"),
        (50, "content and chunking changed, ..."),
        (51, "content and chunking changed, ingestion failed, ..."),
        (33, "content and chunking changed, ..."),
        (32, "content an...ion failed, missing"),
    ],
)
def test_a_list_is_cut_behind_an_entry(room: int, short: str) -> None:
    assert shorten_list("content and chunking changed, ingestion failed, missing", room) == short


@given(st.text(), st.integers(4, 60))
def test_a_shortened_text_fits_and_a_padded_one_fills(text: str, room: int) -> None:
    short = shorten_middle(text, room)
    assert display_width(short) <= room
    assert display_width(pad_right(short, room)) == room


@pytest.mark.parametrize(
    ("left", "right", "shorts"),
    [
        ("short", "other", ("short", "other")),
        ("a" * 40, "a" * 39 + "b", ("aaaa...aaaaaaa", "aaaa...aaaaaab")),  # cut in the middle they differ
        ("a" * 20 + "X" + "b" * 40, "a" * 20 + "Y" + "b" * 40, ("...aaXbbbbb...", "...aaYbbbbb...")),
        ("a" * 4 + "X" + "b" * 40, "a" * 4 + "Y" + "b" * 40, ("...aaXbbbbb...", "...aaYbbbbb...")),
        ("a" * 20 + "b" * 40, "a" * 20 + "b" * 41, None),
        ("abcdefghijklmn", "abcdef+++ghijklmn", ("...efghijklmn", "...ef+++ghi...")),  # the first would fit
        ("abcdef" + "+" * 9 + "ghijklmn", "abcdefghijklmn", ("...ef++++++...", "...efghijklmn")),
        ("abcdefghijklmnop", "abcdefghijklmnop (EU)", ("abcd...jklmnop", "abcd...op (EU)")),  # the end says it
    ],
)
def test_values_that_differ_are_cut_around_the_difference(
    left: str, right: str, shorts: tuple[str, str] | None
) -> None:
    shown = shorten_apart(left, right, 14)
    assert shown[0] != shown[1]
    assert shorts in (None, shown)


@given(st.text(), st.text(), st.text(), st.text(), st.integers(9, 60))
def test_different_values_never_look_equal(before: str, left: str, right: str, after: str, room: int) -> None:
    first, second = escape_control(f"{before}{left}{after}"), escape_control(f"{before}{right}{after}")
    shown = shorten_apart(first, second, room)
    assert (shown[0] == shown[1]) is (first == second)
    assert all(display_width(short) <= room for short in shown)


def test_progress_names_what_there_is() -> None:
    assert wording.batch_progress(FileCounts(380, 120, 0, 1, 501)) == "120 completed, 380 in progress, 1 cancelled"


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({"empty": 6, "draft": 9, ".png": 31}, "left out: 31 .png, 9 draft, 6 empty"),
        ({"ignored": 1204}, "left out: 1,204 ignored"),
        ({"too_large": 2, ".b": 2, ".a": 2}, "left out: 2 .a, 2 .b, 2 too large"),
        (
            {f".{kind}": number for number, kind in enumerate("abcdefg", 1)},
            "left out: 7 .g, 6 .f, 5 .e, 4 .d, 3 .c, 3 others",
        ),
        ({f".{'x' * 40}": 1}, "left out: 1 .xxxxx...xxxxxxxxxxx"),
        ({".\n": 1}, "left out: 1 .\\n"),
    ],
)
def test_what_is_left_out_is_one_line(counts: Mapping[str, int], text: str) -> None:
    assert wording.left_out_text({kind: ("a",) * count for kind, count in counts.items()}) == text


def test_each_file_that_is_left_out_has_its_reason() -> None:
    lines = wording.left_out_lines({".png": ("b.png",), "too_large": ("a.md", "c\n.md")}, full=True)
    assert lines == [
        "3 files left out: 2 too large, 1 .png",
        "  a.md: too large",
        "  b.png: unsupported",
        "  c\\n.md: too large",
    ]
    assert wording.left_out_lines({}, full=True) == []
