"""Reads what a service says of a failed request, in all the shapes seen, and turns it into our errors.

No exception of the HTTP library leaves the `api` layer, and no header that could hold a secret enters a message.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import httpx

from vssync.errors import AccessDenied, Answer, LostReply, NotFound, ServiceError
from vssync.model.marks import NEEDS_ATTRIBUTES

_GONE = re.compile(r"not found|no file found|does not exist|no such", re.IGNORECASE)
_REQUEST_IDS = ("opc-request-id", "x-request-id", "apim-request-id")
LOOK = "look at the address, its port and the proxy settings"
_SHOWN = 300
_SECRET = 8  # letters; what is shorter, as the `none` of a local service, is none
_DEEPEST = 3


def answer_of(response: httpx.Response) -> Answer:
    """What the service said; the response's body must have been read."""
    said = _error_body(response)
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
    found = next((response.headers[name] for name in _REQUEST_IDS if name in response.headers), "")
    return redact(response.request, found)


def redact(request: httpx.Request, text: str) -> str:
    """A service's text without what the request proved itself with: some quote the key that they refuse."""
    proof = request.headers.get("authorization", "").partition(" ")[2]
    for secret in (proof, *re.split(r'["$]', proof)):  # a signature's parts are quoted, and `ST$` begins a token
        if len(secret) >= _SECRET:
            text = text.replace(secret, "***")
    return text


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
    except (ValueError, TypeError, OverflowError):
        return None


def error_for(answer: Answer, *, lenient_absence: bool = False, way_out: str = "") -> ServiceError:
    """The error to raise for an answer; `way_out` is what its reader can do.

    With `lenient_absence` a 400 that says "not found" counts as absent, as some compatible services answer.
    """
    text = describe_answer(answer) + (f"; {way_out}" if way_out else "")
    if answer.status in (401, 403):
        return AccessDenied(text, answer)
    if answer.status == 404 or (lenient_absence and answer.status == 400 and _GONE.search(answer.message)):
        return NotFound(text, answer)
    return ServiceError(text, answer)


def lost_reply_error(method: str, path: str, why: str, request_id: str = "") -> LostReply:
    """The error for a write whose reply did not come."""
    answer = Answer(method, path, message=why, request_id=request_id)
    return LostReply(f"{method} {path}: {why}; it may have taken effect", answer)


def unreachable_error(method: str, url: httpx.URL, why: str, way_out: str) -> ServiceError:
    """The error for a request that was not answered."""
    return ServiceError(f"{url.netloc.decode()}: {why}; {way_out}", Answer(method, url.path, message=why))


def malformed_response(response: httpx.Response) -> Answer:
    """What to say of a success whose body is no JSON."""
    return Answer(
        method=response.request.method,
        path=response.request.url.path,
        status=response.status_code,
        message=_not_json(response),
        request_id=request_id(response),
    )


def describe_answer(answer: Answer) -> str:
    """One message: request, status, the service's words, and the id to quote to its operators."""
    code = f" {answer.code}" if answer.code and answer.code != str(answer.status) else ""
    words = f": {answer.message}" if answer.message else ""
    quote = f" (request id {answer.request_id})" if answer.request_id else ""
    return f"{answer.method} {answer.path}: {answer.status}{code}{words}{quote}"


def _error_body(response: httpx.Response) -> dict[str, str]:
    if response.has_redirect_location:
        return {"message": _redirect(response)}
    try:
        body = json.loads(redact(response.request, response.text))
    except (ValueError, RecursionError):
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
    short = {name: _cut(text) for name, text in said.items()}
    if depth and (nested := _nested(said.get("message", ""))):
        return {**short, **_unwrap(nested, depth - 1)}
    return short


def _nested(message: str) -> dict[str, Any] | None:
    """A JSON document inside a message, where it says something of an error."""
    try:
        body = json.loads("{" + message.partition("{")[2].rpartition("}")[0] + "}")
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) and ("message" in body or "error" in body) else None


def _redirect(response: httpx.Response) -> str:
    """Only the host of where to: the rest of an address can hold anything."""
    try:
        host = response.request.url.join(response.headers["location"]).host
    except httpx.InvalidURL:
        host = ""
    where = host or "nowhere"
    return f"the answer is a redirect to {where}, and no credential is sent on; put the right address into `service`"


def _not_json(response: httpx.Response) -> str:
    kind = response.headers.get("content-type", "no content type").split(";")[0]
    if "html" in kind:
        return f"the answer is a web page, not JSON: a proxy or another server answered; {LOOK}"
    if not response.content:
        return "empty answer"
    kind, said = (_cut(redact(response.request, text)) for text in (kind, response.text.strip()))
    return f"the answer is not JSON ({kind}): {said}"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


_DOCTOR = "`vssync doctor` shows whose it is"


@dataclass(frozen=True, slots=True)
class _Hint:
    """Fits an answer of these statuses whose code or message matches, to such a request; an empty provider is any."""

    provider: str
    statuses: tuple[int, ...]
    words: str
    way_out: str
    request: str = ""  # method and path


_NEVER = (405, 501)
_UNKNOWN = r"\bunknown (?:parameter|field)\b"


def _lacks(what: str, capability: str) -> str:
    return f"the service {what}: say `{capability}: false` under `service.capabilities`, and the plan knows it"


_OCI_PROJECT = (
    "`service.project` must be the OCID of a generative AI project of this very region; one made minutes ago is not "
    "known everywhere yet"
)
_HINTS = (
    _Hint("oci", (400, 404), r"\bproject\b", _OCI_PROJECT),
    _Hint("oci", (400,), r"compartment", f"OCI says so also of a missing or empty project: {_OCI_PROJECT}"),
    _Hint("oci", (401,), "", f"the credential was not accepted: wrong, expired, or made for another region; {_DOCTOR}"),
    _Hint(
        "oci",
        (404,),
        r"authori[sz]ed|authori[sz]ation",
        "OCI answers the same for what is not there and for what this identity may not see; `vssync doctor` helps to "
        "tell them apart",
    ),
    _Hint("oci", (403,), "", "this identity may not do that; `vssync doctor` prints the policy statements it needs"),
    _Hint("", (401,), "", f"the credential was not accepted; {_DOCTOR}"),
    _Hint("", (403,), "", "the credential is known, and may not do that; ask whoever gave it to you"),
    _Hint("", (407,), "", "the proxy wants a name and password; put them into HTTPS_PROXY"),
    _Hint("", _NEVER, "", _lacks("changes no attributes in place", "attribute_updates"), r"POST .*/files/[^/]+"),
    _Hint("", _NEVER, "", _lacks("changes no stores", "store_updates"), r"POST .*/vector_stores/[^/]+"),
    _Hint(
        "",
        _NEVER,
        "",
        _lacks("creates no stores", "store_creates") + "; make the store there, and declare it `external`",
        r"POST .*/vector_stores",
    ),
    _Hint("", (400, 422), rf"{_UNKNOWN}.*\battributes\b", f"{NEEDS_ATTRIBUTES}: vssync cannot be used here"),
    _Hint("", (400, 422), rf"{_UNKNOWN}.*\bchunking_strategy\b", "leave `chunking` out, or say `chunking: auto`"),
    _Hint("", (429,), r"quota|billing", "waiting does not help; look at the plan and billing of the account"),
)


def way_out(provider: str, answer: Answer) -> str:
    """What to do about a refused request; empty where nothing general can be said."""
    said = f"{answer.code} {answer.message}"
    fitting = (
        hint.way_out
        for hint in _HINTS
        if hint.provider in ("", provider)
        and answer.status in hint.statuses
        and re.search(hint.words, said, re.IGNORECASE)
        and re.fullmatch(hint.request or ".*", f"{answer.method} {answer.path}")
    )
    return next(fitting, "")
