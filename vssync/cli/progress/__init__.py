"""Progress on stderr: bars on a terminal, a plain line now and then elsewhere; nothing when there is little to do."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager

from vssync.applier.context import Watcher


def watching() -> AbstractContextManager[Watcher]:
    """A watcher for this stderr."""
    from vssync.cli.progress.bars import bars
    from vssync.cli.progress.lines import lines

    return bars() if sys.stderr.isatty() else lines()
