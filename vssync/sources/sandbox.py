"""What a manifest may read: the git work tree it lies in (its own folder if there is none), and nothing else.

A manifest may come from a stranger's pull request. Everything it names, and the manifest itself, is judged by its real
path, links followed; only the person who runs vssync can allow more. `.git`, which may hold a credential, and `.vssync`
are never read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vssync.manifest.globs import NEVER_READ


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Real, absolute folders below which files may be read."""

    folders: tuple[Path, ...]

    def allows(self, path: Path | str) -> bool:
        """Whether a path, links followed, lies inside."""
        real = Path(os.path.realpath(path))
        return any(
            real.is_relative_to(folder) and not set(NEVER_READ).intersection(real.relative_to(folder).parts)
            for folder in self.folders
        )

    def around(self, folder: Path) -> Sandbox:
        """The sandbox of one folder inside, with what else was allowed."""
        return Sandbox((folder, *self.folders[1:]))


def sandbox_around(folder: Path, allowed: tuple[Path, ...]) -> Sandbox:
    """The sandbox of a manifest in this folder; `allowed` are folders that its user allows beside it."""
    return Sandbox((find_work_tree(folder), *(Path(os.path.realpath(path)) for path in allowed)))


def find_work_tree(folder: Path) -> Path:
    """The git work tree that a folder lies in, without links; the folder itself if there is none.

    The path as typed is searched first: a folder that is a link may belong to a stranger.
    """
    real = Path(os.path.realpath(folder))
    typed = Path(os.path.abspath(folder))
    parents = (typed, *typed.parents, real, *real.parents)
    return Path(os.path.realpath(next((parent for parent in parents if (parent / ".git").exists()), real)))
