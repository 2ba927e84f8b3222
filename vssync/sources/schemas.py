"""Finds the schemas and examples that ship with the package: in a wheel beside it, in a checkout one folder up."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from vssync.providers import PROVIDERS


def schema_text(name: str) -> str:
    """The text of a schema, such as `manifest.schema.json`. Raises FileNotFoundError."""
    return shipped_text(f"schemas/{name}")


def shipped_text(path: str) -> str:
    """The text of a file that ships with the package, by its path in a checkout. Raises FileNotFoundError."""
    package = files("vssync")
    folders: list[Traversable] = [package]
    if isinstance(package, Path):
        folders.append(package.parent)
    for folder in folders:
        if (file := folder / path).is_file():
            return file.read_text("utf-8")
    raise FileNotFoundError(path)


def load_schema(name: str) -> dict[str, Any]:
    """A parsed schema; that of the manifest has this program's providers. Raises FileNotFoundError."""
    return _load(name, tuple(PROVIDERS))


@cache
def _load(name: str, providers: tuple[str, ...]) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(schema_text(name))
    if name == "manifest.schema.json":  # the list in the file is for editors
        schema["definitions"]["service"]["properties"]["provider"]["enum"] = list(providers)
    return schema
