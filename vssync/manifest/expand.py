"""Fills in what concerns a whole store: `${env}`, `${store}`, `${var.NAME}`.

The result is a manifest again: placeholders of single files stay, and text that happens to look like one is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from vssync.manifest.faults import Fault, Path, meant
from vssync.manifest.placeholders import Ambiguous, Name, Parts, Unclosed, join, split
from vssync.manifest.scope import Scope
from vssync.model import Scalar

OF_FILE = ("path", "dir", "dir.0", "name", "stem", "ext")
FOLDER = re.compile(r"dir\.[0-9]{1,2}")  # the folders of a path, counted from 0
LITERAL = ("only", "not")  # names of environments


class Expander:
    """Expands the strings of one manifest and keeps the faults it meets."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.faults: list[Fault] = []

    def stores(self, stores: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """All stores, expanded."""
        return {key: self._tree(store, ("stores", key), self.known(key)) for key, store in stores.items()}

    def known(self, store: str = "") -> dict[str, Scalar]:
        """What the names stand for that are known before any file is."""
        values: dict[str, Scalar] = {f"var.{name}": value for name, value in self.scope.variables.items()}
        if self.scope.env:
            values["env"] = self.scope.env
        if store:
            values["store"] = store
        return values

    def text(self, text: str, path: Path) -> str:
        """A string outside the stores, with nothing left to fill in."""
        return "".join(part for part in self._known(text, path, self.known(), ()) if isinstance(part, str))

    def _tree(self, value: Any, path: Path, known: Mapping[str, Scalar]) -> Any:
        if isinstance(value, str):
            return self._value(value, path, known) if "${" in value else value
        if isinstance(value, dict):
            return {
                name: under if name in LITERAL and len(path) == 4 else self._tree(under, (*path, name), known)
                for name, under in value.items()
            }
        if isinstance(value, list):
            return [self._tree(under, (*path, number), known) for number, under in enumerate(value)]
        return value

    def _value(self, text: str, path: Path, known: Mapping[str, Scalar]) -> Scalar:
        field = field_of(path)
        if field == "attributes" and (whole := _whole(text)) in known:
            value = known[whole]
            return value if not isinstance(value, str) else join((value,))
        parts = self._known(text, path, known, of_file(field))
        try:
            return join(parts)
        except Ambiguous:
            self.faults.append(
                Fault(path, "a value that ends in `$` stands before a placeholder", "put something between")
            )
            return ""

    def _known(self, text: str, path: Path, known: Mapping[str, Scalar], later: Collection[str]) -> Parts:
        try:
            parts = split(text)
        except Unclosed:
            self.faults.append(Fault(path, "a placeholder `${` is not closed", "write `$${` for the text `${`"))
            return ()
        return tuple(part if isinstance(part, str) else self._name(part, path, known, later) for part in parts)

    def _name(self, name: Name, path: Path, known: Mapping[str, Scalar], later: Collection[str]) -> str | Name:
        if name.text in known:
            return _text(known[name.text])
        if name.text in later or (later and FOLDER.fullmatch(name.text)):
            return name
        self.faults.append(self._unknown(name.text, path, [*known, *later]))
        return ""

    def _unknown(self, name: str, path: Path, known: Collection[str]) -> Fault:
        shown = f"`${{{name}}}`"
        if name == "env":
            return Fault(path, f"{shown} has no value: the manifest has no environments", "declare `environments`")
        if name in (*OF_FILE, "digest") or FOLDER.fullmatch(name):
            return Fault(
                path, f"{shown} means nothing here", "it belongs to a single file's attributes, key or filename"
            )
        if name.startswith("var."):
            return Fault(path, f"{shown} is not declared", meant(name, known) or "declare it under `variables`")
        return Fault(path, f"{shown} is no placeholder", meant(name, known) or "write `$${` for the text `${`")


def field_of(path: Path) -> str | int:
    """The field of a store, entry or override that a path lies in."""
    return path[4] if path[2] in ("files", "overrides") and len(path) > 4 else path[2]


def of_file(field: str | int) -> tuple[str, ...]:
    """The names that a field leaves to be filled in for each file."""
    if field == "filename":
        return (*OF_FILE, "digest")
    return OF_FILE if field in ("attributes", "key") else ()


def _whole(text: str) -> str:
    """The name of the placeholder a text consists of; empty when it is more, or none."""
    try:
        parts = split(text)
    except Unclosed:
        return ""
    return parts[0].text if len(parts) == 1 and isinstance(parts[0], Name) else ""


def _text(value: Scalar) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
