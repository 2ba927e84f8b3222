"""What a manifest says by itself, for a reviewer where no service may be asked: a pull request from a fork."""

from __future__ import annotations

from collections.abc import Sequence

from vssync.document import document
from vssync.model.state import Desired, DesiredStore
from vssync.render import wording
from vssync.render.layout import View
from vssync.render.markdown import MarkdownBlock, comment_marker, fenced_block, inline_code, join_markdown
from vssync.render.plan_text import join_blocks
from vssync.text import escape_ci_commands, escape_control, format_size

_COMMENT = 65_000  # bytes; GitHub takes 65,536 characters


def offline_text(desired: Desired, digests: Sequence[str], view: View) -> str:
    """Each store: its name, how many files of what size, what is left out, its content digest."""
    blocks = [[wording.heading_line(desired.owner, desired.service)]]
    for store, digest in zip(desired.stores, digests, strict=True):
        omitted = [f"{' ' * 10}{line}" for line in wording.left_out_lines(store.left_out, full=view.full)]
        name = "" if store.key == store.name else f'  "{store.name}"'
        files = f"{len(store.files):,}, {format_size(_total_size(store))}"
        blocks.append([escape_control(store.key + name), f"  files   {files}", *omitted, f"  digest  {digest}"])
    last = "No service was contacted: this is what the manifest declares, not what would change."
    return join_blocks([*blocks, [last]])


def offline_markdown(desired: Desired, digests: Sequence[str], view: View) -> str:
    """The same as a comment on a pull request, replaced by the next one of its kind."""
    lines = offline_text(desired, digests, view).split("\n")
    title = f"{comment_marker('plan', desired.owner)}\n### vssync, offline: {inline_code(lines[0])}"
    return escape_ci_commands(join_markdown([MarkdownBlock(title), fenced_block(lines[2:])], _COMMENT))


def offline_json(desired: Desired, digests: Sequence[str]) -> str:
    """The same for a program."""
    stores = {
        store.key: {
            "name": store.name,
            "files": len(store.files),
            "bytes": _total_size(store),
            "left_out": store.left_out,
            "digest": digest,
        }
        for store, digest in zip(desired.stores, digests, strict=True)
    }
    return document("offline", owner=desired.owner, provider=desired.service.provider, stores=stores)


def _total_size(store: DesiredStore) -> int:
    return sum(file.size for file in store.files)
