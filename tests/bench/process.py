"""Runs the program in fresh processes, and says what each took."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took: seconds by the clock and of the processor, most bytes at a time, requests, modules."""

    seconds: float
    cpu: float
    peak: int = 0
    requests: int = 0
    modules: tuple[str, ...] = ()


def run_program(folder: Path, state: Path, *arguments: str, codes: tuple[int, ...] = (0,)) -> Cost:
    """`vssync ARGUMENTS -f FOLDER` in a process of its own."""
    with TemporaryDirectory() as name:
        result = Path(name) / "result.json"
        cost = run_timed(
            [sys.executable, "-m", "tests.bench.program", str(result), *arguments, "-f", str(folder)],
            {"VSSYNC_STATE_DIR": str(state)},
            codes,
        )
        counts = json.loads(result.read_text())
    return Cost(cost.seconds, cost.cpu, counts["peak"], counts["requests"], tuple(counts["modules"]))


def run_timed(command: list[str], environment: dict[str, str], codes: tuple[int, ...] = (0,)) -> Cost:
    """Any command, with its output read and thrown away; its processor time is what its ended children add to ours."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    end = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, check=False)
    seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert end.returncode in codes, (command, end.stderr.decode()[-2000:])
    return Cost(seconds, cpu)


def median_cost(costs: list[Cost]) -> Cost:
    """Of several runs of one command: each figure's median."""
    return Cost(
        median(cost.seconds for cost in costs),
        median(cost.cpu for cost in costs),
        round(median(cost.peak for cost in costs)),
        round(median(cost.requests for cost in costs)),
        costs[0].modules,
    )
