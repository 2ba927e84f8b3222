"""Search: what is found, in which order, and how filters and thresholds narrow it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local.client import Api
from vssync.local.errors import ApiError
from vssync.local.search import parse_filter

TEXTS = {
    "fox.md": b"The quick brown fox jumps over the lazy dog",
    "foxes.md": b"Foxes, foxes and more foxes: a field guide to the red fox",
    "dog.md": b"Dogs bark at night. Dogs sleep in the day",
    "café.md": "Un café à Orléans".encode(),
}


@pytest.fixture
def store(api: Api) -> str:
    store = api.store()
    for name, text in TEXTS.items():
        lang = "fr" if "caf" in name else "en"
        api.attach(store, api.upload(name, text)["id"], attributes={"lang": lang, "size": len(text)})
    return store


def names(page: Any) -> list[str]:
    return [hit["filename"] for hit in page["data"]]


def test_a_hit_shows_where_it_is_from(api: Api, store: str) -> None:
    page = api.search(store, "barking dogs")
    (best, *_) = page["data"]
    assert page | {"data": []} == {
        "object": "vector_store.search_results.page",
        "search_query": ["barking dogs"],
        "data": [],
        "has_more": False,
        "next_page": None,
    }
    assert best == {
        "file_id": best["file_id"],
        "filename": "dog.md",
        "score": best["score"],
        "attributes": {"lang": "en", "size": 41},
        "content": [{"type": "text", "text": TEXTS["dog.md"].decode()}],
    }
    assert api.get(f"/files/{best['file_id']}")["filename"] == "dog.md"


def test_best_first_and_scores_between_0_and_1(api: Api, store: str) -> None:
    page = api.search(store, "guide to foxes")
    scores = [hit["score"] for hit in page["data"]]
    assert names(page)[0] == "foxes.md"
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("FOX", {"fox.md", "foxes.md"}),
        ("cafe orleans", {"café.md"}),
        ("unicorn", set()),
        ("😀 !?", set()),
        ('" OR NEAR( text: * ^', set()),
        ("dog\0s", {"fox.md", "dog.md"}),
        (["bark", "café"], {"dog.md", "café.md"}),
        ("word " * 5000 + "bark", {"dog.md"}),
    ],
)
def test_what_is_found(api: Api, store: str, query: str | list[str], found: set[str]) -> None:
    assert set(names(api.search(store, query))) == found


@pytest.mark.parametrize(
    ("text", "queries"),
    [
        ("Die Größe der Straße", ["Größe", "GRÖSSE", "grosse", "Gro\u0308ße", "Straße", "STRASSE", "strasse"]),
        ("an of\ufb01ce \ufb02oor", ["office", "OFFICE", "of\ufb01ce", "floor"]),
        ("İstanbul ve Diyarbakır", ["İstanbul", "istanbul", "I\u0307STANBUL", "Diyarbakır"]),
        ("ＦＵＬＬ width and ½", ["full", "ＦＵＬＬ"]),
        ("ΟΔΟΣ Σίσυφος", ["οδος", "σισυφοσ", "ΣΊΣΥΦΟΣ"]),
        ("響應式狀態是如何工作的", ["響應式狀態", "狀態"]),
        ("リアクティビティーの基礎", ["基礎", "リアクティビティー"]),
        ("한국어 문서", ["문서", "한국어"]),
        ("हिन्दी में", ["हिन्दी"]),
    ],
)
def test_text_and_query_are_folded_alike(api: Api, text: str, queries: list[str]) -> None:
    store = api.store()
    api.attach(store, api.upload("page.md", text.encode())["id"])
    api.attach(store, api.upload("other.md", b"nothing of the kind")["id"])
    for query in queries:
        assert names(api.search(store, query)) == ["page.md"], query


def test_a_file_leaves_the_index_whatever_its_letters(api: Api) -> None:
    store = api.store()
    upload = api.upload("page.md", "Größe, ﬁx, 狀態".encode())["id"]
    api.attach(store, upload)
    api.delete(f"/vector_stores/{store}/files/{upload}")
    assert [names(api.search(store, query)) for query in ("Größe", "fix", "狀態")] == [[], [], []]


def test_number_and_threshold(api: Api, store: str) -> None:
    everything = api.search(store, "the fox dogs", max_num_results=50)["data"]
    assert api.search(store, "the fox dogs", max_num_results=1)["data"] == everything[:1]
    threshold = everything[1]["score"]
    above = api.search(store, "the fox dogs", ranking_options={"score_threshold": threshold})["data"]
    assert above == everything[:2]


def test_several_queries_keep_the_best_score(api: Api, store: str) -> None:
    alone = api.search(store, "lazy dog")["data"][0]
    both = api.search(store, ["lazy dog", "night"], rewrite_query=True)
    assert alone in both["data"]
    assert both["search_query"] == ["lazy dog", "night"]


def test_a_filter_comes_before_the_number(api: Api, store: str) -> None:
    page = api.search(store, "the fox", max_num_results=1, filters={"type": "gt", "key": "size", "value": 50})
    assert names(page) == ["foxes.md"]


def test_updated_attributes_reach_the_filter(api: Api, store: str) -> None:
    file = api.search(store, "bark")["data"][0]["file_id"]
    api.post(f"/vector_stores/{store}/files/{file}", {"attributes": {"lang": "de"}})
    german = {"type": "eq", "key": "lang", "value": "de"}
    assert names(api.search(store, "dogs", filters=german)) == ["dog.md"]


def test_long_files_are_found_by_the_chunk(api: Api) -> None:
    store = api.store()
    words = " ".join(f"word{n}" for n in range(2000))
    sizes = {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}
    chunking = {"type": "static", "static": sizes}
    api.attach(store, api.upload("long.txt", words.encode())["id"], chunking_strategy=chunking)
    (hit,) = api.search(store, "word1234")["data"]
    assert "word1234" in hit["content"][0]["text"]
    assert len(hit["content"][0]["text"]) < 1000


ATTRIBUTES = {"lang": "en", "page": 3, "half": 0.5, "draft": True, "date": "2026-01-31"}


def compare(kind: str, key: str, value: Any) -> dict[str, Any]:
    return {"type": kind, "key": key, "value": value}


@pytest.mark.parametrize(
    ("filter", "passes"),
    [
        (compare("eq", "lang", "en"), True),
        (compare("eq", "lang", "EN"), False),
        (compare("eq", "page", 3.0), True),
        (compare("eq", "page", "3"), False),
        (compare("eq", "draft", True), True),
        (compare("eq", "draft", 1), False),
        (compare("eq", "missing", "x"), False),
        (compare("ne", "lang", "fr"), True),
        (compare("ne", "lang", "en"), False),
        (compare("ne", "missing", "x"), True),
        (compare("gt", "page", 2), True),
        (compare("gt", "page", 3), False),
        (compare("gte", "page", 3), True),
        (compare("lt", "half", 1), True),
        (compare("lte", "half", 0.4), False),
        (compare("lt", "date", "2026-02-01"), True),
        (compare("lt", "date", 5), False),
        (compare("gt", "draft", 0), False),
        (compare("lte", "missing", 5), False),
        (compare("in", "lang", ["fr", "en"]), True),
        (compare("in", "page", [1, 2]), False),
        (compare("in", "lang", []), False),
        (compare("nin", "lang", ["fr"]), True),
        (compare("nin", "missing", ["fr"]), True),
        (compare("nin", "lang", ["en"]), False),
        ({"type": "and", "filters": [compare("eq", "lang", "en"), compare("gt", "page", 2)]}, True),
        ({"type": "and", "filters": [compare("eq", "lang", "en"), compare("gt", "page", 3)]}, False),
        ({"type": "or", "filters": [compare("eq", "lang", "fr"), compare("gt", "page", 2)]}, True),
        ({"type": "or", "filters": []}, False),
        (
            {"type": "or", "filters": [{"type": "and", "filters": [compare("eq", "draft", True)]}]},
            True,
        ),
    ],
)
def test_filters(filter: dict[str, Any], passes: bool) -> None:
    assert parse_filter(filter, "filters")(ATTRIBUTES) is passes


ODD: tuple[Any, ...] = ([], {}, None, 1)


def nested(depth: int) -> dict[str, Any]:
    filter = compare("eq", "a", 1)
    for _ in range(depth):
        filter = {"type": "and", "filters": [filter]}
    return filter


@pytest.mark.parametrize(
    ("filter", "param"),
    [
        ([], "filters"),
        ({}, "filters.type"),
        *(({"type": odd, "key": "a", "value": 1}, "filters.type") for odd in (*ODD, True, ["and"], "AND")),
        *(({"type": "eq", "key": odd, "value": 1}, "filters.key") for odd in ODD),
        *(({"type": "or", "filters": odd}, "filters.filters") for odd in ("x", None, 1)),
        ({"type": "or", "filters": [{"type": {}}]}, "filters.filters[0].key"),
        ({"type": "or", "filters": [[]]}, "filters.filters[0]"),
        (compare("in", "a", [[]]), "filters.value"),
        (compare("like", "a", 1), "filters.type"),
        ({"type": "eq", "key": "a"}, "filters.value"),
        (compare("eq", "a", None), "filters.value"),
        (compare("eq", "a", [1]), "filters.value"),
        (compare("in", "a", 1), "filters.value"),
        (compare("in", "a", [None]), "filters.value"),
        (compare("nin", "a", ["b", True]), "filters.value"),
        ({"type": "and", "filters": {}}, "filters.filters"),
        ({"type": "and", "filters": [compare("eq", "a", {})]}, "filters.filters[0].value"),
        ({"type": "and", "filters": [], "key": "a"}, "filters.key"),
        (nested(17), "filters" + ".filters[0]" * 16),
    ],
)
def test_wrong_filters(filter: Any, param: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_filter(filter, "filters")
    assert caught.value.param == param


def test_deep_but_allowed() -> None:
    assert parse_filter(nested(16), "filters")({"a": 1})
