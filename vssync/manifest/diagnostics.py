"""What is wrong with a manifest, told by where in its tree; `places` turns it into lines and columns.

Lines are looked up only when there is something to place, so everything above speaks in paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches

from vssync.errors import ManifestError, Problem

TreePath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing wrong at a path; with `at_name` the place is the field's name rather than its value."""

    path: TreePath
    message: str
    hint: str = ""
    at_name: bool = False


@contextmanager
def collect_with(problems: tuple[Problem, ...]) -> Iterator[None]:
    """Lets whatever goes wrong inside be reported together with these problems."""
    try:
        yield
    except ManifestError as error:
        raise ManifestError((*problems, *error.problems)) from None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a word that is not one of the known ones; empty when none is like it."""
    close = get_close_matches(word, [*known], n=1)
    return f"did you mean `{close[0]}`?" if close else ""


def format_path(path: TreePath) -> str:
    """A path as people write it: stores.guide.files[2].path."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
