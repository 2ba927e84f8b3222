"""The text of a fault: which, for which requests, and how often.

    KIND[=VALUE][,SETTING=VALUE]...[:METHOD[:PATH[:WHEN]]]

as in `stuck-in-progress`, `status=429,retry-after=2:GET`, `lost-reply:POST:/files:3`. In PATH, which begins after
the base URL, `*` stands for anything but `/` and `**` for anything; an empty or `*` METHOD or PATH is any. WHEN
counts the requests that match: `3` the third, `3+` from it on, `2-4`, or `20%` of them, chosen by the seed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from vssync.local.errors import OptionError
from vssync.local.faults import connection, listings, objects
from vssync.local.faults.kind import (
    FaultAction,
    FaultContext,
    FaultKind,
    Forward,
    Request,
    Response,
    collect_response,
)
from vssync.local.queries import OVERRIDES_KEY, normal_ingestion

KINDS: Mapping[str, FaultKind] = {
    kind.name: kind for kind in (*connection.KINDS, *listings.KINDS, *objects.KINDS, *objects.INGESTION_KINDS)
}
METHODS = ("GET", "POST", "DELETE")
WHEN = re.compile(r"(?P<first>[1-9]\d{0,8})(?P<open>\+|-(?P<last>[1-9]\d{0,8}))?|(?P<share>\d{1,2}(?:\.\d+)?|100)%")
ANY = ("", "*", "**")


@dataclass(frozen=True, slots=True)
class When:
    """Which of the requests that match; they count from 1."""

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
    kind: FaultKind
    settings: Mapping[str, Any]
    method: str
    path: re.Pattern[str] | None
    when: When

    def matches(self, request: Request) -> bool:
        if self.method and request.method != self.method:
            return False
        return (not self.path or self.path.fullmatch(request.path) is not None) and self.kind.concerns(request)


def parse_rule(text: str) -> Rule:
    """A rule from its text. Raises OptionError that says which part is wrong and what can stand there."""
    fault, method, path, when = [*text.split(":", 3), "", "", ""][:4]
    first, *others = fault.split(",")
    name, has_value, value = first.partition("=")
    try:
        if name not in KINDS:
            raise OptionError(f"unknown fault {name!r}; use one of {', '.join(KINDS)}")
        kind = KINDS[name]
        values = dict([("value", value)] if has_value else [])
        values |= {key: text for key, _, text in (setting.partition("=") for setting in others)}
        settings = parse_settings(kind, values)
        if method not in ANY and method.upper() not in METHODS:
            raise OptionError(f"{method!r} is not a method; use one of {', '.join(METHODS)}, or *")
        return Rule(text, kind, settings, "" if method in ANY else method.upper(), parse_path(path), parse_when(when))
    except OptionError as error:
        raise OptionError(f"{text}: {error}") from None


def parse_settings(kind: FaultKind, values: Mapping[str, str]) -> dict[str, Any]:
    named = {parameter.replace("_", "-"): setting for parameter, setting in kind.settings.items()}
    forms = {name: f"{kind.name if name == 'value' else name}={setting.form}" for name, setting in named.items()}
    for name in values:
        if name not in forms:
            raise OptionError(f"{kind.name} takes no {name}; it takes {', '.join(forms.values()) or 'nothing'}")
    settings: dict[str, Any] = {}
    for name, setting in named.items():
        if not values.get(name) and (name in values or setting.default is None):
            raise OptionError(f"a value is missing; write {forms[name]}")
        settings[name.replace("-", "_")] = setting.read(values[name]) if name in values else setting.default
    return settings


def parse_path(text: str) -> re.Pattern[str] | None:
    if text in ANY:
        return None
    if not text.startswith("/"):
        raise OptionError(f"{text!r} is not a path; it begins with /, after the base URL, as in /vector_stores/*/files")
    wildcards = {"**": ".*", "*": "[^/]*"}
    return re.compile("".join(wildcards.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*)", text)))


def parse_when(text: str) -> When:
    if not text:
        return When()
    match = WHEN.fullmatch(text)
    if not match or (match["last"] and int(match["last"]) < int(match["first"])):
        raise OptionError(f"{text!r} does not say which requests; write 3, 3+, 2-4 or 20%")
    if match["share"]:
        return When(share=float(match["share"]) / 100)
    first = int(match["first"])
    return When(first, int(match["last"]) if match["last"] else None if match["open"] else first)


@dataclass
class ActiveRule:
    """A rule in use: its action, and how many requests matched."""

    rule: Rule
    action: FaultAction
    seed: int
    count: int = 0
    lock: Lock = field(default_factory=Lock)

    def choose_action(self, request: Request) -> FaultAction | None:
        """What this rule does with a request; None where it only lets it pass."""
        if self.rule.matches(request):
            with self.lock:
                self.count += 1
                count = self.count
            if self.rule.when.picks(count, f"{self.seed}:{self.rule.text}"):
                return self.action
        return getattr(self.action, "forward_other", None)


def with_faults(app: WSGIApplication, rules: Sequence[str], context: FaultContext | None = None) -> WSGIApplication:
    """The application with these faults; the first rule is nearest to the client. Any number of threads may call it.

    Raises OptionError for a rule that cannot be read.
    """
    parsed = [parse_rule(rule) for rule in rules]
    context = context or FaultContext()
    active = [ActiveRule(rule, rule.kind.new_action(context, rule.settings), context.seed) for rule in parsed]
    overrides_ingestion = any(rule.kind in objects.INGESTION_KINDS for rule in parsed)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if overrides_ingestion:
            environ.setdefault(OVERRIDES_KEY, normal_ingestion)
        request = Request.from_environ(environ)
        actions = [action for rule in active if (action := rule.choose_action(request))]
        if not actions:
            return app(environ, start_response)
        forward: Forward = partial(collect_response, app)
        for action in reversed(actions):
            forward = partial(apply_action, action, forward)
        return forward(request).send(start_response)

    return application if parsed else app


def apply_action(action: FaultAction, forward: Forward, request: Request) -> Response:
    return forward(request) if request.is_settled else action(request, forward)
