"""A git revision's files in a folder of their own, as a checkout would leave them, for the loader to read.

The folder is a repository that borrows the objects of the one at hand, so that what git tracks there, its `.gitignore`
files and the dates of its commits are those of the revision. Nothing is written to the repository at hand, nothing is
fetched, and no filter is run: git's manual calls this alternates (gitrepository-layout).
"""

from __future__ import annotations

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from unicodedata import normalize

from vssync.errors import VssyncError
from vssync.manifest.globs import IGNORED, Listing, Pattern
from vssync.model.plan import Revision
from vssync.sources.git import GitUnreadable, disabled_filters, filter_drivers, is_shallow, run_git
from vssync.sources.paths import Sandbox, find_work_tree, from_disk, has_git, on_disk
from vssync.sources.walk import walk_files
from vssync.text import count_noun

_FILE_MODES, _LINK, _SUBMODULE = ("100644", "100755"), "120000", "160000"
_FETCH_HINT = "fetch it: `fetch-depth: 0` in a workflow, or `git fetch --unshallow`"
_CANNOT_WRITE = re.compile(r"\bwrite\b|unable to create")  # git's words for a full disk
_ROOM_HINT = "make room there, or set TMPDIR to another folder"
_TIMEOUT = 600.0  # seconds


def resolve_revision(folder: Path, name: str) -> Revision:
    """The commit that a name stands for in the work tree around a folder. Raises VssyncError, with the way out."""
    tree = find_work_tree(folder)
    if not has_git(tree):
        raise VssyncError(f"{name}: {tree} is in no git work tree; run this in a clone")
    namesakes = (f"refs/heads/{name}", f"refs/tags/{name}")
    try:
        if name.startswith("-"):
            raise GitUnreadable("a revision does not begin with a dash")
        commit = run_git(tree, "rev-parse", "--verify", f"{name}^{{commit}}").decode().strip()
        refs = run_git(tree, "for-each-ref", "--format=%(refname)", *namesakes).decode("utf-8", "replace").split()
    except GitUnreadable as error:
        raise VssyncError(f"{name}: {_explain_unknown(tree, name, str(error))}") from None
    if {*namesakes} <= {*refs}:
        raise VssyncError(f"{name}: is a branch and a tag; write {' or '.join(namesakes)}")
    return Revision(name, commit)


def _explain_unknown(tree: Path, name: str, problem: str) -> str:
    """Why a name is no commit of a work tree, with the way out."""
    try:
        if is_shallow(tree):
            return f"is not in this shallow clone; {_FETCH_HINT}"
    except GitUnreadable as error:
        if "not installed" in str(error):
            return f"{error}, and only git knows what was there; install it"
        way_out = "; run this in a clone" if "not a git repository" in str(error) else ""
        return f"{tree} cannot be read: {error}{way_out}"
    if "ambiguous" in problem:
        return f"several objects of {tree} begin so; write more of the hash"
    if "commit type" in problem:
        return "is not a commit; name one that `git log` shows"
    first, dots, last = name.partition("..")
    if dots:
        return f"is a range; write --against {first or 'HEAD'} --at {last.removeprefix('.') or 'HEAD'}"
    problem = "" if "single revision" in problem else f" ({problem})"
    return f"no such commit in {tree}{problem}; `git fetch` it, or name one that `git log` shows"


@dataclass(slots=True)
class Checkout:
    """A revision's files in a folder, each written when a pattern asks for it; and what could not be had."""

    tree: Path  # the work tree at hand
    folder: Path
    revision: Revision
    borrowed: set[str] = field(default_factory=set)  # files that git ignores, taken from the work tree
    notes: list[str] = field(default_factory=list)
    _pending: set[str] = field(default_factory=set)  # paths as git has them, not written yet
    _line_ends: tuple[str, ...] = ()  # options of git, from the configuration at hand

    def walk(self, root: str, patterns: Iterable[Pattern], sandbox: Sandbox) -> Listing:
        """What `walk_files` finds, after the files that the patterns match were written."""
        patterns = tuple(patterns)
        inner = Path(os.path.realpath(root))
        if not inner.is_relative_to(self.folder):
            self.notes.append(f"{from_disk(root)} lies outside of the git work tree: all in it is taken as unchanged")
            return walk_files(root, patterns, sandbox)
        prefix = from_disk(inner.relative_to(self.folder).as_posix())
        start = "" if prefix == "." else f"{prefix}/"
        self.write(path for path in self._pending if _is_wanted(path, start, patterns))
        self._borrow_ignored(start, patterns, sandbox)
        listing = walk_files(root, patterns, sandbox)
        self._note_filters({start + file.path for pattern in patterns for _, file in listing.chosen_by(pattern)})
        return listing

    def _note_filters(self, paths: Collection[str]) -> None:
        """Notes each filter that git would run to write these files; a pointer of Git LFS stands for its document."""
        if drivers := filter_drivers(self.tree) - {"lfs"}:
            names = "\0".join(paths).encode("utf-8", "surrogateescape")
            fields = self._ask("check-attr", "--stdin", "-z", "filter", given=names).decode("utf-8", "surrogateescape")
            for name in sorted(drivers.intersection(fields.split("\0")[2::3])):
                self.notes.append(
                    f"git's filter `{name}` is not run: files with it are compared as they were committed"
                )

    def real_root(self, root: Path, folder: Path, written: str) -> Path:
        """Where the manifest's `root` leads; outside of the work tree it is what is there now, for any revision."""
        if root.is_relative_to(self.folder):
            return root
        at_hand = Path(os.path.realpath(self.tree / folder.relative_to(self.folder) / written))
        return self.folder / at_hand.relative_to(self.tree) if at_hand.is_relative_to(self.tree) else at_hand

    def write(self, paths: Iterable[str]) -> None:
        """Writes files that are not there yet. Raises VssyncError where git lacks one."""
        chosen = self._pending.intersection(paths)
        self._pending -= chosen
        if chosen:
            names = "\0".join(sorted(chosen)).encode("utf-8", "surrogateescape")
            options = (*disabled_filters(filter_drivers(self.folder)), *self._line_ends)
            self._ask(*options, "checkout-index", "--quiet", "--force", "-z", "--stdin", given=names)

    def fill(self) -> None:
        """Makes the repository, with its folders, links and submodules; of its files only those that all need."""
        self._make_repository()
        self._ask("read-tree", self.revision.commit)
        by_mode: defaultdict[str, dict[str, str]] = defaultdict(dict)
        listed = self._ask("ls-files", "--stage", "-z").decode("utf-8", "surrogateescape")
        for entry in filter(None, listed.split("\0")):
            (mode, object_id, _), path = entry.partition("\t")[0].split(), entry.partition("\t")[2]
            by_mode[mode][path] = object_id
        self._pending = {path for mode in (*_FILE_MODES, _LINK) for path in by_mode[mode]}
        for folder in {path.rpartition("/")[0] for path in (*self._pending, *by_mode[_SUBMODULE])}:
            (self.folder / on_disk(folder)).mkdir(parents=True, exist_ok=True)
        for path, commit in by_mode[_SUBMODULE].items():
            self._fill_submodule(path, commit)
        # A link may lead anywhere in the tree, so a tree with links is written whole.
        self.write(list(self._pending) if by_mode[_LINK] else filter(_is_for_all, self._pending))

    def _make_repository(self) -> None:
        """An empty repository with the objects of the one at hand, and what that says of line ends and attributes."""
        tree, git_folder = self.tree, self.folder / ".git"
        self.folder.mkdir(parents=True, exist_ok=True)
        object_format = run_git(tree, "rev-parse", "--show-object-format").decode().strip()
        arguments = ("--template=", f"--object-format={object_format}")
        self._ask("-c", "init.defaultBranch=main", "init", *arguments)
        names = ("objects", "shallow", "info/attributes")
        objects, *files = (
            Path(os.fsdecode(run_git(tree, "rev-parse", "--path-format=absolute", "--git-path", name)).rstrip("\n"))
            for name in names
        )
        for folder in ("objects/info", "info"):
            (git_folder / folder).mkdir(exist_ok=True)
        (git_folder / "objects/info/alternates").write_text(f"{_quote(objects)}\n", "utf-8", "surrogateescape")
        (git_folder / "HEAD").write_text(f"{self.revision.commit}\n")
        for name, file in zip(names[1:], files, strict=True):
            if file.is_file():
                shutil.copyfile(file, git_folder / name)
        line_ends = run_git(tree, "config", "--get-regexp", "-z", r"^core\.(autocrlf|eol)$", empty_code=1)
        for setting in filter(None, os.fsdecode(line_ends).split("\0")):
            self._line_ends += ("-c", setting.replace("\n", "="))

    def _fill_submodule(self, path: str, commit: str) -> None:
        inner = Checkout(self.tree / on_disk(path), self.folder / on_disk(path), Revision(self.revision.name, commit))
        subject = f"the submodule {path} cannot be read as of {self.revision.name}, so its files there do not count"
        if not has_git(inner.tree):
            # Where it is a submodule still, that was not initialized, the work tree has none of its files, either.
            if not run_git(self.tree, "ls-files", "--stage", "--", f":(literal){path}").startswith(b"160000"):
                self.notes.append(f"{subject}: it was removed since")
            return
        try:
            run_git(inner.tree, "cat-file", "-e", f"{commit}^{{commit}}")
        except GitUnreadable:
            self.notes.append(f"{subject}; `git -C {path} fetch` brings it")
            return
        inner.fill()
        inner.write(list(inner._pending))
        self.notes += inner.notes

    def _borrow_ignored(self, start: str, patterns: tuple[Pattern, ...], sandbox: Sandbox) -> None:
        """Takes files that git ignores, such as a build's, from the work tree: there is no earlier version of them."""
        root = self.tree / on_disk(start)
        if not root.is_dir():
            return
        listing = walk_files(str(root), patterns, Sandbox((self.tree, *sandbox.folders[1:])))
        chosen = {file.path: file for pattern in patterns for _, file in listing.chosen_by(pattern)}
        for path, file in chosen.items():
            target = self.folder / on_disk(start + path)
            is_inside = Path(os.path.realpath(target)).is_relative_to(self.folder)  # no link of the revision leads out
            if file.left_out_reason == IGNORED and not file.problem and is_inside and not target.exists():
                try:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(root / on_disk(path), target)
                except OSError as error:
                    raise VssyncError(f"{root / path}: cannot be copied to {target}: {error.strerror}") from error
                self.borrowed.add(start + path)

    def _ask(self, *arguments: str, given: bytes = b"") -> bytes:
        try:
            return run_git(self.folder, *arguments, timeout=_TIMEOUT, given=given)
        except GitUnreadable as error:
            if _CANNOT_WRITE.search(str(error)):
                raise VssyncError(f"{self.folder.parent}: {error}; {_ROOM_HINT}") from None
            way_out = "a partial clone may lack it: `git fetch --refetch` brings it"
            message = f"{self.revision.name}: a file of that revision cannot be read: {error}; {way_out}"
            raise VssyncError(message) from None

    @property
    def all_notes(self) -> tuple[str, ...]:
        """What a reader must know: submodules that are not here, and files that git has no earlier version of."""
        count = len(self.borrowed)
        text = f"{count_noun(count, 'file')} that git ignores {'is' if count == 1 else 'are'} taken as unchanged"
        return tuple(dict.fromkeys((*self.notes, *([f"{text}: git has no earlier version"] if count else []))))

    def name_in(self, text: str) -> str:
        """A message with this folder's paths as git writes those of a revision: `main:docs/a.md`."""
        return text.replace(f"{self.folder}/", f"{self.revision.name}:").replace(str(self.folder), self.revision.name)


@contextmanager
def checked_out(folder: Path, revision: Revision) -> Iterator[Checkout]:
    """The revision of the work tree around a folder, while the block runs. Raises VssyncError."""
    with TemporaryDirectory(prefix="vssync-") as temporary:
        target = Path(os.path.realpath(temporary)) / "tree"
        checkout = Checkout(find_work_tree(folder), target, revision)
        try:
            checkout.fill()
        except GitUnreadable as error:
            raise VssyncError(f"{revision.name}: cannot be read: {error}") from None
        except OSError as error:
            raise VssyncError(f"{temporary}: cannot be written: {error.strerror}; {_ROOM_HINT}") from error
        yield checkout


def _quote(path: Path) -> str:
    """A path as git reads it among alternates: one that begins with a quote would be taken for a quoted one."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"' if '"' in text or "\n" in text else str(path)


def _is_for_all(path: str) -> bool:
    """Whether a file says something of others: of what git ignores, or how git writes them."""
    return path.rpartition("/")[2] in (".gitignore", ".gitattributes")


def _is_wanted(path: str, start: str, patterns: tuple[Pattern, ...]) -> bool:
    inner = path[len(start) :] if path.startswith(start) else ""
    return bool(inner) and any(pattern.matches(normalize("NFC", inner)) for pattern in patterns)
