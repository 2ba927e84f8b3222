"""One walk for the files that any of a manifest's patterns may match.

Libraries leave out folders that they cannot read. A file left out would be deleted from its store, so here such a
folder is a problem. A file that git ignores, or that lies behind a link to a folder, is listed with the reason: only
patterns that lead there choose it. Names come from listings of folders, never from opening a path: a disk may accept
other cases, Unicode forms or trailing dots for the same file, and keys must be the same on every machine.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from unicodedata import normalize

from vssync.errors import ManifestError, Problem
from vssync.manifest.globs import (
    IGNORED,
    IGNORED_WITHOUT_GIT,
    LINKED,
    NEVER_READ,
    FoundFile,
    Listing,
    Pattern,
    escape_pattern,
)
from vssync.sources.git import GitUnreadable, tracked_files
from vssync.sources.ignore import IgnoreFile
from vssync.sources.paths import ALLOW_HINT, Sandbox, find_work_tree, from_disk, on_disk

_TWINS = "its name, or that of a folder it is in, differs from another name only in its Unicode form; rename one"
_GITIGNORE = ".gitignore"
_MARKERS = (".git", _GITIGNORE)
_MAX_IGNORE_BYTES = 1 << 20


def walk_files(root: str, patterns: Iterable[Pattern], sandbox: Sandbox) -> Listing:
    """Every file below `root` that the patterns could match. Raises ManifestError for folders it cannot read."""
    patterns = tuple(patterns)
    walker = _Walker(root, sandbox, patterns)
    files: dict[str, FoundFile] = {}
    for folder in walker.starting_folders({pattern.folder for pattern in patterns if not pattern.is_literal}):
        files.update((file.path, file) for file in walker.walk(folder))
    for path in {pattern.start for pattern in patterns if pattern.is_literal}:
        files.update((file.path, file) for file in walker.look_up(path))
    if walker.problems:
        raise ManifestError(tuple(walker.problems))
    return Listing(files.values(), walker.git_problem)


class _Tree:
    """A git work tree. Git is asked which files it tracks only when the first file would be ignored."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tracked: frozenset[str] | None = None
        self.problem = ""  # why git could not be asked

    def left_out_reason_of(self, path: str) -> str:
        """Why a file that a `.gitignore` names is left out; empty for a tracked file, which is never ignored."""
        if self._tracked is None:
            try:
                self._tracked = tracked_files(self._folder)
            except GitUnreadable as error:
                self._tracked, self.problem = frozenset(), str(error)
        if normalize("NFC", path) in self._tracked:
            return ""
        return IGNORED_WITHOUT_GIT if self.problem else IGNORED


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of the walk, and what is true of every file in it."""

    path: str  # from the root, as the disk spells it, with a slash at its end; empty for the root
    tree: _Tree
    tree_path: str  # the same from the work tree
    ignore_file: IgnoreFile | None = None
    has_rules: bool = True  # whether `.gitignore` files apply; not in an ignored folder or behind a link
    behind: str = ""  # NFC path of the ignored folder or the last link that it is or lies behind
    left_out_reason: str = ""  # why only patterns that lead there choose its files
    is_listed_only: bool = False  # no pattern leads there: its files are listed, not inspected
    problem: str = ""  # of every file in it


@dataclass(slots=True)
class _Entry:
    """A file, folder or link in a folder."""

    name: str
    path: str  # from the root, as the disk spells it
    file: os.DirEntry[str]
    problem: str


class _Walker:
    """Reads folders below one root and collects their problems."""

    def __init__(self, root: str, sandbox: Sandbox, patterns: Collection[Pattern]) -> None:
        self._root, self._sandbox = root, sandbox
        self._enters_hidden = any(pattern.mentions_hidden for pattern in patterns)
        # What patterns lead to: the part before their wildcards, and all folders around it.
        self._named = {pattern.start if pattern.is_literal else pattern.folder for pattern in patterns}
        self._named |= {path[:end] for path in self._named for end, char in enumerate(path) if char == "/"}
        self.problems: list[Problem] = []
        self.git_problem = ""
        self._folders: dict[str, _Folder | None] = {"": self._find_root()}  # that patterns name, by NFC path
        self._scans: dict[str, tuple[_Folder, list[_Entry]]] = {}  # of the folders in `_folders`, by path
        self._link_targets: set[str] = set()  # folders that it entered by a link

    def _find_root(self) -> _Folder:
        """The root, with the `.gitignore` files of the folders around it in its work tree.

        If git ignores the root itself, nothing in it is ignored: the manifest names it.
        """
        root = Path(self._root).resolve()
        tree = find_work_tree(root)
        folder = _Folder("", _Tree(tree), "")
        for name in map(from_disk, root.relative_to(tree).parts):
            path = tree / on_disk(folder.tree_path) / _GITIGNORE
            if path.is_file() and not path.is_symlink():
                folder = replace(folder, ignore_file=self._read_ignore_file(folder, path))
            has_rules = folder.has_rules and not _is_ignored(folder, name, is_folder=True)
            folder = replace(folder, tree_path=f"{folder.tree_path}{name}/", has_rules=has_rules)
        return folder

    def _read_ignore_file(self, folder: _Folder, path: Path | str) -> IgnoreFile | None:
        """The `.gitignore` of a folder; None if it cannot be used, which is a problem."""
        try:
            with open(path, "rb") as file:
                content = file.read(_MAX_IGNORE_BYTES + 1)
            if len(content) > _MAX_IGNORE_BYTES:
                raise ValueError(f"it has more than {_MAX_IGNORE_BYTES:,} bytes")
            return IgnoreFile(content.decode("utf-8", "surrogateescape"), folder.tree_path[:-1], folder.ignore_file)
        except (OSError, ValueError) as error:
            message = f"git's rules in this file cannot be used: {_reason(error)}"
            place = _printable(from_disk(Path(os.path.relpath(path, self._root)).as_posix()))
            hint = "fix it: without its rules, what git ignores would be published"
            self.problems.append(Problem(place, 0, 0, message, hint))
            return None

    def starting_folders(self, folders: set[str]) -> Iterator[_Folder]:
        """The folders that exist, without those inside another of them."""
        outermost: str | None = None
        for path in sorted(folders, key=lambda path: path.split("/") if path else []):
            if outermost is None or not (outermost == "" or f"{path}/".startswith(f"{outermost}/")):
                outermost = path
                if folder := self._find_folder(path):
                    yield folder

    def walk(self, start: _Folder) -> Iterator[FoundFile]:
        """Every file in a folder and the folders in it."""
        folders = [start]
        while folders:
            folder, entries = self._scan(folders.pop())
            for entry in entries:
                if not _is_folder(entry.file):
                    if entry.file.is_file(follow_symlinks=False) or entry.file.is_symlink():
                        yield self._to_file(folder, entry)
                elif inner := self._enter(folder, entry):
                    folders.append(inner)
                elif _is_link(entry.file):
                    # A link that is not entered is listed in place of the files behind it, so that they are reported.
                    left_out_reason = folder.left_out_reason if folder.is_listed_only else LINKED
                    yield FoundFile(_printable(entry.path), 0, "", _nfc(entry.path), left_out_reason)

    def look_up(self, path: str) -> Iterator[FoundFile]:
        """The file with an NFC path from the root; none if it does not exist."""
        parent, _, name = path.rpartition("/")
        if folder := self._find_folder(parent):
            folder, entries = self._scan_once(folder)
            for entry in entries:
                if normalize("NFC", entry.name) == name:
                    yield self._to_file(folder, entry)
                    return

    def _find_folder(self, nfc_path: str) -> _Folder | None:
        """The folder with an NFC path from the root; None if it does not exist or is not entered."""
        if nfc_path not in self._folders:
            self._folders[nfc_path] = None
            parent, _, name = nfc_path.rpartition("/")
            if folder := self._find_folder(parent):
                folder, entries = self._scan_once(folder)
                matching = (entry for entry in entries if normalize("NFC", entry.name) == name)
                entry = next((entry for entry in matching if _is_folder(entry.file)), None)
                if entry and entry.problem:
                    self.problems.append(Problem(entry.path, 0, 0, entry.problem))
                self._folders[nfc_path] = self._enter(folder, entry) if entry else None
        return self._folders[nfc_path]

    def _scan_once(self, folder: _Folder) -> tuple[_Folder, list[_Entry]]:
        if folder.path not in self._scans:
            self._scans[folder.path] = self._scan(folder)
        return self._scans[folder.path]

    def _scan(self, folder: _Folder) -> tuple[_Folder, list[_Entry]]:
        """The entries of a folder, and the folder with its own `.gitignore`."""
        try:
            with os.scandir(self._absolute(folder)) as scan:
                files = list(scan)
        except OSError as error:
            if not folder.is_listed_only:
                message = f"the folder cannot be read: {_reason(error)}"
                hint = "make it readable, or choose files elsewhere; its files cannot be told from deleted ones"
                self.problems.append(Problem(_printable(folder.path[:-1]) or ".", 0, 0, message, hint))
            return folder, []
        entries = [_Entry(name := from_disk(file.name), folder.path + name, file, folder.problem) for file in files]
        names = Counter(normalize("NFC", entry.name) for entry in entries if not entry.name.isascii())
        for entry in entries if names else ():
            if names[normalize("NFC", entry.name)] > 1:
                entry.problem = _TWINS
        return self._begin_rules(folder, files), entries

    def _begin_rules(self, folder: _Folder, files: Iterable[os.DirEntry[str]]) -> _Folder:
        """The folder with its own `.gitignore`, and if it is a work tree of its own (a submodule), with that tree."""
        markers = {file.name: file for file in files if file.name in _MARKERS} if folder.has_rules else {}
        if ".git" in markers and folder.path:
            tree = _Tree(self._absolute(folder))
            folder = replace(folder, tree=tree, tree_path="", ignore_file=None)
        if (file := markers.get(_GITIGNORE)) and file.is_file(follow_symlinks=False):  # git follows no link to one
            return replace(folder, ignore_file=self._read_ignore_file(folder, file.path))
        return folder

    def _enter(self, folder: _Folder, entry: _Entry) -> _Folder | None:
        """The folder of an entry; None if the walk does not enter it, because of its name or of where a link leads."""
        name = entry.name
        if name.lower() in NEVER_READ or (name.startswith(".") and not self._enters_hidden):
            return None
        path, tree_path = f"{entry.path}/", f"{folder.tree_path}{name}/"
        inner = replace(folder, path=path, tree_path=tree_path, problem=entry.problem)
        is_link = _is_link(entry.file)
        is_ignored = not is_link and _is_ignored(folder, name, is_folder=True)
        if not (is_link or is_ignored):
            return inner
        nfc_path = _nfc(entry.path)
        is_listed_only = nfc_path not in self._named
        inner = replace(inner, has_rules=False, behind=nfc_path, is_listed_only=is_listed_only)
        if is_link and not self._follows(folder, entry, is_named=not is_listed_only):
            return None
        return replace(inner, left_out_reason=LINKED if is_link else IGNORED)

    def _follows(self, folder: _Folder, entry: _Entry, *, is_named: bool) -> bool:
        """Whether to walk behind a link: if a pattern leads there; else once per target, to list what is left out."""
        if not self._sandbox.allows(entry.file.path):
            if is_named:
                self.problems.append(Problem(entry.path, 0, 0, self._sandbox.way_out, ALLOW_HINT))
            return False
        target = os.path.realpath(entry.file.path)
        is_loop = self._absolute(folder).resolve().is_relative_to(target)
        is_first = not (is_loop or folder.behind or target in self._link_targets)
        self._link_targets.add(target)
        return is_named or is_first

    def _absolute(self, folder: _Folder) -> Path:
        return Path(self._root, on_disk(folder.path))

    def _to_file(self, folder: _Folder, entry: _Entry) -> FoundFile:
        """The file that an entry is, or links to."""
        path, left_out_reason, behind = _printable(entry.path), folder.left_out_reason, folder.behind
        if left_out_reason == IGNORED or (not left_out_reason and _is_ignored(folder, entry.name, is_folder=False)):
            left_out_reason = folder.tree.left_out_reason_of(folder.tree_path + entry.name)
            self.git_problem = folder.tree.problem or self.git_problem
            behind = (behind or _nfc(path)) if left_out_reason else ""
        if left_out_reason and (folder.is_listed_only or (not folder.behind and behind not in self._named)):
            return FoundFile(path, 0, "", behind, left_out_reason)
        size, problem = self._inspect(entry)
        if path != entry.path:
            problem = "the name of the file, or of a folder it is in, is not UTF-8; rename it"
        return FoundFile(path, size, entry.problem or problem, behind, left_out_reason)

    def _inspect(self, entry: _Entry) -> tuple[int, str]:
        """A file's size in bytes, and why it cannot be used."""
        is_link = entry.file.is_symlink()
        try:
            status = entry.file.stat()
        except FileNotFoundError:
            return 0, "is a link that leads nowhere" if is_link else "went away"
        except OSError as error:
            return 0, f"cannot be read: {_reason(error)}"
        if stat.S_ISDIR(status.st_mode):
            return 0, f"is a folder; write `{escape_pattern(entry.path)}/**` for every file in it"
        if not stat.S_ISREG(status.st_mode):
            return 0, "is not a regular file"
        is_outside = is_link and not self._sandbox.allows(entry.file.path)
        return status.st_size, f"{self._sandbox.way_out}; {ALLOW_HINT}" if is_outside else ""


def _is_ignored(folder: _Folder, name: str, *, is_folder: bool) -> bool:
    """Whether a `.gitignore` excludes this name in a folder that is not ignored itself."""
    ignore_file = folder.ignore_file
    if ignore_file is None or not folder.has_rules:
        return False
    return ignore_file.ignores(folder.tree_path + name, is_folder=is_folder)


def _is_folder(file: os.DirEntry[str]) -> bool:
    try:
        return file.is_dir()
    except OSError:  # a link to itself
        return False


def _is_link(file: os.DirEntry[str]) -> bool:
    """Whether an entry is a link, or a junction, which Windows has for links to folders."""
    return file.is_symlink() or (hasattr(file, "is_junction") and file.is_junction())


def _printable(path: str) -> str:
    """A path, with `?` for what is not UTF-8 in it."""
    return path if path.isascii() else path.encode("utf-8", "replace").decode()


def _nfc(path: str) -> str:
    return normalize("NFC", _printable(path))


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
