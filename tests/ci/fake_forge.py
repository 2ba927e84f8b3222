"""What the two fake forges share: a clock, tokens, pages, and answers that go wrong."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import httpx

from tests.support import Clock
from vssync.ci.forge import Job

Handler = Callable[..., Any]
MINUTE = 60.0


class Denied(Exception):
    """Ends a handler with an error of the forge's own form."""

    def __init__(self, status: int, message: object) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class Trouble:
    """An answer in place of the next one to a request like this; with `after`, the request is carried out all the same.

    A status of 0 is a lost connection.
    """

    method: str
    path: str
    status: int
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    after: bool = False


@dataclass
class FakeForge(ABC):
    """Routes requests to methods, enforcing what every forge does: a token, pages of at most 100, JSON bodies."""

    host: str
    prefix: str
    clock: Clock = field(default_factory=Clock)
    requests: list[str] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    interludes: list[tuple[str, Callable[[], object]]] = field(default_factory=list)  # before such a request, once
    ids: int = 100

    def job(self, environ: Mapping[str, str]) -> Job:
        return Job(environ, self.printed.append, self.clock, httpx.MockTransport(self.handle))

    def next_id(self) -> int:
        self.ids += 1
        return self.ids

    def now(self) -> str:
        """The forge's time, a minute after the last one."""
        self.clock.now += MINUTE
        return datetime.fromtimestamp(self.clock.now, UTC).isoformat().replace("+00:00", "Z")

    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now, UTC)

    def handle(self, request: httpx.Request) -> httpx.Response:
        assert (request.url.scheme, request.url.host) == ("https", self.host), "the token went somewhere else"
        path = request.url.raw_path.decode().split("?")[0]
        assert path.startswith(self.prefix)
        path = path.removeprefix(self.prefix)
        self.requests.append(f"{request.method} {path}")
        interlude = next((each for each in self.interludes if re.search(each[0], self.requests[-1])), None)
        if interlude:
            self.interludes.remove(interlude)
            interlude[1]()
        trouble = next((t for t in self.troubles if t.method == request.method and re.search(t.path, path)), None)
        if trouble:
            self.troubles.remove(trouble)
            if trouble.after:
                self.respond(request, path)
            if not trouble.status:
                raise httpx.ReadError("connection reset", request=request)
            return httpx.Response(trouble.status, headers=trouble.headers, json={"message": trouble.message})
        return self.respond(request, path)

    def respond(self, request: httpx.Request, path: str) -> httpx.Response:
        try:
            self.check_token(request)
            for pattern, handler in self.routes():
                method, _, form = pattern.partition(" ")
                if match := re.fullmatch(form, path):
                    if method != request.method:
                        continue
                    names = [unquote(name) for name in match.groups()]
                    body = json.loads(request.content) if request.content else {}
                    found = handler(*names, **({"body": body} if method in ("POST", "PUT", "PATCH") else {}))
                    if callable(found):  # a listing that reads the query
                        found = found(dict(request.url.params))
                    return self.page(request, found)
            raise Denied(404, "Not Found")
        except Denied as denied:
            return httpx.Response(denied.status, json={"message": denied.message})

    def page(self, request: httpx.Request, found: Any) -> httpx.Response:
        """A page of a list; a list below a key is given as a dictionary with the one list."""
        items = (
            next((value for value in found.values() if isinstance(value, list)), None) if _is_listing(found) else found
        )
        if not isinstance(items, list):
            return httpx.Response(201 if request.method == "POST" else 200, json=found)
        size = min(100, int(request.url.params.get("per_page", 30)))
        number = int(request.url.params.get("page", 1))
        part = items[(number - 1) * size : number * size]
        headers = {}
        if number * size < len(items):
            headers["link"] = f'<{request.url.copy_set_param("page", number + 1)}>; rel="next"'
        body = part if isinstance(found, list) else {"total_count": len(items), "workflow_runs": part}
        return httpx.Response(200, headers=headers, json=body)

    @abstractmethod
    def check_token(self, request: httpx.Request) -> None:
        """Raises Denied without a token that may do this."""

    @abstractmethod
    def routes(self) -> list[tuple[str, Handler]]:
        """Patterns of a method and a path, such as `GET /user`, each with its handler."""


def _is_listing(found: Any) -> bool:
    return isinstance(found, dict) and list(found) == ["workflow_runs"]
