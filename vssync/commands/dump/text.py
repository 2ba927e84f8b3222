"""A taken store as a manifest that a person can read: what was found, how sure it is, what was left out.

Foreign text stands in quotes or comments, each on one line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from textwrap import indent
from typing import Any

from vssync.commands.dump.deduplicate import DumpedEntry, DumpedLayout, entry_tree, tree_of
from vssync.commands.dump.seen import Confidence, DumpedFile, DumpedStore
from vssync.manifest.placeholders import escape_placeholders
from vssync.model.marks import StoreMark
from vssync.model.state import ServiceSpec
from vssync.render import wording
from vssync.render.yaml_writer import yaml_text
from vssync.text import count_noun, escape_control

_MOST = 64  # of those left out; nobody reads further in a comment
SURE = {
    Confidence.BYTES: "the same bytes",
    Confidence.TEXT: "the same text, as the service read it",
    Confidence.SIZE: "by name and size; nobody could read the content",
    Confidence.UNMATCHED: "by id",
}


def dumped_text(taken: DumpedStore, layout: DumpedLayout) -> str:
    """The manifest, with its last newline."""
    store = {**_settings(taken), **tree_of(layout.level)}
    head = {"version": 1, "name": taken.owner, "service": _service(taken.service)}
    parts = [*_header(taken), "", yaml_text(head), "stores:", f"  {yaml_text({taken.key: {}}).removesuffix(' {}')}"]
    parts += [indent(yaml_text(store), "    ")] if store else []
    parts += [
        "    files:" if layout.entries else "    files: []",
        *(line for entry in layout.entries for line in _entry(entry)),
    ]
    if layout.overrides:
        overrides = [{"match": pattern, **tree_of(level)} for pattern, level in layout.overrides]
        parts.append(indent(yaml_text({"overrides": overrides}), "    "))
    return "\n".join([*parts, *_omitted(taken)]) + "\n"


def _header(taken: DumpedStore) -> Iterator[str]:
    place = wording.heading_line(taken.owner, taken.service).rpartition(": ")[2]
    name = escape_control(f"{taken.store.name} ({taken.store.id})")
    yield f"# The vector store {name} of {place}, as it was found: {count_noun(len(taken.rows), 'file')}."
    yield "# `vssync plan --adopt` shows what would be taken over. Nothing is uploaded or deleted by that."
    for sure, count in sorted(Counter(row.sure for row in taken.rows).items(), reverse=True):
        yield f"#   {count_noun(count, 'file')}: {SURE[sure]}"
    if taken.untold:
        yield f"# The service does not tell the chunking of {count_noun(taken.untold, 'file')}: it stands here as"
        yield "# `auto`, by which their next upload is cut. Write under `chunking` what you know better."
    mark = taken.store.mark
    if isinstance(mark, StoreMark):
        owner = escape_control(mark.owner)
        yield f"# It is {owner}'s, whose own manifest says more. `--adopt-from {owner}` takes it over; files by id are"
        yield "# then ingested once more."


def _settings(taken: DumpedStore) -> dict[str, Any]:
    store = taken.store
    told: dict[str, Any] = {
        "name": escape_placeholders(store.name),
        "id": escape_placeholders(store.id) if taken.pinned else "",
        "description": escape_placeholders(store.description),
        "metadata": {name: escape_placeholders(value) for name, value in sorted(taken.metadata.items())},
        "expires_after": {"days": store.expires_after_days} if store.expires_after_days else {},
    }
    return {name: value for name, value in told.items() if value}


def _service(service: ServiceSpec) -> dict[str, Any]:
    fields = ("provider", "region", "project", "compartment", "data_url", "control_url", "auth", "profile")
    told: dict[str, Any] = {name: value for name in fields if (value := getattr(service, name))}
    capabilities: Mapping[str, bool] = dict(service.capabilities)
    return told | ({"capabilities": capabilities} if capabilities else {})


def _entry(entry: DumpedEntry) -> Iterator[str]:
    for line in _comments(entry):
        yield f"      # {line}"
    listed = yaml_text({"files": [entry_tree(entry)]}).split("\n")[1:]
    yield from (f"    {line}" for line in listed)


def _comments(entry: DumpedEntry) -> Iterator[str]:
    (first, *others) = entry.rows
    if not others:
        yield from _remarks(first)
        return
    sure = Counter(row.sure for row in entry.rows)
    told = ", ".join(f"{count:,} {SURE[kind]}" for kind, count in sorted(sure.items(), reverse=True))
    yield (
        f"{count_noun(len(entry.rows), 'file')}: {told}"
        if len(sure) > 1
        else (f"{count_noun(len(entry.rows), 'file')}: {SURE[first.sure]}")
    )


def _remarks(row: DumpedFile) -> Iterator[str]:
    if row.path:
        yield SURE[row.sure]
    if row.remark:
        yield escape_control(row.remark)


def _omitted(taken: DumpedStore) -> Iterator[str]:
    if taken.omitted:
        yield ""
        yield f"# Left out: {count_noun(len(taken.omitted), 'file')} of the store. They stay as they are."
    for left in taken.omitted[:_MOST]:
        name = f" ({left.name})" if left.name else ""
        yield escape_control(f"#   {left.id}{name}: {left.why}")
    if (more := len(taken.omitted) - _MOST) > 0:
        yield f"#   and {more:,} more"
