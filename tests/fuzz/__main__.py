"""Fuzzes, guided by coverage: `python -m tests.fuzz [TARGET]... [--runs N] [--seed S] [--save]`; exits 1 at a crash.

Atheris does it: `pip install -c .ci/constraints.txt -e '.[test,fuzz]'`. An input that crashes is kept in `.fuzz`, and
the command that repeats it is printed; that one needs no Atheris. Without targets, all are fuzzed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.lines import smallest
from tests.fuzz.mutate import WORDS
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
MOST_SECONDS, MOST_MEGABYTES, MOST_BYTES = 10, 1_024, 8_000  # of one execution, and of its input


def inputs_of(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []


def dictionary_line(word: str) -> str:
    escaped = "".join(rf"\x{byte:02x}" for byte in word.encode())
    return f'"{escaped}"\n'


def fuzz(name: str, runs: int, seed: int, crashes: Path, work: Path) -> bool:
    """Fuzzes one target in a process of its own, and prints what came of it; whether nothing crashed."""
    found, started = work / "found", time.monotonic()
    found.mkdir()
    words = work / "words"
    words.write_text("".join(map(dictionary_line, WORDS)))
    limits = {"timeout": MOST_SECONDS, "rss_limit_mb": MOST_MEGABYTES, "max_len": MOST_BYTES, "len_control": 0}
    options = limits | {"runs": runs, "seed": seed, "dict": words, "artifact_prefix": f"{crashes}/{name}-"}
    folders = [str(found), *([str(CORPUS / name)] if (CORPUS / name).is_dir() else [])]
    command = [sys.executable, "-m", "tests.fuzz.guided", name, *(f"-{key}={value}" for key, value in options.items())]
    before = {*crashes.iterdir()}
    done = subprocess.run(
        [*command, *folders],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(work)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - started
    inputs = [*inputs_of(CORPUS / name), *inputs_of(found)]
    _, lines = smallest(TARGETS[name], inputs)
    executed = int(match[1]) if (match := re.search(r"Done (\d+) runs", done.stderr)) else 0
    print(f"{name:14} {executed:9,} runs {executed / seconds:8,.0f} a second {len(lines):7,} lines", flush=True)
    if done.returncode:
        print(re.sub(r"(?m)^(INFO|WARNING):.*\n", "", f"{done.stdout}\n{done.stderr}")[-6_000:])
        for path in sorted({*crashes.iterdir()} - before):
            print(f"\nCrash; to repeat it:\n\n  python -m tests.fuzz {name} --input {path}\n")
    return not done.returncode


def save(name: str, found: Path) -> None:
    """Makes the corpus of a target the smallest inputs that reach each line."""
    kept, _ = smallest(TARGETS[name], [*inputs_of(CORPUS / name), *inputs_of(found)])
    (CORPUS / name).mkdir(exist_ok=True)
    for path in (CORPUS / name).iterdir():
        path.unlink()
    for data in kept:
        (CORPUS / name / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--runs", type=int, default=15_000, help="executions of each target")
    parser.add_argument("--seed", type=int, default=1, help="decides what is tried")
    parser.add_argument("--input", type=Path, metavar="FILE", help="run one target on this input alone")
    parser.add_argument("--save", action="store_true", help="take what reaches new lines into the corpus")
    options = parser.parse_args()
    if unknown := {*options.targets} - TARGETS.keys():
        parser.error(f"no target {min(unknown)}; there are {', '.join(TARGETS)}")
    if options.input:
        for name in options.targets:
            TARGETS[name](options.input.read_bytes())
        return
    crashes = ROOT / ".fuzz"
    crashes.mkdir(exist_ok=True)
    ends = []
    for name in options.targets or TARGETS:
        with tempfile.TemporaryDirectory(prefix="vssync-fuzz-") as work:
            ends.append(fuzz(name, options.runs, options.seed, crashes, Path(work)))
            if options.save:
                save(name, Path(work) / "found")
    sys.exit(not all(ends))


if __name__ == "__main__":
    main()
