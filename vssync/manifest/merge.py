"""Inheritance: an environment over the base, a store over `defaults`, and the layers over a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vssync.limits import MAX_ATTRIBUTES, MAX_VALUE_LENGTH
from vssync.manifest.placeholders import MissingFolder, Placeholder, Template, fill_template
from vssync.manifest.spec import Layer
from vssync.manifest.yaml_loader import TreePath
from vssync.model.state import AUTO, Attributes, Chunking, Scalar

Tree = Mapping[str, Any]
NEVER_INHERITED = ("id", "was", "external")  # fields of one store, never of several
PATH_TEMPLATE: Template = (Placeholder("path"),)


def merge_trees(base: Tree, change: Tree, parent: TreePath = ()) -> dict[str, Any]:
    """The base with the change laid over it; `parent` is where both are in the manifest."""
    result = dict(base)
    for name, value in change.items():
        path = (*parent, name)
        if value is None and _field_at(parent) != "attributes":
            result.pop(name, None)
        elif isinstance(value, Mapping):
            replaces_whole = _field_at(path) in ("service", "chunking")
            inherited = {} if replaces_whole else result.get(name)
            result[name] = merge_trees(inherited if isinstance(inherited, Mapping) else {}, value, path)
        else:
            result[name] = value
    return result


def _field_at(path: TreePath) -> str | int:
    """The field of a store (or of `defaults`) at a path; else the top-level field."""
    if path[:1] == ("stores",) and len(path) == 3:
        return path[2]
    if path[:1] == ("defaults",) and len(path) == 2:
        return path[1]
    return path[0] if len(path) == 1 else ""


def apply_defaults(tree: Tree) -> dict[str, dict[str, Any]]:
    """Every store of a merged manifest, laid over its `defaults`."""
    defaults = {name: value for name, value in (tree.get("defaults") or {}).items() if name not in NEVER_INHERITED}
    stores: dict[str, dict[str, Any]] = {}
    for key, store in (tree.get("stores") or {}).items():
        path = ("stores", key)
        stores[key] = merge_trees(merge_trees({}, defaults, path), store or {}, path)
    return stores


@dataclass(frozen=True, slots=True)
class FileSettings:
    """What the layers over some files say together.

    `constant_attributes` are those of all the files, None where they differ from file to file.
    `front_matter_fields` are all fields that some layer takes from front matter.
    """

    layers: tuple[Layer, ...]
    chunking: Chunking
    filename: Template
    constant_attributes: Attributes | None
    front_matter_fields: frozenset[str]


def merge_layers(layers: tuple[Layer, ...]) -> FileSettings:
    """What these layers say, outermost first."""
    chunkings = [layer.chunking for layer in layers if layer.chunking]
    filenames = [layer.filename for layer in layers if layer.filename]
    merged = {name: value for layer in layers for name, value in layer.attributes.items()}
    front_matter_fields = frozenset(name for layer in layers for name in layer.front_matter)
    varies = front_matter_fields or any(isinstance(value, tuple) for value in merged.values())
    return FileSettings(
        layers=layers,
        chunking=chunkings[-1] if chunkings else AUTO,
        filename=filenames[-1] if filenames else PATH_TEMPLATE,
        constant_attributes=None if varies else _filled_in(merged, ""),
        front_matter_fields=front_matter_fields,
    )


def resolve_attributes(settings: FileSettings, path: str, fields: Attributes) -> Attributes:
    """A file's attributes; `fields` are its front matter, which takes precedence in its layer. Raises MissingFolder."""
    if settings.constant_attributes is not None:
        return settings.constant_attributes
    merged: dict[str, Scalar | Template | None] = {}
    for layer in settings.layers:
        merged.update(layer.attributes)
        merged.update({name: fields[name] for name in layer.front_matter if name in fields})
    return _filled_in(merged, path)


def _filled_in(values: Mapping[str, Scalar | Template | None], path: str) -> Attributes:
    """Attributes without those set to null, their templates filled in."""
    attributes: dict[str, Scalar] = {}
    for name, value in values.items():
        if isinstance(value, tuple):
            try:
                attributes[name] = fill_template(value, path)
            except MissingFolder as error:
                error.attribute = name
                raise
        elif value is not None:
            attributes[name] = value
    return attributes


def find_attribute_problems(attributes: Attributes) -> Iterator[tuple[str, str]]:
    """What is wrong with a file's merged attributes: the attribute (empty for all of them), and a message."""
    if len(attributes) > MAX_ATTRIBUTES:
        names = ", ".join(sorted(attributes))
        yield "", f"{len(attributes)} attributes after merging, {MAX_ATTRIBUTES} are allowed: {names}"
    for name, value in attributes.items():
        if isinstance(value, str) and len(value) > MAX_VALUE_LENGTH:
            yield name, f"the attribute `{name}` has {len(value):,} characters, {MAX_VALUE_LENGTH} are allowed"


def source_of(layers: tuple[Layer, ...], name: str, fields: Attributes) -> TreePath | None:
    """Where an attribute's value is written; None if it came from the file's own front matter."""
    for layer in reversed(layers):
        if name in layer.front_matter and name in fields:
            return None
        if name in layer.attributes:
            return (*layer.path, "attributes", name)
    return layers[0].path
