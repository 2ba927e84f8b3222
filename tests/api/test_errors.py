"""All the shapes in which services say that something went wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pytest

from tests.support import client_of
from vssync.api.errors import (
    CHECK_ADDRESS,
    answer_of,
    error_for,
    file_named_by,
    lost_reply_error,
    retry_after,
    with_time_to_return,
)
from vssync.api.exchange import transport_error
from vssync.api.retry import Failure
from vssync.errors import AccessDenied, LostReply, NotFound, ServiceError
from vssync.providers import COMPATIBLE, DOCTOR_HINT, OPENAI

REQUEST = httpx.Request("GET", "https://example.com/v1/files", headers={"authorization": "Bearer hush"})


def response(status: int, body: object, headers: dict[str, str] | None = None) -> httpx.Response:
    if isinstance(body, str):
        return httpx.Response(status, text=body, headers=headers, request=REQUEST)
    return httpx.Response(status, json=body, headers=headers, request=REQUEST)


ABSENT = "Invalid value: File file-1 not found in vector store vs_1"
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
        ({"detail": 1}, "", '{"detail": 1}'),
        ({}, "", "{}"),
        ({"detail": "Not Found"}, "", "Not Found"),
        (
            {
                "detail": [
                    {"loc": ["body", "files", 0], "msg": "Field required", "type": "missing"},
                    {"msg": "too short"},
                ]
            },
            "",
            "body.files.0: Field required; too short",
        ),
        ({"detail": {"errors": [{"loc": ["body", "file_ids"], "msg": "required"}]}}, "", "body.file_ids: required"),
        ({"error": {"detail": {"errors": [{"msg": "required"}]}}}, "", "required"),
        ({"error": {"detail": ABSENT, "code": 400}}, "400", ABSENT),
        ({"error": {"code": "x"}}, "x", '{"error": {"code": "x"}}'),
        ({"error": "Bad Request", "message": "files is required", "statusCode": 400}, "", "files is required"),
        ({"title": "Bad Request", "status": 400, "detail": "no such file"}, "", "no such file"),
        ({"title": "Invalid", "errors": {"files": ["is required"]}}, "", "files: is required"),
        ({"title": "Invalid", "errors": {}}, "", "Invalid"),
        ({"errors": ["one", {"message": "two"}, 3]}, "", "one; two"),
        ({"detail": [[[[["deep"]]]]]}, "", '{"detail": [[[[["deep"]]]]]}'),
        ({"reason": "none of these"}, "", '{"reason": "none of these"}'),
        ("[" * 900 + "]" * 900, "", "[" * 300 + "..."),
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
    ("headers", "secret", "shown"),
    [
        ({"authorization": f"Bearer {KEY}"}, KEY, "***"),
        ({"authorization": SIGNATURE}, TOKEN, "***"),
        ({"authorization": "Bearer none"}, "none", "none"),
        ({"api-key": KEY}, KEY, "***"),
        ({"api-key": "none"}, "none", "none"),
    ],
)
def test_a_key_that_the_service_quotes_is_hidden(headers: dict[str, str], secret: str, shown: str) -> None:
    request = httpx.Request("GET", "https://example.com/v1/files", headers=headers)
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


NGINX = """<html>
<head><title>413 Request Entity Too Large</title><style>b {}</style></head>
<body>
<center><h1>413 Request Entity Too Large</h1></center>
<hr><center>nginx &amp; co</center>
</body>
</html>"""


@pytest.mark.parametrize(
    ("status", "body", "content_type", "text"),
    [
        (502, "<html>squid</html>", "text/html; charset=utf-8", ' ("squid"): a proxy or another server answered'),
        (413, NGINX, "text/html", ' ("413 Request Entity Too Large nginx & co"): a proxy or another server answered'),
        (413, NGINX, "text/plain", ' ("413 Request Entity Too Large nginx & co"): a proxy or another server answered'),
        (404, "<h1>Welcome", "text/html", f' ("Welcome"): a proxy or another server answered; {CHECK_ADDRESS}'),
        (404, "<title>Only a head</title>", "text/html", ' ("Only a head"): a proxy'),
        (400, "<p>" * 100_000, "text/html", ": a proxy"),
    ],
)
def test_a_web_page_is_called_one_and_read(status: int, body: str, content_type: str, text: str) -> None:
    message = answer_of(response(status, body, {"content-type": content_type})).message
    assert f"the answer is a web page, not JSON{text}" in message
    assert (CHECK_ADDRESS in message) is (status < 413)


@pytest.mark.parametrize("body", [NGINX, {"detail": "Request Entity Too Large"}, ""])
def test_what_is_too_large_is_so_for_something_in_between(body: object) -> None:
    assert "too large for something in between (a proxy or gateway)" in str(
        error_for(answer_of(response(413, body, {"content-type": "text/html"})), OPENAI)
    )


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


@pytest.mark.parametrize(
    "body",
    [{"message": "Vector store vs_1 not found"}, {"detail": ABSENT}, {"error": {"detail": {"errors": [ABSENT]}}}],
)
def test_some_services_say_400_for_what_is_not_there(body: object) -> None:
    answer = answer_of(response(400, body))
    assert isinstance(error_for(answer, COMPATIBLE), NotFound)
    assert not isinstance(error_for(answer, OPENAI), NotFound)


@pytest.mark.parametrize(
    ("message", "file_id"),
    [
        ("Unsupported file type 'xlsx' found for file-kix-1", "file-kix-1"),
        ("Unsupported file type 'xlsx' found for 'file-kix-1'.", "file-kix-1"),
        ("no file-kix-12 here", "file-kix-12"),
        ("no file-kix-123 here", ""),
        ("neither file-kix-1 nor file-kix-12", ""),
        ("files are unsupported", ""),
    ],
)
def test_the_one_file_that_a_refusal_names(message: str, file_id: str) -> None:
    error = ServiceError("", answer_of(response(400, {"detail": message})))
    assert file_named_by(error, ["file-kix-1", "file-kix-12", "file-kix-2"]) == file_id


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Sat, 01 Aug 2026 00:00:10 GMT", "date": "Sat, 01 Aug 2026 00:00:00 GMT"}, 10.0),
        ({"retry-after": "Sunday, 06-Nov-94 08:49:37 GMT", "date": "Sun Nov  6 08:49:07 1994"}, 30.0),
        ({"retry-after": "Sun Nov  6 08:49:37 1994", "date": "Sun, 06 Nov 1994 08:49:07 GMT"}, 30.0),
        ({"retry-after": "Sat, 01 Aug 2020 00:00:00 GMT"}, 0.0),
        ({"retry-after": "Sat, 01 Aug 2020 00:00:00 GMT", "date": "soon"}, 0.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1e300"}, 366 * 86_400.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
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


@pytest.mark.parametrize(
    "location", ["httpx:y/c", "https://[", "https://x:99999/", "//:.org/", "http://a b\x00/", "\ud800"]
)
def test_a_redirect_that_leads_nowhere_is_an_error_of_the_service(location: str) -> None:
    """httpx reads the address, though it is told to follow none."""
    headers = [(b"location", location.encode(errors="surrogatepass"))]
    with pytest.raises(ServiceError, match=r"^(local: |GET /v1/vector_stores/vs_1: )"):
        client_of(lambda _request: httpx.Response(302, headers=headers)).get_store("vs_1")


def test_a_lost_reply_keeps_the_request_id() -> None:
    assert lost_reply_error("POST", "/files", "500", "r1").answer.request_id == "r1"


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (None, "busy"),
        (0.0, "busy"),
        (30.0, "busy"),
        (31.0, "busy; asks to wait 31 s: apply again after {:%H:%M}"),
        (3600.0, "busy; asks to wait 1 h: apply again after {:%H:%M}"),
        (86_400.0, "busy; asks to wait 24 h: apply again after {:%Y-%m-%d %H:%M}"),
        (366 * 86_400.0, "busy; asks to wait 8,784 h: apply again after {:%Y-%m-%d %H:%M}"),
    ],
)
def test_a_long_wait_is_told_with_the_time_to_come_back(seconds: float | None, message: str) -> None:
    """By the clock on the user's wall, and never too early."""
    noon = datetime(2026, 8, 1, 12, 0, 59).astimezone()
    answer = replace(answer_of(response(429, {"message": "busy"})), retry_after=seconds)
    back = noon + timedelta(seconds=(seconds or 0.0) + 60)
    assert with_time_to_return(answer, noon.timestamp()).message == message.format(back)
