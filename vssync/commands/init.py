"""`vssync init`: looks at a folder, writes its first manifest, keeps the local service's folder out of git."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap

from wcmatch import glob

from vssync.errors import Refused, UsageProblem, VssyncError
from vssync.manifest.globs import FoundFile, Listing, compile_pattern, pattern_problem
from vssync.manifest.placeholders import file_extension
from vssync.manifest.schema import LABEL_PATTERN
from vssync.providers import PROVIDERS
from vssync.render.yaml_writer import yaml_scalar
from vssync.sources.load import MANIFEST_NAME
from vssync.sources.walk import sandbox_around, walk_files
from vssync.sources.write import describe_file_type, write_file

GITIGNORE = ".gitignore"


def manifest_path(path: Path) -> Path:
    """Where the manifest of a file's or folder's name is to be written.

    Raises Refused where there is one already, VssyncError where there can be none.
    """
    found = path / MANIFEST_NAME if path.is_dir() else path
    if found.suffix not in (".yaml", ".yml"):
        raise UsageProblem(f"{found}: no folder, and no name for YAML; name a folder that exists, or a .yaml file")
    if found.is_symlink() or found.exists():
        raise Refused(f"{found}: there is a manifest already, and nothing was written. Move it away, or name another.")
    if not found.parent.is_dir():
        raise VssyncError(f"{found.parent}: there is no such folder; make it first")
    return found


def survey_folder(folder: Path) -> FolderSurvey:
    """Which documents lie in a folder. What cannot be read is left out: nothing depends on it yet."""
    documents = frozenset().union(*(provider.documents for provider in PROVIDERS.values()))
    extensions: dict[str, set[str]] = {}
    noise: dict[str, set[str]] = {}
    for top, folders, names in _walk(folder):
        noise.setdefault(top, set()).update(NOISE.intersection(folders))
        found = {os.path.splitext(name)[1] for name in names}
        extensions.setdefault(top, set()).update(suffix for suffix in found if suffix.lower() in documents)
    return FolderSurvey(extensions, noise)


def _walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """By folder that is neither hidden nor others': the one below the start it lies in, its folders, its files."""
    for at, folders, names in os.walk(folder):
        below = os.path.relpath(at, folder)
        folders[:] = filter(_meant, folders)
        yield "" if below == "." else below.split(os.sep)[0], list(folders), list(filter(_meant, names))
        folders[:] = [name for name in folders if name not in NOISE]


def _meant(name: str) -> bool:
    """Whether a pattern can name it: it is not hidden, and it is text."""
    return not name.startswith(".") and name == name.encode("utf-8", "ignore").decode()


def draft_manifest(
    path: Path, name: str, provider: str, service: Mapping[str, str], entries: tuple[DraftEntry, ...]
) -> ManifestDraft:
    """What the manifest at this path is to say. Raises UsageProblem for a name or a pattern that cannot be."""
    if not is_name(name):
        raise UsageProblem(f"--name {name}: {NAMED}")
    for entry in entries:
        if wrong := pattern_problem(entry.path):
            raise UsageProblem(f"--path {entry.path}: {wrong[0]}; {wrong[1] or 'write another'}")
    folder = Path(os.path.realpath(path.parent))
    listing = walk_files(str(folder), [compile_pattern(entry.path) for entry in entries], sandbox_around(folder, ()))
    known, skip = matched_files(entries, listing, provider, own=FoundFile(path.name, size=1))
    return ManifestDraft(name, provider, service, known, skip)


def write_manifest(path: Path, what: ManifestDraft) -> Path | None:
    """Writes the manifest, and the line that git needs; returns the .gitignore that has it now and had not before.

    Raises VssyncError, before anything is written, for a .gitignore that leads elsewhere or is none.
    """
    ignore = path.parent / GITIGNORE
    try:
        said = any(_says(parent / GITIGNORE) for parent in _up_to_work_tree(path.parent))
        text = None if said else _text(ignore)
        write_file(path, draft_text(what))
        if text is None:
            return None
        with ignore.open("a", encoding="utf-8", newline="\n") as file:
            file.write((ignoring(text) or text)[len(text) :])
        return ignore
    except OSError as error:
        raise VssyncError(f"{error.filename or path}: cannot be written: {error.strerror}") from error


def _up_to_work_tree(folder: Path) -> Iterator[Path]:
    """The folder and those around it in the same git work tree; the folder alone where there is none."""
    real = Path(os.path.realpath(folder))
    (tree,) = sandbox_around(real, ()).folders
    return (parent for parent in (real, *real.parents) if parent.is_relative_to(tree))


def _says(path: Path) -> bool:
    """Whether git is told there already; it follows no link to a .gitignore."""
    return path.is_file() and not path.is_symlink() and ignoring(_text(path)) is None


def _text(path: Path) -> str:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return ""
    if not stat.S_ISREG(mode):
        raise VssyncError(
            f"{path}: is {describe_file_type(mode)}, which git does not read; nothing was written; remove it first"
        )
    return path.read_bytes().decode("utf-8", "surrogateescape")


STORE = "docs"  # the key of the one store
IGNORED = ".vssync/"
NOISE = frozenset(("node_modules", "bower_components", "site-packages", "venv", "__pycache__"))  # others' documents
_WIDTH = 110  # of comments
MOST_FOLDERS = 6  # beyond that one pattern over everything reads better


@dataclass(frozen=True, slots=True)
class FolderSurvey:
    """Documents in a folder: by folder directly below it ("" for its own files) their extensions as written.

    `noise` are the names of dependency folders met in each.
    """

    extensions: Mapping[str, Collection[str]] = field(default_factory=dict)
    noise: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DraftEntry:
    """One of the store's `files`."""

    path: str
    exclude: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ManifestDraft:
    """What the manifest says. `service` holds the provider's fields; `skip` what its patterns meet and leave out."""

    name: str
    provider: str
    service: Mapping[str, str]
    entries: tuple[DraftEntry, ...]
    skip: tuple[str, ...] = ()


def suggested_name(folder: str, suffix: str) -> str:
    """A folder's name as an owner's name, with a suffix that nobody else has."""
    plain = unicodedata.normalize("NFKD", folder).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._")[: 63 - len(suffix)]
    return f"{words or STORE}-{suffix}"


NAMED = "letters, digits, `.`, `-` and `_` only, at most 64 of them"


def is_name(text: str) -> bool:
    """Whether a text can be an owner's name."""
    return LABEL_PATTERN.fullmatch(text) is not None


def propose_entries(seen: FolderSurvey, provider: str) -> tuple[DraftEntry, ...]:
    """Entries for the documents of a folder that a provider can read; one for those to come where there are none."""
    readable = {folder: _readable(suffixes, provider) for folder, suffixes in seen.extensions.items()}
    folders = sorted(folder for folder, suffixes in readable.items() if suffixes)
    if not folders:
        return (DraftEntry("docs/**/*.md", optional=True),)
    if len(folders) > MOST_FOLDERS:
        everywhere = sorted({suffix for suffixes in readable.values() for suffix in suffixes})
        noise = sorted({name for names in seen.noise.values() for name in names})
        return (DraftEntry(f"**/{_names(everywhere)}", tuple(f"**/{name}/**" for name in noise)),)
    return tuple(_entry(folder, readable[folder], seen.noise.get(folder, ())) for folder in folders)


def _readable(suffixes: Collection[str], provider: str) -> list[str]:
    return sorted(suffix for suffix in suffixes if suffix.lower() in PROVIDERS[provider].documents)


def _entry(folder: str, suffixes: list[str], noise: Collection[str]) -> DraftEntry:
    names = _names(suffixes)
    if not folder:
        return DraftEntry(names)
    path = f"{glob.escape(folder, unix=True)}/**/{names}"
    path = f"./{path}" if pattern_problem(path) else path  # a folder's name may look like a drive's: `c:`
    return DraftEntry(path, tuple(f"**/{name}/**" for name in sorted(noise)))


def _names(suffixes: list[str]) -> str:
    words = [suffix.removeprefix(".") for suffix in suffixes]
    return f"*.{{{','.join(words)}}}" if len(words) > 1 else f"*.{words[0]}"


def matched_files(
    entries: tuple[DraftEntry, ...], listing: Listing, provider: str, own: FoundFile
) -> tuple[tuple[DraftEntry, ...], tuple[str, ...]]:
    """The entries, optional where they meet nothing, and what the store must skip for them to be valid.

    `own` is the manifest, which is not there yet and which a pattern may choose, too.
    """
    kinds: set[str] = set()
    found = []
    for entry in entries:
        pattern = compile_pattern(entry.path)
        files = [file for _, file in listing.matching(pattern) if not _excluded(entry, file.name)]
        files += [own] if pattern.matches(own.name) else []
        kinds.update(_kind(file.name, file.size, provider) for file in files)
        found.append(DraftEntry(entry.path, entry.exclude, optional=not files))
    return tuple(found), tuple(sorted(kinds - {""}))


def _excluded(entry: DraftEntry, name: str) -> bool:
    return any(compile_pattern(pattern, match_hidden=True).matches(name) for pattern in entry.exclude)


def _kind(name: str, size: int, provider: str) -> str:
    """Why a file cannot be uploaded, in the words of `skip`; empty when it can."""
    row = PROVIDERS[provider]
    if row.extensions is not None and file_extension(name) not in row.extensions:
        return "unsupported"
    return "empty" if size == 0 else "too_large" if size > row.max_file_bytes else ""


def ignoring(text: str) -> str | None:
    """A .gitignore's text with a line for what vssync keeps beside the manifest; None where it has one already."""
    if any(line.strip().strip("/") == IGNORED.strip("/") for line in text.splitlines()):
        return None
    return f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{IGNORED}\n"


def draft_text(draft: ManifestDraft) -> str:
    """The manifest."""
    return _TEXT.format(
        store=STORE,
        name=yaml_scalar(draft.name),
        about="\n# ".join(wrap(PROVIDERS[draft.provider].init_note, _WIDTH)),
        provider=draft.provider,
        service="".join(_service(draft)),
        skip=_SKIP.format(", ".join(draft.skip)) if draft.skip else "",
        files="\n".join(line for entry in draft.entries for line in _files(entry)),
    )


def _service(draft: ManifestDraft) -> Iterator[str]:
    for known in PROVIDERS[draft.provider].wizard_fields:
        value = draft.service.get(known.name) or known.example
        change = "; write yours" if value == known.example else ""
        yield f"  {known.name}: {yaml_scalar(value)}  # {known.question}{change}\n"


def _files(entry: DraftEntry) -> Iterator[str]:
    yield f"      - path: {yaml_scalar(entry.path)}"
    if entry.exclude:
        yield f"        exclude: [{', '.join(yaml_scalar(pattern) for pattern in entry.exclude)}]"
    if entry.optional:
        yield "        optional: true  # it may match nothing"


_TEXT = """\
# The vector store of this folder. `vssync plan` shows what would change, `vssync apply` does it.

version: 1

# The owner of everything this manifest creates, written on each live object. Keep it: under another name, what exists
# would belong to somebody else. No two manifests of one service may be called alike.
name: {name}

# {about}
service:
  provider: {provider}
{service}
stores:
  # The store's key, used in addresses: {store}, {store}/guide/intro.md. Keep it, too.
  {store}:
    # The name at the service; it can be changed at any time.
    name: {name}

    # How texts are cut for searching. `auto` leaves it to the service; otherwise both sizes, in tokens:
    # chunking: {{max_chunk_size_tokens: 800, chunk_overlap_tokens: 400}}
    chunking: auto

    # Attributes of every file, which searches can filter by. ${{...}} takes them from the file's path:
    # attributes: {{product: basic, folder: "${{dir}}"}}
{skip}
    # Which files the store holds. One that leaves this list is deleted from the store by the next apply; with
    # `prune: false` it stays.
    files:
{files}
"""
_SKIP = """
    # What the patterns below meet and leave out, since the service does not take it.
    skip: [{}]
"""
