"""Finds the schemas that ship with the package: in a wheel beside the code, in a checkout one folder up."""

from __future__ import annotations

import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from vssync.providers import PROVIDERS


def schema_text(name: str) -> str:
    """The text of `manifest.schema.json` and its like. Raises FileNotFoundError for a name that does not exist."""
    package = files("vssync")
    homes: list[Traversable] = [package / "schemas"]
    if isinstance(package, Path):
        homes.append(package.parent / "schemas")
    for home in homes:
        if (found := home / name).is_file():
            return found.read_text("utf-8")
    raise FileNotFoundError(name)


def schema(name: str) -> dict[str, Any]:
    """A schema as values. Raises FileNotFoundError for a name that does not exist."""
    found: dict[str, Any] = json.loads(schema_text(name))
    if name == "manifest.schema.json":  # the file's own list of providers is for editors
        found["definitions"]["service"]["properties"]["provider"]["enum"] = list(PROVIDERS)
    return found
