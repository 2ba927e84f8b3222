"""The process that converts documents to Markdown: one after another from stdin, each answered on stdout.

A message is a line of JSON, and as many bytes as its `size` says. The first answer comes before any request, and says
what is wrong with what is installed here. `engine.py` starts this process, and ends it when a document takes too much.
"""

from __future__ import annotations

import codecs
import csv
import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from functools import cache
from io import BytesIO
from typing import Any, BinaryIO

CONVERTER_SET = "1"  # in marks; another number for any other version below, with a line in the changelog
# Every package that shapes the text. The extra `convert` pins the same: a test compares the two.
PACKAGES: Mapping[str, str] = {
    "beautifulsoup4": "4.15.0",
    "charset-normalizer": "3.5.3",
    "lxml": "6.1.3",
    "magika": "1.0.3",
    "mammoth": "1.13.0",
    "markdownify": "1.2.3",
    "markitdown": "0.1.9",
    "openpyxl": "3.1.5",
    "pandas": "3.1.1",
    "pdfminer-six": "20260107",
    "pdfplumber": "0.11.10",
    "python-pptx": "1.0.2",
}
_TEXTS = frozenset((".csv", ".htm", ".html", ".ipynb"))  # of the kinds below, those that are text themselves
_CONVERTERS = {
    ".csv": "CsvConverter",
    ".docx": "DocxConverter",
    ".htm": "HtmlConverter",
    ".html": "HtmlConverter",
    ".ipynb": "IpynbConverter",
    ".pdf": "PdfConverter",
    ".pptx": "PptxConverter",
    ".xlsx": "XlsxConverter",
}
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # of Office 97, and around documents with a password since
_GRACE_SECONDS = 5
_PASSWORD = "is protected with a password"


class NotConvertible(Exception):
    """A document cannot be converted; the message says why, as in "is protected with a password"."""


def _version_of(name: str) -> str:
    from importlib.metadata import version  # slow to import, and of use only where documents are converted

    return version(name)


def find_set_problem(version_of: Callable[[str], str] = _version_of) -> str:
    """What is missing of the converter set here, with the command that installs it; empty where nothing is."""
    wrong = []
    for name, wanted in PACKAGES.items():
        try:
            found = version_of(name)
        except ModuleNotFoundError:  # so is `PackageNotFoundError`
            found = "missing"
        if found != wanted:
            wrong.append(f"{name} {wanted} ({found})")
    if not wrong:
        return ""
    needed = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
    return f"converter set {CONVERTER_SET} needs {needed}; run: pip install 'vssync[convert]'"


def to_markdown(data: bytes, extension: str) -> bytes:
    """A document as Markdown in UTF-8. Raises NotConvertible, and MemoryError."""
    from markitdown import StreamInfo

    if extension in _TEXTS:
        data = _as_utf8(data)
    elif data.startswith(_OLD_OFFICE):
        raise NotConvertible(f"{_PASSWORD}, or has the format of Office 97; save it anew, without one")
    charset = "utf-8" if extension in _TEXTS else None
    try:
        info = StreamInfo(extension=extension, charset=charset)
        result = _markitdown(extension).convert_stream(BytesIO(data), stream_info=info)
    except MemoryError:
        raise
    except Exception as error:
        raise _explain(error) from error
    text = result.markdown.replace("\0", "").strip("\n")  # services take a text with NUL for none
    return f"{text}\n".encode("utf-8", "replace") if text.strip() else b""


@cache
def _markitdown(extension: str) -> Any:
    """Only the converter of this kind: a wrong extension is an error, and not a reason to try all the others."""
    from markitdown import MarkItDown, converters

    csv.field_size_limit(1 << 30)  # what limits a document is its time, memory and text
    markitdown = MarkItDown(enable_builtins=False, enable_plugins=False)  # it loads a model, which takes 30 ms
    markitdown.register_converter(getattr(converters, _CONVERTERS[extension])())
    return markitdown


def _as_utf8(data: bytes) -> bytes:
    """A text in UTF-8, without its byte order mark. Raises NotConvertible."""
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeError as error:
        raise NotConvertible(f"is not {'UTF-16' if is_utf16 else 'UTF-8'} text; save it as UTF-8") from error
    if "\0" in text:
        raise NotConvertible("holds a NUL character: it is not text, or it is UTF-16 without a byte order mark")
    return text.encode()


def _explain(error: Exception) -> NotConvertible:
    """What MarkItDown met, in one line. Raises MemoryError where that is what it met."""
    attempts = [attempt.exc_info for attempt in getattr(error, "attempts", None) or () if attempt.exc_info]
    cause: BaseException = attempts[0][1] if attempts else error
    if isinstance(cause, MemoryError):
        raise cause
    names = {kind.__name__ for each in (cause, *cause.args) for kind in type(each).__mro__}
    if any("Password" in name or "Encrypt" in name for name in names):
        return NotConvertible(f"{_PASSWORD}; save it without one")
    words = " ".join(str(cause).split())[:200]
    return NotConvertible(f"cannot be read: {words or type(cause).__name__}")


def _limit_memory(limit: int) -> None:
    if sys.platform == "linux":  # macOS does not hold processes to this limit
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))


def _limit_time(seconds: float, wait: float) -> None:
    """Ends this process after so much processor time, and if `engine.py` was ended itself, after `wait`; 0 is never."""
    import signal

    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(math.ceil(wait) + _GRACE_SECONDS if wait else 0)


def _answer(request: Mapping[str, Any], data: bytes) -> tuple[bytes, str]:
    """The Markdown, and why there is none. Raises MemoryError."""
    try:
        markdown = to_markdown(data, request["extension"])
    except NotConvertible as error:
        return b"", str(error)
    if len(markdown) > request["output"]:
        return b"", f"becomes {len(markdown):,} bytes of Markdown; {request['output']:,} are allowed"
    return markdown, ""


def _send(sink: BinaryIO, problem: str, data: bytes = b"", *, is_last: bool = False) -> None:
    sink.write(json.dumps({"problem": problem, "size": len(data), "is_last": is_last}).encode() + b"\n" + data)
    sink.flush()


def main() -> None:
    """Answers requests until stdin ends. What libraries print goes to stderr."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    problem = find_set_problem()
    if not problem:
        import markitdown  # noqa: F401  # before any document's time runs
    _send(sink, problem)
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        _limit_memory(request["memory"])
        _limit_time(request["seconds"], request["wait"])
        try:
            markdown, problem = _answer(request, sys.stdin.buffer.read(request["size"]))
        except MemoryError:
            _send(sink, f"takes more than {request['memory'] >> 20:,} MB of memory", is_last=True)
            return
        _limit_time(0, 0)
        _send(sink, problem, markdown)


if __name__ == "__main__":
    main()
