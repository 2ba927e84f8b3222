"""Names that `vssync init` and `dump` give: whom what a manifest creates belongs to, and what a store is called."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

from vssync.manifest.schema import LABEL_PATTERN
from vssync.sources.git import remote_url
from vssync.sources.paths import find_work_tree

NAME_RULE = "letters, digits, `.`, `-` and `_` only, at most 64 of them"
STORE_KEY = "docs"  # of a first manifest
# Names of folders and repositories that many have, so that an owner's name needs something beside them.
_GENERIC = frozenset(
    (
        *("app", "content", "data", "doc", "docs", "documentation", "documents", "files", "home", "kb", "knowledge"),
        *("knowledge-base", "main", "pages", "project", "repo", "root", "site", "src", "test", "tests", "tmp", "web"),
        *("website", "wiki", "work", "workspace"),
    )
)


def make_label(text: str, default: str, max_length: int = 64) -> str:
    """A text as a name or a store's key: letters, digits, `.`, `-`, `_`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._")[:max_length] or default


def suggested_name(folder: str, suffix: str) -> str:
    """A folder's name as an owner's name, with a suffix that nobody else has."""
    return f"{make_label(folder, STORE_KEY, 63 - len(suffix))}-{suffix}"


def suggested_owner(folder: Path, suffix: str) -> str:
    """An owner's name for the manifest in a folder: its repository's, as the remote is called, or the folder's.

    Below the top folder of a repository, the path is a part of it. A repository that is called as many are gets the
    name of what it lies in; a folder that is, the suffix.
    """
    real = Path(os.path.realpath(folder))
    tree = find_work_tree(folder)
    *around, name = ["", *re.split(r"[/:]+", remote_url(tree).rstrip("/").removesuffix(".git"))]
    is_generic = make_label(name, STORE_KEY) in _GENERIC
    repository = f"{around[-1]}-{name}" if name and is_generic else name or tree.name
    label = make_label("-".join((repository, *real.relative_to(tree).parts)), STORE_KEY)
    return suggested_name(label, suffix) if label in _GENERIC else label


def is_placeholder_owner(owner: str) -> bool:
    """Whether a name is one that only a suffix makes nobody else's."""
    label, _, suffix = owner.rpartition("-")
    return label in _GENERIC and re.fullmatch("[0-9a-f]{6}", suffix) is not None


def is_name(text: str) -> bool:
    return LABEL_PATTERN.fullmatch(text) is not None
