"""Reports times: `python -m tests.bench [--sizes 21,1000] [--runs 3] [--json FILE] [--svg FILE]`.

Every figure is the median of fresh processes. The exponent says how cost grows between the two largest sizes: 1 is
linear, and more than 1.1 a bug, for which this ends with 1. Beside stands what octodns and rclone take to find no
difference, where they are on the PATH. `--synthetic SIZES` plans against a made-up listing, which may have a million
files. `--latency MS` brings 1,000 files to a service that is so slow, beside OpenAI's own client.
"""

from __future__ import annotations

import argparse
import compileall
import json
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import asdict
from itertools import pairwise
from math import log
from pathlib import Path

from tests.bench.cases import life_of_a_store, synthetic_plan, upload_over_the_network
from tests.bench.peers import PEERS, missing_peers
from tests.bench.plot import growth_plot
from tests.bench.process import ROOT, Cost, median_cost

STEEPEST = 1.1
Costs = dict[str, dict[int, Cost]]  # by case and number of files


def measure(sizes: list[int], synthetic: list[int], runs: int, latency: int) -> Costs:
    found: dict[str, dict[int, list[Cost]]] = {}

    def collect(size: int, steps: Iterable[tuple[str, Cost]]) -> None:
        for case, cost in steps:
            print_cost(case, size, cost)
            found.setdefault(case, {}).setdefault(size, []).append(cost)

    for size in sizes:
        for _ in range(runs if size <= 1_000 else 1):
            collect(size, life_of_a_store(size, runs))
    for size in synthetic:
        collect(size, synthetic_plan(size))
    for _ in range(runs if latency else 0):
        collect(1_000, upload_over_the_network(1_000, latency))
    return {case: {size: median_cost(costs) for size, costs in by_size.items()} for case, by_size in found.items()}


def print_cost(case: str, size: int, cost: Cost) -> None:
    figures = f"{cost.seconds:9.2f} s {cost.cpu:9.2f} s cpu {cost.peak / 1e6:7.0f} MB {cost.requests:9,} requests"
    sys.stdout.write(f"{case:32} {size:9,} {figures}\n")
    sys.stdout.flush()


def exponent(by_size: dict[int, Cost]) -> float | None:
    """How processor time grows with the number of files, between the two largest sizes."""
    last = [*pairwise(sorted(by_size))][-1:]
    return next((log(by_size[large].cpu / by_size[small].cpu) / log(large / small) for small, large in last), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="21,1000,10000", help="numbers of files")
    parser.add_argument("--synthetic", default="", metavar="SIZES", help="numbers of files in made-up listings")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--latency", type=int, default=0, metavar="MS")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args()
    sizes, synthetic = ([int(size) for size in text.split(",") if size] for text in (options.sizes, options.synthetic))
    if missing := missing_peers():
        sys.stdout.write(f"not on the PATH, and left out: {', '.join(missing)}\n")
    for folder in (ROOT / "vssync", sysconfig.get_path("purelib")):  # as an installation is; tools may leave it out
        compileall.compile_dir(folder, quiet=2)
    costs = measure(sizes, synthetic, options.runs, options.latency)
    sys.stdout.write("\nmedians\n")
    exponents: dict[str, float] = {}
    for case, by_size in costs.items():
        for size, cost in by_size.items():
            print_cost(case, size, cost)
        if grows := exponent(by_size):
            exponents[case] = grows
            sys.stdout.write(f"{'':32} grows with exponent {grows:.2f}\n")
    if options.json:
        shown = {case: {size: asdict(cost) for size, cost in by_size.items()} for case, by_size in costs.items()}
        options.json.write_text(json.dumps(shown, indent=1) + "\n")
    if options.svg:
        grown = {case: {size: cost.cpu for size, cost in by.items()} for case, by in costs.items() if len(by) > 1}
        options.svg.write_text(growth_plot(grown))
    if steep := sorted(case for case in exponents.keys() - PEERS if exponents[case] > STEEPEST):
        sys.exit(f"grows faster than the number of files: {', '.join(steep)}")


if __name__ == "__main__":
    main()
