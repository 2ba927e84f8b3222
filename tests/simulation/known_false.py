"""Claims that are known to be false today: a row goes when what it names is put right, and a test sees to that."""

from __future__ import annotations

from collections.abc import Iterable

from tests.simulation.judge import Falsehood

# The claim, or * for any, and words of the sentence.
KNOWN_FALSE: tuple[tuple[str, str], ...] = (
    ("*", "has the upload name"),
    ("*", "has other content, which was never compared"),
    ("status.Store.unmanaged", "unmanaged is 0"),
    ("status.Store.digest", "that is what the manifest declares"),
    ("output.Store.digest", "that is what the manifest declares"),
    ("report.stores{}", "does not exist"),
    ("Orphan.file_id", "there is no such File"),
    ("status.Store.unread", "it is"),
    ("FileChange.reuse", "there is no such File"),
    ("Outcome.status", "it is done; local: cannot be reached"),
)


def unknown(falsehoods: Iterable[Falsehood]) -> list[Falsehood]:
    """Those that no row knows."""
    return [falsehood for falsehood in falsehoods if not any(is_known(falsehood, row) for row in KNOWN_FALSE)]


def is_known(falsehood: Falsehood, row: tuple[str, str]) -> bool:
    claim, words = row
    return claim in ("*", falsehood.claim) and words in falsehood.sentence
