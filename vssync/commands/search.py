"""Searches the live stores, as an application would."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from vssync.api.parse import filter_body
from vssync.commands.plan import options_of
from vssync.commands.session import Session
from vssync.errors import UsageProblem, VssyncError
from vssync.manifest.diagnostics import Diagnostic, did_you_mean
from vssync.manifest.questions import read_api_filter
from vssync.model.marks import RESERVED_PREFIX
from vssync.model.plan import Options
from vssync.model.questions import AttributeFilter, CompoundFilter, SearchFilter, all_of
from vssync.model.state import DesiredStore, Scalar, SearchHit, Snapshot
from vssync.planner.decide_store import describe_denial
from vssync.planner.find_stores import StoreMatch, match_stores
from vssync.planner.guards import plan_command
from vssync.render.search import SearchResults
from vssync.render.wording import format_value
from vssync.text import join_first

_OPERATORS = {"=": "eq", "!=": "ne", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}  # OpenAI spec: ComparisonFilter
_COMPARISON = re.compile(r"\s*([^=!<>]*[^=!<>\s])\s*(!=|>=|<=|=|>|<)\s*(.*?)\s*", re.DOTALL)
_FILTER_FORMS = (
    """KEY=VALUE, also with !=, >, >=, < and <=, or the API's JSON: {"type": "eq", "key": ..., "value": ...}"""
)
# Of the values that the manifest gives each attribute; empty for one that is looked up in files, which nobody read.
Types = Mapping[str, Collection[type]]


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A question to some stores of the manifest, or to all; filters as they are typed, all of which must hold."""

    question: str
    stores: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    max_results: int = 5
    min_score: float = 0.0


def search_stores(session: Session, request: SearchRequest) -> SearchResults:
    """The best chunks for a question, best first, and why stores could not be searched.

    Raises UsageProblem for a bad request, VssyncError if none of the stores can be searched.
    """
    stores = _chosen_stores(session, request.stores)
    if not request.question.strip():
        raise UsageProblem("the question is empty")
    types = _attribute_types(session, stores)
    filters = tuple(parse_filter(text, types) for text in request.filters)
    try:
        json.dumps([request.question, *map(filter_body, filters)], ensure_ascii=False).encode()
    except UnicodeEncodeError:  # bytes of another encoding than the locale's, or half of a character in JSON
        raise UsageProblem("the question and --filter must be Unicode text; use a terminal that writes UTF-8") from None
    search_filter = all_of(filters) if filters else None
    matches = match_stores(session.loaded.desired, session.client.list_stores(), Options())
    ids, max_results = matches.ids, request.max_results
    problems = tuple(
        f"{store.key}: {missing_reason(session, store, matches.by_key[store.key])}"
        for store in stores
        if store.key not in ids
    )
    searched = tuple(store.key for store in stores if store.key in ids)
    if not searched:
        raise VssyncError("\n".join(problems))

    def search(key: str) -> list[SearchHit]:
        hits = session.client.search_store(ids[key], request.question, max_results, search_filter)
        return [replace(hit, store=key) for hit in hits]

    results = session.pool.map(search, searched)
    best = sorted((hit for hits in results for hit in hits), key=lambda hit: -hit.score)[:max_results]
    hits = tuple(hit for hit in best if hit.score >= request.min_score)
    hints = () if hits else tuple(_hints(search_filter, types, best))
    return SearchResults(hits, searched, frozenset(types), hints, problems, request.question)


def _chosen_stores(session: Session, keys: tuple[str, ...]) -> list[DesiredStore]:
    declared = {store.key: store for store in session.loaded.desired.stores}
    for key in keys:
        if key not in declared:
            raise unknown_store_error(key, declared, "--store ")
    return [declared[key] for key in dict.fromkeys(keys or declared)]


def unknown_store_error(key: str, declared: Collection[str], option: str = "") -> UsageProblem:
    hint = did_you_mean(key, declared) or f"it has {join_first(list(declared), 8)}"
    return UsageProblem(f"{option}{key}: the manifest has no such store; {hint}")


def missing_reason(session: Session, store: DesiredStore, match: StoreMatch) -> str:
    """Why a store of the manifest cannot be searched, and what to do about it."""
    if session.client.stores_denied:
        return describe_denial(store, Snapshot(0))
    allowed = Options(allow_store_replace=bool(match.expired))
    command = plan_command(options_of(session.settings, allowed), "apply")
    if match.expired:
        return f"the store is expired; `{command}` replaces it, which changes its id"
    if store.external or store.id:
        missing = f"no store {store.id} exists" if store.id else f"no store is named {store.name}"
        return f"{missing}; create it, or correct {'`id`' if store.id else '`name`'} in the manifest"
    return f"the store does not exist yet; run `{command}` first"


def _attribute_types(session: Session, stores: list[DesiredStore]) -> Types:
    keys = {store.key for store in stores}
    specs = [spec for spec in session.loaded.manifest.stores if spec.store.key in keys]
    types: dict[str, set[type]] = {}
    for store in stores:
        for file in store.files:
            for name, value in file.attributes.items():
                types.setdefault(name, set()).add(type(value))
    return types | {name: set() for spec in specs for name in spec.lookup_names}


def parse_filter(text: str, types: Types) -> SearchFilter:
    """A filter as it is typed. Raises UsageProblem."""
    if text.lstrip().startswith("{"):
        diagnostics = list[Diagnostic]()
        try:
            body = json.loads(text)
            if not isinstance(body.get("type"), str):
                raise UsageProblem(f"--filter {text}: has no `type`, such as eq, ne, gt, in, and, or")
            parsed = read_api_filter(body, ("filter",), diagnostics)
        except (ValueError, RecursionError) as error:
            raise UsageProblem(f"--filter {text}: is not valid JSON: {error}") from None
        if diagnostics:
            problem = "; ".join(filter(None, (diagnostics[0].message, diagnostics[0].hint)))
            raise UsageProblem(f"--filter {text}: {problem}")
        return parsed
    comparison = _COMPARISON.fullmatch(text)
    if not comparison:
        raise UsageProblem(f"--filter {text}: must be {_FILTER_FORMS}")
    key, operator, text = comparison.groups()
    kind, value = _OPERATORS[operator], _parse_value(text, types.get(key, ()))
    one = AttributeFilter(kind, key, (value,))
    if isinstance(value, str) or key not in types or types[key]:
        return one
    return CompoundFilter("and" if kind == "ne" else "or", (one, AttributeFilter(kind, key, (text,))))


def _parse_value(text: str, types: Collection[type]) -> Scalar:
    """A number, true or false if it looks like one, unless the manifest's values are all text; "2" is text always."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, str):
        return value
    is_finite = isinstance(value, int | float) and abs(value) <= sys.float_info.max
    return value if is_finite and set(types) != {str} else text


def _hints(search_filter: SearchFilter | None, types: Types, below_score: list[SearchHit]) -> Iterator[str]:
    """What may be the reason that nothing was found."""
    if below_score:
        yield f"--min-score: the best score is {below_score[0].score:.2f}"
    for key, value in dict.fromkeys(_compared(search_filter) if search_filter else ()):
        if key not in types and not key.startswith(RESERVED_PREFIX):
            names = join_first(sorted(types), 8)
            hint = did_you_mean(key, types) or (f"its files have {names}" if names else "its files have none")
            yield f"--filter: the manifest gives no file the attribute {key}; {hint}"
        elif types.get(key) and isinstance(value, str) != (str in types[key]):
            theirs, this = ("text", "is not") if str in types[key] else ("not text", "is")
            yield f"--filter: the values of {key} in the manifest are {theirs}, and {format_value(value)} {this}"


def _compared(search_filter: SearchFilter) -> Iterator[tuple[str, Scalar]]:
    """Each attribute that a filter compares, with each of the values."""
    if isinstance(search_filter, AttributeFilter):
        yield from ((search_filter.key, value) for value in search_filter.values)
    else:
        yield from chain.from_iterable(map(_compared, search_filter.filters))
