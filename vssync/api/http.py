"""Sends one request: limits, timeouts, retries, a line in the log, and one kind of error out."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from http import HTTPStatus
from math import inf
from typing import Any
from urllib.parse import quote

import httpx

from vssync.api import errors
from vssync.api.concurrency import AdaptiveGate, Gate
from vssync.api.exchange import TRANSPORT_ERRORS, ConnectionTrace, read_bounded, transport_error
from vssync.api.log import log_answer, log_no_answer, log_retry
from vssync.api.parse import MalformedResponse, parse_success
from vssync.api.rate_limit import RateLimiter
from vssync.api.retry import UNUSABLE_DATA, Failure, max_attempts, wait_before_retry
from vssync.errors import Answer, Interrupted, NotFound, ServiceError
from vssync.providers import Bucket, Hint, Provider

Files = Mapping[str, tuple[str, Any, str]]
_parse_url = lru_cache(maxsize=256)(httpx.URL)  # what is asked for again and again is parsed once


class Plane(StrEnum):
    """Which of a service's two addresses serves a request."""

    DATA = "data"
    CONTROL = "control"


# Seconds without a byte from the service. An upload's whole body may be looked at before it is answered, and a
# batch of thousands of files checked one by one.
READ_TIMEOUT, SEARCH_TIMEOUT, ATTACH_TIMEOUT, UPLOAD_TIMEOUT = 30.0, 60.0, 120.0, 600.0
CONNECT_TIMEOUT, WRITE_TIMEOUT = 10.0, 60.0
# The largest answers: bytes of JSON or of a file, and the seconds for JSON to come in. A service may never end one.
MAX_JSON_BYTES, MAX_FILE_BYTES, MAX_JSON_SECONDS = 64 << 20, 1 << 30, 600.0
_REFUSED_FOR_NOW = (429, 503)
MAX_POLL_HINT = 60.0  # seconds; what a service says beyond is not believed


@dataclass(frozen=True, slots=True)
class Access:
    """Where the requests of a plane go, with which headers and credential, and what refusals of them mean."""

    url: str
    headers: Mapping[str, str]
    auth: httpx.Auth | None
    hints: tuple[Hint, ...]
    proxy: str = ""  # what they go through, and the setting that says so, in words


@dataclass(frozen=True, slots=True)
class Call:
    """One request to make. `files` builds the multipart parts anew for each attempt.

    `timeout` is how many seconds the service may be silent; `costs` is what counts against the rate limits, those of
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
    is_search: bool = False  # a POST that only reads
    timeout: float = READ_TIMEOUT
    costs: Mapping[Bucket, int] = field(default_factory=dict)
    scope: str = ""
    raw: bool = False  # the answer is a file's bytes, not JSON
    is_probe: bool = False  # whatever is answered is the result

    @property
    def kind(self) -> str:
        """Requests of one kind take about as long, and count against the same limits."""
        return f"{self.method} {self.path.count('/')}"

    @property
    def is_write(self) -> bool:
        return self.method != "GET" and not self.is_search

    @property
    def is_optional(self) -> bool:
        """Whether an error will do. So it does for what reads batches: a store's own files tell that."""
        return self.is_probe or (self.method == "GET" and "/file_batches" in self.path)


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer, its body parsed, and what its headers say of the service's clock and of polling."""

    body: Any
    date: int | None = None
    poll_after: float | None = None


class Sender:
    """Thread-safe."""

    def __init__(
        self,
        http: httpx.Client,
        planes: Mapping[Plane, Access],
        limits: RateLimiter,
        provider: Provider,
        *,
        workers: int = 1,
        first_workers: int = 0,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self._http = http
        self._planes = planes
        self._provider = provider
        credential = planes[Plane.DATA].auth
        self._has_one_credential = credential is not None and credential is planes[Plane.CONTROL].auth
        self._responded: set[Plane] = set()
        self._unreachable: set[Plane] = set()  # where the last request was given up without ever reaching the service
        self._lock = threading.Lock()
        self.warnings = warnings  # about settings of this machine that are not used as they are written
        self.limits = limits
        self.clock = limits.clock
        # llama-stack on SQLite: deletions in parallel lock its database, and a half-done one can break a listing.
        self.in_flight = AdaptiveGate(min(first_workers or workers, workers), workers)
        self.deletions = Gate(workers, outer=self.in_flight)
        self.request_count = 0  # sent so far, retries included
        self.retry_count = 0
        self.on_answer: Callable[[Call, httpx.Response], None] | None = None  # sees each answer before it is read
        self.has_unusable_data = False  # the embedded service cannot read or write its data, and will not be able to
        self.last_failure = ""  # why the latest was sent again, such as `status 503 to GET /files`

    def close(self) -> None:
        """Closes every connection."""
        self._http.close()

    def denied_stores_error(self, error: ServiceError) -> ServiceError:
        """A refusal to list stores, where files are listed, with the way out if one credential is used for both."""
        return errors.only_files_error(error, self._provider) if self._has_one_credential else error

    def send(self, call: Call, parse: Callable[[Any], Any] = lambda body: body) -> Reply:
        """The reply, after retries; `parse` may raise MalformedResponse.

        Raises ServiceError, and LostReply for a write that may have taken effect and must not be repeated blindly.
        """
        started = self.clock.monotonic()
        attempt, may_have_effect = 0, False
        try:
            while True:
                attempt += 1
                outcome = self._attempt_deletion(call, parse) if call.method == "DELETE" else self._attempt(call, parse)
                if isinstance(outcome, Reply):
                    return outcome
                failure, error = outcome
                may_have_effect |= failure.is_ambiguous
                most = max_attempts(failure, has_responded=call.plane in self._responded, optional=call.is_optional)
                elapsed, jitter = self.clock.monotonic() - started, random.random()
                wait = wait_before_retry(
                    failure, idempotent=call.idempotent, attempt=attempt, elapsed=elapsed, jitter=jitter, attempts=most
                )
                if wait is None or (call.plane in self._unreachable and failure.is_unreached):
                    self._raise_if_gone(call, failure, attempt)
                    self._unreachable |= {call.plane} if failure.is_unreached else set()
                    error.attempts = attempt
                    error.is_ambiguous |= call.is_write and failure.is_ambiguous
                    raise error
                log_retry(call.method, call.path, wait, attempt, most)
                reason = f"status {failure.status}" if failure.status else "no answer"
                self.last_failure = f"{reason} to {call.method} {call.path}"
                (self.limits.pause if failure.status == 429 else self.clock.sleep)(wait)
                self._raise_if_gone(call, failure, attempt)
                with self._lock:
                    self.retry_count += 1
        except Interrupted as interruption:
            interruption.is_ambiguous = may_have_effect
            raise

    def _raise_if_gone(self, call: Call, failure: Failure, attempts: int) -> None:
        """Looks for what an error may have deleted; raises NotFound, of a GET, where it is gone."""
        if call.method != "DELETE" or not failure.is_ambiguous:
            return
        outcome = self._attempt(replace(call, method="GET"), lambda body: body)
        if not isinstance(outcome, Reply) and isinstance(outcome[1], NotFound):
            outcome[1].attempts = attempts
            raise outcome[1]

    def _attempt_deletion(self, call: Call, parse: Callable[[Any], Any]) -> Reply | tuple[Failure, ServiceError]:
        with self.deletions.enter(self.clock.check) as width:
            outcome = self._attempt(call, parse)
        if not isinstance(outcome, Reply) and outcome[0].status >= 500:
            self.deletions.narrow(width)
        return outcome

    def _attempt(self, call: Call, parse: Callable[[Any], Any]) -> Reply | tuple[Failure, ServiceError]:
        is_paced = self.limits.take({Bucket.REQUESTS: 1, **call.costs}, call.scope, call.kind if call.is_write else "")
        trace = ConnectionTrace()
        access = self._planes[call.plane]
        request = self._http.build_request(
            call.method,
            _parse_url(access.url + call.path),
            params=call.params or None,
            json=call.body,
            data=call.form,
            files=call.files() if call.files else None,
            headers=access.headers,
            timeout=httpx.Timeout(call.timeout, connect=CONNECT_TIMEOUT, write=WRITE_TIMEOUT, pool=None),
            extensions={"trace": trace},
        )
        try:
            response, seconds = self._exchange(call, request, access.auth, trace, is_paced=is_paced)
        except TRANSPORT_ERRORS as cause:
            log_no_answer(call.method, request.url.path, cause)
            failure = trace.failure(cause)
            return failure, transport_error(request, failure, cause, idempotent=call.idempotent, proxy=access.proxy)
        log_answer(call.method, request.url.path, response.status_code, seconds, errors.request_id(response))
        self._unreachable.discard(call.plane)
        if self.on_answer:
            self.on_answer(call, response)
        return self._read(call, response, parse)

    @contextmanager
    def _place(self) -> Iterator[int]:
        """A place among the requests that go side by side; gives the gate's width.

        Whoever waited for it may have been interrupted meanwhile, or told to pause by an answer to another.
        """
        while True:
            with self.in_flight.enter(self.clock.check) as width:
                self.clock.check()
                if not (pause := self.limits.pause_seconds):
                    yield width
                    return
            self.clock.sleep(pause)

    def _exchange(
        self, call: Call, request: httpx.Request, auth: httpx.Auth | None, trace: ConnectionTrace, *, is_paced: bool
    ) -> tuple[httpx.Response, float]:
        """The whole answer and the seconds it took, from which gate and pace learn."""
        with self._place() as width:
            with self._lock:
                self.request_count += 1
            started = self.clock.monotonic()
            streamed = self._http.send(request, auth=auth, stream=True)
            if streamed.is_error:
                trace.close_with_response(streamed)
            max_bytes, max_seconds = (MAX_FILE_BYTES, inf) if call.raw else (MAX_JSON_BYTES, MAX_JSON_SECONDS)
            response = read_bounded(streamed, max_bytes, lambda: self.clock.monotonic() - started > max_seconds)
            seconds = self.clock.monotonic() - started
            is_throttled = response.status_code == HTTPStatus.TOO_MANY_REQUESTS
            if call.is_write:
                self.limits.record(call.kind, refused=is_throttled)
            if response.status_code not in _REFUSED_FOR_NOW:
                self.in_flight.record(call.kind, seconds, width)
            elif not (is_throttled and is_paced):  # else it went too early, and not beside too many
                self.in_flight.narrow(width)
        return response, seconds

    def _read(
        self, call: Call, response: httpx.Response, parse: Callable[[Any], Any]
    ) -> Reply | tuple[Failure, ServiceError]:
        """An answer as a reply, or how it fails. A 2xx that does not tell of success is a lost reply to a write."""
        is_first = call.plane not in self._responded
        try:
            if response.is_success:
                reply = _parse_reply(response, raw=call.raw)
                self._responded.add(call.plane)
                return reply if call.raw else replace(reply, body=parse_success(reply.body, parse))
        except MalformedResponse as cause:  # a whole answer: asking again would bring the same
            answer = errors.answer_of(response)
            answer = replace(answer, message=f"the service answered with {cause}: {answer.message}")
            return Failure(is_permanent=True), self._error(call, answer, ambiguous=True)
        except (ValueError, RecursionError):  # after a good answer, only this one was cut or garbled
            malformed = errors.malformed_response(response)
            return Failure(is_permanent=is_first), self._error(call, malformed, ambiguous=True)
        self._responded.add(call.plane)
        answer = errors.with_time_to_return(errors.answer_of(response), self.clock.wall_time())
        failure = Failure(answer.status, answer.code, retry_after=answer.retry_after)
        self.has_unusable_data |= failure.code == UNUSABLE_DATA
        return failure, self._error(call, answer, ambiguous=failure.is_ambiguous)

    def _error(self, call: Call, answer: Answer, *, ambiguous: bool) -> ServiceError:
        is_success = answer.status in range(200, 300)
        if ambiguous and (call.is_write if is_success else not call.idempotent):
            reason = errors.describe_answer(answer)
            return errors.lost_reply_error(call.method, call.path, reason, answer.request_id, answer.status)
        return errors.error_for(answer, self._provider, self._planes[call.plane].hints)


def _parse_reply(response: httpx.Response, *, raw: bool) -> Reply:
    body = response.content if raw else json.loads(response.content or b"{}")
    date = errors.parse_date(response.headers.get("date", ""))
    poll_after = response.headers.get("openai-poll-after-ms", "")
    is_number = poll_after.isascii() and poll_after.isdecimal()  # as OpenAI's SDK reads it
    hint = min(float(poll_after) / 1000, MAX_POLL_HINT) if is_number else None
    return Reply(body, int(date.timestamp()) if date else None, hint)


def url_path(*segments: str) -> str:
    """The path of these segments, each quoted: `/vector_stores/vs_1/files`."""
    quoted = (quote(segment, safe="", errors="surrogatepass") for segment in segments)
    # A dot or two would be a step in a path, and quoting leaves dots alone.
    return "".join(f"/{segment if segment.strip('.') else segment.replace('.', '%2E')}" for segment in quoted)


def store_path(store_id: str, *segments: str) -> str:
    """The path of a store, or of what these segments name in it."""
    return url_path("vector_stores", store_id, *segments)


def attach_call(store_id: str, collection: str, body: Mapping[str, Any], files: int) -> Call:
    """The request that attaches so many files, by itself or in a batch."""
    return Call(
        "POST",
        store_path(store_id, collection),
        body=body,
        idempotent=False,
        timeout=ATTACH_TIMEOUT,
        costs={Bucket.ATTACHES: 1, Bucket.FILES: files},
        scope=store_id,
    )


@contextmanager
def naming_request(call: Call) -> Iterator[None]:
    """Turns a MalformedResponse into the error that names the request."""
    try:
        yield
    except MalformedResponse as cause:
        message = f"{call.method} {call.path}: the service answered with {cause}"
        raise ServiceError(message, Answer(call.method, call.path, message=str(cause))) from cause
