"""What a comparison of live contents needs on this machine: local texts, and what was compared before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from vssync.sources.write import write_file

_CACHE_NAME = "digests.json"


def has_same_words(local: bytes, parts: Iterable[str]) -> bool:
    """Whether the parts of a text, each of which may begin in the one before it, are together this local text.

    White space does not count. False says nothing: services read files differently.
    """
    text = "".join(local.decode("utf-8-sig", "replace").split())
    end = 0  # of what the parts so far cover
    for part in ("".join(part.split()) for part in parts):
        start = text.rfind(part, 0, end + len(part))  # the last place that leaves nothing out
        if start < 0:
            return False
        end = max(end, start + len(part))
    return end == len(text)


def load_digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of Files that were compared before, by id: a File's bytes never change. Empty where none are kept."""
    with suppress(OSError, ValueError):
        digests = json.loads((folder / _CACHE_NAME).read_text("utf-8"))
        return {str(file_id): str(digest) for file_id, digest in digests.items()} if isinstance(digests, dict) else {}
    return {}


def save_digests(folder: Path, digests: Mapping[str, str]) -> None:
    """Keeps digests beside those of earlier runs. Raises OSError."""
    write_file(folder / _CACHE_NAME, json.dumps({**load_digests(folder), **digests}, indent=0, sort_keys=True))
