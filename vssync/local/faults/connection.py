"""Faults of the way between client and service: statuses, cut connections, delays, broken bodies."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from threading import Lock

from vssync.local.errors import ApiError
from vssync.local.faults.kind import (
    FaultContext,
    FaultKind,
    Forward,
    Request,
    Response,
    Setting,
    fault,
    milliseconds,
    whole_number,
)
from vssync.local.gateway import ERROR_SHAPE_KEY

KINDS: list[FaultKind] = []
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>The gateway has no answer.</body></html>"
MINUTE = 60.0
CODE = whole_number(400, 599, form="CODE")
RETRY_AFTER = Setting(whole_number(0, 86_400).read, -1, "SECONDS")  # negative: no header


@fault(KINDS, "status", value=CODE, retry_after=RETRY_AFTER)
def answer_status(request: Request, forward: Forward, value: int, retry_after: int) -> Response:
    """Answers with this status (400 to 599), and nothing happens; `retry-after=SECONDS` adds the header."""
    codes = {401: "invalid_api_key", 404: "not_found", 409: "IncorrectState", 429: "rate_limit_exceeded"}
    code = codes.get(value, "server_error" if value >= 500 else "invalid_request")
    response = forward(request.with_refusal(ApiError(value, f"This {value} was asked for.", code=code)))
    return response if retry_after < 0 else response.with_header("retry-after", str(retry_after))


@fault(KINDS, "status-after", value=CODE, retry_after=RETRY_AFTER)
def act_then_answer_status(request: Request, forward: Forward, value: int, retry_after: int) -> Response:
    """Does what was asked, then answers with this status."""
    forward(request)
    return answer_status(request, forward, value, retry_after)


@fault(KINDS, "rate-limit", value=whole_number(1, 10**6))
@dataclass
class RateLimit:
    """Answers 429 to more than N requests a minute, with `Retry-After`."""

    context: FaultContext
    value: int
    times: deque[float] = field(default_factory=deque)  # of the requests within the last minute
    lock: Lock = field(default_factory=Lock)

    def __call__(self, request: Request, forward: Forward) -> Response:
        now = self.context.clock()
        with self.lock:
            while self.times and self.times[0] <= now - MINUTE:
                self.times.popleft()
            wait = self.times[0] + MINUTE - now if len(self.times) >= self.value else 0.0
            if not wait:
                self.times.append(now)
        return answer_status(request, forward, 429, int(wait) + 1) if wait else forward(request)


@fault(KINDS, "reset-before")
def reset_before(_request: Request, _forward: Forward) -> Response:
    """Resets the connection, and nothing happens."""
    raise ConnectionResetError("the connection was reset before the request took effect")


@fault(KINDS, "reset-after")
def reset_after(request: Request, forward: Forward) -> Response:
    """Does what was asked, then resets the connection."""
    forward(request)
    raise ConnectionResetError("the connection was reset after the request took effect")


@fault(KINDS, "lost-reply", value=milliseconds(0))
@dataclass
class DropReply:
    """Does what was asked, then closes the connection without a reply; with `=MS` it keeps the client waiting first."""

    context: FaultContext
    value: int

    def __call__(self, request: Request, forward: Forward) -> Response:
        forward(request)
        self.context.sleep(self.value / 1000)
        raise ConnectionAbortedError("the connection was closed without a reply")


@fault(KINDS, "delay", value=milliseconds())
@dataclass
class Delay:
    """Waits before it answers."""

    context: FaultContext
    value: int

    def __call__(self, request: Request, forward: Forward) -> Response:
        self.context.sleep(self.value / 1000)
        return forward(request)


@fault(KINDS, "truncated")
def truncate_body(request: Request, forward: Forward) -> Response:
    """Sends half of the body, then cuts the connection."""
    response = forward(request)
    whole = response.with_header("content-length", str(len(response.content)))
    return replace(whole, content=response.content[: len(response.content) // 2])


@fault(KINDS, "not-json", status=whole_number(200, 599, 200, "CODE"))
def answer_web_page(request: Request, forward: Forward, status: int) -> Response:
    """Does what was asked, then answers with a web page; `status=CODE` gives it another status than 200."""
    forward(request)
    return Response(status, (("content-type", "text/html"), ("content-length", str(len(PAGE)))), PAGE)


@fault(KINDS, "invalid-project")
def refuse_project(request: Request, forward: Forward) -> Response:
    """Refuses the project, as OCI does when it is of another region or a few seconds old."""
    return forward(request.with_refusal(ApiError(400, "Invalid OpenAI project", code="invalid_request")))


@fault(KINDS, "error-shape", value=whole_number(1, 9))
def shape_errors(request: Request, forward: Forward, value: int) -> Response:
    """Writes errors in one of OCI's five shapes, or of FastAPI's four.

    1 is `code` and `message`, 2 the same inside `message`, 3 `error`, 4 a provider's response inside `message`, and
    5 plain text; 6 is a text in `detail`, 7 a list in it, 8 a list in its `errors`, and 9 the same inside `error`.
    """
    return forward(request.with_environ(**{ERROR_SHAPE_KEY: value}))
