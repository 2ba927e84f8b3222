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
    milliseconds,
    whole_number,
)
from vssync.local.responses import ERROR_SHAPE_KEY

PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>The gateway has no answer.</body></html>"
MINUTE = 60.0


def answer_status(_context: FaultContext, request: Request, forward: Forward, value: int, retry_after: int) -> Response:
    """The service's own response of this status; a negative number of seconds stands for no header."""
    codes = {401: "invalid_api_key", 404: "not_found", 409: "IncorrectState", 429: "rate_limit_exceeded"}
    code = codes.get(value, "server_error" if value >= 500 else "invalid_request")
    error = ApiError(value, f"This {value} was asked for.", code=code)
    response = forward(request.with_refusal(error))
    return response if retry_after < 0 else response.with_header("retry-after", str(retry_after))


def act_then_answer_status(
    context: FaultContext, request: Request, forward: Forward, value: int, retry_after: int
) -> Response:
    forward(request)
    return answer_status(context, request, forward, value, retry_after)


def reset_before(_context: FaultContext, _request: Request, _forward: Forward) -> Response:
    raise ConnectionResetError("the connection was reset before the request took effect")


def reset_after(_context: FaultContext, request: Request, forward: Forward) -> Response:
    forward(request)
    raise ConnectionResetError("the connection was reset after the request took effect")


def lose_reply(context: FaultContext, request: Request, forward: Forward, value: int) -> Response:
    forward(request)
    context.sleep(value / 1000)
    raise ConnectionAbortedError("the connection was closed without a reply")


def delay_request(context: FaultContext, request: Request, forward: Forward, value: int) -> Response:
    context.sleep(value / 1000)
    return forward(request)


def truncate_body(_context: FaultContext, request: Request, forward: Forward) -> Response:
    response = forward(request)
    whole = response.with_header("content-length", str(len(response.content)))
    return replace(whole, content=response.content[: len(response.content) // 2])


def answer_web_page(_context: FaultContext, request: Request, forward: Forward, status: int) -> Response:
    forward(request)
    return Response(status, (("content-type", "text/html"), ("content-length", str(len(PAGE)))), PAGE)


def refuse_project(_context: FaultContext, request: Request, forward: Forward) -> Response:
    return forward(request.with_refusal(ApiError(400, "Invalid OpenAI project", code="invalid_request")))


def shape_errors(_context: FaultContext, request: Request, forward: Forward, value: int) -> Response:
    return forward(request.with_environ(**{ERROR_SHAPE_KEY: value}))


@dataclass
class RateLimit:
    context: FaultContext
    value: int
    times: deque[float] = field(default_factory=deque)  # of the requests within the last minute
    lock: Lock = field(default_factory=Lock)

    def __call__(self, request: Request, forward: Forward) -> Response:
        wait = self.take_turn()
        return answer_status(self.context, request, forward, 429, int(wait) + 1) if wait else forward(request)

    def take_turn(self) -> float:
        """Seconds until a request may come; none where this one may."""
        now = self.context.clock()
        with self.lock:
            while self.times and self.times[0] <= now - MINUTE:
                self.times.popleft()
            if len(self.times) >= self.value:
                return self.times[0] + MINUTE - now
            self.times.append(now)
        return 0


STATUS_SETTINGS = {
    "value": whole_number(400, 599, form="CODE"),
    "retry-after": Setting(whole_number(0, 86_400).read, -1, "SECONDS"),
}

KINDS = (
    FaultKind(
        "status",
        "answers with this status (400 to 599), and nothing happens; `retry-after=SECONDS` adds the header",
        answer_status,
        settings=STATUS_SETTINGS,
    ),
    FaultKind(
        "status-after",
        "does what was asked, then answers with this status",
        act_then_answer_status,
        settings=STATUS_SETTINGS,
    ),
    FaultKind(
        "rate-limit",
        "answers 429 to more than N requests a minute, with `Retry-After`",
        RateLimit,
        settings={"value": whole_number(1, 10**6)},
    ),
    FaultKind("reset-before", "resets the connection, and nothing happens", reset_before),
    FaultKind("reset-after", "does what was asked, then resets the connection", reset_after),
    FaultKind(
        "lost-reply",
        "does what was asked, then closes the connection without a reply; with `=MS` it keeps the client waiting first",
        lose_reply,
        settings={"value": milliseconds(0)},
    ),
    FaultKind("delay", "waits before it answers", delay_request, settings={"value": milliseconds()}),
    FaultKind("truncated", "sends half of the body, then cuts the connection", truncate_body),
    FaultKind(
        "not-json",
        "does what was asked, then answers with a web page; `status=CODE` gives it another status than 200",
        answer_web_page,
        settings={"status": whole_number(200, 599, 200, "CODE")},
    ),
    FaultKind(
        "invalid-project",
        "refuses the project, as OCI does when it is of another region or a few seconds old",
        refuse_project,
    ),
    FaultKind(
        "error-shape",
        "writes errors in one of OCI's five shapes: 1 `code` and `message`, 2 the same inside `message`, 3 `error`, "
        "4 a provider's response inside `message`, 5 plain text",
        shape_errors,
        settings={"value": whole_number(1, 5)},
    ),
)
