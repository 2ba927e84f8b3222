"""Reads the beginning of a text: decodes the file, and finds and parses front matter in YAML, TOML or JSON."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vssync.errors import ManifestError, Problem
from vssync.manifest.diagnostics import Diagnostic, Documents, locate_diagnostics
from vssync.manifest.scalars import parse_number
from vssync.manifest.yaml_loader import Document, TreePath, load_values, parse_json

FRONT_MATTER_EXTENSIONS = frozenset((".md", ".markdown", ".mdx"))  # of files that may have front matter and headings
MAX_FRONT_MATTER = 65_536  # characters from the start of a text; front matter that ends later is not read
# Hugo, Jekyll, Zola: `---` and YAML, which `...` may end, or `+++` and TOML; Middleman: `;;;` and JSON.
_FENCED = re.compile(
    r"(?ms)(?:(?P<yaml>---)|(?P<fence>\+\+\+|;;;))[ \t]*\r?\n(?P<body>.*?)^(?(yaml)(?:---|\.\.\.)|(?P=fence))[ \t]*\r?$"
)
_OPENED = re.compile(r"(?P<fence>---|\+\+\+|;;;)[ \t]*\r?\n")
_EMPTY_LINE = re.compile(r"(?m)^[ \t]*\r?$")
_FIRST_FIELD = {"+++": re.compile(r"\[|[^\s=]+[ \t]*="), ";;;": re.compile(r"[{\"]")}
_JSON_OBJECT = re.compile(r'\{\s*"(?:[^"\\\n]|\\.)*"\s*:')  # unfenced, for Hugo; `{{` and `{%` are templates
# A first line that is meant to begin a mapping, well-formed or not.
_NAMED_VALUE = re.compile(r"\{\s*(?:$|[\"'])|[^\s#*>|`-][^:]*:(?:\s|$)")
_MAX_JSON_TOKEN = 12  # characters; an error this close to the end of a cut text may come from the cut
_TOML_PLACE = re.compile(r"\s*\(at line ([0-9]+), column ([0-9]+)\)$")


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """The fields that a document begins with."""

    fields: Mapping[str, Any]
    file_name: str
    # Line numbers equal the file's: an empty line stands for the fence. Braces that were left out are added.
    text: str
    is_toml: bool = False

    def problem_at(self, path: TreePath, message: str) -> Problem:
        """A problem with the value of a field, with its line in the document."""
        if not self.is_toml:
            document = Document(self.file_name, self.text, self.fields)
            return locate_diagnostics(Documents(document), [Diagnostic(path, message)])[0]
        assignment = re.compile(rf"(?m)^[ \t]*(?:[^\n=]*\.)?[\"']?{re.escape(str(path[-1]))}[\"']?[ \t]*=")
        match = assignment.search(self.text)
        line = self.text.count("\n", 0, match.start()) + 1 if match else 0
        return Problem(self.file_name, line, 1 if match else 0, message)


@dataclass(frozen=True, slots=True)
class FrontMatterBlock:
    """What may be the front matter of a text; `end` is where the text after it begins. Only `parse` is expensive."""

    fence: str  # `---`, `+++`, `;;;`, or `{` of an object without a fence
    body: str
    end: int
    is_closed: bool = True

    def parse(self, file_name: str) -> FrontMatter | None:
        """The front matter; None for other text, such as a slide between two `---`.

        Raises ManifestError if the text was meant as front matter but cannot be read.
        """
        if not self.is_closed and self.fence == "{":
            message = f"is longer than {MAX_FRONT_MATTER:,} characters, and what follows them is not read"
            raise ManifestError((Problem(file_name, 1, 1, message, "shorten it"),))
        if not self.is_closed:
            message = f"no line `{self.fence}` ends it within {MAX_FRONT_MATTER:,} characters"
            if self.fence == "---":
                message += " (with an empty line below it, the first one is a thematic break)"
            raise ManifestError((Problem(file_name, 1, 1, message, f"add the line `{self.fence}`"),))
        text = f"\n{self.body}"  # the empty line stands for the fence
        if self.fence == "---":
            fields = _parse_yaml(self.body, file_name)
            return None if fields is None else FrontMatter(fields, file_name, text)
        if self.fence == "+++":
            return FrontMatter(_parse_toml(self.body, file_name), file_name, text, is_toml=True)
        if self.fence == "{":
            text = self.body
        elif not self.body.lstrip().startswith("{"):  # the braces may be left out
            text = f"{{{text}}}"
        return FrontMatter(parse_json(text, file_name), file_name, text)


def find_front_matter(text: str) -> FrontMatterBlock | None:
    """The block at the beginning of a text that may be its front matter; None without one."""
    if not text.startswith(("---", "+++", ";;;", "{")):
        return None
    if match := _FENCED.match(text):
        return FrontMatterBlock(match["yaml"] or match["fence"], match["body"], match.end())
    if match := _OPENED.match(text):
        return _unclosed_block(text, match["fence"], match.end())
    if not _JSON_OBJECT.match(text):
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:
        # The text was cut at its maximum, and the object goes on.
        is_cut = error.msg.startswith("Unterminated") or error.pos >= len(text) - _MAX_JSON_TOKEN
        return FrontMatterBlock("{", text, len(text), is_closed=not (is_cut and len(text) >= MAX_FRONT_MATTER))
    except (ValueError, RecursionError):
        end = len(text)  # `parse` reports what is wrong
    return FrontMatterBlock("{", text[:end], end)


def _unclosed_block(text: str, fence: str, start: int) -> FrontMatterBlock | None:
    """Front matter whose closing line is missing; None if the text begins with a thematic break.

    It is front matter if the lines up to the first empty line read as fields.
    """
    empty_line = _EMPTY_LINE.search(text, start)
    end = empty_line.start() if empty_line else len(text)
    body = text[start:end]
    try:
        is_meant = bool(_FIRST_FIELD[fence].match(body)) if fence in _FIRST_FIELD else bool(_parse_yaml(body, ""))
    except ManifestError:
        is_meant = True
    return FrontMatterBlock(fence, body, end, is_closed=False) if is_meant else None


def _parse_yaml(body: str, file_name: str) -> dict[str, Any] | None:
    """The fields of a YAML text; None for text that is not a mapping. Raises ManifestError."""
    try:
        tree = load_values(body, file_name, first_line=2)  # the fence was the first
    except ManifestError:
        lines = (line.strip() for line in body.split("\n"))
        first = next((line for line in lines if line and not line.startswith("#")), "")
        if _NAMED_VALUE.match(first):
            raise
        return None
    return tree if isinstance(tree, dict) else None


def _parse_toml(body: str, file_name: str) -> dict[str, Any]:
    """The fields of a TOML text; dates are Python's `date`, `time` or `datetime`. Raises ManifestError."""
    import tomllib  # it compiles many patterns, and few have TOML

    try:
        return tomllib.loads(body, parse_float=_parse_float)
    except RecursionError:
        problem = Problem(file_name, 0, 0, "not TOML: values are nested too deep")
    except ValueError as error:
        place = _TOML_PLACE.search(str(error))
        line, column = (int(place[1]) + 1, int(place[2])) if place else (0, 0)
        problem = Problem(file_name, line, column, f"not TOML: {_TOML_PLACE.sub('', str(error))}")
    raise ManifestError((problem,))


def _parse_float(text: str) -> float:
    number = parse_number(text.replace("_", ""))
    return float(text) if number is None else number  # `inf` and `nan`, which YAML writes otherwise


class TextReader:
    """Decodes a text file; `head` is its beginning, without a byte order mark."""

    def __init__(self) -> None:
        self.head = ""
        self.is_blank = True  # nothing but white space
        self.flaw = ""  # why it is not text; empty while it is
        self.line = 0  # of the flaw, in UTF-8 text
        self._decoder: codecs.IncrementalDecoder | None = None
        self._encoding = "UTF-8"
        self._offset = 0
        self._lines = 1

    def feed(self, data: bytes, *, final: bool) -> None:
        """Takes the next bytes; after a flaw, ignores them."""
        if self.flaw:
            return
        try:
            text = self._decode(data, final)
        except UnicodeDecodeError as error:
            # Negative if the byte came with the previous piece, whose last bytes the decoder held back.
            start = len(data) - len(error.object) + error.start
            expected = self._encoding if self._encoding == "UTF-8" else f"{self._encoding}, as its first bytes say"
            byte = error.object[error.start]
            self._refuse(data, start, f"is not {expected}: byte 0x{byte:02X} at offset {self._offset + start:,}")
            return
        if "\0" in text:
            start = data.find(b"\0")
            self._refuse(
                data, start, "holds a NUL character: it is not text, or it is UTF-16 without a byte order mark"
            )
            return
        if len(self.head) < MAX_FRONT_MATTER:
            self.head += text[: MAX_FRONT_MATTER - len(self.head)]
        self.is_blank = self.is_blank and (not text or text.isspace())
        self._offset += len(data)
        self._lines += data.count(b"\n")

    def _decode(self, data: bytes, final: bool) -> str:
        if self._decoder is None:
            # OpenAI's page on file search: text is UTF-8, UTF-16 or ASCII.
            codec = "utf-8-sig"
            if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                codec, self._encoding = "utf-16", "UTF-16"
            elif final:  # most files are one piece, and this takes a third of the time
                return data.decode().removeprefix("\ufeff")
            self._decoder = codecs.getincrementaldecoder(codec)()
        return self._decoder.decode(data, final)

    def _refuse(self, data: bytes, start: int, flaw: str) -> None:
        self.flaw = flaw
        if self._encoding == "UTF-8":
            self.line = self._lines + data.count(b"\n", 0, max(start, 0))
