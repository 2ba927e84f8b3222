"""What a client or a job asks in the targets, and answers made from the input."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.api.test_unreadable_replies import DELETIONS, READS, WRITES
from tests.support import Clock
from vssync.api.client import Client
from vssync.api.pagination import Order
from vssync.ci.forge import Forge, Job, open_forge
from vssync.model.state import LiveStore, StoreStatus

STORE = LiveStore("vs_1", "docs", StoreStatus.COMPLETED, 5)
CALLS: Mapping[str, Callable[[Client], object]] = {
    **{f"write {name}": call for name, call in WRITES.items()},
    **{f"delete {name}": call for name, call in DELETIONS.items()},
    **{f"read {name}": call for name, call in READS.items()},
    "cancel batch": lambda client: client.cancel_batch("vs_1", "vsfb_1"),
    "list stores": lambda client: client.list_stores(),
    "list files": lambda client: client.list_files("vs_1"),
    "list all files": lambda client: client.list_all_files(STORE),
    "list newest": lambda client: client.list_newest_files("vs_1"),
    "read files": lambda client: client.read_files("vs_1", Order.NEWEST_FIRST, 2),
    "list batches": lambda client: client.list_batches("vs_1"),
    "list batch files": lambda client: client.list_batch_files("vs_1", "vsfb_1"),
    "list uploads": lambda client: list(client.list_uploads()),
    "find upload": lambda client: client.find_upload("file-1"),
    "search": lambda client: client.search_store("vs_1", "a", 5),
    "text": lambda client: client.get_text("vs_1", "file-1"),
    "download": lambda client: client.download_file("file-1"),
    "upload": lambda client: client.upload_file(io.BytesIO(b"x"), "a.md"),
    "probe": lambda client: client.probe("/files"),
    "route": lambda client: client.has_route("vs_1", "files"),
    "attached": lambda client: client.is_attached("vs_1", "file-1"),
}
FORGE_CALLS: Mapping[str, Callable[[Forge], object]] = {
    "request": lambda forge: forge.pull_request(7),
    "open": lambda forge: forge.is_open(7),
    "merged": lambda forge: forge.merged_pull_requests(["c0ffee", "deadbeef"]),
    "deployment": lambda forge: forge.last_deployment("prod"),
    "comment": lambda forge: forge.put_comment(7, "<!-- m -->", "text"),
    "uncomment": lambda forge: forge.remove_comment(7, "<!-- m -->"),
    "issue": lambda forge: forge.put_issue("<!-- m -->", "title", "text"),
    "close": lambda forge: forge.close_issue("<!-- m -->"),
}
MANIFEST = """\
version: 1
owner: kb
stores:
  docs: {attributes: {lang: en, rank: 1}, chunking: {size: 400, overlap: 100}, files: [{path: docs/*.md}]}
  gone: {removed: delete}
"""
# What evidence says of itself, beside the words of answers.
SHOWN_WORDS = frozenset(
    {"address", "answers", "bare", "bytes", "deep", "detail", "ids", "json", "oci", "openai", "sentences", "unlisted"}
)


def pairs(headers: Any) -> dict[str, str]:
    """Headers as a connection can carry them."""
    named = headers.items() if isinstance(headers, dict) else ()
    clean = {str(name).strip(): str(value).replace("\r", "").replace("\n", "") for name, value in named}
    return {name: value for name, value in clean.items() if name.isascii() and name.isprintable() and " " not in name}


def response_of(answer: Any) -> httpx.Response:
    """An answer that is streamed: a body of text as it is, any other as JSON."""
    answer = answer if isinstance(answer, dict) else {"body": answer}
    status, body = answer.get("status"), answer.get("body")
    try:
        content = body.encode(errors="replace") if isinstance(body, str) else json.dumps(body).encode()
    except RecursionError:
        content = b"[" * 9_000
    headers = [(name.encode(), value.encode(errors="replace")) for name, value in pairs(answer.get("headers")).items()]
    known = status if isinstance(status, int) and 200 <= status < 600 else 200
    return httpx.Response(known, headers=headers, stream=httpx.ByteStream(content))


def answering(answers: Any) -> Callable[[httpx.Request], httpx.Response]:
    """Gives these answers in turn, and then the last one again and again; null is none."""
    rest = list(answers) if isinstance(answers, list) else [answers]

    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        said = rest.pop(0) if len(rest) > 1 else (rest or [{}])[0]
        if said is None:
            raise httpx.ReadError("gone", request=request)
        return response_of(said)

    return answer


def holding(bodies: Mapping[str, Any]) -> Callable[[httpx.Request], httpx.Response]:
    """Answers each path with its body, and others with 404."""

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/v1/")
        return response_of({"body": bodies[path]} if path in bodies else {"status": 404, "body": {}})

    return answer


def forge_of(asked: Mapping[str, Any], folder: Path) -> Forge:
    """The forge of a job whose event, payload and answers are the input's."""
    (folder / "event.json").write_bytes(response_of({"body": asked.get("payload")}).read())
    event = str(asked.get("event"))
    environ = {
        "GITHUB_ACTIONS": str(asked.get("forge") != "gitlab").lower(),
        "GITHUB_API_URL": "https://git.example.org/api",
        "GITHUB_EVENT_NAME": event,
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_REPOSITORY": "acme/kb",
        "GITHUB_REF_NAME": "main",
        "GITLAB_CI": "true",
        "CI_PIPELINE_SOURCE": event,
        "CI_API_V4_URL": "https://git.example.org/api/v4",
        "CI_PROJECT_ID": "5",
        "CI_COMMIT_SHA": "c0ffee",
        "CI_COMMIT_BRANCH": "main",
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_PROJECT_DIR": str(folder),
    }
    transport = httpx.MockTransport(answering(asked.get("answers")))
    return open_forge(Job(environ, lambda _line: None, Clock(), transport))
