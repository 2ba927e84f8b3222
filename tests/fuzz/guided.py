"""Targets under Atheris, each in a fork of a process that has imported and instrumented the program once.

`python -m tests.fuzz.guided JOBS`: a list of `[target, log, [options and folders of libFuzzer]]` as JSON. When a target
has ended, its exit code is printed.
"""

from __future__ import annotations

import json
import os
import sys

import atheris

with atheris.instrument_imports(include=["vssync"], enable_loader_override=False):
    from tests.fuzz.targets import TARGETS

from tests.fuzz.mutate import mutate


def change(data: bytes, most: int, seed: int) -> bytes:
    return mutate(data, most, seed, atheris.Mutate)


def main() -> None:
    for name, log, arguments in json.loads(sys.argv[1]):
        if child := os.fork():
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
            continue
        written = os.open(log, os.O_WRONLY | os.O_CREAT)
        os.dup2(written, 1)
        os.dup2(written, 2)
        atheris.Setup([name, *arguments], TARGETS[name], custom_mutator=change)
        atheris.Fuzz()  # ends the process


if __name__ == "__main__":
    main()
