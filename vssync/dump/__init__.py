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

from vssync.dump.factoring import factored, plain
from vssync.dump.proof import declared, means
from vssync.dump.seen import Taken
from vssync.dump.text import manifest_text
from vssync.manifest import Found

__all__ = ["manifest"]


def manifest(taken: Taken, local: Iterable[Found], schema: Mapping[str, Any]) -> str:
    """The manifest of a store; `local` are the files that its patterns could choose.

    Factored where that is exact, otherwise an entry for each file. Raises ManifestError where no manifest can say it.
    """
    found = tuple(local)
    short = manifest_text(taken, factored(taken.rows, [file.name for file in found]))
    if means(short, taken.rows, found, schema):
        return short
    long = manifest_text(taken, plain(taken.rows))
    declared(long, found, schema)
    return long
