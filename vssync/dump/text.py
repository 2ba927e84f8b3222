"""A taken store as a manifest that a person can read: what was found, how sure it is, what was left out.

Foreign text stands in quotes or comments, each on one line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from textwrap import indent
from typing import Any

from vssync.dump.factoring import Entry, Layout, entry_tree, tree_of
from vssync.dump.seen import Row, Sure, Taken
from vssync.manifest.placeholders import escape
from vssync.model import ServiceSpec
from vssync.ownership import StoreMark, read_store_mark
from vssync.render import words
from vssync.render.plain import yaml_text

_MOST = 64  # of those left out; nobody reads further in a comment
SURE = {
    Sure.BYTES: "the same bytes",
    Sure.TEXT: "the same text, as the service read it",
    Sure.SIZE: "by name and size; nobody could read the content",
    Sure.UNMATCHED: "by id",
}


def manifest_text(taken: Taken, layout: Layout) -> str:
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


def _header(taken: Taken) -> Iterator[str]:
    place = words.heading(taken.owner, taken.service).rpartition(": ")[2]
    name = words.clean(f"{taken.store.name} ({taken.store.id})")
    yield f"# The vector store {name} of {place}, as it was found: {words.number(len(taken.rows), 'file')}."
    yield "# `vssync plan --adopt` shows what would be taken over. Nothing is uploaded or deleted by that."
    for sure, count in sorted(Counter(row.sure for row in taken.rows).items(), reverse=True):
        yield f"#   {words.number(count, 'file')}: {SURE[sure]}"
    if taken.untold:
        yield f"# The service does not tell the chunking of {words.number(taken.untold, 'file')}: it stands here as"
        yield "# `auto`, by which their next upload is cut. Write under `chunking` what you know better."
    mark = read_store_mark(taken.store.metadata)
    if isinstance(mark, StoreMark):
        owner = words.clean(mark.owner)
        yield f"# It is {owner}'s, whose own manifest says more. `--adopt-from {owner}` takes it over; files by id are"
        yield "# then ingested once more."


def _settings(taken: Taken) -> dict[str, Any]:
    store = taken.store
    told: dict[str, Any] = {
        "name": escape(store.name),
        "id": escape(store.id) if taken.pinned else "",
        "description": escape(store.description),
        "metadata": {name: escape(value) for name, value in sorted(taken.metadata.items())},
        "expires_after": {"days": store.expires_after_days} if store.expires_after_days else {},
    }
    return {name: value for name, value in told.items() if value}


def _service(service: ServiceSpec) -> dict[str, Any]:
    fields = ("provider", "region", "project", "compartment", "data_url", "control_url", "auth", "profile")
    told: dict[str, Any] = {name: value for name in fields if (value := getattr(service, name))}
    capabilities: Mapping[str, bool] = dict(service.capabilities)
    return told | ({"capabilities": capabilities} if capabilities else {})


def _entry(entry: Entry) -> Iterator[str]:
    for line in _comments(entry):
        yield f"      # {line}"
    listed = yaml_text({"files": [entry_tree(entry)]}).split("\n")[1:]
    yield from (f"    {line}" for line in listed)


def _comments(entry: Entry) -> Iterator[str]:
    (first, *others) = entry.rows
    if not others:
        yield from _remarks(first)
        return
    sure = Counter(row.sure for row in entry.rows)
    told = ", ".join(f"{count:,} {SURE[kind]}" for kind, count in sorted(sure.items(), reverse=True))
    yield (
        f"{words.number(len(entry.rows), 'file')}: {told}"
        if len(sure) > 1
        else (f"{words.number(len(entry.rows), 'file')}: {SURE[first.sure]}")
    )


def _remarks(row: Row) -> Iterator[str]:
    if row.path:
        yield SURE[row.sure]
    if row.remark:
        yield words.clean(row.remark)


def _omitted(taken: Taken) -> Iterator[str]:
    if taken.omitted:
        yield ""
        yield f"# Left out: {words.number(len(taken.omitted), 'file')} of the store. They stay as they are."
    for left in taken.omitted[:_MOST]:
        name = f" ({left.name})" if left.name else ""
        yield words.clean(f"#   {left.id}{name}: {left.why}")
    if (more := len(taken.omitted) - _MOST) > 0:
        yield f"#   and {more:,} more"
