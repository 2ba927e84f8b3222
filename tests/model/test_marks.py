"""Marks: their exact bytes, which live objects carry for years, and what reading them back gives."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vssync.limits import MAX_PAIRS, MAX_VALUE_LENGTH
from vssync.model.digests import (
    attributes_digest,
    chunking_digest,
    mark_for,
    settings_digest,
    store_mark_for,
    with_echo,
    with_key,
)
from vssync.model.marks import (
    NONE,
    STORE_APPLIED,
    STORE_OWNER,
    ApplyStamp,
    Mark,
    Origin,
    UnreadableMark,
    fit_metadata,
    key_attribute,
    key_digest,
    parse_mark,
    parse_stamp,
    parse_store_mark,
)
from vssync.model.state import AUTO, Chunking, DesiredFile, DesiredStore, LiveStore, StoreStatus

HEX = "0" * 16
SHA = hashlib.sha256(b"hello").hexdigest()
CAFE = "docs/caf\u00e9.md"
FILE = DesiredFile(
    CAFE,
    "docs__cafe.md",
    {"lang": "fr", "public": True, "weight": 1.0, "ratio": 0.5},
    Chunking(800, 400),
    path=CAFE,
    sha256=SHA,
)
STORE = DesiredStore("guide", "Guide", metadata={"team": "docs", "app": "help"}, expires_after_days=30)


def first16(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("digest", "canonical"),
    [
        (key_digest(CAFE), CAFE),
        (key_digest("docs/cafe\u0301.md"), CAFE),
        (chunking_digest(AUTO), "auto"),
        (chunking_digest(Chunking(800, 400)), "800/400"),
        (attributes_digest({}), "[]"),
        (
            attributes_digest({"b": True, "a": "caf\u00e9", "n": 1.0, "f": 0.5, "i": 3}, ignored_names=("i",)),
            '[["a","s","caf\u00e9"],["b","b",true],["f","n",0.5],["n","n",1]]',
        ),
        (
            settings_digest("Guide", {"team": "docs", "app": "help"}, 30),
            '{"expires":30,"metadata":{"app":"help","team":"docs"},"name":"Guide"}',
        ),
        (settings_digest("Guide", {}, None), '{"expires":null,"metadata":{},"name":"Guide"}'),
    ],
)
def test_a_digest_is_of_exactly_this_text(digest: str, canonical: str) -> None:
    assert digest == first16(canonical)


def test_the_bytes_of_a_file_mark() -> None:
    mark = mark_for("support-kb/prod", FILE, origin=Origin.UPLOADED)
    fields = ('["lang","s","fr"]', '["public","b",true]', '["ratio","n",0.5]', f'["vssync_key","s","{CAFE}"]')
    attributes = f'[{",".join(fields)},["weight","n",1]]'
    identity = f"v1;support-kb/prod;{first16(CAFE)};{SHA};{first16('800/400')};{first16(attributes)}"
    assert str(mark) == f"{identity};u;1;{first16(FILE.filename)};-"
    assert with_key(FILE.attributes, FILE.key) == {**FILE.attributes, "vssync_key": CAFE}


def test_the_bytes_of_a_file_mark_by_themselves() -> None:
    """Written out, so that a change of both the code and its twin above is still seen."""
    mark = mark_for("kb", DesiredFile("a.md", "a.md", {"lang": "en"}, AUTO, file_id="file-1"), origin=Origin.DECLARED)
    assert str(mark) == "v1;kb;fecccc97532467ad;id;929260ad9b9ea9fe;f60d2111d6d99eb5;d;1;-;-"


def test_the_bytes_of_a_store_mark() -> None:
    settings = '{"expires":30,"metadata":{"app":"help","team":"docs"},"name":"Guide"}'
    names = first16("app")[:8] + first16("team")[:8]
    mark = store_mark_for("support-kb/prod", STORE)
    assert str(mark) == f"v1;support-kb/prod;guide;{first16(settings)};{names}"
    assert mark.set_by_us("team")
    assert not mark.set_by_us("tier")


@pytest.mark.parametrize("name", ["a.md", "x" * 512])
def test_a_key_is_written_as_it_is_while_it_fits(name: str) -> None:
    assert key_attribute(name) == name


def test_a_long_key_is_cut_and_closed_with_its_digest() -> None:
    key = "x" * 600
    assert key_attribute(key) == "x" * 495 + "~" + key_digest(key)
    assert len(key_attribute(key)) == 512


hex16 = st.text("0123456789abcdef", min_size=16, max_size=16)
owners = st.text("abcXYZ012.-_/", min_size=1, max_size=129)
marks = st.builds(
    Mark,
    owners,
    hex16,
    st.sampled_from([SHA, "id", "?"]),
    hex16,
    hex16,
    st.sampled_from(Origin),
    st.integers(0, 9_999),
    st.just(NONE) | hex16,
    st.just(NONE) | st.from_regex(r"[0-9a-f]{64}\.[a-z0-9][a-z0-9._+-]{0,63}", fullmatch=True),
    st.just("") | hex16,
)


@given(marks)
def test_a_mark_reads_back_as_written_and_fits(mark: Mark) -> None:
    assert parse_mark(str(mark)) == mark
    assert len(str(mark)) <= 512
    assert str(mark).isascii()
    assert str(mark).isprintable()


def test_the_longest_mark_fits() -> None:
    mark = Mark("o" * 140, HEX, f"?{SHA}", HEX, HEX, Origin.ADOPTED, 9_999, HEX, f"{SHA}.{'m' * 64}", HEX)
    assert parse_mark(str(mark)) == mark
    assert len(str(mark)) <= MAX_VALUE_LENGTH


@given(
    owners, st.text("abc-_.", min_size=1, max_size=64), hex16, st.lists(st.text(min_size=1), unique=True, max_size=10)
)
def test_a_store_mark_reads_back_as_written(owner: str, key: str, settings: str, names: list[str]) -> None:
    store = DesiredStore(key, "x", metadata=dict.fromkeys(names, "v"))
    mark = replace(store_mark_for(owner, store), settings_digest=settings)
    assert parse_store_mark(str(mark)) == mark
    assert all(mark.set_by_us(name) for name in names)
    assert len(str(mark)) <= 512


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("", None),
        ("v1", None),
        ("v1;kb", None),
        ("v1;kb;short;id;x;y;u;1;-;-", None),
        (f"v1;kb;{HEX};id;{HEX};{HEX};u;1", None),
        (f"v1;kb;{HEX};id;{HEX};{HEX};u;1;-;{SHA}", None),
        (f"v1;kb;{HEX};id;{HEX};{HEX};u;1;-;{SHA}.{'m' * 65}", None),
        ("v2;anything", 2),
        ("v12;kb;x", 12),
        ("v1 ;kb", None),
    ],
)
def test_what_cannot_be_read_is_not_taken_for_ours(text: str, version: int | None) -> None:
    assert parse_mark(text) == UnreadableMark(text, version)


@pytest.mark.parametrize("text", ["", "v1;kb", "v1;kb;guide;xyz", "v1;kb;guide;0123456789abcdef;odd"])
def test_a_garbled_store_mark_is_not_taken_for_ours(text: str) -> None:
    assert parse_store_mark(text) == UnreadableMark(text)


@pytest.mark.parametrize(
    ("metadata", "mark"),
    [
        ({}, None),
        ({STORE_OWNER: ""}, UnreadableMark("")),
        ({STORE_OWNER: str(store_mark_for("kb", STORE))}, store_mark_for("kb", STORE)),
    ],
)
def test_a_live_store_reads_its_mark(metadata: dict[str, str], mark: Any) -> None:
    assert LiveStore("vs_1", "Guide", StoreStatus.COMPLETED, 1, metadata).mark == mark


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (("4f2a91c", "jan", "981"), "4f2a91c;jan;981"),
        (("4f2a91c" * 5 + "+", "Jan M\u00fcller", "17-2"), "4f2a91c" * 5 + "+;Jan M\u00fcller;17-2"),
        (("", "", ""), ";;"),
        (("main", "a;b\x00\nc\u202e", "run 7"), ";abc;"),
        (("4F2A91C", "x" * 300, "r" * 65), f";{'x' * 100};"),
    ],
)
def test_a_stamp_reads_back_as_written_without_what_could_break_it(said: tuple[str, str, str], text: str) -> None:
    stamp = replace(ApplyStamp.of(*said), time="2026-11-27T14:02:31Z")
    assert str(stamp) == f"2026-11-27T14:02:31Z;{text}"
    assert parse_stamp(str(stamp)) == stamp
    assert len(str(stamp)) <= MAX_VALUE_LENGTH


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-27T14:02:31Z", "2026-11-27T14:02:31Z;x;y;z"])
def test_what_is_no_stamp_is_not_read(text: str) -> None:
    assert parse_stamp(text) is None


def test_the_stamp_makes_room_for_what_is_wanted() -> None:
    full = {f"m{n}": "v" for n in range(MAX_PAIRS - 1)}
    assert fit_metadata({**full, STORE_APPLIED: "x"}) == {**full, STORE_APPLIED: "x"}
    assert fit_metadata({**full, "one more": "v", STORE_APPLIED: "x"}) == {**full, "one more": "v"}


def test_an_echo_is_kept_only_while_the_service_garbles() -> None:
    mark = mark_for("kb", FILE, origin=Origin.UPLOADED)
    sent = with_key(FILE.attributes, FILE.key)
    assert with_echo(mark, sent) == mark
    assert with_echo(mark, {**sent, "weight": 1}) == mark
    garbled = {**sent, "lang": "FR"}
    assert with_echo(mark, garbled).echo == attributes_digest(garbled)
