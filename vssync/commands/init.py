"""`vssync init`: looks at a folder, writes its first manifest, and keeps the local service's folder out of git."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import wrap

from vssync.commands.names import NAME_RULE, STORE_KEY, is_name
from vssync.commands.survey import CONVERTED, MAX_FOLDERS, SENT_AS, FolderSurvey, can_convert
from vssync.errors import ManifestError, Refused, UsageProblem, VssyncError
from vssync.files import cannot_write, describe_file_type, write_file
from vssync.manifest.globs import FoundFile, compile_filter, compile_pattern, escape_pattern, pattern_problem
from vssync.manifest.placeholders import upload_name
from vssync.manifest.select import skip_reason
from vssync.manifest.spec import MARKDOWN, PATH_TEMPLATE, FileEntry, Formats, Layer
from vssync.model.state import Desired, extension_of
from vssync.providers import PROVIDERS
from vssync.render.yaml_writer import yaml_scalar
from vssync.sources.load import MANIFEST_NAME, MANIFEST_NAMES, load_sources
from vssync.sources.paths import find_work_tree, on_disk, sandbox_around
from vssync.sources.read import EVERYTHING, LoadOptions
from vssync.sources.schemas import shipped_text
from vssync.sources.walk import walk_files

_GITIGNORE = ".gitignore"
_IGNORED = ".vssync/"
_COMMENT_WIDTH = 110
WORKFLOWS = {  # by forge: where it goes, and what is left to do
    "github": (
        ".github/workflows/vssync.yml",
        "make the environments that it names, with their keys, and write a commit's hash at `uses`",
    ),
    "gitlab": (
        ".gitlab/vssync.gitlab-ci.yml",
        "include it in .gitlab-ci.yml, make the variables that it names, and say where vssync comes from",
    ),
}
_BLANK_BYTES = 4096  # of larger files, none holds nothing but white space


@dataclass(frozen=True, slots=True)
class DraftEntry:
    """One of the store's `files`."""

    path: str
    exclude: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ManifestDraft:
    """What the manifest declares.

    `service` holds the provider's fields, `skip` why matching files are left out, `formats` what is sent as what.
    """

    owner: str
    provider: str
    service: Mapping[str, str]
    entries: tuple[DraftEntry, ...]
    skip: tuple[str, ...] = ()
    formats: Mapping[str, str] = field(default_factory=dict)


def manifest_path(path: Path) -> Path:
    """Where to write the manifest, given its path or its folder's.

    Raises Refused where a manifest exists, VssyncError where there can be none.
    """
    names = MANIFEST_NAMES if path.is_dir() else ()
    existing = (file for name in names if (file := path / name).is_symlink() or file.exists())
    file = next(existing, path / MANIFEST_NAME) if names else path
    if file.suffix not in (".yaml", ".yml"):
        raise UsageProblem(f"{file}: is neither a folder nor a .yaml file; name a folder that exists, or a .yaml file")
    if file.is_symlink() or file.exists():
        raise Refused(f"{file}: exists already, and nothing was written. Move it away, or name another file.")
    if not file.parent.is_dir():
        raise VssyncError(f"{file.parent}: does not exist; create the folder first")
    return file


def propose_entries(survey: FolderSurvey, provider: str) -> tuple[DraftEntry, ...]:
    """Entries for the documents that a provider can read; where there are none, one for documents to come."""
    documents = PROVIDERS[provider].documents
    documents |= {suffix for suffix, sent_as in SENT_AS.items() if sent_as in documents}
    documents |= CONVERTED if can_convert() else frozenset()
    readable = {
        folder: sorted(suffix for suffix in suffixes if suffix.lower() in documents)
        for folder, suffixes in survey.extensions.items()
    }
    folders = sorted(folder for folder, suffixes in readable.items() if suffixes)
    if not folders:
        return (DraftEntry("docs/**/*.md", optional=True),)
    if len(folders) > MAX_FOLDERS:
        suffixes = sorted({suffix for suffixes in readable.values() for suffix in suffixes})
        dependencies = {name for names in survey.dependencies.values() for name in names}
        return (DraftEntry(f"**/{suffix_pattern(suffixes)}", _exclude(dependencies)),)
    return tuple(
        DraftEntry(_folder_pattern(folder, readable[folder]), _exclude(survey.dependencies.get(folder, ())))
        if folder
        else DraftEntry(suffix_pattern(readable[folder]))
        for folder in folders
    )


def _exclude(names: Collection[str]) -> tuple[str, ...]:
    return tuple(f"**/{name}/**" for name in sorted(names))


def _folder_pattern(folder: str, suffixes: list[str]) -> str:
    path = f"{escape_pattern(folder)}/**/{suffix_pattern(suffixes)}"
    return f"./{path}" if pattern_problem(path) else path  # a folder's name may look like a drive's: `c:`


def suffix_pattern(suffixes: list[str]) -> str:
    extensions = [suffix.removeprefix(".") for suffix in suffixes]
    return f"*.{{{','.join(extensions)}}}" if len(extensions) > 1 else f"*.{extensions[0]}"


def draft_manifest(
    path: Path, owner: str, provider: str, service: Mapping[str, str], entries: tuple[DraftEntry, ...]
) -> ManifestDraft:
    """What the manifest at this path declares: entries that match nothing become optional.

    Raises UsageProblem for an invalid name or pattern.
    """
    if not is_name(owner):
        raise UsageProblem(f"--owner {owner}: {NAME_RULE}")
    for entry in entries:
        if problem := pattern_problem(entry.path):
            raise UsageProblem(f"--path {entry.path}: {problem[0]}; {problem[1] or 'write another pattern'}")
    folder = Path(os.path.realpath(path.parent))
    typed = [
        FileEntry(Layer(()), compile_pattern(entry.path), tuple(map(compile_filter, entry.exclude)))
        for entry in entries
    ]
    patterns = [entry.pattern for entry in typed if entry.pattern]
    listing = walk_files(str(folder), patterns, sandbox_around(folder, ()))
    manifest = FoundFile(path.name, size=1)  # does not exist yet, but a pattern may match it too
    drafts = []
    formats: dict[str, str] = {}
    reasons: set[str] = set()
    for entry, rule, pattern in zip(entries, typed, patterns, strict=True):
        files = [file for path, file in listing.chosen_by(pattern) if not rule.excludes(path)]
        files += [manifest] if rule.matches(manifest.nfc_path) else []
        met = {extension_of(file.nfc_path) for file in files} - PROVIDERS[provider].documents
        formats |= {suffix: SENT_AS[suffix] for suffix in sorted(met.intersection(SENT_AS))}
        formats |= dict.fromkeys(sorted(met & CONVERTED) if can_convert() else (), MARKDOWN)
        reasons.update(_skip_reason(folder, file, Formats(PROVIDERS[provider], formats)) for file in files)
        drafts.append(replace(entry, optional=not files))
    return ManifestDraft(owner, provider, service, tuple(drafts), tuple(sorted(reasons - {""})), formats)


def _skip_reason(folder: Path, file: FoundFile, formats: Formats) -> str:
    sent_name = formats.sent_name(upload_name(PATH_TEMPLATE, file.nfc_path, ""))
    is_blank = 0 < file.size < _BLANK_BYTES and _is_blank(folder / on_disk(file.path))
    return skip_reason(sent_name, 0 if is_blank else file.size, formats.provider)


def _is_blank(path: Path) -> bool:
    """Whether a file holds nothing but white space; not known of one that cannot be read, or does not exist yet."""
    try:
        return not path.read_bytes().strip()
    except OSError:
        return False


def write_manifest(path: Path, draft: ManifestDraft) -> Path | None:
    """Writes the manifest, and the line that git needs; returns the .gitignore, where the line was added.

    Raises VssyncError, before anything is written, for a .gitignore that is not a regular file.
    """
    ignore_file = path.parent / _GITIGNORE
    try:
        is_ignored = any(_has_ignore_line(folder / _GITIGNORE) for folder in _folders_of_work_tree(path.parent))
        text = "" if is_ignored else _read_ignore_file(ignore_file)
        write_file(path, draft_text(draft))
        if is_ignored:
            return None
        with ignore_file.open("a", encoding="utf-8", newline="\n") as file:
            file.write(f"{_IGNORED}\n" if not text or text.endswith("\n") else f"\n{_IGNORED}\n")
        return ignore_file
    except OSError as error:
        raise cannot_write(error.filename or path, error) from error


def load_new_manifest(path: Path, draft: ManifestDraft, options: LoadOptions = EVERYTHING) -> Desired:
    """What the manifest that was just written declares; files that nobody can read as text are left out of it.

    Raises ManifestError for what a person must change.
    """
    try:
        return load_sources(path, options=options).desired
    except ManifestError as error:
        write_file(path, draft_text(replace(draft, skip=tuple(sorted({*draft.skip, "broken"})))))
        try:
            return load_sources(path, options=options).desired
        except ManifestError:
            write_file(path, draft_text(draft))
            raise error from None


def write_workflow(forge: str, manifest: Path) -> tuple[Path, str]:
    """Writes the workflow for a forge's CI into the work tree; its path, and what is still to be done.

    It names a manifest that is not in the top folder; otherwise it is for all that git tracks. Raises VssyncError where
    the file exists already.
    """
    name, to_do = WORKFLOWS[forge]
    tree = find_work_tree(manifest if manifest.is_dir() else manifest.parent)
    path = Path(os.path.relpath(tree / name))
    chosen = Path(os.path.relpath(os.path.realpath(manifest), tree)).as_posix()
    text = shipped_text(f"examples/{forge}/{path.name}")
    if chosen != ".":
        text = text.replace('VSSYNC_FILE: ""', f"VSSYNC_FILE: {json.dumps(chosen)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise VssyncError(f"{path}: exists already, and is not overwritten; move it away") from None
    except OSError as error:
        raise cannot_write(error.filename or path, error) from error
    return path, to_do


def _folders_of_work_tree(folder: Path) -> Iterator[Path]:
    """The folder and those around it in the same git work tree; the folder alone where there is none."""
    real = Path(os.path.realpath(folder))
    (tree,) = sandbox_around(real, ()).folders
    return (parent for parent in (real, *real.parents) if parent.is_relative_to(tree))


def _has_ignore_line(path: Path) -> bool:
    """Whether git ignores the folder because of this file; git follows no link to a .gitignore."""
    return path.is_file() and not path.is_symlink() and _ignores(_read_ignore_file(path))


def _ignores(text: str) -> bool:
    """Whether a .gitignore has a line for what vssync keeps beside the manifest."""
    return any(line.strip().strip("/") == _IGNORED.strip("/") for line in text.splitlines())


def _read_ignore_file(path: Path) -> str:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return ""
    if not stat.S_ISREG(mode):
        raise VssyncError(
            f"{path}: is {describe_file_type(mode)}, which git does not read; nothing was written; remove it first"
        )
    return path.read_bytes().decode("utf-8", "surrogateescape")


def draft_text(draft: ManifestDraft) -> str:
    return _TEXT.format(
        store=STORE_KEY,
        owner=yaml_scalar(draft.owner),
        about="\n# ".join(wrap(PROVIDERS[draft.provider].init_note, _COMMENT_WIDTH)),
        provider=draft.provider,
        service="".join(_service_lines(draft)),
        formats=_FORMATS.format(", ".join(f"{a}: {b}" for a, b in draft.formats.items())) if draft.formats else "",
        skip=_SKIP.format(", ".join(draft.skip)) if draft.skip else "",
        files="\n".join(line for entry in draft.entries for line in _entry_lines(entry)),
    )


def _service_lines(draft: ManifestDraft) -> Iterator[str]:
    for wizard_field in PROVIDERS[draft.provider].wizard_fields:
        value = draft.service.get(wizard_field.name) or wizard_field.example
        hint = "; write yours" if value == wizard_field.example else ""
        yield f"  {wizard_field.name}: {yaml_scalar(value)}  # {wizard_field.question}{hint}\n"


def _entry_lines(entry: DraftEntry) -> Iterator[str]:
    yield f"      - path: {yaml_scalar(entry.path)}"
    if entry.exclude:
        yield f"        exclude: [{', '.join(yaml_scalar(pattern) for pattern in entry.exclude)}]"
    if entry.optional:
        yield "        optional: true  # it may match nothing"


_TEXT = """\
# The vector store of this folder. `vssync plan` shows what would change, `vssync apply` does it.

version: 1

# The owner of everything this manifest creates, written on each live object. Keep it: under another name, what exists
# would belong to somebody else. No two manifests of one service may have the same owner.
owner: {owner}

# {about}
service:
  provider: {provider}
{service}
stores:
  # The store's key, used in addresses: {store}, {store}/guide/intro.md. Keep it, too.
  {store}:
    # The name at the service; it can be changed at any time.
    name: {owner}

    # How texts are split for searching. `auto` leaves it to the service; otherwise both sizes, in tokens:
    # chunking: {{size: 800, overlap: 400}}
    chunking: auto

    # Attributes of every file, which searches can filter by. ${{...}} takes them from the file's path:
    # attributes: {{product: basic, folder: "${{dir}}"}}
{formats}{skip}
    # Which files the store holds. The next apply deletes a file that is no longer listed here, unless the store has
    # `prune: false`.
    files:
{files}
"""
_FORMATS = """
    # Kinds of files that are sent as another one, which the service accepts, or converted to Markdown.
    formats: {{{}}}
"""
_SKIP = """
    # Files that the patterns below match and leave out, since the service cannot use them.
    skip: [{}]
"""
