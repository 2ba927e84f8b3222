"""What changed in the text of documents that are converted: git shows of them only that they differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import unified_diff

from vssync.planner.against import DocumentChange, ManifestComparison
from vssync.render.markdown import MarkdownBlock, fenced_block, inline_code
from vssync.text import count_noun, escape_control, shorten_middle

_LINES, _LINES_IN_FULL = 60, 1000  # of one document
_LINE = 1000  # characters: a paragraph is one line of Markdown


def text_diff_blocks(comparisons: Iterable[ManifestComparison | None], *, full: bool) -> Iterator[MarkdownBlock]:
    """Each document's changed lines, below a summary that is folded."""
    for document in (each for comparison in comparisons if comparison for each in comparison.documents):
        lines = _diff_lines(document)
        added, removed = (sum(line.startswith(sign) for line in lines) for sign in "+-")
        shown = lines[: _LINES_IN_FULL if full else _LINES]
        if rest := len(lines) - len(shown):
            shown.append(f"... and {count_noun(rest, 'more line')}")
        name = inline_code(shorten_middle(escape_control(f"{document.store} / {document.key}"), 120))
        start = f"<details><summary>{name} as Markdown: {removed:,} - and {added:,} + lines</summary>\n\n"
        yield fenced_block(shown, "diff", before=start, after="\n\n</details>")


def _diff_lines(document: DocumentChange) -> list[str]:
    """The lines of a unified diff, without its two lines of names."""
    before, after = document.before.splitlines(), document.after.splitlines()
    lines = [*unified_diff(before, after, lineterm="", n=2)][2:]
    return [escape_control(line if len(line) <= _LINE else f"{line[:_LINE]}...") for line in lines]
