"""What a kind of fault is made of: the request and response it sees, its settings, and which requests it concerns.

Only requests that a fault takes an interest in are read whole; all others pass the wrapper as streams.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from http import client as http_client
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl, urlencode
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from vssync.local.errors import OWN_REQUEST_KEY, REFUSAL_KEY, ApiError, OptionError
from vssync.local.gateway import CONTROL_PATH, DATA_PATH, is_within


@dataclass(frozen=True, slots=True)
class Request:
    """`path` begins after the service's base, as in `/files/file-1`."""

    method: str
    base: str
    path: str
    query: Mapping[str, str]
    environ: WSGIEnvironment

    @staticmethod
    def from_environ(environ: WSGIEnvironment) -> Request:
        full = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")  # from WSGI's form of a decoded path
        base = next((base for base in (CONTROL_PATH, DATA_PATH, "/v1") if is_within(full, base)), "")
        query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
        return Request(environ["REQUEST_METHOD"], base, full.removeprefix(base), query, environ)

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(filter(None, self.path.split("/")))

    @property
    def is_settled(self) -> bool:
        """Whether no further fault sees it."""
        return REFUSAL_KEY in self.environ or OWN_REQUEST_KEY in self.environ

    def with_environ(self, **environ: Any) -> Request:
        return Request.from_environ({**self.environ, **environ})

    def with_query(self, query: Mapping[str, str]) -> Request:
        return self.with_environ(QUERY_STRING=urlencode(query))

    def with_refusal(self, error: ApiError) -> Request:
        """The service answers it with this error, in its own shape; no further fault sees it."""
        return self.with_environ(**{REFUSAL_KEY: error})

    def own_request(self, method: str, path: str) -> Request:
        """Another request without a body, as the same client to the same address; no further fault sees it."""
        return self.with_environ(
            REQUEST_METHOD=method,
            PATH_INFO=(self.base + path).encode().decode("latin-1"),
            QUERY_STRING="",
            CONTENT_TYPE="",
            CONTENT_LENGTH="",
            **{"wsgi.input": io.BytesIO(), OWN_REQUEST_KEY: True},
        )

    def read_json(self) -> tuple[Any, Request]:
        """The JSON body, None where there is none, and a request that still has it."""
        if not self.environ.get("CONTENT_TYPE", "").lower().startswith("application/json"):
            return None, self
        content = self.environ["wsgi.input"].read(int(self.environ.get("CONTENT_LENGTH") or 0))
        unread = self.with_environ(**{"wsgi.input": io.BytesIO(content)})
        try:
            return json.loads(content), unread
        except (ValueError, RecursionError):
            return None, unread

    def with_json(self, body: Any) -> Request:
        content = json.dumps(body).encode()
        return self.with_environ(CONTENT_LENGTH=str(len(content)), **{"wsgi.input": io.BytesIO(content)})


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes

    @property
    def json(self) -> Any:
        """The JSON body; None where it is something else."""
        try:
            return json.loads(self.content)
        except ValueError:
            return None

    def with_json(self, body: Any) -> Response:
        content = json.dumps(body).encode()
        return replace(self, content=content).with_header("content-length", str(len(content)))

    def with_header(self, name: str, value: str) -> Response:
        others = tuple(header for header in self.headers if header[0].lower() != name)
        return replace(self, headers=(*others, (name, value)))

    def send(self, start_response: StartResponse) -> list[bytes]:
        start_response(f"{self.status} {http_client.responses.get(self.status, 'Unknown')}", list(self.headers))
        return [self.content]


Forward = Callable[[Request], Response]  # passes a request on to the service


Concerns = Callable[[Request], bool]  # whether a fault takes an interest in a request


def matching(pattern: str) -> Concerns:
    """Requests by method and path, as in `GET vector_stores/[^/]+`."""
    regex = re.compile(pattern, re.DOTALL)
    return lambda request: regex.fullmatch(f"{request.method} {'/'.join(request.segments)}") is not None


def collect_response(app: WSGIApplication, request: Request) -> Response:
    """The application's response, whole."""
    head: list[Any] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], _exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        head[:] = [int(status.partition(" ")[0]), tuple(headers)]
        return head.append

    pieces: Iterable[bytes] = app(request.environ, start_response)
    try:
        content = b"".join(pieces)
    finally:
        if close := getattr(pieces, "close", None):
            close()
    status, headers = head
    return Response(status, headers, content)


FaultAction = Callable[[Request, Forward], Response]  # what happens to the requests that a rule picks


@dataclass(frozen=True, slots=True)
class FaultContext:
    """What faults take from outside; seconds."""

    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Setting:
    """A value in a rule: how it is read from text, and what it is when not given."""

    read: Callable[[str], Any]
    default: Any = None  # None: it must be given
    form: str = "TEXT"


@dataclass(frozen=True, slots=True)
class FaultKind:
    """`act` is a function `(request, forward, **settings)` or, for what has a memory, a class of actions.

    An action whose effect outlives the request it began with has a method `forward_other`, which passes all other
    requests on. The setting `value` is the one after the kind's own name.
    """

    name: str
    act: Callable[..., Any]
    concerns: Concerns
    settings: Mapping[str, Setting]

    def new_action(self, context: FaultContext, settings: Mapping[str, Any]) -> FaultAction:
        if isinstance(self.act, type):
            return cast(FaultAction, self.act(context, **settings))
        return partial(self.act, **settings)


Act = TypeVar("Act", bound=Callable[..., Any])


def fault(
    kinds: list[FaultKind], name: str, concerns: Concerns = lambda _request: True, **settings: Setting
) -> Callable[[Act], Act]:
    """Adds a function or class to the kinds of faults; its docstring is what the guide says of it."""

    def add_kind(act: Act) -> Act:
        kinds.append(FaultKind(name, act, concerns, settings))
        return act

    return add_kind


def whole_number(low: int, high: int, default: int | None = None, form: str = "N") -> Setting:
    def read_number(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < 10 and low <= int(text) <= high):
            raise OptionError(f"{text!r} must be a whole number between {low} and {high:,}")
        return int(text)

    return Setting(read_number, default, form)


def milliseconds(default: int | None = None) -> Setting:
    return whole_number(0, 86_400_000, default, "MS")
