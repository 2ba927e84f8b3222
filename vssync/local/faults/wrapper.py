"""Stands between a server and the service, and misbehaves as its rules say.

Outside the application, so that a fault can cut a connection or answer what the application never would.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from vssync.local import fate
from vssync.local.faults import ingestion
from vssync.local.faults.exchange import Go, Request, collected
from vssync.local.faults.kind import Fault, Watching, World
from vssync.local.faults.rules import Rule, parse

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


@dataclass
class Acting:
    """A rule at work: its fault, and how many requests fitted."""

    rule: Rule
    fault: Fault
    seed: int
    count: int = 0
    lock: Lock = field(default_factory=Lock)

    def step(self, request: Request) -> Fault | None:
        """What this rule does with a request; None where it only lets it pass."""
        if self.rule.fits(request):
            with self.lock:
                self.count += 1
                count = self.count
            if self.rule.when.picks(count, f"{self.seed}:{self.rule.text}"):
                return self.fault
        return self.fault.others if isinstance(self.fault, Watching) else None


class Faulty:
    """A WSGI application around another. Any number of threads may call it."""

    def __init__(self, app: WSGIApplication, rules: Sequence[Rule], world: World):
        self._app = app
        self._acting = [Acting(rule, rule.fault(world), world.seed) for rule in rules]
        self._fated = any(rule.kind in ingestion.KINDS for rule in rules)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._fated:
            environ.setdefault(fate.ENVIRON, fate.usual)
        request = Request.of(environ)
        steps = [step for acting in self._acting if (step := acting.step(request))]
        if not steps:
            return self._app(environ, start_response)
        go: Go = partial(collected, self._app)
        for step in reversed(steps):
            go = through(step, go)
        return go(request).send(start_response)


def through(step: Fault, go: Go) -> Go:
    return lambda request: go(request) if request.is_settled else step(request, go)


def with_faults(app: WSGIApplication, rules: Sequence[str | Rule], world: World | None = None) -> WSGIApplication:
    """The application with these faults; the first rule stands nearest to the client.

    Raises OptionError for a rule that cannot be read.
    """
    parsed = [parse(rule) if isinstance(rule, str) else rule for rule in rules]
    return Faulty(app, parsed, world or World()) if parsed else app
