"""`vssync init`: looks at a folder, writes its first manifest, keeps the local service's folder out of git."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from vssync import scaffold, sources
from vssync.errors import Refused, UsageProblem, VssyncError
from vssync.manifest import Found, compiled, flaw
from vssync.scaffold import Draft, Entry, Seen
from vssync.sources.fence import around
from vssync.sources.kinds import kind
from vssync.sources.walk import walk

GITIGNORE = ".gitignore"


def place(path: Path) -> Path:
    """Where the manifest of a file's or folder's name is to be written.

    Raises Refused where there is one already, VssyncError where there can be none.
    """
    found = path / sources.FILE if path.is_dir() else path
    if found.suffix not in (".yaml", ".yml"):
        raise UsageProblem(f"{found}: no folder, and no name for YAML; name a folder that exists, or a .yaml file")
    if found.is_symlink() or found.exists():
        raise Refused(f"{found}: there is a manifest already, and nothing was written. Move it away, or name another.")
    if not found.parent.is_dir():
        raise VssyncError(f"{found.parent}: there is no such folder; make it first")
    return found


def survey(folder: Path) -> Seen:
    """Which documents lie in a folder. What cannot be read is left out: nothing depends on it yet."""
    extensions: dict[str, set[str]] = {}
    noise: dict[str, set[str]] = {}
    for top, folders, names in _walk(folder):
        noise.setdefault(top, set()).update(scaffold.NOISE.intersection(folders))
        found = {os.path.splitext(name)[1] for name in names}
        extensions.setdefault(top, set()).update(suffix for suffix in found if suffix.lower() in scaffold.ANY_DOCUMENT)
    return Seen(extensions, noise)


def _walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """By folder that is neither hidden nor others': the one below the start it lies in, its folders, its files."""
    for at, folders, names in os.walk(folder):
        below = os.path.relpath(at, folder)
        folders[:] = filter(_meant, folders)
        yield "" if below == "." else below.split(os.sep)[0], list(folders), list(filter(_meant, names))
        folders[:] = [name for name in folders if name not in scaffold.NOISE]


def _meant(name: str) -> bool:
    """Whether a pattern can name it: it is not hidden, and it is text."""
    return not name.startswith(".") and name == name.encode("utf-8", "ignore").decode()


def draft(path: Path, name: str, provider: str, service: Mapping[str, str], entries: tuple[Entry, ...]) -> Draft:
    """What the manifest at this path is to say. Raises UsageProblem for a name or a pattern that cannot be."""
    if not scaffold.is_name(name):
        raise UsageProblem(f"--name {name}: {scaffold.NAMED}")
    for entry in entries:
        if wrong := flaw(entry.path):
            raise UsageProblem(f"--path {entry.path}: {wrong[0]}; {wrong[1] or 'write another'}")
    folder = Path(os.path.realpath(path.parent))
    listing = walk(str(folder), [compiled(entry.path) for entry in entries], around(folder, ()))
    known, skip = scaffold.met(entries, listing, provider, own=Found(path.name, size=1))
    return Draft(name, provider, service, known, skip)


def write(path: Path, what: Draft) -> Path | None:
    """Writes the manifest, and the line that git needs; returns the .gitignore that has it now and had not before.

    Raises VssyncError, before anything is written, for a .gitignore that leads elsewhere or is none.
    """
    ignore = path.parent / GITIGNORE
    try:
        said = any(_says(parent / GITIGNORE) for parent in _up_to_work_tree(path.parent))
        text = None if said else _text(ignore)
        sources.write(path, scaffold.manifest_text(what))
        if text is None:
            return None
        with ignore.open("a", encoding="utf-8", newline="\n") as file:
            file.write((scaffold.ignoring(text) or text)[len(text) :])
        return ignore
    except OSError as error:
        raise VssyncError(f"{error.filename or path}: cannot be written: {error.strerror}") from error


def _up_to_work_tree(folder: Path) -> Iterator[Path]:
    """The folder and those around it in the same git work tree; the folder alone where there is none."""
    real = Path(os.path.realpath(folder))
    (tree,) = around(real, ()).folders
    return (parent for parent in (real, *real.parents) if parent.is_relative_to(tree))


def _says(path: Path) -> bool:
    """Whether git is told there already; it follows no link to a .gitignore."""
    return path.is_file() and not path.is_symlink() and scaffold.ignoring(_text(path)) is None


def _text(path: Path) -> str:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return ""
    if not stat.S_ISREG(mode):
        raise VssyncError(f"{path}: is {kind(mode)}, which git does not read; nothing was written; remove it first")
    return path.read_bytes().decode("utf-8", "surrogateescape")
