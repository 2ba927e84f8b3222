"""What is wrong with a manifest, by the path in its tree; `source_map` finds the line when it is reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches

from vssync.errors import ManifestError, Problem

TreePath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing wrong at a path; `at_name` means the field's name rather than its value."""

    path: TreePath
    message: str
    hint: str = ""
    at_name: bool = False


@contextmanager
def collect_with(problems: tuple[Problem, ...]) -> Iterator[None]:
    """Adds these problems to those of a ManifestError raised inside."""
    try:
        yield
    except ManifestError as error:
        raise ManifestError((*problems, *error.problems)) from None


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """A hint for a word that is not allowed; empty if no allowed one is close to it."""
    close = get_close_matches(word, [*allowed], n=1)
    return f"did you mean `{close[0]}`?" if close else ""


def format_path(path: TreePath) -> str:
    """A path as people write it: stores.guide.files[2].path."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
