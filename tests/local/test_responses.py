"""Answers from files: what is quoted and cited, what is refused, and the same as a stream."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.local.client import Api, Clock
from tests.local.test_openai_sdk import over_a_socket
from vssync.local.app import Service
from vssync.local.dialects import DIALECTS
from vssync.local.responses import MODEL, best_paragraph
from vssync.local.transport import LocalTransport

openai = pytest.importorskip("openai")

RESET = "## How to reset a password\n\nChoose *Forgot password*; a link arrives by mail.\nIt is valid for an hour."
TEXTS = {
    "login.md": f"# Login\n\nSign in with your mail address.\n\n{RESET}\n\n## Lock an account\n\nAsk an admin.",
    "faq.md": "Who can reset a password of somebody else? Any admin can do that, at any time, any day.\n\nThey answer.",
    "prices.md": "The basic plan is free.",
}


def load(api: Api, **texts: str) -> str:
    store = api.store()
    for name, text in (texts or TEXTS).items():
        api.attach(store, api.upload(name, text.encode())["id"], attributes={"kind": name[:3], "size": len(text)})
    return store


@pytest.fixture
def store(api: Api) -> str:
    return load(api)


def ask(api: Api, *stores: str, question: Any = "reset a password", status: int = 200, **more: Any) -> Any:
    """`tool` has more fields of the tool; all else is of the request."""
    tool = {"type": "file_search", "vector_store_ids": [*stores], **more.pop("tool", {})}
    return api.post("/responses", {"model": "any", "input": question, "tools": [tool], **more}, status)


def answer(response: Any) -> tuple[str, list[Any]]:
    (part,) = response["output"][-1]["content"]
    return part["text"], part["annotations"]


def cited(response: Any) -> list[str]:
    return [annotation["filename"] for annotation in answer(response)[1]]


def test_an_answer_quotes_and_cites(api: Api, store: str) -> None:
    response = ask(api, store)
    call, message = response["output"]
    assert (call["type"], call["status"], call["queries"]) == (
        "file_search_call",
        "completed",
        ["reset a password"],
    )
    assert call["results"] is None
    text, annotations = answer(response)
    assert text == f"{RESET}\n\n{TEXTS['faq.md'].splitlines()[0]}"
    hits = {hit["filename"]: hit["file_id"] for hit in api.search(store, "reset a password")["data"]}
    assert annotations == [
        {"type": "file_citation", "file_id": hits[name], "filename": name, "index": index}
        for name, index in (("login.md", len(RESET)), ("faq.md", len(text)))
    ]
    assert (message["role"], message["status"], response["status"]) == ("assistant", "completed", "completed")
    assert response["model"] == MODEL
    usage = response["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 20


def test_results_are_shown_when_they_are_asked_for(api: Api, store: str) -> None:
    (call, _) = ask(api, store, include=["file_search_call.results"])["output"]
    hits = api.search(store, "reset a password", max_num_results=50)["data"]
    assert call["results"] == [
        {
            **{name: hit[name] for name in ("file_id", "filename", "score", "attributes")},
            "text": hit["content"][0]["text"],
        }
        for hit in hits
    ]


MONEY = """# Money

Refunds take five days.

# Invoices

## When

An invoice comes monthly.

- by card
- by bank
"""


FRONTS = ["", "---\ntitle: Refund an invoice by bank\n---\n", "+++\r\nbank = 1\r\n+++\r\n\r\n"]


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize(
    ("question", "paragraph"),
    [
        ("how long does a REFUND take?", "# Money\n\nRefunds take five days."),
        ("invoice", "# Invoices\n\n## When\n\nAn invoice comes monthly."),
        ("bank", "- by card\n- by bank"),
        ("none of these words", "# Money\n\nRefunds take five days."),
    ],
)
def test_the_best_paragraph(question: str, paragraph: str, front: str) -> None:
    assert best_paragraph(question, front + MONEY) == paragraph


@pytest.mark.parametrize(
    ("chunk", "paragraph"),
    [
        ("Reset\n=====\n\nHow\n---\n\nBy mail.\n\nAgain.", "Reset\n=====\n\nHow\n---\n\nBy mail."),
        ("---\ntitle: Reset\n---\n", "---\ntitle: Reset\n---"),
        ("---\n\nReset it.\n", "Reset it."),
        ("One.\n\n---\nReset it.\n---\n", "---\nReset it.\n---"),
    ],
)
def test_headings_and_front_matter_by_their_forms(chunk: str, paragraph: str) -> None:
    assert best_paragraph("reset", chunk) == paragraph


def test_nothing_found_is_said(api: Api, store: str) -> None:
    assert answer(ask(api, store, question="unicorn")) == ("Nothing found.", [])


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ({"filters": {"type": "eq", "key": "kind", "value": "faq"}}, ["faq.md"]),
        ({"filters": {"type": "lt", "key": "size", "value": 1}}, []),
        ({"max_num_results": 1}, ["login.md"]),
        ({"ranking_options": {"score_threshold": 0.99}}, []),
        ({"ranking_options": {"hybrid_search": {"embedding_weight": 1, "text_weight": 1}}}, ["login.md", "faq.md"]),
        ({"filters": None, "ranking_options": None, "max_num_results": None}, ["login.md", "faq.md"]),
    ],
)
def test_the_tool_narrows_what_is_found(api: Api, store: str, tool: dict[str, Any], expected: list[str]) -> None:
    assert cited(ask(api, store, tool=tool)) == expected


def test_several_stores_are_searched_as_one(api: Api) -> None:
    one, two = load(api, **{"faq.md": TEXTS["faq.md"]}), load(api, **{"login.md": TEXTS["login.md"]})
    assert sorted(cited(ask(api, one, two, one))) == ["faq.md", "login.md"]
    response = ask(api, one, two, include=["file_search_call.results"], tool={"max_num_results": 1})
    assert len(response["output"][0]["results"]) == 1


def said(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("question", "query"),
    [
        ([said("user", "login")], "login"),
        ([said("developer", "Be brief."), said("user", "prices"), said("user", "login")], "login"),
        ([said("user", [{"type": "input_text", "text": "log"}, {"type": "input_text", "text": "in"}])], "log\nin"),
        (
            [
                said("user", "login"),
                {"type": "file_search_call", "id": "fs_1", "queries": [], "status": "completed"},
                {"type": "message", **said("assistant", [{"type": "output_text", "text": "a", "annotations": []}])},
            ],
            "login",
        ),
    ],
)
def test_the_question_is_the_last_message_of_the_user(api: Api, store: str, question: Any, query: str) -> None:
    assert ask(api, store, question=question)["output"][0]["queries"] == [query]


def test_a_conversation_goes_on_with_what_was_answered(api: Api, store: str) -> None:
    first = [said("user", "prices")]
    output = ask(api, store, question=first)["output"]
    assert cited(ask(api, store, question=[*first, *output, said("user", "reset a password")]))[0] == "login.md"


def test_what_steers_a_model_is_taken_and_shown_again(api: Api, store: str) -> None:
    steering: dict[str, Any] = {
        "temperature": 0.2,
        "instructions": "Be brief.",
        "metadata": {"a": "b"},
        "text": {"format": {"type": "text"}},
    }
    taken: dict[str, Any] = {
        "store": True,
        "stream": False,
        "background": False,
        "tool_choice": {"type": "file_search"},
        "user": None,
    }
    response = ask(api, store, **steering, **taken)
    assert {name: response[name] for name in steering} == steering
    assert answer(response) == answer(ask(api, store))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"tools": None}, (400, "tools", "answers only with what the tool 'file_search' finds")),
        ({"tools": []}, (400, "tools", "file_search")),
        ({"tool_choice": "none"}, (400, "tools", "let it be used")),
        ({"tools": [{"type": "web_search"}]}, (400, "tools[0].type", "must be one of file_search")),
        ({"tools": [{"type": "file_search"}]}, (400, "tools[0].vector_store_ids", "Missing required parameter")),
        ({"tool": {"vector_store_ids": []}}, (400, "tools[0].vector_store_ids", "not 0")),
        ({"tool": {"vector_store_ids": ["vs_x"]}}, (404, None, "'vs_x' does not exist. The newest here: vs_")),
        ({"tool": {"max_num_results": 51}}, (400, "tools[0].max_num_results", "between 1 and 50")),
        ({"tool": {"filters": {"type": "eq"}}}, (400, "tools[0].filters.key", "Missing required parameter")),
        (
            {"tool": {"ranking_options": {"score_threshold": 2}}},
            (400, "tools[0].ranking_options.score_threshold", "0 and 1"),
        ),
        ({"tool_choice": {"type": "function"}}, (400, "tool_choice.type", "must be one of")),
        ({"tool_choice": 1}, (400, "tool_choice", "expected a string")),
        ({"model": None}, (400, "model", "expected a string, got null")),
        ({"input": ""}, (400, "input", "it is empty")),
        ({"input": []}, (400, "input", "no message of the role 'user'")),
        (
            {"input": [said("user", [{"type": "input_image", "image_url": "x"}])]},
            (400, "input[0].content[0].type", "input_text"),
        ),
        ({"input": ["a"]}, (400, "input[0]", "expected an object")),
        ({"include": ["results"]}, (400, "include[0]", "file_search_call.results")),
        ({"previous_response_id": "resp_1"}, (400, "previous_response_id", "keeps no responses; send the messages")),
        ({"conversation": {"id": "c"}}, (400, "conversation", "keeps no responses")),
        ({"prompt": {"id": "p"}}, (400, "prompt", "keeps no prompts")),
        ({"background": True}, (400, "background", "answers at once")),
        ({"text": {"format": {"type": "json_schema"}}}, (400, "text.format.type", "must be one of text")),
        ({"stream": "yes"}, (400, "stream", "expected a boolean")),
        ({"question": "a"}, (400, "question", "Unknown parameter")),
    ],
)
def test_what_is_refused(api: Api, store: str, change: dict[str, Any], error: tuple[int, str | None, str]) -> None:
    status, param, words = error
    tool = {"type": "file_search", "vector_store_ids": [store], **change.get("tool", {})}
    others = {name: value for name, value in change.items() if name != "tool"}
    refusal = api.post("/responses", {"model": "any", "input": "login", "tools": [tool], **others}, status)["error"]
    assert (refusal["param"], refusal["type"]) == (param, "invalid_request_error")
    assert words in refusal["message"]


def test_only_new_responses_are_there(api: Api) -> None:
    assert (
        "This service has /v1/models, /v1/models/{model}, /v1/responses,"
        in api.get("/responses/resp_1", 404)["error"]["message"]
    )
    assert api.get("/responses", 405)["error"]["code"] == "method_not_allowed"


def test_the_one_model(api: Api) -> None:
    assert [model["id"] for model in api.get("/models")["data"]] == [MODEL]
    assert api.get(f"/models/{MODEL}")["owned_by"] == "vssync"
    error = api.get("/models/gpt-5", 404)["error"]
    assert (error["code"], MODEL in error["message"]) == ("model_not_found", True)


def events_of(api: Api, store: str, **more: Any) -> list[dict[str, Any]]:
    tool = {"type": "file_search", "vector_store_ids": [store]}
    body = {"model": "any", "input": "reset a password", "stream": True, "tools": [tool], **more}
    response = api.http.post("/responses", json=body)
    assert response.headers["content-type"] == "text/event-stream"
    events = re.findall(r"event: (.+)\ndata: (.+)\n\n", response.text)
    assert "".join(f"event: {name}\ndata: {data}\n\n" for name, data in events) == response.text
    parsed = [json.loads(data) for _, data in events]
    assert [event["type"] for event in parsed] == [name for name, _ in events]
    return parsed


SEARCHING = ["output_item.added", *(f"file_search_call.{state}" for state in ("in_progress", "searching", "completed"))]
WRITING = ["output_text.delta", "output_text.annotation.added"]
DONE = ["output_text.done", "content_part.done", "output_item.done", "completed"]
ORDER = ["created", "in_progress", *SEARCHING, "output_item.done", "output_item.added", "content_part.added"]


@pytest.mark.parametrize(
    ("question", "writing"), [("reset a password", WRITING * 2), ("basic plan", WRITING), ("unicorn", WRITING[:1])]
)
def test_a_stream_is_the_official_sequence(api: Api, store: str, question: str, writing: list[str]) -> None:
    events = events_of(api, store, input=question, include=["file_search_call.results"])
    names = [event["type"].removeprefix("response.") for event in events]
    assert [name for n, name in enumerate(names) if name != names[n - 1]] == [*ORDER, *writing, *DONE]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    by_type = {event["type"].removeprefix("response."): event for event in events}
    response = by_type["completed"]["response"]
    whole = ask(api, store, question=question, include=["file_search_call.results"])
    assert answer(response) == answer(whole)
    assert response["output"][0]["results"] == whole["output"][0]["results"]
    assert (
        "".join(event.get("delta", "") for event in events) == by_type["output_text.done"]["text"] == answer(whole)[0]
    )
    assert [event["annotation"] for event in events if "annotation" in event] == answer(whole)[1]
    assert [event["item"] for event in events if event["type"].endswith("item.done")] == response["output"]
    begun = by_type["created"]["response"]
    assert (begun["id"], begun["status"], begun["output"]) == (response["id"], "in_progress", [])


def test_an_error_comes_before_a_stream_begins(api: Api) -> None:
    assert ask(api, "vs_none", stream=True, status=404)["error"]["code"] == "not_found"


@pytest.mark.parametrize("rule", ["truncated:POST:/responses", "reset-before:POST:/responses"])
def test_a_stream_can_be_cut(misbehaving: Callable[..., Api], rule: str) -> None:
    api = misbehaving(rule)
    store = load(api)
    with pytest.raises(httpx.TransportError):
        events_of(api, store)


def test_a_question_advances_ingestion(mounted: Callable[..., Api]) -> None:
    api = mounted(files_per_query=1)
    store = load(api)
    assert [len(cited(ask(api, store))) for _ in TEXTS] == [1, 2, 2]


OCI = {"authorization": "Bearer k", "openai-project": "ocid1.p"}


def test_a_dialect_applies(mounted: Callable[..., Api], clock: Clock) -> None:
    dialect = DIALECTS["oci"]
    api = mounted(dialect=dialect)
    api.http.headers.update(OCI)
    api.http.base_url = "http://inference.local/20231130/openai/v1"
    store = api.post("/vector_stores", {})["id"]
    assert "with status Completed not found" in str(ask(api, store, status=404))
    clock.now += dialect.creating_seconds + dialect.propagating_seconds
    assert cited(ask(api, store)) == []
    error = ask(api, store, tool={"filters": {"type": "in", "key": "a", "value": ["b"]}}, status=400)
    assert "tools[0].filters" in str(error)
    del api.http.headers["openai-project"]
    assert "Compartment ID must be provided" in str(ask(api, store, status=400))


# OpenAI's own client


@pytest.fixture
def service(opened: Callable[..., Service]) -> Service:
    return opened()


@pytest.fixture
def client(service: Service) -> Iterator[Any]:
    with httpx.Client(transport=LocalTransport(service)) as http:
        options: dict[str, Any] = {"max_retries": 0, "_strict_response_validation": True}
        yield openai.OpenAI(http_client=http, base_url="http://local/v1", api_key="x", **options)


def question_for(store: str) -> dict[str, Any]:
    tool = {"type": "file_search", "vector_store_ids": [store]}
    return {"model": "any", "input": "reset a password", "tools": [tool], "include": ["file_search_call.results"]}


def test_the_sdk(service: Service, client: Any) -> None:
    question = question_for(load(Api(service)))
    response = client.responses.create(**question)
    assert response.output_text.startswith(RESET)
    assert response.output[0].results[0].filename == "login.md"
    assert [citation.filename for citation in response.output[1].content[0].annotations] == ["login.md", "faq.md"]
    *_, last = client.responses.create(**question, stream=True)
    assert last.response.output_text == response.output_text
    with client.responses.stream(**question) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        assert "".join(deltas) == stream.get_final_response().output_text == response.output_text
    assert [model.id for model in client.models.list()] == [client.models.retrieve(MODEL).id] == [MODEL]
    with pytest.raises(openai.NotFoundError, match=MODEL):
        client.models.retrieve("gpt-5")
    with pytest.raises(openai.BadRequestError, match="vector_store_ids"):
        client.responses.create(model="any", input="a", tools=[{"type": "file_search"}])
    with pytest.raises(openai.NotFoundError, match="This service has"):
        client.responses.retrieve(response.id)


def test_the_sdk_over_a_socket(service: Service) -> None:
    question = question_for(load(Api(service)))

    async def use(client: Any) -> None:
        response = await client.responses.create(**question)
        assert response.output_text.startswith(RESET)
        events = [event async for event in await client.responses.create(**question, stream=True)]
        assert events[-1].response.output_text == response.output_text
        async with client.responses.stream(**question) as stream:
            assert (await stream.get_final_response()).output_text == response.output_text
        assert [model.id async for model in client.models.list()] == [MODEL]
        assert (await client.models.retrieve(MODEL)).object == "model"

    over_a_socket(service, use)
