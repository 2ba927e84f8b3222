"""What a body may say: each row is refused with a 400 that names the place; the boundaries are accepted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local.client import Api
from vssync.local import rules, search
from vssync.local.errors import ApiError
from vssync.local.rules import Check

STATIC = {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}
EXPIRY = {"anchor": "last_active_at", "days": 1}


def static(**sizes: Any) -> dict[str, Any]:
    return {"type": "static", "static": STATIC | sizes}


def one(**more: Any) -> dict[str, Any]:
    return {"file_id": "file-1", **more}


REFUSED: list[tuple[Check, Any, str | None]] = [
    (rules.check_new_store, None, None),
    (rules.check_new_store, [], None),
    (rules.check_new_store, "text", None),
    (rules.check_new_store, {"colour": 1}, "colour"),
    (rules.check_new_store, {"name": 1}, "name"),
    (rules.check_new_store, {"metadata": {"a": 1}}, "metadata.a"),
    (rules.check_new_store, {"metadata": {"a": None}}, "metadata.a"),
    (rules.check_new_store, {"metadata": {"a": "x" * 513}}, "metadata.a"),
    (rules.check_new_store, {"metadata": {"k" * 65: "x"}}, "metadata"),
    (rules.check_new_store, {"metadata": {str(n): "x" for n in range(17)}}, "metadata"),
    (rules.check_new_store, {"metadata": []}, "metadata"),
    (rules.check_new_store, {"expires_after": EXPIRY | {"days": 0}}, "expires_after.days"),
    (rules.check_new_store, {"expires_after": EXPIRY | {"days": 366}}, "expires_after.days"),
    (rules.check_new_store, {"expires_after": EXPIRY | {"days": 1.5}}, "expires_after.days"),
    (rules.check_new_store, {"expires_after": EXPIRY | {"days": True}}, "expires_after.days"),
    (rules.check_new_store, {"expires_after": EXPIRY | {"anchor": "created_at"}}, "expires_after.anchor"),
    (rules.check_new_store, {"expires_after": {"days": 1}}, "expires_after.anchor"),
    (rules.check_new_store, {"expires_after": EXPIRY | {"days": None}}, "expires_after.days"),
    (rules.check_new_store, {"file_ids": ["x"] * 501}, "file_ids"),
    (rules.check_new_store, {"file_ids": ["x", 1]}, "file_ids[1]"),
    (rules.STORE_UPDATE, {"description": "x"}, "description"),
    (rules.ATTACHMENT[0], {}, "file_id"),
    (rules.ATTACHMENT[0], one(file_id=""), "file_id"),
    (rules.ATTACHMENT[0], one(file_ids=[]), "file_ids"),
    (rules.ATTACHMENT[0], one(attributes={"a": None}), "attributes.a"),
    (rules.ATTACHMENT[0], one(attributes={"a": []}), "attributes.a"),
    (rules.ATTACHMENT[0], one(attributes={"a": {}}), "attributes.a"),
    (rules.ATTACHMENT[0], one(attributes={"a": "x" * 513}), "attributes.a"),
    (rules.ATTACHMENT[0], one(attributes={"a": float("inf")}), "attributes.a"),
    (rules.ATTACHMENT[0], one(attributes={"a": 10**400}), "attributes.a"),
    (rules.ATTACHMENT[0], one(attributes={"k" * 65: 1}), "attributes"),
    (rules.ATTACHMENT[0], one(attributes={str(n): n for n in range(17)}), "attributes"),
    (rules.ATTACHMENT[0], one(attributes=[]), "attributes"),
    (rules.ATTACHMENT[0], {"file_id": None}, "file_id"),
    (rules.ATTACHMENT[0], one(chunking_strategy={}), "chunking_strategy"),
    (rules.ATTACHMENT[0], one(chunking_strategy={"type": "other"}), "chunking_strategy.type"),
    (rules.ATTACHMENT[0], one(chunking_strategy={"type": "auto", "static": STATIC}), "chunking_strategy.static"),
    (rules.ATTACHMENT[0], one(chunking_strategy={"type": "static"}), "chunking_strategy.static"),
    (
        rules.ATTACHMENT[0],
        one(chunking_strategy={"type": "static", "static": {"max_chunk_size_tokens": 800}}),
        "chunking_strategy.static.chunk_overlap_tokens",
    ),
    (
        rules.ATTACHMENT[0],
        one(chunking_strategy=static(max_chunk_size_tokens=99)),
        "chunking_strategy.static.max_chunk_size_tokens",
    ),
    (
        rules.ATTACHMENT[0],
        one(chunking_strategy=static(max_chunk_size_tokens=4097)),
        "chunking_strategy.static.max_chunk_size_tokens",
    ),
    (
        rules.ATTACHMENT[0],
        one(chunking_strategy=static(chunk_overlap_tokens=401)),
        "chunking_strategy.static.chunk_overlap_tokens",
    ),
    (
        rules.ATTACHMENT[0],
        one(chunking_strategy=static(chunk_overlap_tokens=-1)),
        "chunking_strategy.static.chunk_overlap_tokens",
    ),
    (rules.BATCH[0], {}, "file_ids"),
    (rules.BATCH[0], {"file_ids": ["x"], "files": [one()]}, "file_ids"),
    (rules.BATCH[0], {"file_ids": None, "files": None}, "file_ids"),
    (rules.BATCH[0], {"file_ids": []}, "file_ids"),
    (rules.BATCH[0], {"file_ids": ["x"] * 2001}, "file_ids"),
    (rules.BATCH[0], {"files": []}, "files"),
    (rules.BATCH[0], {"files": [one()] * 2001}, "files"),
    (rules.BATCH[0], {"files": [one(), {"file_id": 1}]}, "files[1].file_id"),
    (rules.BATCH[0], {"files": [one(colour=1)]}, "files[0].colour"),
    (rules.BATCH[0], {"files": [one(attributes={"a": None})]}, "files[0].attributes.a"),
    (rules.ATTRIBUTES[0], {}, "attributes"),
    (rules.ATTRIBUTES[0], {"attributes": {}, "file_id": "x"}, "file_id"),
    (search.SEARCH, {}, "query"),
    (search.SEARCH, {"query": None}, "query"),
    (search.SEARCH, {"query": ""}, "query"),
    (search.SEARCH, {"query": []}, "query"),
    (search.SEARCH, {"query": ["x", ""]}, "query[1]"),
    (search.SEARCH, {"query": "x", "max_num_results": 0}, "max_num_results"),
    (search.SEARCH, {"query": "x", "max_num_results": 51}, "max_num_results"),
    (search.SEARCH, {"query": "x", "rewrite_query": "yes"}, "rewrite_query"),
    (search.SEARCH, {"query": "x", "ranking_options": {"ranker": "mine"}}, "ranking_options.ranker"),
    (search.SEARCH, {"query": "x", "ranking_options": {"score_threshold": 2}}, "ranking_options.score_threshold"),
]


@pytest.mark.parametrize(("check", "body", "param"), REFUSED)
def test_refused(check: Check, body: Any, param: str | None) -> None:
    with pytest.raises(ApiError) as caught:
        check(body, "")
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    ("check", "body"),
    [
        (rules.check_new_store, {}),
        (rules.check_new_store, {"metadata": {"k" * 64: "x" * 512} | {str(n): "" for n in range(15)}}),
        (rules.check_new_store, {"file_ids": ["x"] * 500, "expires_after": EXPIRY | {"days": 365}}),
        (rules.ATTACHMENT[0], one(attributes={"k" * 64: "x" * 512, "b": True, "n": -1, "f": 1.5})),
        (rules.ATTACHMENT[0], one(attributes=None, chunking_strategy=static(max_chunk_size_tokens=4096))),
        (rules.ATTACHMENT[0], one(chunking_strategy=static(max_chunk_size_tokens=100, chunk_overlap_tokens=50))),
        (rules.BATCH[0], {"files": [one()] * 2000}),
        (rules.BATCH[0], {"file_ids": ["x"] * 2000}),
        (search.SEARCH, {"query": ["a", "b"], "max_num_results": 50, "ranking_options": {"ranker": "none"}}),
    ],
)
def test_accepted(check: Check, body: Any) -> None:
    check(body, "")


@pytest.mark.parametrize(
    ("check", "required", "optional"),
    [
        (
            rules.check_new_store,
            {},
            ("name", "description", "metadata", "expires_after", "file_ids", "chunking_strategy"),
        ),
        (rules.ATTACHMENT[0], one(), ("attributes", "chunking_strategy")),
        (rules.ATTACHMENT[1], one(), ("attributes", "chunking_strategy")),
        (rules.BATCH[0], {"file_ids": ["x"]}, ("files", "attributes", "chunking_strategy")),
        (rules.BATCH[1], {"files": [one(attributes=None)]}, ("file_ids", "attributes", "chunking_strategy")),
        (rules.UPLOAD, {"purpose": "assistants"}, ("expires_after",)),
        (search.SEARCH, {"query": "x"}, ("filters", "max_num_results", "ranking_options", "rewrite_query")),
    ],
)
def test_null_is_as_if_it_was_not_sent(check: Check, required: dict[str, Any], optional: tuple[str, ...]) -> None:
    assert check(required | dict.fromkeys(optional), "") == check(required, "")


def test_null_in_an_update_clears() -> None:
    cleared = {"name": None, "metadata": None, "expires_after": None}
    assert rules.STORE_UPDATE(cleared, "") == cleared | {"metadata": {}}
    assert rules.ATTRIBUTES[0]({"attributes": None}, "") == {"attributes": {}}


def test_what_was_not_said_is_filled_in() -> None:
    assert rules.ATTACHMENT[0](one(), "") == rules.Attachment("file-1", {}, rules.ChunkSizes(800, 400))
    assert rules.CHUNKING({"type": "auto"}, "") == rules.ChunkSizes(800, 400)
    assert rules.CHUNKING(static(), "") == rules.ChunkSizes(800, 400)


def test_a_refusal_reaches_the_client_in_one_piece(api: Api) -> None:
    assert api.post("/vector_stores", {"colour": "red"}, 400) == {
        "error": {
            "message": "Unknown parameter 'colour'.",
            "type": "invalid_request_error",
            "param": "colour",
            "code": "unknown_parameter",
        }
    }
