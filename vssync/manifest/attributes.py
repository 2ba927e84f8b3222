"""Inheritance: what the levels over a file (store, entry, overrides in order) say together.

Files under the same levels share a `Profile`, so levels are merged once and not once a file. At each level, the front
matter it lifts goes before its attributes; an inner level goes before an outer one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from vssync.manifest.faults import Path
from vssync.manifest.filenames import NoFolder, part
from vssync.manifest.placeholders import Name, Parts, fill, split
from vssync.manifest.spec import Layer
from vssync.model import AUTO, Attributes, Chunking, Scalar
from vssync.ownership import VALUE_LIMIT

MOST = 14  # of the API's 16; two are marks
PATH: Parts = (Name("path"),)
Said = Scalar | Parts | None


@dataclass(frozen=True, slots=True)
class Level:
    """Attributes, some to be filled in, and the front matter fields that go before them."""

    attributes: Mapping[str, Said]
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


def profile(layers: tuple[Layer, ...]) -> Profile:
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
    attributes: dict[str, Said] = {}
    for layer in layers:
        attributes.update({name: _said(value) for name, value in layer.attributes.items()})
        if layer.front_matter:
            yield Level(attributes, layer.front_matter)
            attributes = {}
    yield Level(attributes, ())


def _said(value: Scalar | None) -> Said:
    """A value as it is, or the parts of a text that has something to fill in."""
    if not isinstance(value, str):
        return value
    parts = split(value)
    return parts if any(isinstance(part, Name) for part in parts) else "".join(str(part) for part in parts)


def attributes_of(profile: Profile, path: str, fields: Attributes) -> Attributes:
    """A file's attributes; `fields` are its front matter. Raises NoFolder."""
    if profile.shared is not None:
        return profile.shared
    merged: dict[str, Said] = {}
    for level in profile.levels:
        merged.update(level.attributes)
        merged.update({name: fields[name] for name in level.lifts if name in fields})
    return dict(_present(merged, path))


def _present(said: Mapping[str, Said], path: str = "") -> Iterator[tuple[str, Scalar]]:
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


def flaws(attributes: Attributes) -> Iterator[tuple[str, str]]:
    """What is wrong with a file's merged attributes: the attribute (empty for all of them), and what."""
    if len(attributes) > MOST:
        yield "", f"{len(attributes)} attributes after merging, {MOST} are allowed: {', '.join(sorted(attributes))}"
    for name, value in attributes.items():
        if isinstance(value, str) and len(value) > VALUE_LIMIT:
            yield name, f"the attribute `{name}` has {len(value):,} characters, {VALUE_LIMIT} are allowed"


def giver(layers: tuple[Layer, ...], name: str, fields: Attributes) -> Path | None:
    """Where an attribute's value is written; None where the file's own front matter gave it."""
    for layer in reversed(layers):
        if name in layer.front_matter and name in fields:
            return None
        if name in layer.attributes:
            return (*layer.path, "attributes", name)
    return layers[0].path
