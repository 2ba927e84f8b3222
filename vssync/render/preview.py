"""Previews for reviewers: where they are and how to search them, or why they are gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from vssync.render.comment import GITHUB_COMMENT, JobReview, error_block, footer
from vssync.render.markdown import (
    SUMMARY,
    MarkdownBlock,
    comment_marker,
    fenced_block,
    inline_code,
    join_markdown,
    prose,
    short_code,
)
from vssync.text import count_noun, escape_control, join_first, size_in_utf16

PREVIEW = "preview"  # in the marker of its comment
_LEFT = "Left, since no manifest of this branch has such an owner and environment: "
_MOST_LEFT = 50
_WHOLE_LIFE = "Each push updates it; it is deleted when this request is closed or merged."


@dataclass(frozen=True, slots=True)
class PreviewedStore:
    """A store of a preview: its manifest's name, its key, its id, and how many files it has."""

    manifest: str
    key: str
    id: str
    files: int


@dataclass(frozen=True, slots=True)
class Preview:
    """One request's preview, of all manifests: `name` is its environment, `gone` why it was deleted, if it was.

    `commands` search each manifest's part; a question follows them.
    """

    name: str
    stores: tuple[PreviewedStore, ...] = ()
    commands: tuple[str, ...] = ()
    gone: str = ""


def preview_markdown(preview: Preview, job: JobReview) -> tuple[str, str]:
    """The comment on a preview, and a longer text for the job's summary; the job's reviews have the errors."""
    marker = comment_marker(PREVIEW, f"{job.repository}/")
    state = "is gone" if preview.gone else "failed" if not preview.stores else "is up"
    ending = footer(replace(job, manifests=()))

    def blocks() -> Iterator[MarkdownBlock]:
        yield MarkdownBlock(f"{marker}\n### vssync: the preview {inline_code(preview.name)} {state}")
        for review in job.manifests:
            if review.error:
                yield error_block(review, "not all of its preview is as its manifest says")
        for note in [f"{review.name}: {note}" for review in job.manifests for note in review.notes]:
            yield MarkdownBlock(prose(note))
        if preview.gone:
            yield MarkdownBlock(f"Its stores and files were deleted: {prose(preview.gone)}.")
        if preview.stores:
            head = "| store | id | files |\n|---|---|--:|"
            yield MarkdownBlock(head, tuple(map(_store_line, preview.stores)))
            commands = [f"{escape_control(command)} 'a question'" for command in preview.commands]
            yield fenced_block(commands, "sh", before="Search it:\n\n")
            yield MarkdownBlock(_WHOLE_LIFE)

    comment = join_markdown(blocks(), GITHUB_COMMENT, size_in_utf16, ending=ending)
    return comment, join_markdown(blocks(), SUMMARY, ending=ending)


def _store_line(store: PreviewedStore) -> str:
    return f"| {short_code(f'{store.manifest} / {store.key}')} | {inline_code(store.id)} | {store.files:,} |"


def sweep_markdown(previews: Iterable[Preview], kept: Iterable[str], left: Sequence[str], job: JobReview) -> str:
    """What a sweep deleted, what it kept, and what went wrong, for the job's summary.

    `left` are the owners of what may be previews, and are of no manifest here.
    """
    gone = [preview for preview in previews if preview.gone]
    stays = ", ".join(map(inline_code, kept)) or "none"
    blocks = [
        MarkdownBlock(f"### vssync: {count_noun(len(gone), 'preview')} deleted"),
        *(error_block(review, "not swept") for review in job.manifests if review.error),
        MarkdownBlock("", tuple(f"- {inline_code(preview.name)}: {prose(preview.gone)}" for preview in gone)),
        MarkdownBlock(f"Kept: {stays}."),
        MarkdownBlock(f"{_LEFT}{join_first(list(map(inline_code, left)), _MOST_LEFT)}." if left else ""),
    ]
    return join_markdown(
        [block for block in blocks if block.to_text()], SUMMARY, ending=footer(replace(job, manifests=()))
    )
