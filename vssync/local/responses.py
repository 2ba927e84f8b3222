"""Answers from the files of stores: the Responses API with its tool `file_search`, and the list of models.

There is no language model here. The text of an answer is paragraphs of files, word for word, each with a citation.
Settings that steer a model are accepted and change nothing; what could not be done without one is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from vssync.local import rules, search
from vssync.local.database import indexed, open_connection
from vssync.local.errors import ApiError
from vssync.local.ingestion import count_text_tokens
from vssync.local.queries import Transaction, new_id
from vssync.local.rules import Check, array, choice, invalid_error, record, require_type, tagged, text

MODEL = "vssync-extractive"
NOTHING_FOUND = "Nothing found."
MOST_PASSAGES = 3
FRONT_MATTER = re.compile(r"\A\ufeff?(---|\+\+\+)[ \t]*\r?\n.*?^\1[ \t\r]*$", re.DOTALL | re.MULTILINE)
PARAGRAPH = re.compile(r"(?:(?:#+ [^\n]*|\S[^\n]*\n(?:=+|-+)[ \t\r]*)\n\s*)*\S(?:(?!\n\s*\n).)*", re.DOTALL)
RESULTS = "file_search_call.results"  # what `include` names to get the chunks that were found
INCLUDABLE = (  # OpenAI spec: ResponseIncludable; what is never in an answer here may be asked for
    *(RESULTS, "web_search_call.results", "web_search_call.action.sources", "message.input_image.image_url"),
    *("computer_call_output.output.image_url", "code_interpreter_call.outputs", "reasoning.encrypted_content"),
    "message.output_text.logprobs",
)


def unchecked(value: Any, _path: str) -> Any:
    return value


def refused(reason: str) -> Check:
    def refuse(value: Any, path: str) -> bool:
        if value is False:
            return False
        raise invalid_error(path, reason, "unsupported_value")

    return refuse


def check_input(value: Any, path: str) -> str:
    """The question: the text itself, or that of the last message of the user."""
    if isinstance(require_type(value, path, str, list), str):
        return str(text(least=1)(value, path))
    question = ""
    for number, item in enumerate(value):
        place = f"{path}[{number}]"
        if require_type(item, place, dict).get("role") == "user":
            question = check_content(item.get("content"), f"{place}.content")
    if not question:
        raise invalid_error(path, "it has no message of the role 'user' with a text")
    return question


CONTENT = array(tagged({"input_text": record({"type": text(), "text": text()}, required=("text",))}), 0, 1000)


def check_content(value: Any, path: str) -> str:
    if isinstance(require_type(value, path, str, list), str):
        return str(value)
    return "\n".join(part["text"] for part in CONTENT(value, path))


def check_tool_choice(value: Any, path: str) -> Any:
    if isinstance(require_type(value, path, str, dict), str):
        return choice("auto", "required", "none")(value, path)
    return tagged({"file_search": record({"type": text()})})(value, path)


FILE_SEARCH = record(
    {
        "type": text(),
        "vector_store_ids": array(text(least=1), 1, 100),
        "filters": search.parse_filter,
        "max_num_results": rules.integer(1, 50),
        "ranking_options": record({**search.RANKING, "hybrid_search": unchecked}),
    },
    required=("vector_store_ids",),
)
PLAIN_TEXT = tagged({"text": record({"type": text()})})
NO_MEMORY = refused("this service keeps no responses; send the messages so far as 'input'")
STEERING = (  # what makes a model write otherwise, or be billed otherwise
    *("max_output_tokens", "max_tool_calls", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_retention"),
    *("reasoning", "safety_identifier", "service_tier", "temperature", "top_logprobs", "top_p", "truncation", "user"),
)
SHOWN_AGAIN = (*STEERING, "instructions", "metadata", "text", "tool_choice", "tools")  # in the response, as sent
RESPONSE = record(
    {
        "model": text(least=1),
        "input": check_input,
        "tools": array(tagged({"file_search": FILE_SEARCH}), 0, 16),
        "tool_choice": check_tool_choice,
        "include": array(choice(*INCLUDABLE), 0, len(INCLUDABLE)),
        "stream": rules.boolean,
        "metadata": rules.check_metadata,
        "instructions": text(),
        "text": record({"format": PLAIN_TEXT, "verbosity": unchecked}),
        "previous_response_id": NO_MEMORY,
        "conversation": NO_MEMORY,
        "prompt": refused("this service keeps no prompts"),
        "background": refused("this service answers at once, and keeps no responses"),
        **dict.fromkeys((*STEERING, "store", "stream_options", "prompt_cache_options"), unchecked),
    },
    required=("model", "input"),
)


def check_response(value: Any, path: str) -> dict[str, Any]:
    """What was sent, checked; `sent` is how it was written."""
    body: dict[str, Any] = RESPONSE(value, path)
    if not body.get("tools") or body.get("tool_choice") == "none":
        raise invalid_error("tools", "this service answers only with what the tool 'file_search' finds; let it be used")
    return {**body, "sent": value}


def queried_stores(body: dict[str, Any]) -> list[str]:
    return [store_id for tool in body["tools"] for store_id in tool["vector_store_ids"]]


@dataclass(frozen=True, slots=True)
class ServerSentEvents:
    """A response as server-sent events."""

    pieces: Iterator[bytes]


def create_response(tx: Transaction, body: dict[str, Any]) -> dict[str, Any] | ServerSentEvents:
    question, sent, shows_results = body["input"], body["sent"], RESULTS in body.get("include", ())
    found = [search_files(tx, question, tool) for tool in body["tools"]]
    hits = sorted((hit for each in found for hit in each), key=lambda hit: -hit["score"])
    message = message_item(tx, question, choose_hits(hits))
    read = count_text_tokens("\n".join([question, *(chunk_text(hit) for hit in hits)]))
    written = count_text_tokens(message["content"][0]["text"])
    response = {
        "id": new_id(tx, "resp_"),
        "object": "response",
        "created_at": tx.now,
        "completed_at": tx.now,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": MODEL,
        "output": [*(call_item(tx, question, each if shows_results else None) for each in found), message],
        "usage": {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": read + written,
        },
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        **{name: sent[name] for name in SHOWN_AGAIN if sent.get(name) is not None},
    }
    return ServerSentEvents(encode_events(response_events(response))) if body.get("stream") else response


def search_files(tx: Transaction, question: str, tool: dict[str, Any]) -> list[dict[str, Any]]:
    """The hits of all stores of a tool, best first."""
    options = {"max_num_results": 20, **tool}  # as OpenAI's service, unless the tool says otherwise
    hits = [
        hit
        for store in dict.fromkeys(tool["vector_store_ids"])
        for hit in search.find_hits(tx, store, [question], options)
    ]
    return sorted(hits, key=lambda hit: -hit["score"])[: options["max_num_results"]]


def choose_hits(hits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The best chunk of each of the best files, none with less than half of the first one's score."""
    best: dict[str, dict[str, Any]] = {}  # one of each file, since its chunks overlap
    for hit in hits:
        if hit["score"] * 2 >= hits[0]["score"]:
            best.setdefault(hit["file_id"], hit)
    return list(best.values())[:MOST_PASSAGES]


def best_paragraph(question: str, chunk: str) -> str:
    """By the same index as the search; a heading belongs to what follows it, and front matter to no paragraph."""
    paragraphs = PARAGRAPH.findall(FRONT_MATTER.sub("", chunk)) or [chunk]
    with closing(open_connection(":memory:")) as scratch:
        scratch.execute(f"create virtual table paragraphs using fts5(text, tokenize='{search.TOKENIZER}')")
        scratch.executemany("insert into paragraphs values (?)", [(indexed(paragraph),) for paragraph in paragraphs])
        best = scratch.execute(
            "select rowid from paragraphs where paragraphs match ? order by rank, rowid limit 1",
            (search.match_expression(search.query_words(question)),),
        ).fetchone()
    return str(paragraphs[best[0] - 1 if best else 0]).rstrip()


def chunk_text(hit: dict[str, Any]) -> str:
    return str(hit["content"][0]["text"])


def call_item(tx: Transaction, question: str, hits: list[dict[str, Any]] | None) -> dict[str, Any]:
    """A search, and what it found if that is to be shown."""
    shown = ("file_id", "filename", "score", "attributes")
    results = [{name: hit[name] for name in shown} | {"text": chunk_text(hit)} for hit in hits or ()]
    own = {"id": new_id(tx, "fs_"), "type": "file_search_call", "status": "completed"}
    return {**own, "queries": [question], "results": None if hits is None else results}


def message_item(tx: Transaction, question: str, hits: list[dict[str, Any]]) -> dict[str, Any]:
    """A paragraph of each hit, with a citation at its end: `index` counts the characters before it."""
    answer, annotations = "", []
    for hit in hits:
        answer += ("\n\n" if answer else "") + best_paragraph(question, chunk_text(hit))
        citation = {"file_id": hit["file_id"], "filename": hit["filename"], "index": len(answer)}
        annotations.append({"type": "file_citation", **citation})
    part = {"type": "output_text", "text": answer or NOTHING_FOUND, "annotations": annotations, "logprobs": []}
    own = {"id": new_id(tx, "msg_"), "type": "message", "status": "completed"}
    return {**own, "role": "assistant", "content": [part]}


Event = dict[str, Any]


def encode_events(events: Iterator[Event]) -> Iterator[bytes]:
    for number, event in enumerate(events):
        yield f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n".encode()


def response_events(response: dict[str, Any]) -> Iterator[Event]:
    """In the order of OpenAI's service."""
    begun = {**response, "status": "in_progress", "completed_at": None, "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(response["output"]):
        is_message = item["type"] == "message"
        empty: dict[str, Any] = {"content": []} if is_message else {"queries": [], "results": None}
        place = {"item_id": item["id"], "output_index": index}
        started = {**item, **empty, "status": "in_progress"}
        yield {"type": "response.output_item.added", "output_index": index, "item": started}
        if is_message:
            yield from text_events(item["content"][0], {**place, "content_index": 0})
        else:
            for state in ("in_progress", "searching", "completed"):
                yield {"type": f"response.file_search_call.{state}", **place}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": response}


def text_events(part: dict[str, Any], place: dict[str, Any]) -> Iterator[Event]:
    """A text word by word, and each citation where it stands."""
    yield {"type": "response.content_part.added", **place, "part": {**part, "text": "", "annotations": []}}
    start = 0
    for number, annotation in enumerate([*part["annotations"], None]):
        end = annotation["index"] if annotation else len(part["text"])
        for delta in re.findall(r"\s*\S+|\s+", part["text"][start:end]):
            yield {"type": "response.output_text.delta", **place, "delta": delta, "logprobs": []}
        if annotation:
            cited = {"annotation_index": number, "annotation": annotation}
            yield {"type": "response.output_text.annotation.added", **place, **cited}
        start = end
    yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part}


def get_model(_tx: Transaction, model: str) -> dict[str, Any]:
    if model != MODEL:
        known = f"This service has {MODEL}, which quotes files and writes nothing."
        raise ApiError(404, f"The model '{model}' does not exist. {known}", code="model_not_found", param="model")
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "vssync"}


def list_models(tx: Transaction) -> dict[str, Any]:
    return {"object": "list", "data": [get_model(tx, MODEL)]}
