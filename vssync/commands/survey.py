"""What `vssync init` saw in a folder: its documents by folder and kind, and what is not among them, by why."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from vssync.manifest.globs import IGNORED, IGNORED_WITHOUT_GIT, LINKED, compile_pattern
from vssync.model.state import DesiredFile, DesiredStore, extension_of
from vssync.providers import PROVIDERS
from vssync.render.wording import left_out_text
from vssync.sources.converter import find_set_problem
from vssync.sources.paths import sandbox_around
from vssync.sources.walk import walk_files
from vssync.text import (
    count_noun,
    display_width,
    escape_control,
    join_first,
    join_words,
    pad_right,
    shorten_middle,
    wrap_list,
)

# Texts that few services take by their own name, and what they are sent as.
SENT_AS = {".adoc": ".txt", ".markdown": ".md", ".mdx": ".md", ".org": ".txt", ".rst": ".txt"}
# Documents that `init` converts where a provider does not take them and the extra is installed.
CONVERTED = frozenset((".docx", ".ipynb", ".pptx", ".xlsx"))
MAX_FOLDERS = 6  # with more of them, one line or one pattern over everything reads better
_NAME = 30  # columns of a folder
_DEPENDENCIES = frozenset(("node_modules", "bower_components", "site-packages", "venv", "__pycache__"))
_ABSENCES = {IGNORED: "ignored by git", IGNORED_WITHOUT_GIT: "named in .gitignore", LINKED: "behind a link"}


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


def survey_folder(folder: Path) -> FolderSurvey:
    """Which documents a folder holds that `**` chooses: not what git ignores. Raises ManifestError as a walk does."""
    documents = CONVERTED.union(SENT_AS, *(provider.documents for provider in PROVIDERS.values()))
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


def can_convert() -> bool:
    return not find_set_problem()


def conversion_hint(survey: FolderSurvey, store: DesiredStore) -> str:
    """How documents that a store leaves out could be loaded; empty where there are none, or it is no help."""
    left = survey.files.difference(file.key for file in store.files)
    counts = Counter(extension for path in left if (extension := extension_of(path)) in CONVERTED)
    if not counts or can_convert():
        return ""
    kinds = join_words([f"{count:,} {extension}" for extension, count in sorted(counts.items())])
    way = "pip install 'vssync[convert]', delete this manifest, and run init again."
    return f"As Markdown, {kinds} could be loaded, too:\n  {way}"


def survey_lines(survey: FolderSurvey, store: DesiredStore, width: int = 80) -> list[str]:
    """A table of a folder: the files that its store holds, by folder and extension, and the others, by why.

    What does not fit into `width` columns goes on below.
    """
    by_folder: dict[str, list[DesiredFile]] = {}
    for file in store.files:
        by_folder.setdefault(file.key[: file.key.find("/") + 1], []).append(file)
    rows = []
    for folder, files in sorted(by_folder.items(), key=lambda entry: (-len(entry[1]), entry[0])):
        pairs = ((extension_of(file.key), "Markdown [convert]" if file.source else file.extension) for file in files)
        counts = Counter(pairs).most_common()
        kinds = (f"{own} {count:,}{f' as {sent}' if sent != own else ''}" for (own, sent), count in counts)
        name = folder or (files[0].key if len(files) == 1 else "./")
        rows.append((shorten_middle(escape_control(name), _NAME), len(files), "  ".join(kinds)))
    if rest := rows[MAX_FOLDERS:]:
        rows[MAX_FOLDERS:] = [(count_noun(len(rest), "more folder"), sum(count for _, count, _ in rest), "")]
    for reason, counts_by_place in survey.absent.items():
        places = [place for place, _ in Counter(counts_by_place).most_common() if place]
        where = f" ({join_first([escape_control(place) for place in places])})" if places else ""
        rows.append(("", sum(counts_by_place.values()), f"{_ABSENCES[reason]}{where}"))
    skipped = dict.fromkeys(survey.files.difference(file.key for file in store.files), "unsupported")
    skipped |= {key: why for key, why in store.skipped.items() if key in survey.files or not survey.files}
    rows += [("", len(skipped), left_out_text(replace(store, skipped=skipped).left_out))] if skipped else []
    widest = max((display_width(name) for name, _, _ in rows), default=0)
    digits = max((len(f"{count:,}") for _, count, _ in rows), default=0)
    lines = []
    for name, count, text in rows:
        noun = "files" if count > 1 else "file " if name else "file"
        head = f"{pad_right(name, widest)}  {count:>{digits},} {noun} {' ' if name else ''}"
        lines += wrap_list(text, head, width)
    return lines
