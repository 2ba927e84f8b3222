"""Reading contents: both shapes of a text, bytes as they are, and a service that refuses is not asked again."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support import client_of
from vssync.commands.compare import ContentReader
from vssync.errors import ServiceError

OLDER = {"file_id": "f1", "filename": "a.md", "content": [{"type": "text", "text": "one "}, {"text": "two"}]}
NEWER = {"object": "vector_store.file_content.page", "data": [{"type": "text", "text": "one two"}]}


@pytest.mark.parametrize(("answer", "text"), [(OLDER, "one two"), (NEWER, "one two"), ({"data": []}, "")])
def test_both_shapes_of_a_text(answer: dict[str, Any], text: str) -> None:
    reader = ContentReader(client_of(lambda _: httpx.Response(200, json=answer)))
    assert "".join(reader.read_text("vs_1", "f1") or ()) == text


def test_a_text_without_parts_is_an_error() -> None:
    with pytest.raises(ServiceError, match="content without its parts"):
        ContentReader(client_of(lambda _: httpx.Response(200, json={}))).read_text("vs_1", "f1")


def test_bytes_come_as_they_are() -> None:
    content = b"\xff\xfe{not json"
    assert ContentReader(client_of(lambda _: httpx.Response(200, content=content))).read_bytes("f1") == content


@pytest.mark.parametrize(("status", "asked"), [(400, 1), (403, 1), (404, 3)])
def test_a_refusal_is_taken_for_all_but_an_absence_is_not(status: int, asked: int) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return httpx.Response(status, json={"error": {"message": "no"}})

    reader = ContentReader(client_of(answer))
    assert [reader.read_bytes(file_id) for file_id in ("f1", "f2", "f3")] == [None, None, None]
    assert len(seen) == asked


def test_a_service_in_trouble_is_no_refusal() -> None:
    with pytest.raises(ServiceError):
        ContentReader(client_of(lambda _: httpx.Response(500))).read_bytes("f1")
