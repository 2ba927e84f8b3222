"""Sends one request: limits, timeouts, retries, a line in the log, and one kind of error out.

The log has methods, paths, statuses, times and request ids: never a header, a body or a query.
"""

from __future__ import annotations

import json
import logging
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import StrEnum
from math import inf
from typing import Any
from urllib.parse import quote

import httpx

from vssync.api.errors import (
    LOOK,
    answer_of,
    describe_answer,
    error_for,
    lost_reply_error,
    malformed_response,
    redact,
    request_id,
    unreachable_error,
    way_out,
)
from vssync.api.parse import MalformedResponse
from vssync.api.rate_limit import Clock, RateLimiter
from vssync.api.retry import ATTEMPTS, Failure, wait_before
from vssync.errors import Answer, ServiceError
from vssync.providers import Bucket, Provider

log = logging.getLogger(__name__)
Files = Mapping[str, tuple[str, Any, str]]


class Plane(StrEnum):
    """Which of a service's two addresses serves a request."""

    DATA = "data"
    CONTROL = "control"


# Seconds without a byte from the service. An upload's whole body may be looked at before it is answered, and a
# batch of thousands of files checked one by one.
READ, SEARCH, ATTACH, UPLOAD = 30.0, 60.0, 120.0, 600.0
CONNECT, WRITE = 10.0, 60.0
# The largest answers: bytes of JSON or of a file, and the seconds for JSON to come in. A service may never end one.
MOST_JSON, MOST_FILE, LONGEST_JSON = 64 << 20, 1 << 30, 600.0
LONGEST_HINT = 60.0  # seconds; what a service says beyond is not believed


@dataclass(frozen=True, slots=True)
class Call:
    """One request to make. `files` builds the multipart parts anew for each attempt.

    `patience` is how many seconds the service may be silent; `costs` is what counts against the rate limits, those of
    the store `scope` where they are a store's.
    """

    method: str
    path: str
    plane: Plane = Plane.DATA
    params: Mapping[str, str | int] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    files: Callable[[], Files] | None = None
    idempotent: bool = True
    patience: float = READ
    costs: Mapping[Bucket, int] = field(default_factory=dict)
    scope: str = ""
    raw: bool = False  # the answer is a file's bytes, not JSON


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer: its JSON, and what its headers say of the service's clock and of polling."""

    body: Any
    date: int | None = None
    poll_after: float | None = None
    request_id: str = ""


class Sender:
    """Thread-safe. `bases` maps each plane to its URL and headers."""

    def __init__(
        self,
        http: httpx.Client,
        bases: Mapping[Plane, tuple[str, Mapping[str, str]]],
        limits: RateLimiter,
        clock: Clock,
        *,
        provider: Provider,
    ) -> None:
        self._http = http
        self._bases = bases
        self._provider = provider
        self._met: set[Plane] = set()
        self._gone: set[Plane] = set()  # where the last request was given up without ever reaching the service
        self._lock = threading.Lock()
        self.limits = limits
        self.clock = clock
        self.requests = 0
        self.repeated = 0
        self.trouble = ""

    def close(self) -> None:
        """Closes every connection."""
        self._http.close()

    def send(self, call: Call) -> Reply:
        """The reply, after as many attempts as the retry table allows.

        Raises ServiceError, and LostReply for a write that may have taken effect.
        """
        started = self.clock.monotonic()
        attempt = 0
        while True:
            attempt += 1
            outcome = self._attempt(call)
            if isinstance(outcome, Reply):
                return outcome
            failure, error = outcome
            wait = wait_before(
                failure,
                idempotent=call.idempotent,
                attempt=attempt,
                elapsed=self.clock.monotonic() - started,
                dice=random.random(),
                met=call.plane in self._met,
            )
            if wait is None or (call.plane in self._gone and failure.unreached):
                self._gone |= {call.plane} if failure.unreached else set()
                error.attempts = attempt
                raise error
            log.debug("%s %s: again in %.1f s, after attempt %d of %d", call.method, call.path, wait, attempt, ATTEMPTS)
            self.trouble = f"status {failure.status}" if failure.status else "no answer"
            self._wait(failure, wait)
            with self._lock:
                self.repeated += 1

    def _wait(self, failure: Failure, seconds: float) -> None:
        if failure.status == 429:
            self.limits.pause(seconds)
        else:
            self.clock.sleep(seconds)

    def _attempt(self, call: Call) -> Reply | tuple[Failure, ServiceError]:
        self.limits.take({Bucket.REQUESTS: 1, **call.costs}, call.scope)
        with self._lock:
            self.requests += 1
        seen = ConnectionTrace()
        request = self._build(call, seen)
        begun = self.clock.monotonic()
        try:
            streamed = self._http.send(request, stream=True)
            most, longest = (MOST_FILE, inf) if call.raw else (MOST_JSON, LONGEST_JSON)
            response = read_bounded(streamed, most, lambda: self.clock.monotonic() - begun > longest)
        except ERRORS as cause:
            log.info("%s %s no answer: %s", call.method, request.url.path, type(cause).__name__)
            failure = seen.failure(cause)
            return failure, transport_error(request, failure, cause, idempotent=call.idempotent)
        _note(response, self.clock.monotonic() - begun)
        self._gone.discard(call.plane)
        return self._read(call, response)

    def _build(self, call: Call, seen: ConnectionTrace) -> httpx.Request:
        url, headers = self._bases[call.plane]
        return self._http.build_request(
            call.method,
            url + call.path,
            params=call.params or None,
            json=call.body,
            data=call.form,
            files=call.files() if call.files else None,
            headers=headers,
            timeout=httpx.Timeout(call.patience, connect=CONNECT, write=WRITE, pool=None),
            extensions={"trace": seen},
        )

    def _read(self, call: Call, response: httpx.Response) -> Reply | tuple[Failure, ServiceError]:
        if response.is_success:
            try:
                reply = _reply(response, raw=call.raw)
            except (ValueError, RecursionError):
                failure = Failure(hopeless=call.plane not in self._met)  # else only this answer was cut or garbled
                return failure, self._error(call, malformed_response(response), ambiguous=True)
            self._met.add(call.plane)
            return reply
        self._met.add(call.plane)
        answer = answer_of(response)
        failure = Failure(answer.status, answer.code, retry_after=answer.retry_after)
        return failure, self._error(call, answer, ambiguous=failure.ambiguous)

    def _error(self, call: Call, answer: Answer, *, ambiguous: bool) -> ServiceError:
        if ambiguous and not call.idempotent:
            return lost_reply_error(call.method, call.path, describe_answer(answer), answer.request_id)
        lenient = self._provider.absent_as_400
        return error_for(answer, lenient_absence=lenient, way_out=way_out(self._provider, answer))


def malformed_reply_error(call: Call, why: MalformedResponse) -> ServiceError:
    """The error for an answer of the wrong shape."""
    message = f"{call.method} {call.path}: the service answered with {why}"
    return ServiceError(message, Answer(call.method, call.path, message=str(why)))


def _note(response: httpx.Response, seconds: float) -> None:
    quote = request_id(response)
    request = response.request
    words = (request.method, request.url.path, response.status_code, round(seconds * 1000), quote and f" {quote}")
    log.info("%s %s %d %d ms%s", *words)


def _reply(response: httpx.Response, *, raw: bool) -> Reply:
    parsed = json.loads(response.content) if response.content and not raw else {}
    return Reply(
        body=response.content if raw else parsed,
        date=_date(response.headers.get("date")),
        poll_after=_poll_after(response.headers.get("openai-poll-after-ms")),
        request_id=request_id(response),
    )


def _date(text: str | None) -> int | None:
    try:
        return int(parsedate_to_datetime(text).timestamp()) if text else None
    except (ValueError, OverflowError):
        return None


def _poll_after(text: str | None) -> float | None:
    """OpenAI's SDK honours this hint, in milliseconds."""
    return min(int(text) / 1000, LONGEST_HINT) if text and text.isascii() and text.isdecimal() else None


def url_path(*segments: str) -> str:
    """The path of these segments, each quoted: `/vector_stores/vs_1/files`."""
    return "".join(f"/{_quoted(segment)}" for segment in segments)


def _quoted(segment: str) -> str:
    """A dot or two would be a step in a path, and quoting leaves dots alone."""
    quoted = quote(segment, safe="", errors="surrogatepass")
    return quoted if segment.strip(".") else quoted.replace(".", "%2E")


# Everything that can go wrong between us and a whole answer. A host name can be one that DNS cannot even encode.
ERRORS = (httpx.RequestError, httpx.StreamError, UnicodeError)
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, UnicodeError)
_PACKING = (b"content-encoding", b"content-length", b"transfer-encoding")
_DROPPED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


class ResponseTooLarge(httpx.StreamError):
    """The answer is larger, or took longer, than any of a service's own."""


class ConnectionTrace:
    """Follows one request: httpx calls it with each event of the connection (its `trace` extension)."""

    def __init__(self) -> None:
        self._events: set[str] = set()

    def __call__(self, event: str, _info: Any) -> None:
        self._events.add(event)

    @property
    def _kept(self) -> bool:
        """The request went out on a connection that an earlier one had opened."""
        return (
            "http11.send_request_headers.started" in self._events
            and "connection.connect_tcp.started" not in self._events
            and "http11.receive_response_headers.complete" not in self._events
        )

    def failure(self, cause: Exception) -> Failure:
        """What the retry table needs to know."""
        if isinstance(cause, _UNSENT):
            return Failure(sent=False, hopeless=any(isinstance(e, ssl.SSLCertVerificationError) for e in _chain(cause)))
        return Failure(stale=isinstance(cause, _DROPPED) and self._kept, hopeless=isinstance(cause, ResponseTooLarge))


def read_bounded(response: httpx.Response, most: int, late: Callable[[], bool]) -> httpx.Response:
    """A streamed answer with its whole body, decoded, of at most so many bytes; closes the stream.

    Raises Endless when it is larger, however few bytes it was packed into, or `late` while more still comes.
    """
    with closing(response):
        body = bytearray()
        for part in response.iter_bytes():
            body += part
            if len(body) > most:
                raise ResponseTooLarge(f"it is larger than {most >> 20:,} MB")
            if late():
                raise ResponseTooLarge("it comes too slowly to be waited for")
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _PACKING]
    return httpx.Response(response.status_code, headers=headers, content=bytes(body), request=response.request)


def transport_error(request: httpx.Request, failure: Failure, cause: Exception, *, idempotent: bool) -> ServiceError:
    """The error to raise when the request is not sent again."""
    if failure.sent and not idempotent:
        return lost_reply_error(request.method, request.url.path, redact(request, _words(cause)))
    why, way_out = _reading(cause)
    return unreachable_error(request.method, request.url, redact(request, why), way_out)


def _reading(cause: Exception) -> tuple[str, str]:
    """What is wrong, and the way out."""
    if any(isinstance(link, ssl.SSLCertVerificationError) for link in _chain(cause)):
        return (
            f"its certificate is not trusted: {_words(cause)}",
            "behind a proxy or authority of your own, name its certificates in SSL_CERT_FILE",
        )
    if isinstance(cause, ResponseTooLarge):
        return f"its answer cannot be read: {_words(cause)}", LOOK
    if isinstance(cause, UnicodeError) or any(isinstance(link, socket.gaierror) for link in _chain(cause)):
        return f"no such host: {_words(cause)}", "look at the region, the address and your DNS"
    if any(isinstance(link, ssl.SSLError) for link in _chain(cause)):
        return f"no TLS connection to be had: {_words(cause)}", LOOK
    return f"cannot be reached: {_words(cause)}", "look at the address, the network and the proxy settings"


def _words(cause: Exception) -> str:
    return str(cause) or type(cause).__name__


def _chain(cause: BaseException | None) -> Iterator[BaseException]:
    """An exception and what led to it."""
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
