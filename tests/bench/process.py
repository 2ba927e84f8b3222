"""Runs the program in fresh processes, and says what each took."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
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
    words = [*arguments, "-f", str(folder)]
    return run_module("tests.bench.program", *words, environment={"VSSYNC_STATE_DIR": str(state)}, codes=codes)


def run_module(name: str, *words: str, environment: Mapping[str, str] = {}, codes: tuple[int, ...] = (0,)) -> Cost:
    """A module of the bench, whose first argument is where it writes what it took."""
    with TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        cost = run_timed([sys.executable, "-m", name, str(result), *words], environment, codes)
        counts = json.loads(result.read_text())
    return Cost(cost.seconds, cost.cpu, counts["peak"], counts["requests"], tuple(counts["modules"]))


def run_timed(command: list[str], environment: Mapping[str, str], codes: tuple[int, ...] = (0,)) -> Cost:
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
