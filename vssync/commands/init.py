"""`vssync init`: looks at a folder, writes its first manifest, and keeps the local service's folder out of git."""

from __future__ import annotations

import json
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import wrap

from vssync.errors import Refused, UsageProblem, VssyncError
from vssync.files import describe_file_type, write_file
from vssync.manifest.globs import (
    IGNORED,
    IGNORED_WITHOUT_GIT,
    LINKED,
    FoundFile,
    compile_filter,
    compile_pattern,
    escape_pattern,
    pattern_problem,
)
from vssync.manifest.placeholders import upload_name
from vssync.manifest.schema import LABEL_PATTERN
from vssync.manifest.select import skip_reason
from vssync.manifest.spec import PATH_TEMPLATE, FileEntry, Formats, Layer
from vssync.model.state import DesiredStore, extension_of
from vssync.providers import PROVIDERS, Provider
from vssync.render.wording import left_out_text
from vssync.render.yaml_writer import yaml_scalar
from vssync.sources.load import MANIFEST_NAME, MANIFEST_NAMES
from vssync.sources.paths import find_work_tree, on_disk, sandbox_around
from vssync.sources.schemas import shipped_text
from vssync.sources.walk import walk_files
from vssync.text import count_noun, display_width, escape_control, join_first, pad_right

NAME_RULE = "letters, digits, `.`, `-` and `_` only, at most 64 of them"
_STORE_KEY = "docs"
_GITIGNORE = ".gitignore"
_IGNORED = ".vssync/"
_DEPENDENCIES = frozenset(("node_modules", "bower_components", "site-packages", "venv", "__pycache__"))
_MAX_FOLDERS = 6  # with more of them, one pattern over everything reads better
_COMMENT_WIDTH = 110
_ABSENCES = {IGNORED: "ignored by git", IGNORED_WITHOUT_GIT: "named in .gitignore", LINKED: "behind a link"}
_WORKFLOWS = {  # by forge: where it goes, and what is left to do
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
class FolderSurvey:
    """The documents in a folder: by folder directly below it ("" for its own files), their extensions as written.

    `dependencies` are the names of dependency folders found in each; files in them are not counted. `files` are the
    paths of all others, `absent` those that `**` does not choose, by why: how many there are in which folder.
    """

    extensions: Mapping[str, Collection[str]] = field(default_factory=dict)
    dependencies: Mapping[str, Collection[str]] = field(default_factory=dict)
    files: frozenset[str] = frozenset()
    absent: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DraftEntry:
    """One of the store's `files`."""

    path: str
    exclude: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class ManifestDraft:
    """What the manifest declares. `service` holds the provider's fields, `skip` why matching files are left out."""

    owner: str
    provider: str
    service: Mapping[str, str]
    entries: tuple[DraftEntry, ...]
    skip: tuple[str, ...] = ()


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


def make_label(text: str, default: str, max_length: int = 64) -> str:
    """A text as a name or a store's key: letters, digits, `.`, `-`, `_`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._")[:max_length] or default


def suggested_name(folder: str, suffix: str) -> str:
    """A folder's name as an owner's name, with a suffix that nobody else has."""
    return f"{make_label(folder, _STORE_KEY, 63 - len(suffix))}-{suffix}"


def is_name(text: str) -> bool:
    """Whether a text can be an owner's name."""
    return LABEL_PATTERN.fullmatch(text) is not None


def survey_folder(folder: Path) -> FolderSurvey:
    """Which documents a folder holds that `**` chooses: not what git ignores. Raises ManifestError as a walk does."""
    documents = frozenset().union(*(provider.documents for provider in PROVIDERS.values()))
    extensions: dict[str, set[str]] = {}
    dependencies: dict[str, set[str]] = {}
    everything = compile_pattern("**")
    real = Path(os.path.realpath(folder))
    listing = walk_files(str(real), (everything,), sandbox_around(real, ()))
    absent: dict[str, Counter[str]] = {}
    for path, file in listing.left_out(everything):
        absent.setdefault(file.left_out_reason, Counter())[f"{file.behind}/" if path != file.behind else ""] += 1
    files = set()
    for path, file in listing.chosen_by(everything):
        *folders, name = path.split("/")
        dependency = next((place for place, name in enumerate(folders) if name in _DEPENDENCIES), None)
        top = folders[0] if folders and dependency != 0 else ""
        if dependency is not None:
            dependencies.setdefault(top, set()).add(folders[dependency])
            continue
        files.add(path)
        if (suffix := os.path.splitext(name)[1]).lower() in documents and not file.problem:
            extensions.setdefault(top, set()).add(suffix)
    return FolderSurvey(extensions, dependencies, frozenset(files), absent)


def survey_lines(survey: FolderSurvey, store: DesiredStore) -> list[str]:
    """A table of a folder: the files that its store holds, by folder and extension, and the others, by why."""
    by_folder: dict[str, list[str]] = {}
    for file in store.files:
        by_folder.setdefault(file.key[: file.key.find("/") + 1], []).append(file.key)
    rows = []
    for folder, keys in sorted(by_folder.items(), key=lambda entry: (-len(entry[1]), entry[0])):
        counts = Counter(map(extension_of, keys)).most_common()
        kinds = "  ".join(f"{extension} {count:,}" for extension, count in counts)
        name = folder or (keys[0] if len(keys) == 1 else "./")
        rows.append((escape_control(name), len(keys), f" {kinds}"))
    if rest := rows[_MAX_FOLDERS:]:
        rows[_MAX_FOLDERS:] = [(count_noun(len(rest), "more folder"), sum(count for _, count, _ in rest), "")]
    for reason, counts_by_place in survey.absent.items():
        places = [place for place, _ in Counter(counts_by_place).most_common() if place]
        where = f" ({join_first([escape_control(place) for place in places])})" if places else ""
        rows.append(("", sum(counts_by_place.values()), f"{_ABSENCES[reason]}{where}"))
    skipped = dict.fromkeys(survey.files.difference(*by_folder.values()), "unsupported")
    skipped |= {key: why for key, why in store.skipped.items() if key in survey.files or not survey.files}
    rows += [("", len(skipped), left_out_text(replace(store, skipped=skipped).left_out))] if skipped else []
    widest = max((display_width(name) for name, _, _ in rows), default=0)
    digits = max((len(f"{count:,}") for _, count, _ in rows), default=0)
    lines = []
    for name, count, text in rows:
        noun = "files" if count > 1 else "file " if name else "file"
        lines.append(f"{pad_right(name, widest)}  {count:>{digits},} {noun} {text}".rstrip())
    return lines


def propose_entries(survey: FolderSurvey, provider: str) -> tuple[DraftEntry, ...]:
    """Entries for the documents that a provider can read; where there are none, one for documents to come."""
    documents = PROVIDERS[provider].documents
    readable = {
        folder: sorted(suffix for suffix in suffixes if suffix.lower() in documents)
        for folder, suffixes in survey.extensions.items()
    }
    folders = sorted(folder for folder, suffixes in readable.items() if suffixes)
    if not folders:
        return (DraftEntry("docs/**/*.md", optional=True),)
    if len(folders) > _MAX_FOLDERS:
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
    """The pattern of names with one of these suffixes."""
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
    reasons: set[str] = set()
    for entry, rule, pattern in zip(entries, typed, patterns, strict=True):
        files = [file for path, file in listing.chosen_by(pattern) if not rule.excludes(path)]
        files += [manifest] if rule.matches(manifest.nfc_path) else []
        reasons.update(_skip_reason(folder, file, PROVIDERS[provider]) for file in files)
        drafts.append(replace(entry, optional=not files))
    return ManifestDraft(owner, provider, service, tuple(drafts), tuple(sorted(reasons - {""})))


def _skip_reason(folder: Path, file: FoundFile, provider: Provider) -> str:
    """Why a file cannot be uploaded, in the words of `skip`; empty when it can."""
    sent_name = Formats(provider).sent_name(upload_name(PATH_TEMPLATE, file.nfc_path, ""))
    is_blank = 0 < file.size < _BLANK_BYTES and _is_blank(folder / on_disk(file.path))
    return skip_reason(sent_name, 0 if is_blank else file.size, provider)


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
        raise VssyncError(f"{error.filename or path}: cannot be written: {error.strerror}") from error


def write_workflow(forge: str, manifest: Path) -> tuple[Path, str]:
    """Writes the workflow for a forge's CI into the work tree; its path, and what is still to be done.

    It names a manifest that is not in the top folder; otherwise it is for all that git tracks. Raises VssyncError where
    the file exists already.
    """
    name, to_do = _WORKFLOWS[forge]
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
        raise VssyncError(f"{error.filename or path}: cannot be written: {error.strerror}") from error
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
    """The manifest, with its comments."""
    return _TEXT.format(
        store=_STORE_KEY,
        owner=yaml_scalar(draft.owner),
        about="\n# ".join(wrap(PROVIDERS[draft.provider].init_note, _COMMENT_WIDTH)),
        provider=draft.provider,
        service="".join(_service_lines(draft)),
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
{skip}
    # Which files the store holds. The next apply deletes a file that is no longer listed here, unless the store has
    # `prune: false`.
    files:
{files}
"""
_SKIP = """
    # Files that the patterns below match and leave out, since the service does not accept them.
    skip: [{}]
"""
