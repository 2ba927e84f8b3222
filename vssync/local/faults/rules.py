"""The text of a fault: which, for which requests, and how often.

    KIND[=VALUE][,SETTING=VALUE]...[:METHOD[:PATH[:WHEN]]]

as in `stuck-in-progress`, `status=429,retry-after=2:GET`, `lost-reply:POST:/files:3`. In PATH, which begins after
the base URL, `*` stands for anything but `/` and `**` for anything; an empty or `*` METHOD or PATH is any. WHEN
counts the requests that fit: `3` the third, `3+` from it on, `2-4`, or `20%` of them, as the seed's dice fall.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from vssync.local import transaction
from vssync.local.errors import OptionError
from vssync.local.faults import connection, listings, objects
from vssync.local.faults import ingestion as ingestion_faults
from vssync.local.faults.exchange import Go, Request, collected
from vssync.local.faults.kind import Fault, Kind, Watching, World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


KINDS: Mapping[str, Kind] = {
    kind.name: kind for module in (connection, listings, objects, ingestion_faults) for kind in module.KINDS
}
METHODS = ("GET", "POST", "DELETE")
WHEN = re.compile(r"(?P<first>[1-9]\d{0,8})(?P<open>\+|-(?P<last>[1-9]\d{0,8}))?|(?P<share>\d{1,2}(?:\.\d+)?|100)%")
ANY = ("", "*", "**")


@dataclass(frozen=True, slots=True)
class When:
    """Which of the requests that fit; they count from 1."""

    first: int = 1
    last: int | None = None
    share: float = 1.0

    def picks(self, count: int, seed: str) -> bool:
        if not self.first <= count <= (self.last or count):
            return False
        return self.share >= 1 or random.Random(f"{seed}:{count}").random() < self.share


@dataclass(frozen=True, slots=True)
class Rule:
    text: str
    kind: Kind
    settings: Mapping[str, Any]
    method: str
    path: re.Pattern[str] | None
    when: When

    def fits(self, request: Request) -> bool:
        if self.method and request.method != self.method:
            return False
        return (not self.path or self.path.fullmatch(request.path) is not None) and self.kind.concerns(request)

    def fault(self, world: World) -> Fault:
        """A fresh one, that remembers nothing."""
        return self.kind.make(world, **{name.replace("-", "_"): value for name, value in self.settings.items()})


def parse(text: str) -> Rule:
    """A rule from its text.

    Raises OptionError that says which part is wrong and what can stand there.
    """
    what, method, path, when = [*text.split(":", 3), "", "", ""][:4]
    name, *given = what.split(",")
    name, has_value, value = name.partition("=")
    try:
        kind = known(name)
        pairs = [("value", value)] if has_value else []
        settings = read_settings(kind, [*pairs, *(pair(one) for one in given)])
        return Rule(text, kind, settings, read_method(method), read_path(path), read_when(when))
    except OptionError as error:
        raise OptionError(f"{text}: {error}") from None


def known(name: str) -> Kind:
    if name not in KINDS:
        raise OptionError(f"there is no fault {name!r}; take one of {', '.join(KINDS)}")
    return KINDS[name]


def pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def read_settings(kind: Kind, given: list[tuple[str, str]]) -> dict[str, Any]:
    for name, _ in given:
        if name not in kind.settings:
            takes = ", ".join(form(kind, one) for one in kind.settings) or "nothing"
            raise OptionError(f"{kind.name} takes no {name}; it takes {takes}")
    said = dict(given)
    return {name: setting(kind, name, said) for name in kind.settings}


def setting(kind: Kind, name: str, said: Mapping[str, str]) -> Any:
    one = kind.settings[name]
    if name not in said and one.default is not None:
        return one.default
    if not said.get(name):
        raise OptionError(f"a value is missing; write {form(kind, name)}")
    return one.read(said[name])


def form(kind: Kind, name: str) -> str:
    """How a setting is written."""
    return f"{kind.name if name == 'value' else name}={kind.settings[name].form}"


def read_method(text: str) -> str:
    if text in ANY:
        return ""
    if text.upper() not in METHODS:
        raise OptionError(f"{text!r} is no method; take one of {', '.join(METHODS)}, or *")
    return text.upper()


def read_path(text: str) -> re.Pattern[str] | None:
    if text in ANY:
        return None
    if not text.startswith("/"):
        raise OptionError(f"{text!r} is no path; it begins with /, after the base URL, as in /vector_stores/*/files")
    wild = {"**": ".*", "*": "[^/]*"}
    return re.compile("".join(wild.get(piece, re.escape(piece)) for piece in re.split(r"(\*\*|\*)", text)))


def read_when(text: str) -> When:
    if not text:
        return When()
    found = WHEN.fullmatch(text)
    if not found or (found["last"] and int(found["last"]) < int(found["first"])):
        raise OptionError(f"{text!r} says no requests; write 3, 3+, 2-4 or 20%")
    if found["share"]:
        return When(share=float(found["share"]) / 100)
    first = int(found["first"])
    return When(first, int(found["last"]) if found["last"] else None if found["open"] else first)


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
        self._fated = any(rule.kind in ingestion_faults.KINDS for rule in rules)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self._fated:
            environ.setdefault(transaction.FATES_ENVIRON, transaction.usual_ingestion)
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
