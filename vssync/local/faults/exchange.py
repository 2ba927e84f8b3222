"""A request and its answer as faults see them: whole, and easy to change.

Only requests that a fault takes an interest in are read this way; all others pass the wrapper as streams.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from vssync.local import transaction
from vssync.local.errors import REFUSAL, ApiError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


BASES = ("/20231130/openai/v1", "/openai/v1", "/v1")
JSON = "application/json"
ASIDE = "vssync.aside"  # in the WSGI environment: a fault's own request, and no client's


@dataclass(frozen=True, slots=True)
class Request:
    """`path` begins after the service's base, as in `/files/file-1`."""

    method: str
    base: str
    path: str
    query: Mapping[str, str]
    environ: WSGIEnvironment

    @staticmethod
    def of(environ: WSGIEnvironment) -> Request:
        full = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")  # from WSGI's form of a decoded path
        base = next((base for base in BASES if full == base or full.startswith(f"{base}/")), "")
        query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
        return Request(environ["REQUEST_METHOD"], base, full.removeprefix(base), query, environ)

    @property
    def parts(self) -> tuple[str, ...]:
        """`/vector_stores/vs_1/files` as its segments."""
        return tuple(filter(None, self.path.split("/")))

    def changed(self, **environ: Any) -> Request:
        return Request.of({**self.environ, **environ})

    def asked(self, query: Mapping[str, str]) -> Request:
        """The same with another query."""
        return self.changed(QUERY_STRING=urlencode(query))

    def other(self, method: str, path: str) -> Request:
        """Another request without a body, as the same client to the same address; no further fault looks at it."""
        return self.changed(
            REQUEST_METHOD=method,
            PATH_INFO=(self.base + path).encode().decode("latin-1"),
            QUERY_STRING="",
            CONTENT_TYPE="",
            CONTENT_LENGTH="",
            **{"wsgi.input": io.BytesIO(), ASIDE: True},
        )

    def fated(self, fates: transaction.IngestionOverrides) -> Request:
        """The same, with what is to become of files it attaches."""
        return self.changed(**{transaction.FATES_ENVIRON: fates})

    def refused(self, error: ApiError) -> Request:
        """The same, which the service answers with this error, in its own shape; no further fault looks at it."""
        return self.changed(**{REFUSAL: error})

    @property
    def is_settled(self) -> bool:
        """Whether no further fault looks at it."""
        return REFUSAL in self.environ or ASIDE in self.environ

    def read(self) -> tuple[Any, Request]:
        """The JSON body, None where there is none, and a request that still has it."""
        if not self.environ.get("CONTENT_TYPE", "").lower().startswith(JSON):
            return None, self
        body = self.environ["wsgi.input"].read(int(self.environ.get("CONTENT_LENGTH") or 0))
        unread = self.changed(**{"wsgi.input": io.BytesIO(body)})
        try:
            return json.loads(body), unread
        except (ValueError, RecursionError):
            return None, unread

    def saying(self, said: Any) -> Request:
        """The same with another JSON body."""
        body = json.dumps(said).encode()
        return self.changed(CONTENT_LENGTH=str(len(body)), **{"wsgi.input": io.BytesIO(body)})


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @staticmethod
    def json(status: int, said: Any, **headers: str) -> Answer:
        return Answer(status, tuple(headers.items()), json.dumps(said).encode()).typed(JSON)

    @property
    def said(self) -> Any:
        """The JSON body; None where it is something else."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def saying(self, said: Any) -> Answer:
        """The same with another JSON body."""
        return self.holding(json.dumps(said).encode())

    def holding(self, body: bytes) -> Answer:
        return replace(self, body=body, headers=(*self.without("content-length"), ("content-length", str(len(body)))))

    def typed(self, kind: str) -> Answer:
        return replace(self, headers=(*self.without("content-type"), ("content-type", kind))).holding(self.body)

    def headed(self, name: str, value: str) -> Answer:
        return replace(self, headers=(*self.headers, (name, value)))

    def without(self, name: str) -> tuple[tuple[str, str], ...]:
        return tuple(header for header in self.headers if header[0].lower() != name)

    def send(self, start_response: StartResponse) -> list[bytes]:
        known = {status.value: status.phrase for status in HTTPStatus}
        start_response(f"{self.status} {known.get(self.status, 'Unknown')}", list(self.headers))
        return [self.body]


Go = Callable[[Request], Answer]


def collected(app: WSGIApplication, request: Request) -> Answer:
    """The application's answer, whole."""
    head: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], _exc_info: Any = None, /) -> Callable[[bytes], object]:
        head[:] = [int(status.partition(" ")[0]), tuple(headers)]
        return head.append

    pieces: Iterable[bytes] = app(request.environ, start)
    try:
        body = b"".join(pieces)
    finally:
        if close := getattr(pieces, "close", None):
            close()
    status, headers = head
    return Answer(status, headers, body)
