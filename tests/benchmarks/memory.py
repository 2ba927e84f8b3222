"""The most memory an apply takes, with one huge file among small ones and without: `python -m tests.benchmarks.memory`.

The service is a process of its own, as real ones are, so that only the client is measured; then the embedded one, which
is in the same process. Linux only: it tells what a program itself took, without what it was forked from.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.applier.test_process import serve

HUGE = 300 * 1024 * 1024  # bytes
SMALL = 2_000  # files
MEASURE = """\
import sys
from vssync.cli.main import main
try:
    main()
finally:
    print(open("/proc/self/status").read(), file=sys.stderr)
"""
_MANIFEST = """\
version: 1
owner: memory
{service}
stores:
  docs: {{files: [{{path: "*.md"}}]}}
"""


def write_files(folder: Path, url: str, *, small: int, huge: int) -> None:
    """A manifest for small files and a huge one, which the local service takes, and then fails to ingest."""
    folder.mkdir(parents=True)
    service = f"service: {{provider: local, data_url: '{url}'}}" if url else ""
    (folder / "vssync.yaml").write_text(_MANIFEST.format(service=service))
    for number in range(small):
        (folder / f"{number}.md").write_text(f"# {number}\n" + "Some words.\n" * 100)
    if huge:
        with (folder / "huge.md").open("wb") as file:
            for _ in range(huge >> 20):
                file.write(b"\n" * 1_048_576)
            file.write(b"# The end\n")


def apply_measured(folder: Path, url: str, *, small: int, huge: int) -> tuple[int, int]:
    """The exit code of an apply in a process of its own, and the most memory it had resident at a time, in bytes."""
    write_files(folder / "docs", url, small=small, huge=huge)
    command = [sys.executable, "-c", MEASURE, "apply", "--yes", "-q", "-f", str(folder / "docs")]
    environment = {**os.environ, "VSSYNC_STATE_DIR": str(folder / "state")}
    completed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", completed.stderr, re.MULTILINE)
    assert peak, completed.stderr
    return completed.returncode, int(peak[1]) * 1024


def main() -> None:
    for huge in (0, HUGE):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            with serve(folder / "data") as url:
                code, served = apply_measured(folder / "served", url, small=SMALL, huge=huge)
            embedded_code, embedded = apply_measured(folder / "embedded", "", small=SMALL, huge=huge)
        files = f"{SMALL:,} files" + (f" and one of {huge >> 20:,} MB" if huge else "")
        sys.stdout.write(
            f"{files}: {served >> 20} MB (exit {code}); "
            f"with the service embedded {embedded >> 20} MB (exit {embedded_code})\n"
        )


if __name__ == "__main__":
    main()
