"""What an apply holds in memory does not grow with the sizes of files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.benchmarks.memory import apply_measured

MB = 1024 * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells of a process")
def test_a_huge_file_is_never_held(tmp_path: Path) -> None:
    _, without = apply_measured(tmp_path / "without", "", small=20, huge=0)
    code, peak = apply_measured(tmp_path / "huge", "", small=20, huge=80 * MB)
    assert code in (0, 4)  # it is uploaded; ingesting it is the service's concern
    assert peak < without + 40 * MB
