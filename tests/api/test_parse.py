"""Lenient in, typed out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vssync.api.parse import (
    MalformedResponse,
    parse_batch,
    parse_hit,
    parse_store,
    parse_store_file,
    parse_text,
    parse_upload,
)
from vssync.model.marks import MARK, Mark, Origin, UnreadableMark
from vssync.model.state import AUTO, Chunking, FileCounts, FileStatus, IngestError, LiveBatch, LiveFile, StoreStatus


def test_a_bare_object_is_enough() -> None:
    file = parse_store_file({"id": "file-1"})
    assert (file.status, file.attributes, file.chunking, file.error) == (FileStatus.UNKNOWN, {}, None, None)


@pytest.mark.parametrize("parse", [parse_batch, parse_store_file, parse_store, parse_upload])
@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": 1}, {"id": None}, None, [], "id"])
def test_an_object_without_id_is_malformed(parse: Callable[[Any], object], body: object) -> None:
    with pytest.raises(MalformedResponse):
        parse(body)


@pytest.mark.parametrize(
    ("strategy", "chunking"),
    [
        (None, None),
        ({"type": "other"}, None),
        ({"type": "auto"}, AUTO),
        ({"type": "static", "static": {"max_chunk_size_tokens": 400, "chunk_overlap_tokens": 100}}, Chunking(400, 100)),
        ({"type": "static"}, None),
        ("auto", None),
    ],
)
def test_chunking_as_reported(strategy: Any, chunking: Chunking | None) -> None:
    assert parse_store_file({"id": "f", "chunking_strategy": strategy}).chunking == chunking


MARK_TEXT = f"v1;kb;{'0' * 16};id;{'1' * 16};{'2' * 16};d;1;-;-"


@pytest.mark.parametrize(
    ("sent", "mark"),
    [
        (None, None),
        ("", UnreadableMark("")),
        ("v2;x", UnreadableMark("v2;x", 2)),
        (7, UnreadableMark("7")),
        (True, UnreadableMark("True")),
        (MARK_TEXT, Mark("kb", "0" * 16, "id", "1" * 16, "2" * 16, Origin.DECLARED)),
    ],
)
def test_the_mark_is_read_apart_from_the_attributes(sent: Any, mark: Any) -> None:
    file = parse_store_file({"id": "f", "attributes": {"a": 1, MARK: sent}})
    assert (file.attributes, file.mark) == ({"a": 1}, mark)


def test_statuses_nobody_knows_yet_are_unknown() -> None:
    assert parse_store({"id": "v", "status": "hibernating"}).status is StoreStatus.UNKNOWN


@pytest.mark.parametrize(
    ("status", "known", "reported"),
    [
        ("in_progress", FileStatus.IN_PROGRESS, ""),
        ("queued", FileStatus.UNKNOWN, "queued"),
        ("unknown", FileStatus.UNKNOWN, "unknown"),
        (None, FileStatus.UNKNOWN, ""),
        (5, FileStatus.UNKNOWN, "5"),
    ],
)
@pytest.mark.parametrize("parse", [parse_batch, parse_store_file])
def test_a_status_nobody_knows_is_kept_in_the_services_word(
    parse: Callable[[Any], LiveBatch | LiveFile], status: object, known: FileStatus, reported: str
) -> None:
    live = parse({"id": "b", "status": status})
    assert (live.status, live.reported_status) == (known, reported)


def test_a_whole_store_file() -> None:
    file = parse_store_file(
        {
            "id": "f",
            "status": "failed",
            "created_at": 5.0,
            "attributes": {"a": 1, "b": True, "c": None, "d": ["x"]},
            "last_error": {"code": "server_error", "message": "oops"},
            "surprise": 1,
            "usage_bytes": 7,
        }
    )
    assert file.attributes == {"a": 1, "b": True, "d": "['x']"}
    assert (file.created_at, file.error, file.usage_bytes) == (5, IngestError("server_error", "oops"), 7)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        *((number, number) for number in (0, -1.5, 10**299, -(10**299), True)),
        *(
            (odd, str(odd))
            for odd in (10**300, -(10**400), float("nan"), float("inf"), -float("inf"), [None], {"a": [1]})
        ),
        ("x" * 100_000, "x" * 65_536),
        (["x" * 100_000], "['" + "x" * 65_534),
        ("a\ud800\u00e9", "a?\u00e9"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_an_attribute_is_a_number_that_json_has_or_a_text_of_bounded_length(sent: object, kept: object) -> None:
    assert parse_store_file({"id": "f", "attributes": {"a": sent}}).attributes == {"a": kept}
    if isinstance(sent, str | list):
        assert parse_store({"id": "v", "name": sent, "metadata": {"a": sent}}).name == kept


def test_what_a_service_read_in_a_file_is_not_cut() -> None:
    text = "x" * 100_000
    assert parse_hit({"content": [{"text": text}, {"text": None}, {"text": "\udfff"}, 7]}).text == text + "\n\n?"
    assert parse_text({"data": [{"text": text}]}) == (text,)


def test_counts_may_be_absent() -> None:
    assert parse_batch({"id": "b", "file_counts": {"total": 3}}).counts == FileCounts(total=3)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), pytest.param(10**400, id="huge"), "5", None, [], {}])
def test_numbers_that_are_none_count_as_nothing(odd: Any) -> None:
    assert parse_store({"id": "v", "created_at": odd, "usage_bytes": odd}).created_at == 0
    assert parse_hit({"score": odd}).score == 0.0
