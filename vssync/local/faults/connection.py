"""Faults of the way between client and service: statuses, cut connections, delays, broken bodies."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from threading import Lock

from vssync.local import responses
from vssync.local.errors import ApiError
from vssync.local.faults.exchange import Answer, Go, Request
from vssync.local.faults.kind import Fault, Kind, Setting, World, milliseconds, number

PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>The gateway has no answer.</body></html>"
MINUTE = 60.0


def status(_world: World, value: int, retry_after: int) -> Fault:
    return lambda request, go: refused(request, go, value, retry_after)


def status_after(_world: World, value: int, retry_after: int) -> Fault:
    def fault(request: Request, go: Go) -> Answer:
        go(request)
        return refused(request, go, value, retry_after)

    return fault


def refused(request: Request, go: Go, value: int, retry_after: int) -> Answer:
    """The service's own answer of this status; a negative number of seconds stands for no header."""
    codes = {401: "invalid_api_key", 404: "not_found", 409: "IncorrectState", 429: "rate_limit_exceeded"}
    code = codes.get(value, "server_error" if value >= 500 else "invalid_request")
    answer = go(request.refused(ApiError(value, f"This {value} was asked for.", code=code)))
    return answer if retry_after < 0 else answer.headed("retry-after", str(retry_after))


def reset_before(_world: World) -> Fault:
    def fault(_request: Request, _go: Go) -> Answer:
        raise ConnectionResetError("the connection was reset before the request took effect")

    return fault


def reset_after(_world: World) -> Fault:
    def fault(request: Request, go: Go) -> Answer:
        go(request)
        raise ConnectionResetError("the connection was reset after the request took effect")

    return fault


def lost_reply(world: World, value: int) -> Fault:
    def fault(request: Request, go: Go) -> Answer:
        go(request)
        world.sleep(value / 1000)
        raise ConnectionAbortedError("the connection was closed without a reply")

    return fault


def delay(world: World, value: int) -> Fault:
    def fault(request: Request, go: Go) -> Answer:
        world.sleep(value / 1000)
        return go(request)

    return fault


def truncated(_world: World) -> Fault:
    def fault(request: Request, go: Go) -> Answer:
        whole = go(request)
        whole = whole.holding(whole.body)
        return Answer(whole.status, whole.headers, whole.body[: len(whole.body) // 2])

    return fault


def not_json(_world: World, status: int) -> Fault:
    def fault(request: Request, go: Go) -> Answer:
        go(request)
        return Answer(status, (), PAGE).typed("text/html")

    return fault


def invalid_project(_world: World) -> Fault:
    error = ApiError(400, "Invalid OpenAI project", code="invalid_request")
    return lambda request, go: go(request.refused(error))


def error_shape(_world: World, value: int) -> Fault:
    return lambda request, go: go(request.changed(**{responses.REFUSED_ENVIRON: value}))


@dataclass
class RateLimit:
    """At most so many requests within a minute; each further one is told when to come again."""

    world: World
    value: int
    taken: deque[float] = field(default_factory=deque)
    lock: Lock = field(default_factory=Lock)

    def __call__(self, request: Request, go: Go) -> Answer:
        wait = self.take()
        return refused(request, go, 429, int(wait) + 1) if wait else go(request)

    def take(self) -> float:
        """Seconds until a request may come; none where this one may."""
        now = self.world.clock()
        with self.lock:
            while self.taken and self.taken[0] <= now - MINUTE:
                self.taken.popleft()
            if len(self.taken) >= self.value:
                return self.taken[0] + MINUTE - now
            self.taken.append(now)
        return 0


CODE = number(400, 599, form="CODE")
RETRY_AFTER = Setting(number(0, 86_400).read, -1, "SECONDS")

KINDS = (
    Kind(
        "status",
        "answers with this status, and nothing happens",
        status,
        settings={"value": CODE, "retry-after": RETRY_AFTER},
    ),
    Kind(
        "status-after",
        "does what was asked, then answers with this status",
        status_after,
        settings={"value": CODE, "retry-after": RETRY_AFTER},
    ),
    Kind(
        "rate-limit",
        "answers 429 to more than so many requests a minute",
        RateLimit,
        settings={"value": number(1, 10**6)},
    ),
    Kind("reset-before", "resets the connection, and nothing happens", reset_before),
    Kind("reset-after", "does what was asked, then resets the connection", reset_after),
    Kind(
        "lost-reply",
        "does what was asked, keeps the client waiting so long, then closes the connection without a reply",
        lost_reply,
        settings={"value": milliseconds(0)},
    ),
    Kind("delay", "waits before it answers", delay, settings={"value": milliseconds()}),
    Kind("truncated", "sends half of the body, then cuts the connection", truncated),
    Kind(
        "not-json",
        "does what was asked, then answers with a web page",
        not_json,
        settings={"status": number(200, 599, 200, "CODE")},
    ),
    Kind(
        "invalid-project",
        "refuses the project, as OCI does one of another region, and a new one for some seconds",
        invalid_project,
    ),
    Kind(
        "error-shape", "writes errors in this one of OCI's five shapes", error_shape, settings={"value": number(1, 5)}
    ),
)
