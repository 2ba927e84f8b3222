"""The last step: chosen files and what was read of them become the desired state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vssync.errors import ManifestError
from vssync.manifest.diagnostics import Diagnostic, TreePath
from vssync.manifest.front_matter import may_have_front_matter
from vssync.manifest.merge import FileSettings, find_attribute_problems, resolve_attributes, source_of
from vssync.manifest.placeholders import MissingFolder, upload_digest, upload_name
from vssync.manifest.select import SelectedFile, Selection
from vssync.manifest.source_map import locate_diagnostics
from vssync.manifest.spec import Manifest
from vssync.model.state import Attributes, Desired, DesiredFile, Scalar

NOTHING: Attributes = {}
HINTS = {True: "shorten it, choose fewer files, or remove it by null in an override", False: "remove some by null"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a file: its SHA-256 (empty when only looked at), size in bytes, front matter."""

    sha256: str = ""
    size: int = 0
    fields: Attributes = field(default_factory=dict)


def wanted_fields(choice: SelectedFile) -> frozenset[str]:
    """The fields of a file's own front matter that its attributes depend on."""
    return choice.profile.lifts if choice.found and may_have_front_matter(choice.found.path) else frozenset()


def resolve_desired(manifest: Manifest, chosen: tuple[Selection, ...], readings: Mapping[str, Reading]) -> Desired:
    """The desired state; `readings` are by path, and files that were not read have none. Raises ManifestError.

    Doubtful stores are left out.
    """
    resolver = _Resolver(manifest, readings)
    stores = tuple(
        replace(
            one.spec.settings,
            files=tuple(file for choice in one.choices if (file := resolver.file(choice))),
            skipped=one.skipped,
        )
        for one in chosen
        if not one.spec.doubtful
    )
    resolver.complain()
    return Desired(manifest.owner, manifest.service, stores)


@dataclass(slots=True)
class _Fault:
    """What is wrong with an attribute, and the files it concerns."""

    message: str
    file: str  # the first
    count: int = 0


class _Resolver:
    """Resolves files one by one; keeps equal attribute maps once, and what is wrong once an attribute."""

    def __init__(self, manifest: Manifest, readings: Mapping[str, Reading]) -> None:
        self._manifest, self._readings = manifest, readings
        self._maps: dict[frozenset[tuple[str, type, Scalar]], Attributes] = {}
        self._faults: dict[tuple[TreePath, str], _Fault] = {}
        self._checked: set[int] = set()

    def file(self, choice: SelectedFile) -> DesiredFile | None:
        """The desired file of a choice; None where something is wrong with it."""
        found, profile = choice.found, choice.profile
        path = found.name if found else choice.key
        reading = self._readings.get(found.path) if found else None
        if reading is None and wanted_fields(choice):
            return None  # what is wrong with it is known
        fields = reading.fields if reading else NOTHING
        try:
            attributes = self._shared(resolve_attributes(profile, path, fields), profile)
        except MissingFolder as error:
            self._complain(profile, error.attribute, fields, str(error), path)
            return None
        if id(attributes) not in self._checked:
            self._checked.add(id(attributes))
            for name, message in find_attribute_problems(attributes):
                self._complain(profile, name, fields, message, path)
        return DesiredFile(
            key=choice.key,
            filename=self._filename(choice, path, reading),
            attributes=attributes,
            chunking=profile.chunking,
            path=found.path if found else "",
            file_id=choice.entry.file_id,
            size=reading.size if reading else found.size if found else 0,
            sha256=reading.sha256 if reading else "",
        )

    def _filename(self, choice: SelectedFile, path: str, reading: Reading | None) -> str:
        if reading is None or not reading.sha256 or not choice.profile.named_by_content:
            return choice.filename
        return upload_name(choice.profile.filename, path, upload_digest(self._manifest.name, reading.sha256))

    def _shared(self, attributes: Attributes, profile: FileSettings) -> Attributes:
        """The one map that is kept for all equal ones; kinds count, since 1 equals true."""
        if attributes is profile.shared:
            return attributes
        rows = frozenset((name, type(value), value) for name, value in attributes.items())
        return self._maps.setdefault(rows, attributes)

    def _complain(self, profile: FileSettings, name: str, fields: Attributes, message: str, file: str) -> None:
        path = source_of(profile.layers, name, fields) if name else None
        known = self._faults.setdefault((path or profile.layers[1].path, name), _Fault(message, file))
        known.count += 1

    def complain(self) -> None:
        """Raises ManifestError with everything that was wrong."""
        faults = [
            Diagnostic(path, f"{fault.message} (`{fault.file}`{_more(fault.count)})", HINTS[bool(name)])
            for (path, name), fault in self._faults.items()
        ]
        if faults:
            raise ManifestError(locate_diagnostics(self._manifest.documents, faults))


def _more(count: int) -> str:
    return f" and {count - 1:,} more" if count > 1 else ""
