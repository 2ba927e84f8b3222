"""Sends one request: limits, timeouts, retries, a line in the log, and one kind of error out.

The log has methods, paths, statuses, times and request ids: never a header, a body or a query.
"""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import StrEnum
from math import inf
from typing import Any

import httpx

from vssync.api import faults, hints, wire
from vssync.api.limits import Bucket, Clock, Limits
from vssync.api.parse import Misshapen
from vssync.api.retry import ATTEMPTS, Failure, wait_before
from vssync.errors import Answer, ServiceError

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
        limits: Limits,
        clock: Clock,
        *,
        provider: str,
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
        seen = wire.Wire()
        request = self._build(call, seen)
        begun = self.clock.monotonic()
        try:
            streamed = self._http.send(request, stream=True)
            most, longest = (MOST_FILE, inf) if call.raw else (MOST_JSON, LONGEST_JSON)
            response = wire.received(streamed, most, lambda: self.clock.monotonic() - begun > longest)
        except wire.ERRORS as cause:
            log.info("%s %s no answer: %s", call.method, request.url.path, type(cause).__name__)
            failure = seen.failure(cause)
            return failure, wire.error(request, failure, cause, idempotent=call.idempotent)
        _note(response, self.clock.monotonic() - begun)
        self._gone.discard(call.plane)
        return self._read(call, response)

    def _build(self, call: Call, seen: wire.Wire) -> httpx.Request:
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
                return failure, self._error(call, faults.misread(response), ambiguous=True)
            self._met.add(call.plane)
            return reply
        self._met.add(call.plane)
        answer = faults.answer_of(response)
        failure = Failure(answer.status, answer.code, retry_after=answer.retry_after)
        return failure, self._error(call, answer, ambiguous=failure.ambiguous)

    def _error(self, call: Call, answer: Answer, *, ambiguous: bool) -> ServiceError:
        if ambiguous and not call.idempotent:
            return faults.lost(call.method, call.path, faults.describe(answer), answer.request_id)
        lenient = self._provider == "compatible"
        return faults.error_for(answer, lenient_absence=lenient, way_out=hints.way_out(self._provider, answer))


def misshapen(call: Call, why: Misshapen) -> ServiceError:
    """The error for an answer of the wrong shape."""
    message = f"{call.method} {call.path}: the service answered with {why}"
    return ServiceError(message, Answer(call.method, call.path, message=str(why)))


def _note(response: httpx.Response, seconds: float) -> None:
    quote = faults.request_id(response)
    request = response.request
    words = (request.method, request.url.path, response.status_code, round(seconds * 1000), quote and f" {quote}")
    log.info("%s %s %d %d ms%s", *words)


def _reply(response: httpx.Response, *, raw: bool) -> Reply:
    parsed = json.loads(response.content) if response.content and not raw else {}
    return Reply(
        body=response.content if raw else parsed,
        date=_date(response.headers.get("date")),
        poll_after=_poll_after(response.headers.get("openai-poll-after-ms")),
        request_id=faults.request_id(response),
    )


def _date(text: str | None) -> int | None:
    try:
        return int(parsedate_to_datetime(text).timestamp()) if text else None
    except (ValueError, OverflowError):
        return None


def _poll_after(text: str | None) -> float | None:
    """OpenAI's SDK honours this hint, in milliseconds."""
    return min(int(text) / 1000, LONGEST_HINT) if text and text.isascii() and text.isdecimal() else None
