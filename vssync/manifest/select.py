"""Which files a store holds: every entry's pattern against the listing, with everything that can go wrong there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vssync.errors import Problem
from vssync.manifest.diagnostics import Diagnostic, format_path
from vssync.manifest.globs import FoundFile, Listing
from vssync.manifest.merge import PATH, Profile, resolve_profile
from vssync.manifest.placeholders import NoFolder, extension, fill, literal, part, split, upload_name
from vssync.manifest.source_map import problems
from vssync.manifest.spec import Entry, Manifest, StoreSpec
from vssync.providers import PROVIDERS

NO_DIGEST = "0" * 16


@dataclass(frozen=True, slots=True)
class SelectedFile:
    """One file of a store before it was read; `found` is None for a File declared by id.

    `filename` is the upload name, with zeros for a digest that is known only when the file was read.
    """

    key: str
    filename: str
    entry: Entry
    profile: Profile
    found: FoundFile | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """A store's choices by key, and what was left out: key to reason."""

    spec: StoreSpec
    choices: tuple[SelectedFile, ...]
    skipped: Mapping[str, str]


def select_files(manifest: Manifest, listing: Listing) -> tuple[tuple[Selection, ...], tuple[Problem, ...]]:
    """Every store's files that can be taken, and everything wrong in all of them."""
    choosers = [_Chooser(manifest.service.provider, spec) for spec in manifest.stores]
    chosen = tuple(chooser.choose(listing) for chooser in choosers)
    faults = [fault for chooser in choosers for fault in chooser.faults]
    found = [problem for chooser in choosers for problem in chooser.problems]
    return chosen, (*problems(manifest.documents, faults), *found) if faults else tuple(found)


class _Chooser:
    """Chooses the files of one store, and keeps what goes wrong."""

    def __init__(self, provider: str, spec: StoreSpec) -> None:
        self.provider, self.spec = PROVIDERS[provider], spec
        self.faults: list[Diagnostic] = []
        self.problems: list[Problem] = []
        self.skipped: dict[str, str] = {}
        self._overrides = [(override.pattern.start, override.pattern.matches) for override in spec.overrides]
        self._profiles: dict[tuple[int, ...], Profile] = {}

    def choose(self, listing: Listing) -> Selection:
        choices = sorted(self._choices(listing), key=lambda choice: choice.key)
        self._one_each(choices)
        return Selection(self.spec, tuple(choices), self.skipped)

    def _choices(self, listing: Listing) -> Iterator[SelectedFile]:
        taken: dict[str, Entry] = {}
        for number, entry in enumerate(self.spec.entries):
            if entry.file_id:
                yield self._declared(number, entry)
                continue
            twice: dict[str, Entry] = {}
            for name, found in self._matches(entry, listing):
                if (other := taken.setdefault(name, entry)) is not entry:
                    twice[name] = other
                elif choice := self._choice(number, name, found):
                    yield choice
            self._chosen_twice(entry, twice)

    def _matches(self, entry: Entry, listing: Listing) -> Iterator[tuple[str, FoundFile]]:
        """The files an entry chooses; it must choose some unless it is optional."""
        assert entry.pattern is not None
        some = False
        for name, found in listing.matching(entry.pattern):
            if not any(exclude.matches(name) for exclude in entry.exclude):
                some = True
                yield name, found
        if not some and not entry.optional:
            what = "does not exist" if entry.pattern.literal and not entry.exclude else "matches no file"
            hint = "mend it, or add `optional: true`"
            self.faults.append(Diagnostic((*entry.layer.path, "path"), f"`{entry.pattern.text}` {what}", hint))

    def _declared(self, number: int, entry: Entry) -> SelectedFile:
        """The choice of a File declared by id: its key stands in for a path."""
        key = literal(entry.key)
        return SelectedFile(key, upload_name(PATH, key, ""), entry, self._profile(number, key))

    def _choice(self, number: int, name: str, found: FoundFile) -> SelectedFile | None:
        entry, profile = self.spec.entries[number], self._profile(number, name)
        if found.trouble:
            self.problems.append(Problem(found.path, 0, 0, found.trouble))
            return None
        try:
            key = fill(split(entry.key), lambda placeholder: part(name, placeholder)) if entry.key else name
            filename = upload_name(profile.filename, name, NO_DIGEST)
        except NoFolder as error:
            self.problems.append(Problem(found.path, 0, 0, str(error), "choose fewer files, or ask for fewer folders"))
            return None
        if not key or not filename:
            what = "key" if not key else "upload name"
            self.problems.append(Problem(found.path, 0, 0, f"the {what} made for it is empty", "mend the template"))
            return None
        if self._left_out(entry, key, found, extension(filename)):
            return None
        return SelectedFile(key, filename, entry, profile, found)

    def _profile(self, number: int, name: str) -> Profile:
        """The profile of the levels over a file: few different ones, however many files."""
        over = [at for at, (start, matches) in enumerate(self._overrides) if name.startswith(start) and matches(name)]
        known = self._profiles.get((number, *over))
        if known is None:
            layers = [self.spec.entries[number].layer, *(self.spec.overrides[at].layer for at in over)]
            known = self._profiles[number, *over] = resolve_profile((self.spec.layer, *layers))
        return known

    def _left_out(self, entry: Entry, key: str, found: FoundFile, ext: str) -> bool:
        """Whether a file cannot be uploaded: skipped where the store says so and a pattern met it, else a problem."""
        why = self._why_not(found, ext)
        if not why:
            return False
        assert entry.pattern is not None
        reason, message = why
        if reason in self.spec.skip and not entry.pattern.literal:
            self.skipped[key] = reason
        else:
            out = "remove the entry" if entry.pattern.literal else f"exclude it, or add `skip: [{reason}]`"
            self.problems.append(Problem(found.path, 0, 0, message, out))
        return True

    def _why_not(self, found: FoundFile, ext: str) -> tuple[str, str] | None:
        taken = self.spec.extensions
        if taken is not None and ext not in taken:
            what = f"the extension `{ext}`" if ext else "a name without extension"
            whose = f"the provider `{self.provider.name}`" if taken is self.provider.extensions else "`extensions`"
            return "unsupported", f"{what} is not among those of {whose}"
        if found.size == 0:
            return "empty", "the file is empty, and services refuse empty files"
        if found.size > (most := self.provider.max_file_bytes):
            return "too_large", f"the file has {found.size:,} bytes; {most:,} are allowed"
        return None

    def _chosen_twice(self, entry: Entry, twice: Mapping[str, Entry]) -> None:
        """One fault for each pair of entries, however many files both choose."""
        others = {id(other): other for other in twice.values()}
        for other in others.values():
            names = [name for name, taken in twice.items() if taken is other]
            more = f" and {len(names) - 1:,} more files" if len(names) > 1 else ""
            message = f"`{names[0]}`{more} chosen by two entries, also by `{format_path(other.layer.path)}`"
            self.faults.append(Diagnostic((*entry.layer.path, "path"), message, "narrow one of them, or use `exclude`"))

    def _one_each(self, choices: list[SelectedFile]) -> None:
        """No two files may have one key, nor keys that differ only in case: some services and disks ignore it."""
        first: dict[str, SelectedFile] = {}
        for choice in choices:
            other = first.setdefault(choice.key.casefold(), choice)
            if other is not choice:
                how = "the same key" if other.key == choice.key else f"a key that differs only in case, `{other.key}`"
                message = f"`{_named(other)}` and `{_named(choice)}` have {how}: `{choice.key}`"
                self.faults.append(Diagnostic(choice.entry.layer.path, message, "rename one, or give it a `key`"))


def _named(choice: SelectedFile) -> str:
    return choice.found.path if choice.found else choice.entry.file_id
