"""Turns selected files, and what was read of them, into the desired state; traces where each part of a file is set."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any
from unicodedata import normalize

from vssync.errors import ManifestError, Problem
from vssync.manifest.diagnostics import Diagnostic, locate_diagnostics
from vssync.manifest.environments import applies_in
from vssync.manifest.lookups import NO_FINDINGS, Findings, Lookup, Source
from vssync.manifest.placeholders import MissingFolder, upload_digest, upload_name
from vssync.manifest.select import FileToRead, SelectedFile, Selection, note_skipped
from vssync.manifest.spec import (
    FileEntry,
    FileSettings,
    Layer,
    Manifest,
    StoreSpec,
    attribute_origin,
    find_attribute_problems,
    first_found,
    merge_layers,
    resolve_attributes,
)
from vssync.manifest.yaml_loader import TreePath
from vssync.model.state import Attributes, Desired, DesiredFile, DesiredStore, Scalar
from vssync.text import join_words


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a file: its SHA-256 (empty where it was not hashed), size in bytes, and what its text says."""

    sha256: str = ""
    size: int = 0
    findings: Findings = NO_FINDINGS
    problem: Problem | None = None  # why its text cannot be read
    is_blank: bool = False  # nothing but white space
    source: str = ""  # of a converted file, as marks have it; all else is then about its Markdown


_NOT_READ = Reading()


def lookups_in(file: SelectedFile) -> frozenset[Lookup]:
    """The lookups of a file's attributes; the file must be read if there are any."""
    return file.settings.lookups if file.disk_file else frozenset()


def resolve_desired(
    manifest: Manifest,
    selections: tuple[Selection, ...],
    readings: Mapping[FileToRead, Reading] | None,
    *,
    is_past: bool = False,
) -> tuple[Desired, tuple[Problem, ...]]:
    """The desired state (stores of unknown selection left out) and the warnings. Raises ManifestError.

    A file needs no reading unless attributes are looked up in it. Without `readings`, no file was read, and these
    attributes are left out. A manifest that `is_past` cannot be fixed any more: its problems are returned as warnings.
    """
    resolver = _Resolver(manifest.owner_name, readings)
    selections = tuple(selection for selection in selections if not selection.spec.has_unknown_selection)
    stores = tuple(resolver.resolve_store(selection) for selection in selections)
    problems = (*resolver.content_problems, *locate_diagnostics(manifest.documents, resolver.diagnostics()))
    if problems and not is_past:
        raise ManifestError(problems)
    staying = tuple(store for store in stores if not store.removed)
    removed = tuple(store for store in stores if store.removed)
    desired = Desired(manifest.owner, manifest.service, staying, removed)
    return desired, problems if is_past else locate_diagnostics(manifest.documents, resolver.warnings())


class _Resolver:
    """Resolves files one by one, and collects what is wrong: once for each attribute, however many files have it.

    Equal attributes are one object, which is checked once.
    """

    def __init__(self, owner_name: str, readings: Mapping[FileToRead, Reading] | None) -> None:
        self._owner_name, self._readings, self._is_read = owner_name, readings or {}, readings is not None
        self._distinct: dict[tuple[object, ...], Attributes] = {}
        self._checked: set[int] = set()  # the `id` of attributes that `_distinct` or the settings keep alive
        # (where an attribute is written, its name or "" for all) -> (what is wrong, paths of files)
        self._attribute_problems: dict[tuple[TreePath, str], tuple[Diagnostic, list[str]]] = {}
        # id(settings) -> (settings, front matter fields not yet seen in any file with those settings)
        self._unseen: dict[int, tuple[FileSettings, set[Source]]] = {}
        self._skipped: dict[str, str] = {}
        self.content_problems: list[Problem] = []

    def resolve_store(self, selection: Selection) -> DesiredStore:
        """The store with its files, without those that are skipped or have a problem."""
        self._skipped = dict(selection.skipped)
        files = (self._resolve(selection.spec, file) for file in selection.files)
        return replace(
            selection.spec.store, files=tuple(file for file in files if file is not None), skipped=self._skipped
        )

    def _resolve(self, spec: StoreSpec, file: SelectedFile) -> DesiredFile | None:
        disk_file, settings = file.disk_file, file.settings
        reading = self._readings.get(file.to_read) if file.to_read else None
        if reading is None and self._is_read and lookups_in(file):
            return None  # it could not be read, which is reported already
        reading = reading or _NOT_READ
        if reading.findings.is_draft and "!draft" not in spec.skip:
            note_skipped(self._skipped, file.key, file.nfc_path, "draft")
            return None
        if problems := _content_problems(file, reading):
            self._report_or_skip(spec, file, "empty" if reading.is_blank else "broken", problems)
            return None
        if self._is_read and lookups_in(file):
            self._note_seen(settings, reading.findings.fields)
        attributes = self._resolve_attributes(file, reading.findings.values if self._is_read else None)
        if attributes is None:
            return None
        filename = file.filename
        if reading.sha256 and settings.filename_has_digest:
            digest = upload_digest(self._owner_name, reading.sha256)
            filename = spec.formats.sent_name(upload_name(settings.filename, file.nfc_path, digest))
        size = disk_file.size if disk_file else 0
        return DesiredFile(
            key=file.key,
            filename=filename,
            attributes=attributes,
            chunking=settings.chunking,
            path=disk_file.path if disk_file else "",
            file_id=file.entry.file_id,
            size=reading.size if reading.sha256 else size,
            sha256=reading.sha256,
            source=reading.source,
            dated=_dated_attributes(settings, reading.findings) if reading.findings.dated else (),
        )

    def _resolve_attributes(self, file: SelectedFile, looked_up: Mapping[Lookup, Scalar] | None) -> Attributes | None:
        """A file's attributes, one object for all files with the same; None where its path lacks a folder."""
        try:
            attributes = resolve_attributes(file.settings, file.nfc_path, looked_up)
        except MissingFolder as error:
            hint = "ask for fewer folders, or set it to `null` in an override for files that have fewer"
            self._note_problem(file, error.attribute, looked_up, str(error), hint)
            return None
        if attributes is not file.settings.constant_attributes:
            typed = (*attributes.items(), *map(type, attributes.values()))  # since 1 equals true
            attributes = self._distinct.setdefault(typed, attributes)
        if id(attributes) not in self._checked:
            self._checked.add(id(attributes))
            for name, message in find_attribute_problems(attributes):
                hint = "shorten it, or set it to `null` in an override" if name else "set some of them to `null`"
                self._note_problem(file, name, looked_up, message, hint)
        return attributes

    def _report_or_skip(
        self, spec: StoreSpec, file: SelectedFile, reason: str, problems: Mapping[Problem, str]
    ) -> None:
        """Reports problems of a file's content, or skips the file where wildcards match it and `skip` says so."""
        if file.entry.has_wildcards and reason in spec.skip:
            note_skipped(self._skipped, file.key, file.nfc_path, reason)
            return
        for problem, by_override in problems.items():
            alternative = f"add `skip: [{reason}]`" if file.entry.has_wildcards else by_override
            hint = f"{problem.hint}, or {alternative}" if alternative else problem.hint
            self.content_problems.append(replace(problem, hint=hint))

    def _note_seen(self, settings: FileSettings, fields: Collection[Source]) -> None:
        if id(settings) not in self._unseen:
            self._unseen[id(settings)] = settings, {source for lookup in settings.lookups for source in lookup.fields}
        self._unseen[id(settings)][1].difference_update(fields)

    def warnings(self) -> list[Diagnostic]:
        """A diagnostic for each front matter field that an attribute names and no file it applies to has."""
        # ((where an attribute is written, a field that it names), whether no file of these settings has the field)
        fields = [
            (((*layer.path, "attributes", name), source), source in unseen)
            for settings, unseen in self._unseen.values()
            for layer in settings.layers
            for name, value in layer.attributes.items()
            if isinstance(value, Lookup) and value in settings.lookups
            for source in value.fields
        ]
        seen = {field for field, is_unseen in fields if not is_unseen}
        missing = dict.fromkeys(field for field, _ in fields if field not in seen)
        message = "no file that this applies to has the front matter field `{}`"
        return [
            Diagnostic(path, message.format(".".join(source[1:])), "fix the name, or leave it out")
            for path, source in missing
        ]

    def _note_problem(
        self, file: SelectedFile, attribute: str, looked_up: Mapping[Lookup, Scalar] | None, message: str, hint: str
    ) -> None:
        """Notes what is wrong with an attribute of a file, or with all of them if `attribute` is empty."""
        layers, entry_path = file.settings.layers, file.entry.layer.path
        path = attribute_origin(layers, attribute, looked_up or {})[0] if attribute else entry_path
        _, file_paths = self._attribute_problems.setdefault((path, attribute), (Diagnostic(path, message, hint), []))
        file_paths.append(file.nfc_path)

    def diagnostics(self) -> list[Diagnostic]:
        """What was wrong with attributes."""
        diagnostics: list[Diagnostic] = []
        for diagnostic, file_paths in self._attribute_problems.values():
            more = f" and {len(file_paths) - 1:,} more" if len(file_paths) > 1 else ""
            diagnostics.append(replace(diagnostic, message=f"{diagnostic.message} (`{file_paths[0]}`{more})"))
        return diagnostics


def _content_problems(file: SelectedFile, reading: Reading) -> dict[Problem, str]:
    """What is wrong with a file's content; after each problem, how an override would avoid it, if one can."""
    if reading.is_blank and file.disk_file:
        message = "the file holds nothing but white space, which no search finds"
        if reading.source:
            message = "the file holds no text once it is converted, as of a scan; nothing would be found"
        return {Problem(file.disk_file.path, 0, 0, message, "exclude it"): ""}
    if reading.problem:
        return {reading.problem: ""}
    if not reading.findings.problems:
        return {}
    attributes_by_problem: dict[Problem, list[str]] = {}
    for name, values in file.settings.candidates.items():
        for value in values:
            if isinstance(value, Lookup) and (problem := reading.findings.problems.get(value)):
                attributes_by_problem.setdefault(problem, []).append(f"`{name}: null`")
    return {
        replace(problem, hint=problem.hint or "fix the document"): f"set {join_words(names)} in an override"
        for problem, names in attributes_by_problem.items()
    }


def _dated_attributes(settings: FileSettings, findings: Findings) -> tuple[str, ...]:
    """The names of the attributes whose value is the date of the file's last commit."""
    found = ((name, first_found(values, findings.values)) for name, values in settings.candidates.items())
    return tuple(name for name, value in found if value in findings.dated)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a part of a file is set, and the source that its value was looked up in (`git.date`), if any."""

    path: TreePath
    source: str = ""


def trace_provenance(
    manifest: Manifest, store_key: str, file: DesiredFile, looked_up: Mapping[Lookup, Scalar]
) -> Mapping[str, Provenance]:
    """For each part of a file (`file`, `chunking`, `filename`, `attributes.lang`), where it is set.

    `looked_up` are the values of the `lookups_to_trace`. Parts that no layer sets are left out.
    """
    entry, layers = _entry_and_layers(manifest, store_key, file)
    origins = {"file": Provenance(entry.layer.path)}
    for layer in layers:
        for part in ("chunking", "filename"):
            if getattr(layer, part) is not None:
                origins[part] = Provenance((*layer.path, part))
    for name in file.attributes:
        path, value = attribute_origin(layers, name, looked_up)
        source: Source = ()
        if isinstance(value, Lookup):
            by_source = _split_by_source(value)  # `lookups_to_trace` has them, so they are in `looked_up`
            source = next((lookup.sources[0] for lookup in by_source if lookup in looked_up), ())
        origins[f"attributes.{name}"] = Provenance(path, ".".join(source))
    return origins


def lookups_to_trace(manifest: Manifest, store_key: str, file: DesiredFile) -> frozenset[Lookup]:
    """A file's lookups, and one for each of their sources, so that `trace_provenance` knows which has the value."""
    lookups = merge_layers(_entry_and_layers(manifest, store_key, file)[1]).lookups if file.path else frozenset()
    return lookups.union(*map(_split_by_source, lookups))


def _split_by_source(lookup: Lookup) -> tuple[Lookup, ...]:
    return tuple(replace(lookup, sources=(source,)) for source in lookup.sources)


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
            {name: value for name, value in entry.items() if name != "only"}
            for entry in store.get("files") or ()
            if applies_in(entry, manifest.env)
        ]
        others = {name: value for name, value in store.items() if name != "files"}
        stores[key] = {**store, "files": entries} if entries else others  # an empty list would not be valid
    return {**manifest.tree, "stores": stores}
