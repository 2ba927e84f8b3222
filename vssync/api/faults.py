"""Reads what a service says of a failed request, in all the shapes seen, and turns it into our errors.

No exception of the HTTP library leaves the `api` layer, and no header that could hold a secret enters a message.
"""

from __future__ import annotations

import json
import re
from typing import Any

import httpx

from vssync.errors import AccessDenied, Answer, LostReply, NotFound, ServiceError

_INNER = re.compile(r"\{.*\}", re.DOTALL)
_GONE = re.compile(r"not found|no file found|does not exist|no such", re.IGNORECASE)
_REQUEST_IDS = ("opc-request-id", "x-request-id", "apim-request-id")
_SHOWN = 300
_DEEPEST = 3


def answer_of(response: httpx.Response) -> Answer:
    """What the service said; the response's body must have been read."""
    said = _said(response)
    return Answer(
        method=response.request.method,
        path=response.request.url.path,
        status=response.status_code,
        code=said.get("code", ""),
        message=said.get("message", ""),
        param=said.get("param", ""),
        request_id=request_id(response),
        retry_after=retry_after(response.headers),
    )


def request_id(response: httpx.Response) -> str:
    """The id under which the service's operators find this request; empty when it gave none."""
    return next((response.headers[name] for name in _REQUEST_IDS if name in response.headers), "")


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds to wait as the service asks, from `retry-after-ms` or `Retry-After` (seconds or a date)."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) / scale)
        except (KeyError, ValueError):
            continue
    return _until(headers.get("retry-after"), headers.get("date"))


def _until(moment: str | None, now: str | None) -> float | None:
    """Seconds between two HTTP dates, both by the service's clock, so that ours need not be right."""
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, (parsedate_to_datetime(moment or "") - parsedate_to_datetime(now or "")).total_seconds())
    except (ValueError, TypeError):
        return None


def error_for(answer: Answer, *, lenient_absence: bool = False) -> ServiceError:
    """The error to raise for an answer.

    With `lenient_absence` a 400 that says "not found" counts as absent, as some compatible services answer.
    """
    text = describe(answer)
    if answer.status in (401, 403):
        return AccessDenied(text, answer)
    if answer.status == 404 or (lenient_absence and answer.status == 400 and _GONE.search(answer.message)):
        return NotFound(text, answer)
    return ServiceError(text, answer)


def lost(method: str, path: str, why: str) -> LostReply:
    """The error for a write whose reply did not come."""
    return LostReply(f"{method} {path}: {why}; it may have taken effect", Answer(method, path, message=why))


def unreachable(method: str, url: httpx.URL, cause: Exception) -> ServiceError:
    """The error for a request that did not reach the service."""
    why = str(cause) or type(cause).__name__
    return ServiceError(
        f"{url.host}: cannot be reached: {why}\n    Look at the address, the network and the proxy settings.",
        Answer(method, url.path, message=why),
    )


def describe(answer: Answer) -> str:
    """One message: request, status, the service's words, and the id to quote to its operators."""
    code = f" {answer.code}" if answer.code and answer.code != str(answer.status) else ""
    words = f": {answer.message}" if answer.message else ""
    quote = f" (request id {answer.request_id})" if answer.request_id else ""
    return f"{answer.method} {answer.path}: {answer.status}{code}{words}{quote}"


def _said(response: httpx.Response) -> dict[str, str]:
    try:
        body = json.loads(response.content)
    except ValueError:
        return {"message": _not_json(response)}
    return _unwrap(body, _DEEPEST)


def _unwrap(body: Any, depth: int) -> dict[str, str]:
    """Follows `error`, and JSON inside `message`, to the innermost thing said."""
    if not isinstance(body, dict):
        return {"message": _cut(str(body))}
    inner = body.get("error", body)
    if not isinstance(inner, dict):
        return {"message": _cut(str(inner))}
    said = {name: str(inner[name]) for name in ("code", "message", "param") if inner.get(name) is not None}
    if depth and (nested := _nested(said.get("message", ""))):
        return {**said, **_unwrap(nested, depth - 1)}
    return {name: _cut(text) for name, text in said.items()}


def _nested(message: str) -> dict[str, Any] | None:
    """A JSON document inside a message, where it says something of an error."""
    match = _INNER.search(message)
    try:
        body = json.loads(match.group()) if match else None
    except ValueError:
        return None
    return body if isinstance(body, dict) and ("message" in body or "error" in body) else None


def _not_json(response: httpx.Response) -> str:
    kind = response.headers.get("content-type", "no content type").split(";")[0]
    if "html" in kind:
        return "the answer is a web page, not JSON: a proxy or another server answered"
    return f"the answer is not JSON ({kind}): {_cut(response.text.strip())}" if response.content else "empty answer"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
