"""Whatever happens to a folder and a store, no command says what is not so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.histories import history_of

SOON = 5  # seeds of every run of the tests; the slow ones have the others


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[] if seed < SOON else [pytest.mark.slow]) for seed in range(200)]
)
def test_a_history_is_told_truly(tmp_path: Path, seed: int) -> None:
    history = history_of(seed, tmp_path)
    try:
        history.happen()
    except Exception as error:
        lines = "\n  ".join(history.told)
        pytest.fail(f"{error}\nThe history:\n  {lines}\nAgain: python -m tests.simulation.histories {seed}")
