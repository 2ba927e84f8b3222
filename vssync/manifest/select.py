"""Which files a store holds: what its entries select from a listing, before any file is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vssync.errors import Problem
from vssync.manifest.diagnostics import Diagnostic, format_path, locate_diagnostics
from vssync.manifest.globs import FoundFile, Listing
from vssync.manifest.placeholders import MissingFolder, fill_template, upload_name
from vssync.manifest.spec import PATH_TEMPLATE, FileEntry, FileSettings, Manifest, StoreSpec, merge_layers
from vssync.manifest.yaml_loader import TreePath
from vssync.model.state import extension_of
from vssync.providers import PROVIDERS

DIGEST_STAND_IN = "0" * 16


@dataclass(frozen=True, slots=True)
class SelectedFile:
    """One file of a store before it is read."""

    key: str
    filename: str  # the upload name, with zeros for a digest, which is known only when the file has been read
    entry: FileEntry
    settings: FileSettings
    source: FoundFile | None = None  # None for a File declared by id


@dataclass(frozen=True, slots=True)
class Selection:
    """What a store's entries select."""

    spec: StoreSpec
    files: tuple[SelectedFile, ...]  # sorted by key
    skipped: Mapping[str, str]  # by the key of a file that `skip` leaves out, its reason


def select_files(manifest: Manifest, listing: Listing) -> tuple[tuple[Selection, ...], tuple[Problem, ...]]:
    """What each store holds, and everything wrong with entries and the files they select."""
    selectors = [_StoreSelector(manifest.service.provider, spec) for spec in manifest.stores]
    selections = tuple(selector.select(listing) for selector in selectors)
    diagnostics = [diagnostic for selector in selectors for diagnostic in selector.diagnostics]
    problems = tuple(problem for selector in selectors for problem in selector.problems)
    return selections, (*locate_diagnostics(manifest.documents, diagnostics), *problems)


class _StoreSelector:
    """Selects the files of one store, and collects what is wrong: diagnostics of entries, problems of files."""

    def __init__(self, provider: str, spec: StoreSpec) -> None:
        self.provider, self.spec = PROVIDERS[provider], spec
        self.diagnostics: list[Diagnostic] = []
        self.problems: list[Problem] = []
        self.skipped: dict[str, str] = {}
        self._overrides = [(override.pattern.start, override.pattern.matches) for override in spec.overrides]
        self._settings: dict[tuple[int, ...], FileSettings] = {}  # by the indexes of an entry and its overrides

    def select(self, listing: Listing) -> Selection:
        """The store's files, and a diagnostic for each whose key another one has."""
        files = sorted(self._select_by_entries(listing), key=lambda file: file.key)
        first: dict[str, SelectedFile] = {}  # by key without its case, which some services and disks ignore
        for file in files:
            other = first.setdefault(file.key.casefold(), file)
            if other is not file:
                clash = "the same key" if other.key == file.key else f"a key that differs only in case, `{other.key}`"
                names = [each.source.path if each.source else each.entry.file_id for each in (other, file)]
                message = f"`{names[0]}` and `{names[1]}` have {clash}: `{file.key}`"
                self.diagnostics.append(Diagnostic(file.entry.layer.path, message, "rename one, or give it a `key`"))
        return Selection(self.spec, tuple(files), self.skipped)

    def _select_by_entries(self, listing: Listing) -> Iterator[SelectedFile]:
        """Each file once, for the first entry that selects or declares it; a second one that selects it is reported."""
        selected_by: dict[str, FileEntry] = {}
        for index, entry in enumerate(self.spec.entries):
            if entry.file_id:
                key = fill_template(entry.key, "")
                filename = upload_name(PATH_TEMPLATE, key, "")
                yield SelectedFile(key, filename, entry, self._settings_for(index, key))
                continue
            shared_with: dict[TreePath, list[str]] = {}  # one diagnostic per pair of entries, however many files
            for nfc_path, source in self._matches(entry, listing):
                if (other := selected_by.setdefault(nfc_path, entry)) is not entry:
                    shared_with.setdefault(other.layer.path, []).append(nfc_path)
                elif file := self._select_or_report(index, nfc_path, source):
                    yield file
            for other_path, shared in shared_with.items():
                subject = f"`{shared[0]}`" + (f" and {len(shared) - 1:,} more files are" if len(shared) > 1 else " is")
                message = f"{subject} chosen by two entries, also by `{format_path(other_path)}`"
                hint = "narrow one of them, or use `exclude`"
                self.diagnostics.append(Diagnostic((*entry.layer.path, "path"), message, hint))

    def _matches(self, entry: FileEntry, listing: Listing) -> Iterator[tuple[str, FoundFile]]:
        """The files an entry selects, of which there must be some unless it is optional."""
        assert entry.pattern is not None
        is_empty = True
        for nfc_path, source in listing.matching(entry.pattern):
            if not entry.excludes(nfc_path):
                is_empty = False
                yield nfc_path, source
        if is_empty and not entry.optional:
            flaw = "does not exist" if entry.pattern.is_literal and not entry.exclude else "matches no file"
            message, hint = f"`{entry.pattern.text}` {flaw}", "fix it, or add `optional: true`"
            self.diagnostics.append(Diagnostic((*entry.layer.path, "path"), message, hint))

    def _select_or_report(self, index: int, nfc_path: str, source: FoundFile) -> SelectedFile | None:
        """A file that the entry of this index matches; None if it cannot be used, which is reported, or is skipped."""
        entry, settings = self.spec.entries[index], self._settings_for(index, nfc_path)
        if source.problem:
            self._add_problem(source, source.problem)
            return None
        try:
            key = fill_template(entry.key, nfc_path) if entry.key else nfc_path
            filename = upload_name(settings.filename, nfc_path, DIGEST_STAND_IN)
        except MissingFolder as error:
            self._add_problem(source, str(error), "choose fewer files, or ask for fewer folders")
            return None
        if not key or not filename:
            noun = "key" if not key else "upload name"
            self._add_problem(source, f"the {noun} made for it is empty", "fix the template")
            return None
        is_accepted = self._accept_or_report(entry, key, source, extension_of(filename))
        return SelectedFile(key, filename, entry, settings, source) if is_accepted else None

    def _settings_for(self, index: int, nfc_path: str) -> FileSettings:
        """The settings of a file that the entry of this index selects, made once for all files of the same layers."""
        matching = [
            number
            for number, (start, matches) in enumerate(self._overrides)
            if nfc_path.startswith(start) and matches(nfc_path)
        ]
        settings = self._settings.get((index, *matching))
        if settings is None:
            overrides = (self.spec.overrides[number].layer for number in matching)
            settings = merge_layers((self.spec.layer, self.spec.entries[index].layer, *overrides))
            self._settings[index, *matching] = settings
        return settings

    def _accept_or_report(self, entry: FileEntry, key: str, source: FoundFile, extension: str) -> bool:
        """Whether a service takes a file; else it is reported, or skipped if wildcards match it and `skip` says so."""
        accepted, limit = self.spec.extensions, self.provider.max_file_bytes
        if accepted is not None and extension not in accepted:
            # An upload name may write `/` as `__`, so an extension with `__` begins in the name of a folder.
            is_real_extension = extension and "__" not in extension
            subject = f"the extension `{extension}`" if is_real_extension else "a name without extension"
            owner = f"the provider `{self.provider.name}`" if accepted is self.provider.extensions else "`extensions`"
            reason, message = "unsupported", f"{subject} is not among those of {owner}"
        elif source.size == 0:
            reason, message = "empty", "the file is empty, and services refuse empty files"
        elif source.size > limit:
            reason, message = "too_large", f"the file has {source.size:,} bytes; {limit:,} are allowed"
        else:
            return True
        assert entry.pattern is not None
        if entry.pattern.is_literal:
            self._add_problem(source, message, "remove the entry")
        elif reason in self.spec.skip:
            self.skipped[key] = reason
        else:
            self._add_problem(source, message, f"exclude it, or add `skip: [{reason}]`")
        return False

    def _add_problem(self, source: FoundFile, message: str, hint: str = "") -> None:
        self.problems.append(Problem(source.path, 0, 0, message, hint))
