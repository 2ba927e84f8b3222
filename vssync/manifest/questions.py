"""A file of questions: its form, and which of its questions cannot be answered as the manifest declares its store."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any
from unicodedata import normalize

from vssync.manifest.diagnostics import MAX_COMPARED, Diagnostic, Documents, did_you_mean, format_path, raise_if_any
from vssync.manifest.globs import LAST_CHARACTER, compile_filter, pattern_problem
from vssync.manifest.scalars import NonCanonical
from vssync.manifest.schema import validate_tree
from vssync.manifest.yaml_loader import Document, Tree, TreePath
from vssync.model.questions import (
    COMPARISONS,
    COMPOUNDS,
    DEFAULT_TOP,
    AttributeFilter,
    CompoundFilter,
    Question,
    QuestionSet,
    SearchFilter,
    all_of,
)
from vssync.model.state import DesiredStore

_MAX_HINTS = 20  # how many misspelled keys get a hint
_NOTHING = CompoundFilter("and", ())  # stands for a filter whose mistake is reported
_ONE_OF = "for one of several, write {type: in, key: lang, value: [de, en]}"


@dataclass(frozen=True, slots=True)
class QuestionFile:
    """A file of questions: its text, for locations, and what it says."""

    document: Document
    questions: QuestionSet


def parse_questions(document: Document, schema: Tree) -> QuestionFile:
    """The questions of a document. Raises ManifestError with all that is wrong with it."""
    documents, tree = Documents(document), document.tree
    raise_if_any(documents, validate_tree(tree, schema))
    diagnostics: list[Diagnostic] = []
    questions = tuple(
        _read_question(each, ("questions", number), diagnostics) for number, each in enumerate(tree["questions"])
    )
    raise_if_any(documents, diagnostics)
    needed = float(tree.get("pass", "100%").removesuffix("%"))
    return QuestionFile(document, QuestionSet(questions, needed, document.file_name))


def _read_question(tree: Tree, path: TreePath, diagnostics: list[Diagnostic]) -> Question:
    patterns: dict[str, tuple[str, ...]] = {}
    for name in ("expect", "never"):
        value = tree.get(name, ())
        patterns[name] = tuple(normalize("NFC", text) for text in ([value] if isinstance(value, str) else value))
        for number, text in enumerate(patterns[name]):
            if problem := pattern_problem(text, is_filter=True):
                diagnostics.append(Diagnostic((*path, name, number), f"`{text}` {problem[0]}", problem[1]))
    if not any(patterns.values()):
        message = f"`{format_path(path)}` expects nothing"
        diagnostics.append(Diagnostic(path, message, "write `expect: docs/intro.md`, or `never`"))
    search_filter = _read_filter(tree["filter"], (*path, "filter"), diagnostics) if "filter" in tree else None
    return Question(tree["ask"], tree.get("top", DEFAULT_TOP), **patterns, filter=search_filter)


def _read_filter(tree: Tree, path: TreePath, diagnostics: list[Diagnostic]) -> SearchFilter:
    """A filter in our form, attributes that must all be equal, or in the API's, which has a `type`."""
    if "type" in tree and ("key" in tree or "filters" in tree):
        return read_api_filter(tree, path, diagnostics)
    if not tree:
        diagnostics.append(Diagnostic(path, f"`{format_path(path)}` is empty", "name an attribute: `lang: de`"))
    for name, value in tree.items():
        diagnostics += _check_value(value, (*path, name), _ONE_OF)
    return all_of(tuple(AttributeFilter("eq", name, (value,)) for name, value in tree.items()))


def read_api_filter(tree: Tree, path: TreePath, diagnostics: list[Diagnostic]) -> SearchFilter:
    """A filter in the form of OpenAI's API, which has a `type`; what is wrong with it joins the diagnostics."""
    kind, known = tree["type"], (*COMPARISONS, *COMPOUNDS)
    if kind not in known:
        hint = did_you_mean(str(kind), known) or f"one of {', '.join(known)}"
        diagnostics.append(
            Diagnostic((*path, "type"), f"`{format_path((*path, 'type'))}` is not a kind of filter", hint)
        )
        return _NOTHING
    allowed = ("type", "filters") if kind in COMPOUNDS else ("type", "key", "value")
    for name in [name for name in tree if name not in allowed]:
        message, hint = f"unknown field `{name}` in `{format_path(path)}`", f"allowed here: {', '.join(allowed)}"
        diagnostics.append(Diagnostic((*path, name), message, hint, at_name=True))
    if missing := next((name for name in allowed if name not in tree), ""):
        diagnostics.append(Diagnostic(path, f"`{format_path(path)}` lacks the field `{missing}`"))
        return _NOTHING
    if kind in COMPOUNDS:
        inner = tree["filters"] if isinstance(tree["filters"], list) else []
        if not inner or not all(isinstance(each, Mapping) and "type" in each for each in inner):
            hint = "each as {type: eq, key: lang, value: de}"
            diagnostics.append(Diagnostic((*path, "filters"), "`filters` must be a list of filters", hint))
            return _NOTHING
        places = ((each, (*path, "filters", number)) for number, each in enumerate(inner))
        return CompoundFilter(kind, tuple(read_api_filter(each, place, diagnostics) for each, place in places))
    return _read_comparison(tree, path, diagnostics)


def _read_comparison(tree: Tree, path: TreePath, diagnostics: list[Diagnostic]) -> AttributeFilter:
    kind, value = tree["type"], tree["value"]
    if not isinstance(tree["key"], str):
        diagnostics.append(Diagnostic((*path, "key"), f"`{format_path((*path, 'key'))}` must be text"))
    if kind in ("in", "nin") and (not isinstance(value, list) or not value):
        diagnostics.append(Diagnostic((*path, "value"), f"`{kind}` needs a list of values", "write [de, en]"))
    values = value if kind in ("in", "nin") and isinstance(value, list) else [value]
    for each in values:
        diagnostics += _check_value(each, (*path, "value"), "`in` and `nin` take lists")
    return AttributeFilter(kind, str(tree["key"]), tuple(values))


def _check_value(value: Any, path: TreePath, hint: str) -> Iterator[Diagnostic]:
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not isfinite(value)):
        yield Diagnostic(path, f"`{format_path(path)}` must be text, a number, true or false", hint)
    elif isinstance(value, NonCanonical):
        message = f"`{format_path(path)}` would not be kept as written: {value.text}"
        yield Diagnostic(path, message, f'write "{value.text}" for the text')


class KeyIndex:
    """Keys in their order, so that those a pattern matches are found without trying all."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.keys = sorted(keys)
        self._matching: dict[str, tuple[str, ...]] = {}

    def matching(self, pattern: str) -> tuple[str, ...]:
        """The keys that this pattern matches or is equal to."""
        if pattern not in self._matching:
            start = compile_filter(pattern).start
            first, end = (bisect_left(self.keys, text) for text in (start, start + LAST_CHARACTER))
            # `start` is without escapes. A pattern that has some may also be a key as it is, which lies elsewhere.
            among = self.keys[first:end] if pattern.startswith(start) else self.keys
            self._matching[pattern] = tuple(key for key in among if matches_key(pattern, key))
        return self._matching[pattern]


def matches_key(pattern: str, key: str) -> bool:
    """Whether a pattern of `expect` or `never` is this key or matches it; a folder stands for all that is in it."""
    return key == pattern or bool(compile_filter(pattern).matches(key))


def find_unanswerable(questions: QuestionSet, store: DesiredStore) -> Iterator[Diagnostic]:
    """A diagnostic for each pattern of `expect` that no declared file of the store can satisfy."""
    keys, left_out = KeyIndex(file.key for file in store.files), KeyIndex(store.skipped)
    attributes, hints = {file.key: file.attributes for file in store.files}, 0
    for number, question in enumerate(questions.questions):
        for index, pattern in enumerate(question.expect):
            path: TreePath = ("questions", number, "expect", index)
            if matching := keys.matching(pattern):
                accepts = question.filter.may_match if question.filter else None
                if accepts and not any(accepts(attributes[key], store.ignore_attributes) for key in matching):
                    message = f"`{pattern}` matches no file of the store `{store.key}` that `filter` lets through"
                    yield Diagnostic(path, message, "compare it with `vssync render --files`")
            elif omitted := left_out.matching(pattern):
                why = store.skipped[omitted[0]].replace("_", " ")
                message = f"`{pattern}` matches only what the store `{store.key}` leaves out: `{omitted[0]}` ({why})"
                yield Diagnostic(path, message, "expect another document, or load this one")
            else:
                hints += 1
                is_near = hints <= _MAX_HINTS and len(keys.keys) <= MAX_COMPARED
                hint = did_you_mean(pattern, keys.keys) if is_near else ""
                message = f"`{pattern}` matches no file of the store `{store.key}`"
                yield Diagnostic(path, message, hint or "expect a key that `vssync render --files` shows")
