"""Reads what a service says of a failed request, in all the shapes seen: which error it is, what to do, what it lacks.

No exception of the HTTP library leaves the `api` layer, and no header that could hold a secret enters a message.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import lru_cache, partial
from math import isfinite
from typing import Any

import httpx

from vssync.api.retry import LONGEST_WAIT
from vssync.errors import AccessDenied, Answer, LostReply, NotFound, ServiceError
from vssync.model.marks import NEEDS_ATTRIBUTES
from vssync.providers import DOCTOR_HINT, Hint, Provider
from vssync.text import conceal, format_elapsed

_GONE = re.compile(r"not found|no file found|does not exist|no such", re.IGNORECASE)
_REQUEST_IDS = ("opc-request-id", "x-request-id", "apim-request-id")
CHECK_ADDRESS = "check the address, its port and the proxy settings"
_MAX_TEXT = 300  # characters
_MIN_SECRET = 8  # characters; what is shorter, such as the `none` of a local service, is not a secret
_YEAR = 366 * 86_400.0  # seconds
_MAX_PAGE = 10_000  # characters of a web page that are looked at
_OF_GATEWAYS = (413, 502, 503, 504)
_MAX_NESTING = 4
_MAX_PARTS = 20  # of a list of errors


def answer_of(response: httpx.Response) -> Answer:
    """What the service said: code, message and param, as far as they are given. The body must have been read."""
    if response.has_redirect_location:
        try:  # only the host of where to: the rest of an address can hold anything
            target = response.request.url.join(response.headers["location"]).host or "nowhere"
        except httpx.InvalidURL:
            target = "nowhere"
        problem = f"the answer is a redirect to {target}, and no credential is sent on"
        return replace(_headers_of(response), message=f"{problem}; put the right address into `service`")
    try:
        fields = _unwrap(json.loads(response.text), _MAX_NESTING, partial(redact, response.request))
    except (ValueError, RecursionError):
        return malformed_response(response)
    return replace(_headers_of(response), **fields)


def malformed_response(response: httpx.Response) -> Answer:
    """What to say of an answer whose body is not JSON."""
    content_type = _cut(redact(response.request, response.headers.get("content-type", "no content type").split(";")[0]))
    is_page = "html" in content_type or response.text.lstrip()[:1] == "<"
    text = redact(response.request, response.text.strip())
    text = _cut(_visible_text(text) if is_page else text)
    if not response.content:
        message = "empty answer"
    elif not is_page:
        message = f"the answer is not JSON ({content_type}): {text}"
    else:
        # With one of its own statuses a gateway speaks for itself; any other page is probably another server's.
        way_out = "" if response.status_code in _OF_GATEWAYS else f"; {CHECK_ADDRESS}"
        quoted = f' ("{text}")' if text else ""
        message = f"the answer is a web page, not JSON{quoted}: a proxy or another server answered{way_out}"
    return replace(_headers_of(response), message=message)


def _visible_text(page: str) -> str:
    """What a web page says, without its tags and its head."""
    text = re.sub(
        r"<(head|script|style)\b.*?</\1\s*>|<[^>]*(?:>|$)", " ", page[:_MAX_PAGE], flags=re.DOTALL | re.IGNORECASE
    )
    return " ".join(html.unescape(text).split())


def _headers_of(response: httpx.Response) -> Answer:
    return Answer(
        method=response.request.method,
        path=response.request.url.path,
        status=response.status_code,
        request_id=request_id(response),
        retry_after=retry_after(response.headers),
    )


def request_id(response: httpx.Response) -> str:
    """The id under which the service's operators find this request; empty when it gave none."""
    value = next((response.headers[name] for name in _REQUEST_IDS if name in response.headers), "")
    return redact(response.request, value)


def redact(request: httpx.Request, text: str) -> str:
    """A service's text without what the request proved itself with: some quote the key that they refuse."""
    proof = request.headers.get("authorization", "").partition(" ")[2]
    key = request.headers.get("api-key", "")
    secrets = (key, proof, *re.split(r'["$]', proof))  # a signature's parts are quoted, and `ST$` begins a token
    return conceal(text, (secret for secret in secrets if len(secret) >= _MIN_SECRET))


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds to wait as the service asks, a year at most. A date counts from the service's own, ours may be wrong."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        with suppress(KeyError, ValueError):
            seconds = float(headers[name]) / scale
            return min(max(0.0, seconds), _YEAR) if isfinite(seconds) else None
    until = parse_date(headers.get("retry-after", ""))
    now = parse_date(headers.get("date", "")) or datetime.now(UTC)
    return min(max(0.0, (until - now).total_seconds()), _YEAR) if until else None


@lru_cache(maxsize=16)
def parse_date(text: str) -> datetime | None:
    """A header's date, which many answers share; None for what is none."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)  # HTTP's dates are GMT; an old form does not say so


def with_time_to_return(answer: Answer, now: float) -> Answer:
    """With what a person can do about a long `Retry-After`, at `now` in seconds since the epoch."""
    if answer.retry_after is None or answer.retry_after <= LONGEST_WAIT:
        return answer
    begin, end = (datetime.fromtimestamp(at).astimezone() for at in (now, now + answer.retry_after + 60))
    until = f"{end:%H:%M}" if begin.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    wait = f"asks to wait {format_elapsed(answer.retry_after)}: apply again after {until}"
    return replace(answer, message="; ".join(filter(None, (answer.message.rstrip("."), wait))))


def error_for(answer: Answer, provider: Provider, hints: Iterable[Hint] = ()) -> ServiceError:
    """The error to raise for an answer, with what its reader can do."""
    hint = way_out(hints, answer)
    text = describe_answer(answer) + (f"; {hint}" if hint else "")
    if answer.status in (401, 403):
        return AccessDenied(text, answer)
    if answer.status in (404, 410) or (
        provider.absent_as_400 and answer.status == 400 and _GONE.search(answer.message)
    ):
        return NotFound(text, answer)
    return ServiceError(text, answer)


def only_files_error(error: ServiceError, provider: Provider) -> ServiceError:
    """For a refused listing of stores, where the same credential lists files."""
    if not (isinstance(error, AccessDenied) or provider.has_policies):  # a 404 may be all that it says
        return error
    kind = next(
        (f"another for stores, such as `control_auth: {kind}`" for kind in provider.auth_kinds if kind.signs), ""
    )
    other = f"use {kind} (--control-auth), or " if kind else ""
    problem = "this credential may not read stores, though it reads files"
    pin = "pin each store with `external: true` and its `id`"
    text = f"{describe_answer(error.answer)}; {problem}: {other}{pin}"
    return type(error)(text, error.answer)


def lost_reply_error(method: str, path: str, reason: str, request_id: str = "", status: int = 0) -> LostReply:
    """The error for a write whose reply did not come, or does not tell of success; `status` is that of such a reply."""
    answer = Answer(method, path, status, message=reason, request_id=request_id)
    return LostReply(f"{method} {path}: {reason}; it may have taken effect", answer)


def describe_answer(answer: Answer) -> str:
    """One message: request, status, the service's words, and the id to quote to its operators."""
    code = f" {answer.code}" if answer.code and answer.code != str(answer.status) else ""
    message = f": {answer.message}" if answer.message else ""
    id_ = f" (request id {answer.request_id})" if answer.request_id else ""
    return f"{answer.method} {answer.path}: {answer.status}{code}{message}{id_}"


def file_named_by(error: ServiceError, file_ids: Iterable[str]) -> str:
    """The one of these Files that a refusal names; empty where it names none or several."""
    message = error.answer.message
    named = [id_ for id_ in file_ids if id_ in message and re.search(rf"(?<![\w-]){re.escape(id_)}(?![\w-])", message)]
    return named[0] if len(named) == 1 else ""


def _unwrap(body: Any, depth: int, clean: Callable[[str], str]) -> dict[str, Any]:
    """Follows `error`, and JSON inside `message`, to the innermost error; without words, the body is its message.

    What is cut is made `clean` before, but only after its JSON was read, which may spell it in many ways.
    """
    inner = body if isinstance(body, dict) else {}
    inner = inner["error"] if isinstance(inner.get("error"), dict) else inner
    fields = {name: str(inner[name]) for name in ("code", "param") if inner.get(name) is not None}
    message = _words_of(inner or body, depth) or json.dumps(body, ensure_ascii=False)
    short = {name: _cut(clean(text)) for name, text in {**fields, "message": message}.items()}
    try:
        nested = json.loads("{" + message.partition("{")[2].rpartition("}")[0] + "}")
    except (ValueError, RecursionError):
        nested = {}
    is_error = "message" in nested or "error" in nested
    return {**short, **_unwrap(nested, depth - 1, clean)} if depth and is_error else short


_WORDS = ("message", "msg", "detail", "errors", "error", "title")  # in this order


def _words_of(body: Any, depth: int) -> str:
    """What an error says: a text, or texts in a list or under one of a few names.

    FastAPI: `{"detail": "..."}`, or a list of `{"loc": [...], "msg": "..."}`; RFC 9457: `title` and `detail`, and
    often `errors`, a list or an object with one for each field.
    """
    if isinstance(body, list) and depth:
        return "; ".join(filter(None, (_words_of(part, depth - 1) for part in body[:_MAX_PARTS])))
    if not isinstance(body, dict) or not depth:
        return body.strip() if isinstance(body, str) else ""
    if isinstance(fields := body.get("errors"), dict) and fields:
        body = {**body, "errors": [{"loc": [name], "errors": texts} for name, texts in fields.items()]}
    words = next(filter(None, (_words_of(body.get(name), depth - 1) for name in _WORDS)), "")
    place = ".".join(map(str, body["loc"])) if isinstance(body.get("loc"), list) else ""
    return ": ".join(filter(None, (place, words)))


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."


_NEVER = (405, 501)
_UNKNOWN = r"\bunknown (?:parameter|field)\b"


def _lacks(what: str, capability: str) -> str:
    return f"the service {what}: say `{capability}: false` under `service.capabilities`, and plans will respect it"


_NO_CREATES = _lacks("creates no stores", "store_creates")
# Those of every provider; the given ones come first.
_HINTS = (
    Hint((401,), "", f"the credential was not accepted; {DOCTOR_HINT}"),
    Hint((403,), "", "the credential is known, but may not do that; ask whoever gave it to you"),
    Hint((413,), "", "too large for something in between (a proxy or gateway), which has a limit of its own"),
    Hint((407,), "", "the proxy wants a name and password; put them into its address in HTTPS_PROXY or HTTP_PROXY"),
    Hint(_NEVER, "", _lacks("changes no attributes in place", "attribute_updates"), r"POST .*/files/[^/]+"),
    Hint(_NEVER, "", _lacks("changes no stores", "store_updates"), r"POST .*/vector_stores/[^/]+"),
    Hint(_NEVER, "", f"{_NO_CREATES}; create the store there, and declare it `external`", r"POST .*/vector_stores"),
    Hint((400, 422), rf"{_UNKNOWN}.*\battributes\b", f"{NEEDS_ATTRIBUTES}: vssync cannot be used here"),
    Hint((400, 422), rf"{_UNKNOWN}.*\bchunking_strategy\b", "leave `chunking` out, or say `chunking: auto`"),
    Hint(
        (404,),
        "",
        "this address has no vector stores, or does not show them to this credential; check the URLs under `service`; "
        "`vssync doctor` finds out more",
        r"GET .*/vector_stores",
    ),
    Hint((429,), r"quota|billing", "waiting does not help; check the plan and billing of the account"),
)


def way_out(hints: Iterable[Hint], answer: Answer) -> str:
    """What to do about a refused request, by the first hint that fits; empty where nothing general can be said."""
    text, request = f"{answer.code} {answer.message}", f"{answer.method} {answer.path}"
    for hint in (*hints, *_HINTS):
        says_so = answer.status in hint.statuses and re.search(hint.words, text, re.IGNORECASE)
        if says_so and re.fullmatch(hint.request, request):
            return hint.way_out
    return ""


# Which capability a service lacks, told from how it refuses a request; the fallbacks are the callers'. A refusal of one
# file, or of a store that does not exist, must not look like a missing capability: then all later files would take the
# slower fallback.


class MissingCapability(StrEnum):
    """What a service cannot do; the values are the names of the manifest's `capabilities`."""

    ATTRIBUTES = "attributes"
    ATTRIBUTE_UPDATES = "attribute_updates"
    BATCHES = "batches"
    BATCH_FILES = "batch_files"
    LIST_BATCHES = "list_batches"
    STORE_UPDATES = "store_updates"


_MISSING_ROUTE = (404, 405, 501)
_INVALID_BODY = (400, 422)
ABOUT_ONE_FILE = ("unsupported_file", "invalid_file", "file_already_attached")
_NO_ATTRIBUTES = re.compile(r"\bunknown (?:parameter|field)\W+(?:files\b\W*\d*\W*)?attributes\b", re.IGNORECASE)
_FILES_FORM = re.compile(r"\bfile_ids\b|\bunknown (?:parameter|field)\W+files\b", re.IGNORECASE)


def missing_from_create_error(error: ServiceError, file_ids: Iterable[str] = ()) -> MissingCapability | None:
    """What a service lacks that refuses to attach files of these ids, in a batch with `files` or one by one.

    A 404 means BATCHES only for a store that is known to exist: ask `Client.can_list_files` before you believe it.
    """
    answer = error.answer
    if any(file_id in answer.message for file_id in file_ids) or answer.code in ABOUT_ONE_FILE:
        return None
    if answer.status in _MISSING_ROUTE:
        return MissingCapability.BATCHES
    if answer.status in _INVALID_BODY and _NO_ATTRIBUTES.search(answer.message):
        return MissingCapability.ATTRIBUTES
    is_about_form = answer.param in ("files", "file_ids") or _FILES_FORM.search(answer.message)
    return MissingCapability.BATCH_FILES if answer.status in _INVALID_BODY and is_about_form else None


def missing_from_update_error(error: ServiceError) -> MissingCapability | None:
    """What a service lacks that refuses to change a store file's attributes; a 404 may also mean a missing file."""
    return MissingCapability.ATTRIBUTE_UPDATES if is_permanent(error) else None


def missing_from_list_error(error: ServiceError) -> MissingCapability | None:
    """What a service lacks that refuses to list batches, or fails at it; a 400 or 404 may also mean another store."""
    return MissingCapability.LIST_BATCHES if is_unreadable(error) else None


def is_unreadable(error: ServiceError) -> bool:
    """Whether an answer says that this cannot be read: an error of the service, or a permission that is missing."""
    return error.answer.status in (400, 403, *_MISSING_ROUTE) or error.answer.status >= 500


def is_permanent(error: ServiceError) -> bool:
    """Whether the refusal concerns the whole service, so that asking for another store is useless."""
    return error.answer.status in (405, 501)
