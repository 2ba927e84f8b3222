"""What these tests build with: a folder with a manifest and files, loaded or refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from vssync.errors import ManifestError, Problem
from vssync.model.state import DesiredFile
from vssync.sources.load import LoadedManifest, load_sources

HEAD = "version: 1\nowner: docs\n"
PAGES = {"docs/intro.md": "intro", "docs/api/call.md": "call", "docs/drafts/idea.md": "idea"}


def write_files(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Writes files below a folder and returns it."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def load_manifest(root: Path, text: str, files: Mapping[str, str | bytes] = PAGES, **options: Any) -> LoadedManifest:
    """Loads a manifest, whose version and name may be left out, over these files."""
    text = dedent(text)
    write_files(root, {"vssync.yaml": text if "version" in text else HEAD + text, **files})
    return load_sources(root, **options)


def load_problems(
    root: Path, text: str, files: Mapping[str, str | bytes] = PAGES, **options: Any
) -> tuple[Problem, ...]:
    """What is wrong with a manifest, in order of place; it must be something."""
    with pytest.raises(ManifestError) as raised:
        load_manifest(root, text, files, **options)
    return raised.value.problems


def files_by_key(loaded: LoadedManifest, store: int = 0) -> dict[str, DesiredFile]:
    """A store's files by key."""
    return {file.key: file for file in loaded.desired.stores[store].files}


def load_first_file(root: Path, text: str, **options: Any) -> DesiredFile:
    """The file docs/intro.md of a manifest's first store."""
    return files_by_key(load_manifest(root, text, **options))["docs/intro.md"]
