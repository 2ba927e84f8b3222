"""Sends one request: limits, timeouts, retries, and one kind of error out."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

import httpx

from vssync.api import faults
from vssync.api.limits import Bucket, Clock, Limits
from vssync.api.parse import Misshapen
from vssync.api.retry import Failure, wait_before
from vssync.errors import Answer, ServiceError

Files = Mapping[str, tuple[str, Any, str]]


class Plane(StrEnum):
    """Which of a service's two addresses serves a request."""

    DATA = "data"
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Call:
    """One request to make. `files` builds the multipart parts anew for each attempt."""

    method: str
    path: str
    plane: Plane = Plane.DATA
    params: Mapping[str, str | int] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    files: Callable[[], Files] | None = None
    idempotent: bool = True
    bucket: Bucket = Bucket.NONE
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer: its JSON, and what its headers say of the service's clock and of polling."""

    body: Any
    date: int | None = None
    poll_after: float | None = None
    request_id: str = ""


# Seconds to wait for an answer; connecting and sending have their own.
_READ, _UPLOAD = 60.0, 600.0


class Sender:
    """Thread-safe. `bases` maps each plane to its URL and headers."""

    def __init__(
        self,
        http: httpx.Client,
        bases: Mapping[Plane, tuple[str, Mapping[str, str]]],
        limits: Limits,
        clock: Clock,
        *,
        lenient_absence: bool = False,
    ) -> None:
        self._http = http
        self._bases = bases
        self._lenient = lenient_absence
        self.limits = limits
        self.clock = clock
        self.requests = 0

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
            elapsed = self.clock.monotonic() - started
            wait = wait_before(
                failure, idempotent=call.idempotent, attempt=attempt, elapsed=elapsed, dice=random.random()
            )
            if wait is None:
                raise error
            if failure.status == 429:
                self.limits.pause(wait)
            else:
                self.clock.sleep(wait)

    def _attempt(self, call: Call) -> Reply | tuple[Failure, ServiceError]:
        self.limits.take(call.bucket, call.scope)
        self.requests += 1
        request = self._build(call)
        try:
            response = self._http.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as cause:
            return Failure(sent=False), faults.unreachable(call.method, request.url, cause)
        except (httpx.TransportError, httpx.StreamError) as cause:
            return Failure(), self._unanswered(call, request, cause)
        return self._read(call, response)

    def _build(self, call: Call) -> httpx.Request:
        url, headers = self._bases[call.plane]
        return self._http.build_request(
            call.method,
            url + call.path,
            params=call.params or None,
            json=call.body,
            data=call.form,
            files=call.files() if call.files else None,
            headers=headers,
            timeout=httpx.Timeout(_UPLOAD if call.files else _READ, connect=10.0, pool=None),
        )

    def _unanswered(self, call: Call, request: httpx.Request, cause: Exception) -> ServiceError:
        if call.idempotent:
            return faults.unreachable(call.method, request.url, cause)
        return faults.lost(call.method, call.path, str(cause) or type(cause).__name__)

    def _read(self, call: Call, response: httpx.Response) -> Reply | tuple[Failure, ServiceError]:
        if response.is_success:
            try:
                return _reply(response)
            except ValueError:
                garbled = faults.describe(faults.answer_of(response))
                error = ServiceError(garbled, faults.answer_of(response))
                return Failure(), error if call.idempotent else faults.lost(call.method, call.path, garbled)
        answer = faults.answer_of(response)
        failure = Failure(answer.status, answer.code, retry_after=answer.retry_after)
        if failure.ambiguous and not call.idempotent:
            return failure, faults.lost(call.method, call.path, faults.describe(answer))
        return failure, faults.error_for(answer, lenient_absence=self._lenient)


def misshapen(call: Call, why: Misshapen) -> ServiceError:
    """The error for an answer of the wrong shape."""
    message = f"{call.method} {call.path}: the service answered with {why}"
    return ServiceError(message, Answer(call.method, call.path, message=str(why)))


def _reply(response: httpx.Response) -> Reply:
    return Reply(
        body=json.loads(response.content) if response.content else {},
        date=_date(response.headers.get("date")),
        poll_after=_poll_after(response.headers.get("openai-poll-after-ms")),
        request_id=faults.request_id(response),
    )


def _date(text: str | None) -> int | None:
    try:
        return int(parsedate_to_datetime(text).timestamp()) if text else None
    except ValueError:
        return None


def _poll_after(text: str | None) -> float | None:
    """OpenAI's SDK honours this hint, in milliseconds."""
    return int(text) / 1000 if text and text.isdigit() else None
