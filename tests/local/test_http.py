"""HTTP as clients see it: errors in one shape, wrong verbs and types, and WSGI to the letter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import httpx
import pytest

from tests.local.client import Api, Clock
from vssync.local.app import Service, open_service
from vssync.local.dialects import Dialect
from vssync.local.transport import LocalTransport

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("verb", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/assistants", 404, "not_found"),
        ("GET", "/files/日本", 404, "not_found"),
        ("GET", "/files/%FF", 404, "not_found"),
        ("PUT", "/files", 405, "method_not_allowed"),
        ("POST", "/files/file-1", 405, "method_not_allowed"),
        ("PATCH", "/vector_stores/vs_1", 405, "method_not_allowed"),
    ],
)
def test_what_is_not_there(api: Api, verb: str, path: str, status: int, code: str) -> None:
    error = api.send(verb, path, status)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", code)


@pytest.mark.parametrize("has_batches", [True, False])
def test_an_unknown_path_is_told_what_there_is(mounted: Callable[..., Api], has_batches: bool) -> None:
    message = mounted(dialect=Dialect(has_batches=has_batches)).get("/assistants", 404)["error"]["message"]
    assert message.startswith("There is nothing at /v1/assistants. This service has /v1/models, ")
    assert "/v1/vector_stores/{store_id}/search" in message
    assert ("/file_batches" in message) == has_batches


def test_a_wrong_verb_is_told_the_right_ones(api: Api) -> None:
    assert {"GET", "POST"} <= set(api.http.put("/files").headers["allow"].split(", "))


@pytest.mark.parametrize(
    ("content", "headers", "code"),
    [
        (b"{}", {}, "invalid_content_type"),
        (b"{}", {"content-type": "text/plain"}, "invalid_content_type"),
        (b"a=b", {"content-type": "application/x-www-form-urlencoded"}, "invalid_content_type"),
        (b"", JSON, "invalid_json"),
        (b"{", JSON, "invalid_json"),
        (b'{"name": NaN}', JSON, "invalid_json"),
        (b"\xff", JSON, "invalid_json"),
        (b'{"name": ' + b"9" * 5000 + b"}", JSON, "invalid_json"),
        (b"[" * 100_000, JSON, "invalid_json"),
        (b"[]", JSON, "invalid_type"),
        (rb'{"name": "\ud800"}', JSON, "invalid_unicode"),
    ],
)
def test_wrong_bodies(api: Api, content: bytes, headers: dict[str, str], code: str) -> None:
    assert api.send("POST", "/vector_stores", 400, content=content, headers=headers)["error"]["code"] == code


def test_too_large_a_body(api: Api) -> None:
    headers = JSON | {"content-length": str(1 << 30)}
    assert api.send("POST", "/vector_stores", 413, content=b"{}", headers=headers)["error"]["code"]


def test_uploads_must_be_forms(api: Api) -> None:
    for headers in (JSON, {}, {"content-type": "multipart/form-data"}):
        assert "error" in api.send("POST", "/files", 400, content=b"{}", headers=headers)


def test_json_with_a_charset_is_json(api: Api) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert api.send("POST", "/vector_stores", content=b'{"name": "x"}', headers=headers)["name"] == "x"


def test_answers_carry_an_id_a_date_and_a_poll_hint(api: Api, clock: Clock) -> None:
    clock.now = 1_000_000_000
    headers = api.http.get("/files").headers
    assert headers["date"] == "Sun, 09 Sep 2001 01:46:40 GMT"
    assert headers["x-request-id"].startswith("req_")
    assert headers["openai-poll-after-ms"] == "1"
    assert api.http.get("/nothing").headers["x-request-id"]


def test_a_bug_is_a_500_without_details(
    api: Api, opened: Callable[..., Service], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("vssync.local.app.write_json", lambda *_, **__: 1 / 0)
    error = api.get("/files", 500)["error"]
    assert (error["type"], error["code"]) == ("server_error", "internal_error")
    assert "division" not in error["message"]
    assert "ZeroDivisionError" in caplog.text


@pytest.fixture
def strict(folder: Path) -> Iterator[Api]:
    """The service behind the standard library's check of the WSGI rules."""
    with open_service(folder) as service:
        validated: Any = validator(service)
        with Api(validated) as api:
            yield api


def test_wsgi_rules_are_kept(strict: Api) -> None:
    store = strict.store("a.md")
    file = strict.upload("big.md", b"x" * 600_000)["id"]
    strict.search(store, "text")
    strict.get("/files/nope", 404)
    strict.delete(f"/vector_stores/{store}")
    assert len(strict.http.get(f"/files/{file}/content").content) == 600_000


def test_two_clients_see_one_service(api: Api, opened: Callable[..., Service]) -> None:
    store = api.store()
    with httpx.Client(transport=LocalTransport(opened()), base_url="http://local/v1") as other:
        assert other.get(f"/vector_stores/{store}").status_code == 200
