"""What a manifest may read: the git work tree it lies in (its own folder where there is none), and nothing else.

A manifest may come from a stranger's pull request. Everything it names is looked at by its real path, links followed;
only the person who runs vssync can allow more.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Fence:
    """Real, absolute folders below which files may be read."""

    folders: tuple[Path, ...]

    def holds(self, path: Path | str) -> bool:
        """Whether a path, links followed, lies inside."""
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(folder) for folder in self.folders)

    def within(self, folder: Path) -> Fence:
        """The fence around one folder of this one, with what else was allowed."""
        return Fence((folder, *self.folders[1:]))


def around(folder: Path, allowed: tuple[Path, ...]) -> Fence:
    """The fence of a manifest in this real folder; `allowed` are folders its user allows beyond."""
    return Fence((work_tree(folder), *(Path(os.path.realpath(path)) for path in allowed)))


def work_tree(folder: Path) -> Path:
    """The git work tree that a real folder lies in; the folder itself where there is none."""
    return next((parent for parent in (folder, *folder.parents) if (parent / ".git").exists()), folder)
