"""Claims that are known to be false today, each in what it is seen: a row goes when its shape is put right."""

from __future__ import annotations

from collections.abc import Iterable

from tests.simulation.judge import Falsehood

KNOWN_FALSE: tuple[tuple[str, str], ...] = (  # the claim, and words of the sentence
    ("status.Store.digest", "that is what the manifest declares"),
    ("output.Store.digest", "that is what the manifest declares"),
    ("exit code of plan", "held back"),
    ("exit code of status", "held back"),
    ("status.agrees", "held back"),
    ("status.Store.agrees", "held back"),
    ("output.Store.current", "held back"),
    ("report.stores{}", "does not exist"),
    ("Orphan.file_id", "there is no such File"),
    ("status.Store.unread", "it is"),
)


def unknown(falsehoods: Iterable[Falsehood]) -> list[Falsehood]:
    """Those that no row knows."""
    return [falsehood for falsehood in falsehoods if not is_known(falsehood)]


def is_known(falsehood: Falsehood) -> bool:
    return any(falsehood.claim == claim and words in falsehood.sentence for claim, words in KNOWN_FALSE)
