"""Fuzzes, guided by coverage: `python -m tests.fuzz [TARGET]... [--runs N] [--seed S] [--save]`; exits 1 at a crash.

Atheris does it: `pip install -c .ci/constraints.txt -e '.[test,fuzz]'`. An input that crashes is kept in `.fuzz`, and
the command that repeats it is printed; that one needs no Atheris. Without targets, all are fuzzed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.lines import smallest
from tests.fuzz.mutate import WORDS
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
CRASHES = ROOT / ".fuzz"
MOST_SECONDS, MOST_MEGABYTES, MOST_BYTES = 10, 1_024, 8_000  # of one execution, and of its input


def inputs_of(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []


def dictionary_line(word: str) -> str:
    escaped = "".join(rf"\x{byte:02x}" for byte in word.encode())
    return f'"{escaped}"\n'


def job(name: str, work: Path, runs: int, seed: int) -> tuple[str, str, str, list[str]]:
    """A target, its log, how crashes are named, what libFuzzer is told: new inputs go into the first folder."""
    limits = {"timeout": MOST_SECONDS, "rss_limit_mb": MOST_MEGABYTES, "max_len": MOST_BYTES, "len_control": 0}
    options = limits | {"dict": work / "words", "runs": runs, "seed": seed}
    (work / name).mkdir()
    folders = [str(work / name), *([str(CORPUS / name)] if (CORPUS / name).is_dir() else [])]
    log, prefix = str(work / f"{name}.log"), f"{CRASHES}/{name}-"
    return name, log, prefix, [*(f"-{key}={value}" for key, value in options.items()), *folders]


def fuzz(names: list[str], work: Path, runs: int, seed: int) -> Iterator[tuple[str, bool]]:
    """Fuzzes one target after the other, and prints what came of it; gives whether nothing crashed."""
    (work / "words").write_text("".join(map(dictionary_line, WORDS)))
    jobs = json.dumps([job(name, work, runs, seed) for name in names])
    command = [sys.executable, "-m", "tests.fuzz.guided", jobs]
    environment = {**os.environ, "TMPDIR": str(work)}
    common_log = work / "log"
    with (
        common_log.open("w") as errors,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as run,
    ):
        ended = run.stdout or iter(())
        for name in names:
            before = {*CRASHES.iterdir()}
            code = int(next(ended, "") or 1)
            report(name, work)
            if code:
                log = work / f"{name}.log"
                print((log if log.exists() else common_log).read_text(errors="replace")[-6_000:])
            for path in sorted({*CRASHES.iterdir()} - before):
                print(f"\nCrash; to repeat it:\n\n  python -m tests.fuzz {name} --input {path.relative_to(ROOT)}\n")
            yield name, not code


def report(name: str, work: Path) -> None:
    _, lines = smallest(TARGETS[name], [*inputs_of(CORPUS / name), *inputs_of(work / name)])
    log = work / f"{name}.log"
    done = re.search(r"Done (\d+) runs in (\d+) second", log.read_text(errors="replace")) if log.exists() else None
    executed, seconds = map(int, done.groups()) if done else (0, 1)
    speed = executed / max(1, seconds)
    print(f"{name:14} {executed:9,} runs {speed:8,.0f} a second {len(lines):7,} lines", flush=True)


def save(name: str, found: Path) -> None:
    """Makes the corpus of a target the smallest inputs that reach each line."""
    kept, _ = smallest(TARGETS[name], [*inputs_of(CORPUS / name), *inputs_of(found)])
    (CORPUS / name).mkdir(exist_ok=True)
    for path in (CORPUS / name).iterdir():
        path.unlink()
    for data in kept:
        (CORPUS / name / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--runs", type=int, default=15_000, help="executions of each target")
    parser.add_argument("--seed", type=int, default=1, help="decides what is tried")
    parser.add_argument("--input", type=Path, metavar="FILE", help="run one target on this input alone")
    parser.add_argument("--save", action="store_true", help="take what reaches new lines into the corpus")
    options = parser.parse_args(arguments)
    if unknown := {*options.targets} - TARGETS.keys():
        parser.error(f"no target {min(unknown)}; there are {', '.join(TARGETS)}")
    if options.input and len(options.targets) != 1:
        parser.error("--input takes one TARGET")
    if not options.input and not find_spec("atheris"):
        parser.error("Atheris is missing; run: pip install -c .ci/constraints.txt -e '.[test,fuzz]'")
    if options.input:
        for name in options.targets:
            TARGETS[name](options.input.read_bytes())
        return
    CRASHES.mkdir(exist_ok=True)
    is_fine = True
    with tempfile.TemporaryDirectory(prefix="vssync-fuzz-") as work:
        for name, ended_well in fuzz(options.targets or [*TARGETS], Path(work), options.runs, options.seed):
            is_fine &= ended_well
            if options.save:
                save(name, Path(work) / name)
    sys.exit(not is_fine)


if __name__ == "__main__":
    main()
