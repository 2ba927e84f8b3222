"""What applies of this machine found out about a service, beside the journal: for later plans, and never needed."""

from __future__ import annotations

import json
from pathlib import Path

from vssync.journal.folder import prepare_folder, write_error
from vssync.sources.write import write_file

_NAME = "service.json"


def read_search_capability(folder: Path) -> bool | None:
    """Whether searches filter by updated attributes; None where no apply found out, or that cannot be read."""
    try:
        reaches = json.loads((folder / _NAME).read_text()).get("updates_reach_search")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return reaches if isinstance(reaches, bool) else None


def remember_search_capability(folder: Path, *, reaches: bool) -> None:
    """Remembers it. Raises VssyncError where the folder cannot be written."""
    path = prepare_folder(folder) / _NAME
    try:
        write_file(path, json.dumps({"updates_reach_search": reaches}) + "\n")
    except OSError as error:
        raise write_error(path, error) from error
