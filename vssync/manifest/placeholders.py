"""`${...}`: one syntax for what a manifest leaves to be filled in. `$${` is a literal `${`.

A text is parsed into parts, some of them names. Which names mean something where, and what they stand for, is
decided by the callers: `expand` for a store's own, `attributes` and `filenames` for those of a file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

_TOKEN = re.compile(r"\$\$\{|\$\{([^{}]*)(\}?)")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A placeholder's name."""

    text: str


Template = tuple[str | Placeholder, ...]


class UnclosedPlaceholder(ValueError):
    """A `${` without its `}`."""


class AmbiguousDollar(ValueError):
    """A text that ends in `$` before a placeholder: together they would read as a literal."""


def parse_template(text: str) -> Template:
    """The literal texts and names of a text, in order. Raises Unclosed."""
    if "${" not in text:
        return (text,) if text else ()
    parts: list[str | Placeholder] = []
    literal, at = "", 0
    for match in _TOKEN.finditer(text):
        literal += text[at : match.start()]
        at = match.end()
        if match.group(1) is None:
            literal += "${"
        elif not match.group(2):
            raise UnclosedPlaceholder(text)
        else:
            parts += [literal, Placeholder(match.group(1))] if literal else [Placeholder(match.group(1))]
            literal = ""
    literal += text[at:]
    return (*parts, literal) if literal else tuple(parts)


def format_template(parts: Template) -> str:
    """The text that `split` takes apart into these parts, neighbouring literals as one. Raises Ambiguous."""
    text, literal = "", ""
    for part in parts:
        if isinstance(part, str):
            literal += part
        elif literal.endswith("$"):
            raise AmbiguousDollar(literal)
        else:
            text += escape_placeholders(literal) + "${" + part.text + "}"
            literal = ""
    return text + escape_placeholders(literal)


def escape_placeholders(literal: str) -> str:
    """A literal text as it must be written where placeholders are read."""
    return literal.replace("${", "$${")


def literal_text(text: str) -> str:
    """What a text says in which nothing is left to fill in. Raises Unclosed."""
    return "".join(part for part in parse_template(text) if isinstance(part, str)) if "${" in text else text


def fill_template(parts: Template, value: Callable[[str], str]) -> str:
    """The text with every name replaced."""
    return "".join(part if isinstance(part, str) else value(part.text) for part in parts)


MAX_NAME_BYTES = 255  # what file systems and services commonly take for a name


class MissingFolder(ValueError):
    """`${dir.N}` of a path that has fewer folders; `attribute` is the one that asked, where one did."""

    attribute = ""


def path_part(path: str, name: str) -> str:
    """What a placeholder's name stands for in a path. Folders count from 0. Raises NoFolder."""
    folder, _, last = path.rpartition("/")
    if name == "path":
        return path
    if name == "dir":
        return folder
    if name == "name":
        return last
    if name in ("stem", "ext"):
        dot = last.rfind(".")
        stem, ext = (last[:dot], last[dot:]) if dot > 0 else (last, "")
        return stem if name == "stem" else ext
    folders = folder.split("/") if folder else []
    number = int(name.removeprefix("dir."))
    if number >= len(folders):
        raise MissingFolder(
            f"`${{{name}}}` asks for more folders than `{path}` has ({len(folders)}; they count from 0)"
        )
    return folders[number]


def file_extension(filename: str) -> str:
    """The lower-case extension with its dot; empty where there is none."""
    return path_part(filename, "ext").lower()


def upload_digest(name: str, sha256: str) -> str:
    """What `${digest}` is: 16 hex digits that prove an upload to be of this manifest's name and these bytes."""
    return hashlib.sha256(f"{name}\n{sha256}".encode()).hexdigest()[:16]


def upload_name(parts: Template, path: str, digest: str) -> str:
    """The name to upload a file with: one name, its extension in lower case, at most 255 bytes. Raises NoFolder."""
    text = fill_template(parts, lambda name: digest if name == "digest" else path_part(path, name)).replace("/", "__")
    ext = path_part(text, "ext")
    return _cut(text.removesuffix(ext), MAX_NAME_BYTES - len(ext.encode())) + ext.lower()


def _cut(text: str, most: int) -> str:
    raw = text.encode()
    return text if len(raw) <= most else raw[: max(most, 0)].decode("utf-8", "ignore")
