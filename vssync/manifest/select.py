"""Which files a store holds, before any of them is read.

An entry *selects* the files that its pattern chooses and its `exclude` does not match.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from unicodedata import normalize

from vssync.errors import Problem
from vssync.manifest.diagnostics import MAX_COMPARED, Diagnostic, did_you_mean, format_path, locate_diagnostics
from vssync.manifest.front_matter import FRONT_MATTER_EXTENSIONS
from vssync.manifest.globs import IGNORED_WITHOUT_GIT, FoundFile, Listing, Pattern, escape_pattern
from vssync.manifest.placeholders import MissingFolder, fill_template, upload_name
from vssync.manifest.spec import (
    CONVERTIBLE_EXTENSIONS,
    MARKDOWN,
    PATH_TEMPLATE,
    FileEntry,
    FileSettings,
    Manifest,
    StoreSpec,
    merge_layers,
)
from vssync.manifest.yaml_loader import TreePath
from vssync.model.state import extension_of
from vssync.providers import PROVIDERS, TEXT_EXTENSIONS, Provider
from vssync.text import count_noun

FileToRead = tuple[str, str]  # a path, and the extension to convert it from; empty for a file as it is
_DIGEST_STAND_IN = "0" * 16


@dataclass(frozen=True, slots=True)
class SelectedFile:
    """One file of a store before it is read."""

    key: str
    filename: str  # the upload name after `formats`, with _DIGEST_STAND_IN for `${digest}` until the file is read
    entry: FileEntry
    settings: FileSettings
    disk_file: FoundFile | None = None  # None for a File declared by id
    converted_from: str = ""  # the extension of a file that is converted to Markdown

    @property
    def nfc_path(self) -> str:
        """The path that patterns match; the key of a File declared by id."""
        return self.disk_file.nfc_path if self.disk_file else self.key

    @property
    def to_read(self) -> FileToRead | None:
        """What is read of it: two stores may take one file in different forms."""
        return (self.disk_file.path, self.converted_from) if self.disk_file else None


@dataclass(frozen=True, slots=True)
class Selection:
    """What a store's entries select."""

    spec: StoreSpec
    files: tuple[SelectedFile, ...]  # sorted by key
    # Key -> why a file that a pattern matches is left out: a word of `skip`, or `FoundFile.left_out_reason`.
    skipped: Mapping[str, str]
    # By path in the tree, the patterns of `exclude` and `match`, and whether each matched a file of an entry.
    filters: Mapping[TreePath, tuple[str, bool]] = field(default_factory=dict)
    warnings: tuple[Diagnostic, ...] = ()


def select_files(manifest: Manifest, listing: Listing) -> tuple[tuple[Selection, ...], tuple[Problem, ...]]:
    """What each store's entries select, and the problems of entries and of the files they select."""
    selectors = [_StoreSelector(PROVIDERS[manifest.service.provider], spec) for spec in manifest.stores]
    selections = tuple(selector.select(listing) for selector in selectors)
    diagnostics = [diagnostic for selector in selectors for diagnostic in selector.diagnostics]
    problems = tuple(problem for selector in selectors for problem in selector.problems)
    return selections, (*locate_diagnostics(manifest.documents, diagnostics), *problems)


def find_warnings(manifest: Manifest, selections: tuple[Selection, ...], listing: Listing) -> tuple[Problem, ...]:
    """Warnings of what was likely not meant: patterns that match nothing, and keys that differ only in case.

    An `exclude` is reported if it matches nothing in any store: what it was meant to keep out may be uploaded.
    """
    filters = [each for selection in selections for each in selection.filters.items()]
    matched = {text for _, (text, is_matched) in filters if is_matched}
    unmatched = {path: text for path, (text, _) in filters if text not in matched}
    hints = {text: _spelling_hint(text, listing.paths) or "fix it, or remove it" for text in set(unmatched.values())}
    diagnostics = [
        Diagnostic(
            path, f"`{text}` matches no file that {'an' if path[-1] == 'match' else 'this'} entry chooses", hints[text]
        )
        for path, text in unmatched.items()
    ]
    diagnostics += [warning for selection in selections for warning in selection.warnings]
    return tuple(dict.fromkeys(locate_diagnostics(manifest.documents, diagnostics)))


def _spelling_hint(pattern: str, paths: Sequence[str]) -> str:
    """A hint for a pattern that matches nothing: an existing folder or file with a similar name, as a pattern."""
    word = pattern.strip("*/")
    paths = [escape_pattern(path) for path in paths]
    folders: set[str] = set()
    for parts in {tuple(path.split("/")[:-1]) for path in paths}:
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    names = folders.union(paths if "." in word and len(paths) <= MAX_COMPARED else ())
    if "/" in word:
        return did_you_mean(word, names)
    last_parts = {name.rpartition("/")[2] for name in names}
    return f"write `**/{word}` for one in any folder" if word in last_parts else did_you_mean(word, last_parts)


def _warn_of_case(files: Mapping[str, SelectedFile]) -> Iterator[Diagnostic]:
    """One warning for all keys that differ only in case: git and the services tell them apart, some disks do not."""
    by_lower: dict[str, str] = {}
    pairs = [(other, key) for key in files if (other := by_lower.setdefault(key.lower(), key)) != key]
    if pairs:
        first, second = pairs[0]
        more = f", and {count_noun(len(pairs) - 1, 'more pair')}" if len(pairs) > 1 else ""
        message = f"`{first}` and `{second}` differ only in case{more}"
        hint = "a case-insensitive disk can hold only one of them: rename one"
        yield Diagnostic(files[second].entry.layer.path, message, hint)


def note_skipped(skipped: dict[str, str], key: str, path: str, reason: str) -> None:
    """Notes why a file is left out: under its key, or under its path if another file is noted under the key."""
    skipped.setdefault(path if key in skipped else key, reason)


def skip_reason(sent_name: str, size: int, provider: Provider) -> str:
    """Why a service does not take a file of this name and size, in the words of `skip`; empty if it takes it."""
    if not sent_name:
        return "unsupported"
    if size == 0:
        return "empty"
    return "too_large" if size > provider.max_file_bytes else ""


def _formats_hint(extension: str) -> str:
    """The end of a hint: how to make a store take files of an extension that its provider refuses."""
    if extension in FRONT_MATTER_EXTENSIONS:
        return f", or write `formats: {{{extension}: .md}}`"
    if extension in TEXT_EXTENSIONS:
        return f", or write `formats: {{{extension}: .txt}}`"
    if extension in CONVERTIBLE_EXTENSIONS:
        return f", or write `formats: {{{extension}: {MARKDOWN}}}` to convert it"
    return f", or write `formats: {{{extension}: {extension}}}` if the service takes it"


def key_of(entry: FileEntry, nfc_path: str) -> str:
    """The key of a file, in NFC like its path. Raises MissingFolder."""
    return normalize("NFC", fill_template(entry.key, nfc_path)) if entry.key else nfc_path


def _diagnose_empty(entry: FileEntry, pattern: Pattern, left_out_behind: str) -> Diagnostic:
    """What is wrong with an entry that selects no file.

    `left_out_behind` is the link or ignored folder of a file that its pattern matches and does not lead to; empty if
    there is none.
    """
    message = f"`{pattern.text}` matches no file"
    fix = "fix it"
    if left_out_behind:
        message = f"`{pattern.text}` matches only files that git ignores or that lie behind a link"
        fix = f"begin the pattern with `{escape_pattern(left_out_behind)}` if they are meant"
    elif pattern.is_literal and not entry.exclude:
        message = f"`{pattern.text}` does not exist"
    return Diagnostic((*entry.layer.path, "path"), message, f"{fix}, or add `optional: true`")


class _StoreSelector:
    """Selects the files of one store; collects `diagnostics` of its entries and `problems` of files."""

    def __init__(self, provider: Provider, spec: StoreSpec) -> None:
        self._provider, self._spec = provider, spec
        self.diagnostics: list[Diagnostic] = []
        self.problems: list[Problem] = []
        self._filters: dict[TreePath, tuple[str, bool]] = {}
        self._skipped: dict[tuple[str, str], str] = {}  # (key, path) -> reason
        self._overrides_for: dict[str, list[int]] = {}  # folder -> indexes of overrides that may match files in it
        # By (`id` of an entry, *indexes of the overrides that match).
        self._settings: dict[tuple[int, ...], FileSettings] = {}

    def select(self, listing: Listing) -> Selection:
        """What the store's entries select; adds a diagnostic for each file whose key another file has."""
        files = sorted(self._select_by_entries(listing), key=lambda file: file.key)
        first: dict[str, SelectedFile] = {}
        for file in files:
            other = first.setdefault(file.key, file)
            if other is not file:
                names = [each.disk_file.path if each.disk_file else each.entry.file_id for each in (other, file)]
                message = f"`{names[0]}` and `{names[1]}` have the same key: `{file.key}`"
                is_set = any(each.entry.key and each.entry.has_wildcards for each in (other, file))
                hint = "make their `key` differ, such as by `${path}`" if is_set else "rename one, or give it a `key`"
                self.diagnostics.append(Diagnostic(file.entry.layer.path, message, hint))
        # The keys of `_settings` end in the overrides that matched a file.
        matching_overrides = {number for _, *numbers in self._settings for number in numbers}
        for number, override in enumerate(self._spec.overrides if files else ()):
            self._filters[*override.layer.path, "match"] = override.pattern.text, number in matching_overrides
        selected = {file.disk_file.nfc_path for file in files if file.disk_file} if self._skipped else set()
        skipped: dict[str, str] = {}
        for (key, path), reason in self._skipped.items():
            if path not in selected:  # else another entry selected it
                # Its key may be that of a selected file.
                note_skipped(skipped, path if key in first else key, path, reason)
        warnings = (*_warn_of_case(first), *self._warn_without_git(skipped, listing))
        return Selection(self._spec, tuple(files), skipped, self._filters, warnings)

    def _warn_without_git(self, skipped: Mapping[str, str], listing: Listing) -> Iterator[Diagnostic]:
        """A warning if files are left out because of .gitignore although git, which cannot be read, may track them."""
        if count := sum(reason == IGNORED_WITHOUT_GIT for reason in skipped.values()):
            message = f"{count_noun(count, 'file')} left out because of .gitignore, without git: {listing.git_problem}"
            hint = "git can say which of them it tracks; until it is asked, the live copies stay"
            yield Diagnostic(("stores", self._spec.store.key), message, hint)

    def _select_by_entries(self, listing: Listing) -> Iterator[SelectedFile]:
        """Each file once, for the first entry that selects or declares it; another entry that does is reported."""
        selected_by: dict[str, FileEntry] = {}
        for entry in self._spec.entries:
            if entry.file_id:
                key = key_of(entry, "")
                filename = upload_name(PATH_TEMPLATE, key, "")
                yield SelectedFile(key, filename, entry, self._settings_for(entry, key))
                continue
            # Path of another entry -> files that both select: one diagnostic per pair of entries.
            shared_with: dict[TreePath, list[str]] = {}
            for nfc_path, disk_file in self._files_of(entry, listing):
                if (other := selected_by.setdefault(nfc_path, entry)) is not entry:
                    shared_with.setdefault(other.layer.path, []).append(nfc_path)
                elif file := self._select_or_report(entry, nfc_path, disk_file):
                    yield file
            for other_path, shared in shared_with.items():
                subject = f"`{shared[0]}`" + (f" and {len(shared) - 1:,} more files are" if len(shared) > 1 else " is")
                message = f"{subject} chosen by two entries, also by `{format_path(other_path)}`"
                hint = "narrow one of them, or use `exclude`"
                self.diagnostics.append(Diagnostic((*entry.layer.path, "path"), message, hint))

    def _files_of(self, entry: FileEntry, listing: Listing) -> Iterator[tuple[str, FoundFile]]:
        """The files an entry selects; reports an entry that selects none, unless it is optional."""
        assert entry.pattern is not None
        is_empty, left_out_behind = True, ""
        excluded: list[str] = []
        for nfc_path, disk_file in listing.left_out(entry.pattern):
            if entry.excludes(nfc_path):
                excluded.append(nfc_path)
                continue
            left_out_behind = disk_file.behind
            with suppress(MissingFolder):
                self._skipped[key_of(entry, nfc_path), nfc_path] = disk_file.left_out_reason
        for nfc_path, disk_file in listing.chosen_by(entry.pattern):
            if entry.excludes(nfc_path):
                excluded.append(nfc_path)
            else:
                is_empty = False
                yield nfc_path, disk_file
        # If the pattern itself matches nothing, only that is reported, not that `exclude` matches nothing either.
        for number, exclude in enumerate(entry.exclude if excluded or not is_empty else ()):
            self._filters[*entry.layer.path, "exclude", number] = exclude.text, any(map(exclude.matches, excluded))
        if is_empty and not entry.optional:
            self.diagnostics.append(_diagnose_empty(entry, entry.pattern, left_out_behind))

    def _select_or_report(self, entry: FileEntry, nfc_path: str, disk_file: FoundFile) -> SelectedFile | None:
        """A file that an entry selects; None if it is skipped, or has a problem, which is reported."""
        settings = self._settings_for(entry, nfc_path)
        if disk_file.problem:
            self._add_problem(disk_file, disk_file.problem, "or exclude it" if entry.has_wildcards else "")
            return None
        try:
            key = key_of(entry, nfc_path)
            name = upload_name(settings.filename, nfc_path, _DIGEST_STAND_IN)
        except MissingFolder as error:
            self._add_problem(disk_file, str(error), "choose fewer files, or ask for fewer folders")
            return None
        if not key or not name:
            noun = "key" if not key else "upload name"
            self._add_problem(disk_file, f"the {noun} made for it is empty", "fix the template")
            return None
        sent_name = self._spec.formats.sent_name(name)
        converted_from = extension if self._spec.formats.converts(extension := extension_of(name)) else ""
        is_accepted = self._accept_or_report(entry, key, disk_file, name, sent_name)
        return SelectedFile(key, sent_name, entry, settings, disk_file, converted_from) if is_accepted else None

    def _settings_for(self, entry: FileEntry, nfc_path: str) -> FileSettings:
        """The settings of a file that an entry selects; files with the same layers share them."""
        overrides, folder = self._spec.overrides, nfc_path[: nfc_path.rfind("/") + 1]
        if folder not in self._overrides_for:
            starts = enumerate(override.pattern.start for override in overrides)
            self._overrides_for[folder] = [
                number for number, start in starts if start.startswith(folder) or folder.startswith(start)
            ]
        matching = [number for number in self._overrides_for[folder] if overrides[number].pattern.matches(nfc_path)]
        key = (id(entry), *matching)
        if key not in self._settings:
            layers = (overrides[number].layer for number in matching)
            self._settings[key] = merge_layers((self._spec.layer, entry.layer, *layers))
        return self._settings[key]

    def _accept_or_report(self, entry: FileEntry, key: str, disk_file: FoundFile, name: str, sent_name: str) -> bool:
        """Whether a service takes a file; else it is reported, or skipped if wildcards match it and `skip` says so.

        `name` is the upload name; `sent_name` is `name` after `formats`, empty if a file of its kind is not taken.
        """
        reason, more = skip_reason(sent_name, disk_file.size, self._provider), ""
        # The limit is for what is uploaded: Markdown is smaller than what it was converted from.
        if not reason or (reason == "too_large" and self._spec.formats.converts(extension_of(name))):
            return True
        if reason == "unsupported":
            extension = extension_of(name)
            # Upload names have `__` for `/`: the dot of an "extension" with `__` is in a folder's name.
            is_real_extension = extension and "__" not in extension
            subject = f"the extension `{extension}`" if is_real_extension else "a name without extension"
            more = _formats_hint(extension) if is_real_extension else ""
            message = f"{subject} is not among those of the provider `{self._provider.name}`"
            if extension in self._spec.formats.declared:
                message, more = f"`formats` says that {subject} is not taken", ", or change `formats`"
        elif reason == "empty":
            message = "the file is empty, and services refuse empty files"
        else:
            message = f"the file has {disk_file.size:,} bytes; {self._provider.max_file_bytes:,} are allowed"
        if not entry.has_wildcards:
            self._add_problem(disk_file, message, "remove the entry")
        elif reason in self._spec.skip:
            self._skipped[key, disk_file.nfc_path] = reason
        else:
            self._add_problem(disk_file, message, f"exclude it, or add `skip: [{reason}]`{more}")
        return False

    def _add_problem(self, disk_file: FoundFile, message: str, hint: str = "") -> None:
        self.problems.append(Problem(disk_file.path, 0, 0, message, hint))
