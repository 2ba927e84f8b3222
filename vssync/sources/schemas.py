"""The schemas that ship with the package: in a wheel beside the code, in a checkout one folder up."""

from __future__ import annotations

import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from vssync.providers import PROVIDERS


def schema_text(name: str) -> str:
    """The text of a schema, such as `manifest.schema.json`. Raises FileNotFoundError."""
    text = _shipped_text(name)
    schema = json.loads(text)
    return json.dumps(_extended(schema), indent=2, ensure_ascii=False) + "\n" if "extends" in schema else text


def load_schema(name: str) -> dict[str, Any]:
    """A parsed schema; that of the manifest has this program's providers. Raises FileNotFoundError."""
    schema = _extended(json.loads(_shipped_text(name)))
    if name == "manifest.schema.json":  # the list in the file is for editors
        schema["definitions"]["service"]["properties"]["provider"]["enum"] = list(PROVIDERS)
    return schema


def _shipped_text(name: str) -> str:
    package = files("vssync")
    folders: list[Traversable] = [package / "schemas"]
    if isinstance(package, Path):
        folders.append(package.parent / "schemas")
    for folder in folders:
        if (file := folder / name).is_file():
            return file.read_text("utf-8")
    raise FileNotFoundError(name)


def _extended(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with all of that of the kind which it `extends`: a comparison is a plan, and more."""
    if not (kind := schema.pop("extends", "")):
        return schema
    base: dict[str, Any] = json.loads(_shipped_text(f"{kind}.schema.json"))
    merged = {part: base[part] | schema.get(part, {}) for part in ("properties", "definitions")}
    return {**base, **schema, **merged, "required": [*base["required"], *schema.get("required", ())]}
