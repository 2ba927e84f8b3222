"""The files below a manifest's root, as one walk found them: a value, so that choosing needs no disk."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from unicodedata import normalize

from vssync.manifest.globs import Pattern

LAST = "\U0010ffff"  # follows every name that begins alike


@dataclass(frozen=True, slots=True)
class Found:
    """A file: its path as the disk spells it, relative to the root, and its size in bytes.

    `trouble` says why it cannot be used ("is a link that leads nowhere"); it matters only when the file is chosen.
    """

    path: str
    size: int
    trouble: str = ""

    @property
    def name(self) -> str:
        """The path in the one spelling patterns, keys and placeholders use."""
        return self.path if self.path.isascii() else normalize("NFC", self.path)


class Listing:
    """Files in the order of their names."""

    def __init__(self, files: Iterable[Found]) -> None:
        pairs = sorted(((file.name, file) for file in files), key=lambda pair: (pair[0], pair[1].path))
        self._names = [name for name, _ in pairs]
        self._files = [file for _, file in pairs]

    def __len__(self) -> int:
        return len(self._files)

    def matching(self, pattern: Pattern) -> Iterator[tuple[str, Found]]:
        """The files a pattern matches, with their names."""
        start = pattern.start
        first = bisect_left(self._names, start)
        end = bisect_left(self._names, start + ("\0" if pattern.literal else LAST))
        for at in range(first, end):
            if pattern.matches(self._names[at]):
                yield self._names[at], self._files[at]
