"""Puts known bugs into a copy of the program, one at a time, and shows that some test catches each.

    python tests/mutants/run.py [--tests | --simulation] [--seeds N] [NAME]...

With `--simulation`, the simulator has to find them in so many histories, without any test. What was found goes into
TABLE.md.

Not part of the suite: it takes long. Exits 1 when a bug survives the tests, when the simulator misses one that it found
before or fewer than nine in ten of all, or when the text of one is not found any more.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.mutants.faults import FAULTS
from tests.mutants.mutant import ROOT, Mutant, outdated
from tests.mutants.rules import RULES
from tests.mutants.table import MISSED, SHARE, TABLE, Catch, read_table, seen_share, table_text, with_catch

MUTANTS = (*RULES, *FAULTS)
_AT_ONCE = 2  # simulations
_LIMITS = {"pytest": 600.0, "tests.simulation": 900.0}  # seconds


@contextmanager
def copied_tree() -> Iterator[Path]:
    """The working tree without what is large or secret, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="vssync-mutant-") as folder:
        for part in ("vssync", "tests", "schemas", "examples", "pyproject.toml", "README.md"):
            source, target = ROOT / part, Path(folder, part)
            skipped = shutil.ignore_patterns("__pycache__", ".vssync")
            shutil.copytree(source, target, ignore=skipped) if source.is_dir() else shutil.copy(source, target)
        yield Path(folder)


def run_with(tree: Path, mutant: Mutant, module: str, *arguments: str) -> tuple[int, str]:
    """The exit code and the output of a module with the bug in; 1 where it does not end."""
    path = tree / mutant.path
    text = path.read_text()
    path.write_text(text.replace(mutant.right, mutant.wrong))
    try:
        completed = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree)},
            capture_output=True,
            text=True,
            timeout=_LIMITS[module],
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        return 1, f"{(expired.stdout or b'').decode()}\nFAILED no end within {_LIMITS[module]:.0f} s"
    finally:
        path.write_text(text)
    return completed.returncode, completed.stdout + completed.stderr


def first_failure(tree: Path, mutant: Mutant) -> str:
    """The first test that fails with the bug in; empty when none does."""
    options = ("-q", "-x", "-p", "no:cacheprovider", "-m", "not live and (not slow or wide)")
    code, output = run_with(tree, mutant, "pytest", *options, *mutant.tests)
    failures = (re.match(r"(?:FAILED|ERROR) tests/([^ \[]+)", line) for line in output.splitlines())
    return next((match[1] for match in failures if match), f"the tests ended with code {code}") if code else ""


def first_seed(tree: Path, mutant: Mutant, seeds: int, known: str) -> str:
    """A seed whose history shows the bug, in words; empty when none of so many does. A known one is tried first."""
    groups = [(f"--seeds={seeds}", "--first=0")]
    if match := re.fullmatch(r"seed (\d+)", known):
        groups.insert(0, ("--seeds=1", f"--first={match[1]}"))
    for group in groups:
        _, output = run_with(tree, mutant, "tests.simulation", *group, "--no-shrink")
        if found := re.search(r"^The history of seed (\d+) fails", output, re.MULTILINE):
            return f"seed {found[1]}"
    return ""


def run_each(mutants: Sequence[Mutant], seeds: int) -> list[str]:
    """Runs all of these and writes the table; returns the names of those that were missed.

    The simulator has so many `seeds`; with 0, the tests have to find them.
    """
    missed: list[str] = []

    def find(mutant: Mutant) -> str:
        with copied_tree() as tree:
            known = read_table(TABLE.read_text()).get(mutant.name, Catch()).seed
            return first_seed(tree, mutant, seeds, known) if seeds else first_failure(tree, mutant)

    with ThreadPoolExecutor(_AT_ONCE if seeds else 1) as pool:
        for mutant, caught in zip(mutants, pool.map(find, mutants), strict=True):
            print(f"{mutant.name:55} {caught or 'SURVIVED'}"[:170], flush=True)
            missed += [] if caught else [mutant.name]
            found = caught or (f"{MISSED} in {seeds}" if seeds else MISSED)
            known = read_table(TABLE.read_text())  # just now: both kinds of runs may go on at once
            catches = with_catch(known, mutant.name, **{"seed" if seeds else "test": found})
            TABLE.write_text(table_text(MUTANTS, catches))
    return missed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of mutants; all of them unless given")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--tests", action="store_true", help="the tests have to find them, as by default")
    kinds.add_argument("--simulation", action="store_true", help="the simulator has to find them")
    parser.add_argument("--seeds", type=int, default=300, help="how many histories the simulator has; 300 unless given")
    options = parser.parse_args(arguments)
    if unknown := {*options.names} - {mutant.name for mutant in MUTANTS}:
        parser.error(f"no mutant is named {min(unknown)}; tests/mutants/TABLE.md lists them")
    if problems := list(filter(None, map(outdated, MUTANTS))):  # first, rather than after minutes
        sys.exit("\n".join(problems))
    chosen = [mutant for mutant in MUTANTS if not options.names or mutant.name in options.names]
    if not options.simulation:
        missed = run_each(chosen, seeds=0)
        print(f"{len(missed)} survived" + (f": {', '.join(missed)}" if missed else ""))
        return 1 if missed else 0
    before = read_table(TABLE.read_text())
    missed = run_each([mutant for mutant in chosen if not mutant.blind_spot], options.seeds)
    seen, visible = seen_share(MUTANTS, read_table(TABLE.read_text()))
    lost = [name for name in missed if name in before and before[name].is_seen]
    print(f"the simulator finds {seen} of {visible}" + (f", and no more: {', '.join(lost)}" if lost else ""))
    return 1 if lost or seen < SHARE * visible else 0


if __name__ == "__main__":
    sys.exit(main())
