"""An existing store as a manifest: which files it holds, which local files they are, and what they have in common.

Values in, a text out; `workflow.dumping` reads the service and the disk. What is written means exactly what was found:
the text is read back before it is given out.

seen       what was found
matching   which local file a live one is
rows       what a manifest says of each file
factoring  what it says once for many
proof      that it means the same
text       as YAML
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vssync.commands.dump.deduplicate import deduplicate, plain_layout
from vssync.commands.dump.roundtrip import declared_files, is_equivalent
from vssync.commands.dump.seen import DumpedStore
from vssync.commands.dump.text import dumped_text
from vssync.manifest.globs import FoundFile


def manifest_of_store(taken: DumpedStore, local: Iterable[FoundFile], schema: Mapping[str, Any]) -> str:
    """The manifest of a store; `local` are the files that its patterns could choose.

    Factored where that is exact, otherwise an entry for each file. Raises ManifestError where no manifest can say it.
    """
    found = tuple(local)
    short = dumped_text(taken, deduplicate(taken.rows, [file.name for file in found]))
    if is_equivalent(short, taken.rows, found, schema):
        return short
    long = dumped_text(taken, plain_layout(taken.rows))
    declared_files(long, found, schema)
    return long
