"""All the shapes in which services say that something went wrong."""

from __future__ import annotations

import json

import httpx
import pytest

from vssync.api.errors import answer_of, error_for, lost_reply_error, retry_after
from vssync.api.http import transport_error
from vssync.api.retry import Failure
from vssync.errors import AccessDenied, LostReply, NotFound, ServiceError
from vssync.providers import COMPATIBLE, DOCTOR_HINT, OPENAI

REQUEST = httpx.Request("GET", "https://example.com/v1/files", headers={"authorization": "Bearer hush"})


def response(status: int, body: object, headers: dict[str, str] | None = None) -> httpx.Response:
    if isinstance(body, str):
        return httpx.Response(status, text=body, headers=headers, request=REQUEST)
    return httpx.Response(status, json=body, headers=headers, request=REQUEST)


INNER = {"error": {"code": "unsupported_file", "message": "no docx", "type": "invalid_request_error"}}


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"code": "404", "message": "Authorization failed"}, "404", "Authorization failed"),
        ({"code": "400", "message": json.dumps(INNER)}, "unsupported_file", "no docx"),
        (INNER, "unsupported_file", "no docx"),
        (
            {
                "error": {
                    "code": "x",
                    "message": f"Status Code from provider: 422, Provider response: {json.dumps(INNER)}",
                }
            },
            "unsupported_file",
            "no docx",
        ),
        ({"detail": 1}, "", ""),
        ([1], "", "[1]"),
        ({"error": "plain"}, "", "plain"),
        ("[" * 100_000, "", "the answer is not JSON (text/plain): " + "[" * 300 + "..."),
        ({"message": "{" * 1_000_000}, "", "{" * 300 + "..."),
        ({"code": "x" * 5000, "message": json.dumps({"message": "in"})}, "x" * 300 + "...", "in"),
    ],
)
def test_every_shape_gives_code_and_message(body: object, code: str, message: str) -> None:
    answer = answer_of(response(400, body))
    assert (answer.code, answer.message) == (code, message)


KEY, TOKEN = "sk-of-the-runner", "eyJhbGciOi.J9"
SIGNATURE = f'Signature version="1",keyId="ST${TOKEN}",algorithm="rsa-sha256"'


@pytest.mark.parametrize(
    ("proof", "secret", "shown"),
    [(f"Bearer {KEY}", KEY, "***"), (SIGNATURE, TOKEN, "***"), ("Bearer none", "none", "none")],
)
def test_a_key_that_the_service_quotes_is_hidden(proof: str, secret: str, shown: str) -> None:
    request = httpx.Request("GET", "https://example.com/v1/files", headers={"authorization": proof})
    quoting = {"x-request-id": secret, "content-type": f"text/{secret}"}
    for body in (json.dumps({"error": {"message": f"bad key: {secret}", "param": secret}}), f"bad key: {secret}"):
        answer = answer_of(httpx.Response(401, text=body, headers=quoting, request=request))
        assert f"bad key: {shown}" in answer.message
        assert answer.request_id == shown
        assert shown == secret or secret not in repr(answer)
    lost = transport_error(
        request, Failure(), httpx.RemoteProtocolError(f"illegal header line: {secret}"), idempotent=True
    )
    assert f"line: {shown};" in str(lost)


def test_a_web_page_is_called_one() -> None:
    page = response(502, "<html>squid</html>", {"content-type": "text/html; charset=utf-8"})
    assert "web page" in answer_of(page).message


def test_long_words_are_cut() -> None:
    assert len(answer_of(response(400, "x" * 5000)).message) < 400


@pytest.mark.parametrize(
    ("status", "kind"), [(400, ServiceError), (401, AccessDenied), (403, AccessDenied), (404, NotFound)]
)
def test_each_status_has_its_error(status: int, kind: type[ServiceError]) -> None:
    error = error_for(answer_of(response(status, {"message": "no"}, {"opc-request-id": "r1"})), OPENAI)
    assert type(error) is kind
    assert "r1" in str(error)
    assert "hush" not in str(error) + repr(error.answer)


def test_some_services_say_400_for_what_is_not_there() -> None:
    answer = answer_of(response(400, {"message": "Vector store vs_1 not found"}))
    assert isinstance(error_for(answer, COMPATIBLE), NotFound)
    assert not isinstance(error_for(answer, OPENAI), NotFound)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Sat, 01 Aug 2026 00:00:10 GMT", "date": "Sat, 01 Aug 2026 00:00:00 GMT"}, 10.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": f"Sat, 01 Aug {'9' * 20} 00:00:10 GMT", "date": "Sat, 01 Aug 2026 00:00:00 GMT"}, None),
        ({}, None),
    ],
)
def test_retry_after_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(httpx.Headers(headers)) == seconds


def test_a_lost_reply_says_that_it_may_have_taken_effect() -> None:
    error = lost_reply_error("POST", "/files", "timed out")
    assert isinstance(error, LostReply)
    assert "may have taken effect" in str(error)


def test_the_way_out_follows_what_is_wrong() -> None:
    error = error_for(answer_of(response(401, {"message": "no"})), OPENAI)
    assert str(error) == f"GET /v1/files: 401: no; the credential was not accepted; {DOCTOR_HINT}"


@pytest.mark.parametrize(
    ("location", "host"),
    [("https://b.example/x?token=1", "b.example"), ("/x", "example.com"), ("http://a:b/", "nowhere")],
)
def test_a_redirect_names_the_host_only(location: str, host: str) -> None:
    message = answer_of(response(302, "", {"location": location})).message
    assert f"redirect to {host}" in message
    assert "token" not in message


def test_a_lost_reply_keeps_the_request_id() -> None:
    assert lost_reply_error("POST", "/files", "500", "r1").answer.request_id == "r1"
