"""The last step: selected files and what was read of them become the desired state, and where each part came from."""

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
from vssync.manifest.spec import FileSettings, Layer, Manifest, find_attribute_problems, resolve_attributes, source_of
from vssync.manifest.yaml_loader import TreePath
from vssync.model.state import Attributes, Desired, DesiredFile, Scalar


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a file: its SHA-256 (empty where the file was not hashed), size in bytes, front matter."""

    sha256: str = ""
    size: int = 0
    front_matter: Attributes = field(default_factory=dict)


def wanted_fields(file: SelectedFile) -> frozenset[str]:
    """The fields of a file's own front matter that its attributes depend on."""
    has_fields = file.source and may_have_front_matter(file.source.path)
    return file.settings.front_matter_fields if has_fields else frozenset()


def resolve_desired(manifest: Manifest, selections: tuple[Selection, ...], readings: Mapping[str, Reading]) -> Desired:
    """The desired state, without indeterminate stores; `readings` are by path, and only of files that were read.

    Raises ManifestError.
    """
    resolver = _Resolver(manifest.name, readings)
    stores = tuple(
        replace(
            selection.spec.store,
            files=tuple(desired for file in selection.files if (desired := resolver.resolve(file))),
            skipped=selection.skipped,
        )
        for selection in selections
        if not selection.spec.is_indeterminate
    )
    raise_if_any(manifest.documents, resolver.diagnostics())
    return Desired(manifest.owner, manifest.service, stores)


class _Resolver:
    """Resolves files one by one; keeps equal attributes once, and what is wrong once an attribute."""

    def __init__(self, name: str, readings: Mapping[str, Reading]) -> None:
        self._name, self._readings = name, readings
        self._distinct: dict[frozenset[tuple[str, type, Scalar]], Attributes] = {}
        self._problems: dict[tuple[TreePath, str], tuple[str, list[str]]] = {}  # a message, and the files it concerns
        self._checked: set[int] = set()

    def resolve(self, file: SelectedFile) -> DesiredFile | None:
        """The desired file; None if something is wrong with it."""
        source, settings = file.source, file.settings
        path = source.nfc_path if source else file.key
        reading = self._readings.get(source.path) if source else None
        if reading is None and wanted_fields(file):
            return None  # why it could not be read is reported already
        front_matter = reading.front_matter if reading else {}
        try:
            attributes = resolve_attributes(settings, path, front_matter)
        except MissingFolder as error:
            self._add_problem(settings, error.attribute, front_matter, str(error), path)
            return None
        if attributes is not settings.constant_attributes:
            typed = frozenset((name, type(value), value) for name, value in attributes.items())  # since 1 equals true
            attributes = self._distinct.setdefault(typed, attributes)
        if id(attributes) not in self._checked:
            self._checked.add(id(attributes))
            for name, message in find_attribute_problems(attributes):
                self._add_problem(settings, name, front_matter, message, path)
        filename, sha256 = file.filename, reading.sha256 if reading else ""
        if sha256 and Placeholder("digest") in settings.filename:
            filename = upload_name(settings.filename, path, upload_digest(self._name, sha256))
        return DesiredFile(
            key=file.key,
            filename=filename,
            attributes=attributes,
            chunking=settings.chunking,
            path=source.path if source else "",
            file_id=file.entry.file_id,
            size=reading.size if reading else source.size if source else 0,
            sha256=sha256,
        )

    def _add_problem(
        self, settings: FileSettings, name: str, front_matter: Attributes, message: str, file_name: str
    ) -> None:
        _, entry_layer, *_ = settings.layers
        place = (source_of(settings.layers, name, front_matter) if name else None) or entry_layer.path
        self._problems.setdefault((place, name), (message, []))[1].append(file_name)

    def diagnostics(self) -> list[Diagnostic]:
        """Everything that was wrong."""
        diagnostics: list[Diagnostic] = []
        for (path, name), (message, files) in self._problems.items():
            more = f" and {len(files) - 1:,} more" if len(files) > 1 else ""
            way_out = "shorten it, choose fewer files, or set it to `null` in an override"
            hint = way_out if name else "remove some by setting them to `null`"
            diagnostics.append(Diagnostic(path, f"{message} (`{files[0]}`{more})", hint))
        return diagnostics


def provenance(
    manifest: Manifest, store_key: str, file: DesiredFile, front_matter: Attributes
) -> Mapping[str, TreePath | None]:
    """By part (`file`, `chunking`, `filename`, `attributes.lang`), the manifest's path it came from.

    None stands for the file's own front matter, `front_matter`. Parts that nobody set are left out.
    """
    layers = _layers_over(manifest, store_key, file)
    _, entry_layer, *_ = layers
    sources: dict[str, TreePath | None] = {"file": entry_layer.path}
    for layer in layers:
        for part in ("chunking", "filename"):
            if getattr(layer, part) is not None:
                sources[part] = (*layer.path, part)
    for name in file.attributes:
        sources[f"attributes.{name}"] = source_of(layers, name, front_matter)
    return sources


def front_matter_fields(manifest: Manifest, store_key: str, file: DesiredFile) -> frozenset[str]:
    """The fields of a file's own front matter that become attributes."""
    layers = _layers_over(manifest, store_key, file) if may_have_front_matter(file.path) else ()
    return frozenset(name for layer in layers for name in layer.front_matter)


def _layers_over(manifest: Manifest, store_key: str, file: DesiredFile) -> tuple[Layer, ...]:
    spec = next(spec for spec in manifest.stores if spec.store.key == store_key)
    name = normalize("NFC", file.path or file.key)
    overrides = (override.layer for override in spec.overrides if override.pattern.matches(name))
    return (spec.layer, spec.entries.origin(name, file.file_id).layer, *overrides)


def effective_tree(manifest: Manifest) -> dict[str, Any]:
    """The manifest's tree without what its environment leaves out."""
    stores: dict[str, Any] = {}
    for key, store in manifest.tree["stores"].items():
        entries = [
            {name: value for name, value in entry.items() if name not in ENVIRONMENT_FIELDS}
            for entry in store.get("files") or ()
            if applies_in(entry, manifest.env)
        ]
        others = {name: value for name, value in store.items() if name != "files"}
        stores[key] = {**store, "files": entries} if entries else others
    return {**manifest.tree, "stores": stores}
