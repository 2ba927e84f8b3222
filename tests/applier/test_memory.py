"""What an apply holds in memory does not grow with the sizes of files."""

from __future__ import annotations

from pathlib import Path

from tests.bench.cases import write_files, write_manifest
from tests.bench.process import Cost, run_program

MB = 1024 * 1024


def test_a_huge_file_is_never_held(tmp_path: Path) -> None:
    """With one of 80 MB, of blanks and a heading, an apply takes at most 40 MB more than without."""
    project = tmp_path / "project"
    write_files(project, 20)
    write_manifest(project)

    def applied() -> Cost:
        return run_program(project, tmp_path / "state", "apply", "--yes", "-q", codes=(0, 4))

    without = applied()
    with (project / "docs/huge.md").open("wb") as file:
        for _ in range(80):
            file.write(b"\n" * MB)
        file.write(b"# The end\n")
    assert applied().peak < without.peak + 40 * MB  # it is uploaded; whether it is ingested is the service's concern
