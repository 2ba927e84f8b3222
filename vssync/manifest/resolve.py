"""The last step: selected files and what was read of them become the desired state, each part with its provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from unicodedata import normalize

from vssync.manifest.diagnostics import Diagnostic, raise_if_any
from vssync.manifest.environments import applies_in
from vssync.manifest.front_matter import may_have_front_matter
from vssync.manifest.placeholders import ENVIRONMENT_FIELDS, MissingFolder, Placeholder, upload_digest, upload_name
from vssync.manifest.select import SelectedFile, Selection
from vssync.manifest.spec import FileEntry, Layer, Manifest, attribute_path, find_attribute_problems, resolve_attributes
from vssync.manifest.yaml_loader import TreePath
from vssync.model.state import Attributes, Desired, DesiredFile, Scalar


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a file: its SHA-256 (empty where the file was not hashed), size in bytes, front matter."""

    sha256: str = ""
    size: int = 0
    front_matter: Attributes = field(default_factory=dict)


def front_matter_to_read(file: SelectedFile) -> frozenset[str]:
    """The front matter fields to read of a file: those that a layer over it takes, if it can have any."""
    can_have_fields = file.source and may_have_front_matter(file.source.path)
    return file.settings.front_matter_fields if can_have_fields else frozenset()


def resolve_desired(manifest: Manifest, selections: tuple[Selection, ...], readings: Mapping[str, Reading]) -> Desired:
    """The desired state, without the stores whose selection is unknown. Raises ManifestError.

    `readings` are by path. A file needs none unless it has front matter to read.
    """
    resolver = _Resolver(manifest.owner_name, readings)
    stores = tuple(
        replace(
            selection.spec.store,
            files=tuple(desired for file in selection.files if (desired := resolver.resolve(file))),
            skipped=selection.skipped,
        )
        for selection in selections
        if not selection.spec.has_unknown_selection
    )
    raise_if_any(manifest.documents, resolver.diagnostics())
    return Desired(manifest.owner, manifest.service, stores)


class _Resolver:
    """Resolves files one by one, and collects what is wrong: once for each attribute, however many files have it.

    Equal attributes are one object, which is checked once.
    """

    def __init__(self, owner_name: str, readings: Mapping[str, Reading]) -> None:
        self._owner_name, self._readings = owner_name, readings
        self._distinct: dict[frozenset[tuple[str, type, Scalar]], Attributes] = {}
        self._checked: set[int] = set()  # the `id` of attributes that `_distinct` or the settings keep alive
        # (path an attribute is written at, its name or "" for all) -> (message, hint, paths of files)
        self._problems: dict[tuple[TreePath, str], tuple[str, str, list[str]]] = {}

    def resolve(self, file: SelectedFile) -> DesiredFile | None:
        """The desired file; None if something is wrong with it."""
        source, settings = file.source, file.settings
        file_path = source.nfc_path if source else file.key
        reading = self._readings.get(source.path) if source else None
        if reading is None and front_matter_to_read(file):
            return None  # why it could not be read is reported already
        front_matter = reading.front_matter if reading else {}
        try:
            attributes = resolve_attributes(settings, file_path, front_matter)
        except MissingFolder as error:
            hint = "ask for fewer folders, or set it to `null` in an override for files that have fewer"
            self._add_problem(file, error.attribute, front_matter, str(error), hint)
            return None
        if attributes is not settings.constant_attributes:
            typed = frozenset((name, type(value), value) for name, value in attributes.items())  # since 1 equals true
            attributes = self._distinct.setdefault(typed, attributes)
        if id(attributes) not in self._checked:
            self._checked.add(id(attributes))
            for name, message in find_attribute_problems(attributes):
                hint = "shorten it, or set it to `null` in an override" if name else "set some of them to `null`"
                self._add_problem(file, name, front_matter, message, hint)
        filename, sha256, size = file.filename, "", source.size if source else 0
        if reading:
            sha256, size = reading.sha256, reading.size
        if sha256 and Placeholder("digest") in settings.filename:
            filename = upload_name(settings.filename, file_path, upload_digest(self._owner_name, sha256))
        return DesiredFile(
            key=file.key,
            filename=filename,
            attributes=attributes,
            chunking=settings.chunking,
            path=source.path if source else "",
            file_id=file.entry.file_id,
            size=size,
            sha256=sha256,
        )

    def _add_problem(
        self, file: SelectedFile, attribute: str, front_matter: Attributes, message: str, hint: str
    ) -> None:
        written_at = attribute_path(file.settings.layers, attribute, front_matter) if attribute else None
        problem = (written_at or file.entry.layer.path, attribute)
        _, _, file_paths = self._problems.setdefault(problem, (message, hint, []))
        file_paths.append(file.source.nfc_path if file.source else file.key)

    def diagnostics(self) -> list[Diagnostic]:
        """Everything that was wrong."""
        diagnostics: list[Diagnostic] = []
        for (written_at, _), (message, hint, file_paths) in self._problems.items():
            more = f" and {len(file_paths) - 1:,} more" if len(file_paths) > 1 else ""
            diagnostics.append(Diagnostic(written_at, f"{message} (`{file_paths[0]}`{more})", hint))
        return diagnostics


def provenance(
    manifest: Manifest, store_key: str, file: DesiredFile, front_matter: Attributes
) -> Mapping[str, TreePath | None]:
    """For each part of a file (`file`, `chunking`, `filename`, `attributes.lang`), the tree's path it came from.

    None stands for the file's own front matter, whose fields are `front_matter`. Parts that no layer sets are left out.
    """
    entry, layers = _entry_and_layers(manifest, store_key, file)
    sources: dict[str, TreePath | None] = {"file": entry.layer.path}
    for layer in layers:
        for part in ("chunking", "filename"):
            if getattr(layer, part) is not None:
                sources[part] = (*layer.path, part)
    for name in file.attributes:
        sources[f"attributes.{name}"] = attribute_path(layers, name, front_matter)
    return sources


def front_matter_fields(manifest: Manifest, store_key: str, file: DesiredFile) -> frozenset[str]:
    """The fields of a file's own front matter that become attributes."""
    if not may_have_front_matter(file.path):
        return frozenset()
    _, layers = _entry_and_layers(manifest, store_key, file)
    return frozenset(name for layer in layers for name in layer.front_matter)


def _entry_and_layers(manifest: Manifest, store_key: str, file: DesiredFile) -> tuple[FileEntry, tuple[Layer, ...]]:
    """The entry that a desired file came from, and all layers over the file, outermost first."""
    spec = next(spec for spec in manifest.stores if spec.store.key == store_key)
    nfc_path = normalize("NFC", file.path or file.key)
    entry = spec.entries.entry_of(nfc_path, file.file_id)
    overrides = (override.layer for override in spec.overrides if override.pattern.matches(nfc_path))
    return entry, (spec.layer, entry.layer, *overrides)


def effective_tree(manifest: Manifest) -> dict[str, Any]:
    """The manifest's tree without the entries that belong to other environments."""
    stores: dict[str, Any] = {}
    for key, store in manifest.tree["stores"].items():
        entries = [
            {name: value for name, value in entry.items() if name not in ENVIRONMENT_FIELDS}
            for entry in store.get("files") or ()
            if applies_in(entry, manifest.env)
        ]
        others = {name: value for name, value in store.items() if name != "files"}
        stores[key] = {**store, "files": entries} if entries else others  # an empty list would not be valid
    return {**manifest.tree, "stores": stores}
