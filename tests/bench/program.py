"""One run of the program, and what it took: `python -m tests.bench.program RESULT ARGUMENTS...`; RESULT is JSON."""

from __future__ import annotations

import json
import logging
import resource
import sys
from pathlib import Path


class RequestCounter(logging.Handler):
    """Counts requests, by the log's lines of them."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def peak_memory() -> int:
    """The most bytes this process had resident at a time.

    Linux counts what a process was forked from among `ru_maxrss`, so there it is read elsewhere.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def write_result(path: Path, requests: int) -> None:
    """Writes what this process took so far."""
    modules = sorted(name for name, module in list(sys.modules.items()) if module)
    path.write_text(json.dumps({"requests": requests, "modules": modules, "peak": peak_memory()}))


def main() -> None:
    from vssync.cli.main import main as run

    result, sys.argv = Path(sys.argv[1]), ["vssync", *sys.argv[2:]]
    counter, log = RequestCounter(), logging.getLogger("vssync.api.log")
    log.addHandler(counter)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        run()
    finally:
        write_result(result, counter.count)


if __name__ == "__main__":
    main()
