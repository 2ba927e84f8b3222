"""Placeholders `${...}`, the one syntax for values that are filled in, and upload names, which are made with them.

`$${` is a literal `${`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from posixpath import splitext
from typing import Any

from vssync.manifest.diagnostics import Diagnostic, did_you_mean
from vssync.manifest.yaml_loader import TreePath
from vssync.model.state import Scalar

MAX_NAME_BYTES = 255  # what file systems and services commonly accept as a name
FILE_PLACEHOLDERS = ("path", "dir", "dir.0", "name", "stem", "ext")  # parts of a file's path
# One folder of a file's path, counted from 0. Wherever `dir.0` is allowed, all numbers are.
_DIR_NUMBER = re.compile(r"dir\.[0-9]{1,2}")
_FILE_PLACEHOLDERS_BY_FIELD: Mapping[str | int, tuple[str, ...]] = {  # other fields may have none of them
    "filename": (*FILE_PLACEHOLDERS, "digest"),
    "attributes": FILE_PLACEHOLDERS,
    "key": FILE_PLACEHOLDERS,
}
_TOKEN = re.compile(r"\$\$\{|\$\{(?P<name>[^{}]*)(?P<closed>\}?)")
_LITERAL_HINT = "write `$${` for the text `${`"


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`${name}`, to be filled in."""

    name: str


Template = tuple[str | Placeholder, ...]


class UnclosedPlaceholder(ValueError):
    """A `${` without its `}`."""


class AmbiguousDollar(ValueError):
    """A text that ends in `$` before a placeholder: together they would read as a literal."""


class MissingFolder(ValueError):
    """`${dir.N}` of a path that has fewer folders; `attribute` is set if the template is that of an attribute."""

    def __init__(self, message: str, attribute: str = "") -> None:
        super().__init__(message)
        self.attribute = attribute


def parse_template(text: str) -> Template:
    """The literal texts and placeholders of a text, in order; empty for an empty text. Raises UnclosedPlaceholder."""
    if "${" not in text:
        return (text,) if text else ()
    parts: list[str | Placeholder] = []
    literal, end = "", 0
    for match in _TOKEN.finditer(text):
        literal += text[end : match.start()]
        end = match.end()
        if match["name"] is None:
            literal += "${"
        elif not match["closed"]:
            raise UnclosedPlaceholder(text)
        else:
            parts += [literal] if literal else []
            parts.append(Placeholder(match["name"]))
            literal = ""
    literal += text[end:]
    return (*parts, literal) if literal else tuple(parts)


def format_template(template: Template) -> str:
    """The inverse of `parse_template`. Raises AmbiguousDollar."""
    text, literal = "", ""
    for part in template:
        if isinstance(part, str):
            literal += part
        elif literal.endswith("$"):
            raise AmbiguousDollar(literal)
        else:
            text += escape_placeholders(literal) + "${" + part.name + "}"
            literal = ""
    return text + escape_placeholders(literal)


def escape_placeholders(literal: str) -> str:
    """A literal text as it must be written where placeholders are read."""
    return literal.replace("${", "$${")


def literal_text(text: str) -> str:
    """What a text without placeholders stands for: the inverse of `escape_placeholders`. Raises UnclosedPlaceholder."""
    return "".join(part for part in parse_template(text) if isinstance(part, str)) if "${" in text else text


def parse_value(value: Scalar | None) -> Scalar | Template | None:
    """A text with placeholders as a template; other texts with `$${` resolved; any other value unchanged."""
    if not isinstance(value, str):
        return value
    template = parse_template(value)
    return template if any(isinstance(part, Placeholder) for part in template) else literal_text(value)


def fill_template(template: Template, path: str, digest: str = "") -> str:
    """The text with every placeholder replaced by the digest or by its part of a path. Raises MissingFolder."""
    text = ""
    for part in template:
        if isinstance(part, str):
            text += part
        else:
            text += digest if part.name == "digest" else path_part(path, part.name)
    return text


class Expander:
    """Fills in variables and the environment in the texts of one manifest, and collects what is wrong."""

    def __init__(self, values: Mapping[str, Scalar]) -> None:
        self._values = values  # by the placeholder's name
        self.diagnostics: list[Diagnostic] = []

    def expand_stores(self, stores: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """All stores filled in, except the placeholders of files (`${path}`), which stay where they are allowed."""
        return {
            key: self._expand_tree(store, ("stores", key), {**self._values, "store": key})
            for key, store in stores.items()
        }

    def expand_text(self, text: str, path: TreePath) -> str:
        """A text outside the stores, filled in and without escapes."""
        return "".join(part for part in self._fill(text, path, self._values, ()) if isinstance(part, str))

    def _expand_tree(self, tree: Any, path: TreePath, values: Mapping[str, Scalar]) -> Any:
        if isinstance(tree, str):
            # `only` holds names of environments: nothing is filled in there.
            is_literal = "${" not in tree or _field_within_store(path) == "only"
            return tree if is_literal else self._expand_field(tree, path, values)
        if isinstance(tree, dict):
            return {name: self._expand_tree(value, (*path, name), values) for name, value in tree.items()}
        if isinstance(tree, list):
            return [self._expand_tree(value, (*path, number), values) for number, value in enumerate(tree)]
        return tree

    def _expand_field(self, text: str, path: TreePath, values: Mapping[str, Scalar]) -> Scalar:
        field, whole_match = _field_within_store(path), _TOKEN.fullmatch(text)
        if field == "attributes" and whole_match and whole_match["closed"] and whole_match["name"] in values:
            value = values[whole_match["name"]]  # an attribute that is one placeholder keeps the type of its value
            return escape_placeholders(value) if isinstance(value, str) else value
        template = self._fill(text, path, values, _FILE_PLACEHOLDERS_BY_FIELD.get(field, ()))
        try:
            return format_template(template)
        except AmbiguousDollar:
            message = "a value that ends in `$` stands before a placeholder"
            self.diagnostics.append(Diagnostic(path, message, "put something between"))
            return ""

    def _fill(self, text: str, path: TreePath, values: Mapping[str, Scalar], deferred: Collection[str]) -> Template:
        """The template of a text, filled in except for the `deferred` placeholders."""
        try:
            template = parse_template(text)
        except UnclosedPlaceholder:
            self.diagnostics.append(unclosed_diagnostic(path))
            return ()
        filled: list[str | Placeholder] = []
        for part in template:
            is_deferred_folder = "dir.0" in deferred and not isinstance(part, str) and _DIR_NUMBER.fullmatch(part.name)
            if isinstance(part, str) or part.name in deferred or is_deferred_folder:
                filled.append(part)
            elif part.name in values:
                value = values[part.name]
                filled.append(str(value).lower() if isinstance(value, bool) else str(value))
            else:
                self.diagnostics.append(unknown_placeholder(part.name, path, [*values, *deferred]))
        return tuple(filled)


def _field_within_store(path: TreePath) -> str | int:
    """The field of a store, entry or override that a path lies in, such as `key`; within a lookup, its `join`."""
    # After `stores` and the key may come `files` or `overrides`, a number and a field, which an invalid entry lacks.
    inner = path[4:] if path[2] in ("files", "overrides") and len(path) > 4 else path[2:]
    return inner[2] if inner[0] == "attributes" and len(inner) > 2 else inner[0]


def unclosed_diagnostic(path: TreePath) -> Diagnostic:
    """The diagnostic for a text on which `parse_template` raises UnclosedPlaceholder."""
    return Diagnostic(path, "a placeholder `${` is not closed", _LITERAL_HINT)


def unknown_placeholder(name: str, path: TreePath, allowed: Collection[str]) -> Diagnostic:
    """The diagnostic for a placeholder that is not among those `allowed` at this path."""
    shown = f"`${{{name}}}`"
    if name == "env":
        return Diagnostic(path, f"{shown} has no value: the manifest has no environments", "declare `environments`")
    if name in (*FILE_PLACEHOLDERS, "digest") or _DIR_NUMBER.fullmatch(name):
        hint = "use it in `filename`" if name == "digest" else "use it in an attribute's value, `key` or `filename`"
        return Diagnostic(path, f"{shown} cannot be used here", hint)
    if name.startswith("var."):
        hint = did_you_mean(name, allowed) or "declare it under `variables`"
        return Diagnostic(path, f"{shown} is not declared", hint)
    hint = did_you_mean(name, allowed) or _LITERAL_HINT
    return Diagnostic(path, f"{shown} is not a placeholder", hint)


def path_part(path: str, name: str) -> str:
    """The part of a path that a file's placeholder (`stem`, `dir.0`) stands for. Raises MissingFolder."""
    if name == "path":
        return path
    folder, _, last = path.rpartition("/")
    if name == "dir":
        return folder
    if name == "name":
        return last
    if name in ("stem", "ext"):
        stem, extension = splitext(last)  # a hidden name, `.env`, is all stem
        return stem if name == "stem" else extension
    folders = folder.split("/") if folder else []
    number = int(name.removeprefix("dir."))
    if number >= len(folders):
        raise MissingFolder(
            f"`${{{name}}}` asks for more folders than `{path}` has ({len(folders)}; they count from 0)"
        )
    return folders[number]


def upload_digest(owner_name: str, sha256: str) -> str:
    """What `${digest}` is: 16 hex digits that prove an upload to be of this owner and these bytes."""
    return hashlib.sha256(f"{owner_name}\n{sha256}".encode()).hexdigest()[:16]


def upload_name(template: Template, path: str, digest: str) -> str:
    """The name to upload a file with, before `formats` changes it. Raises MissingFolder."""
    return fit_name(fill_template(template, path, digest))


def fit_name(text: str) -> str:
    """A text as an upload name: no folders, its extension in lower case, at most 255 bytes."""
    name = text.replace("/", "__")
    has_extension = text.rfind(".") > text.rfind("/")  # in `v1.2/README`, the dot is a folder's
    stem, ext = splitext(name) if has_extension else (name, "")
    ext = ext.lower()
    if len(name) <= MAX_NAME_BYTES and name.isascii():
        return stem + ext
    room = max(MAX_NAME_BYTES - len(ext.encode()), 0)
    return _first_bytes(_first_bytes(stem, room) + ext, MAX_NAME_BYTES)  # the extension alone may be too long


def _first_bytes(text: str, count: int) -> str:
    """As many whole characters as fit into so many bytes."""
    return text.encode()[:count].decode("utf-8", "ignore")
