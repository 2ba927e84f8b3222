"""Inheritance: an environment over the base, a store over `defaults`, and the levels over a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vssync.limits import MAX_ATTRIBUTES, MAX_VALUE_LENGTH
from vssync.manifest.diagnostics import TreePath
from vssync.manifest.placeholders import Name, NoFolder, Parts, fill, part, split
from vssync.manifest.spec import Layer
from vssync.model.state import AUTO, Attributes, Chunking, Scalar

Tree = Mapping[str, Any]
OWN = ("id", "was", "external")  # fields of one store, never of several


def merge(base: Tree, change: Tree, at: TreePath = ()) -> dict[str, Any]:
    """The base with the change laid over it; `at` is where both are in the manifest."""
    result = dict(base)
    for name, value in change.items():
        path = (*at, name)
        if value is None and not _is_attributes(at):
            result.pop(name, None)
        elif isinstance(value, Mapping):
            under = {} if _is_whole(path) else result.get(name)
            result[name] = merge(under if isinstance(under, Mapping) else {}, value, path)
        else:
            result[name] = value
    return result


def _field(path: TreePath) -> str | int:
    """The field of a store (or of `defaults`) that a path is; else the top-level field."""
    if path[:1] == ("stores",) and len(path) == 3:
        return path[2]
    if path[:1] == ("defaults",) and len(path) == 2:
        return path[1]
    return path[0] if len(path) == 1 else ""


def _is_attributes(path: TreePath) -> bool:
    return _field(path) == "attributes"


def _is_whole(path: TreePath) -> bool:
    return _field(path) in ("service", "chunking")


def inherit(tree: Tree) -> dict[str, dict[str, Any]]:
    """Every store of a merged manifest, laid over its `defaults`, of which some fields are never taken."""
    defaults = {name: value for name, value in (tree.get("defaults") or {}).items() if name not in OWN}
    stores = tree.get("stores") or {}
    return {
        key: merge(merge({}, defaults, ("stores", key)), store or {}, ("stores", key)) for key, store in stores.items()
    }


PATH: Parts = (Name("path"),)
Value = Scalar | Parts | None


@dataclass(frozen=True, slots=True)
class Level:
    """Attributes, some to be filled in, and the front matter fields that go before them."""

    attributes: Mapping[str, Value]
    lifts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """What the levels over some files say together.

    `shared` are their attributes where no file changes them; `lifts` all front matter fields that some level lifts.
    """

    layers: tuple[Layer, ...]
    levels: tuple[Level, ...]
    chunking: Chunking
    filename: Parts
    shared: Attributes | None
    lifts: frozenset[str]

    @property
    def named_by_content(self) -> bool:
        """Whether the upload name holds a digest of the bytes."""
        return Name("digest") in self.filename


def resolve_profile(layers: tuple[Layer, ...]) -> Profile:
    """The profile of these layers, outermost first."""
    levels = tuple(_levels(layers))
    named = [layer.chunking for layer in layers if layer.chunking]
    filenames = [layer.filename for layer in layers if layer.filename]
    alone = levels[0].attributes if len(levels) == 1 and not levels[0].lifts else None
    constant = alone is not None and not any(isinstance(value, tuple) for value in alone.values())
    return Profile(
        layers=layers,
        levels=levels,
        chunking=named[-1] if named else AUTO,
        filename=split(filenames[-1]) if filenames else PATH,
        shared=dict(_present(alone)) if alone is not None and constant else None,
        lifts=frozenset(name for level in levels for name in level.lifts),
    )


def _levels(layers: Iterable[Layer]) -> Iterator[Level]:
    """The layers, those that lift nothing merged with what follows them."""
    attributes: dict[str, Value] = {}
    for layer in layers:
        attributes.update({name: _said(value) for name, value in layer.attributes.items()})
        if layer.front_matter:
            yield Level(attributes, layer.front_matter)
            attributes = {}
    yield Level(attributes, ())


def _said(value: Scalar | None) -> Value:
    """A value as it is, or the parts of a text that has something to fill in."""
    if not isinstance(value, str):
        return value
    parts = split(value)
    return parts if any(isinstance(part, Name) for part in parts) else "".join(str(part) for part in parts)


def attributes_of(profile: Profile, path: str, fields: Attributes) -> Attributes:
    """A file's attributes; `fields` are its front matter. Raises NoFolder."""
    if profile.shared is not None:
        return profile.shared
    merged: dict[str, Value] = {}
    for level in profile.levels:
        merged.update(level.attributes)
        merged.update({name: fields[name] for name in level.lifts if name in fields})
    return dict(_present(merged, path))


def _present(said: Mapping[str, Value], path: str = "") -> Iterator[tuple[str, Scalar]]:
    """What is left when removed names are gone and texts are filled in."""
    for name, value in said.items():
        if isinstance(value, tuple):
            yield name, _filled(name, value, path)
        elif value is not None:
            yield name, value


def _filled(name: str, parts: Parts, path: str) -> str:
    try:
        return fill(parts, lambda placeholder: part(path, placeholder))
    except NoFolder as error:
        error.attribute = name
        raise


def attribute_problems(attributes: Attributes) -> Iterator[tuple[str, str]]:
    """What is wrong with a file's merged attributes: the attribute (empty for all of them), and what."""
    if len(attributes) > MAX_ATTRIBUTES:
        names = ", ".join(sorted(attributes))
        yield "", f"{len(attributes)} attributes after merging, {MAX_ATTRIBUTES} are allowed: {names}"
    for name, value in attributes.items():
        if isinstance(value, str) and len(value) > MAX_VALUE_LENGTH:
            yield name, f"the attribute `{name}` has {len(value):,} characters, {MAX_VALUE_LENGTH} are allowed"


def source_of(layers: tuple[Layer, ...], name: str, fields: Attributes) -> TreePath | None:
    """Where an attribute's value is written; None where the file's own front matter gave it."""
    for layer in reversed(layers):
        if name in layer.front_matter and name in fields:
            return None
        if name in layer.attributes:
            return (*layer.path, "attributes", name)
    return layers[0].path
