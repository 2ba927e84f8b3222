"""Claims that are known to be false today: a row goes when what it names is put right, and a test sees to that."""

from __future__ import annotations

from collections.abc import Iterable

from tests.simulation.judge import Falsehood

# The claim, or * for any, and words of the sentence.
KNOWN_FALSE: tuple[tuple[str, str], ...] = (
    ("*", "has other content, which was never compared"),
    ("Orphan.file_id", "there is no such File"),
    ("FileChange.reuse", "there is no such File"),
)


def unknown(falsehoods: Iterable[Falsehood]) -> list[Falsehood]:
    """Those that no row knows. Of a sentence with several causes, each must be known."""
    return [falsehood for falsehood in falsehoods if not is_known(falsehood, KNOWN_FALSE)]


def is_known(falsehood: Falsehood, rows: Iterable[tuple[str, str]]) -> bool:
    words = [words for claim, words in rows if claim in ("*", falsehood.claim)]
    causes = falsehood.sentence.split("; ")
    return all(any(known in cause for known in words) for cause in causes)
