"""Targets under Atheris, each in a fork of a process that has imported and instrumented the program once.

`python -m tests.fuzz.guided JOBS`: a list of `[target, log, begin of the names of crashes, [options and folders of
libFuzzer]]` as JSON. When a target has ended, its exit code is printed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["vssync"], enable_loader_override=False):
    from tests.fuzz.targets import TARGETS, Target

from tests.fuzz.mutate import mutate


def change(data: bytes, most: int, seed: int) -> bytes:
    return mutate(data, most, seed, atheris.Mutate)


def keeping(target: Target, prefix: str) -> Target:
    """A target that keeps the input of a crash under libFuzzer's name for it: libFuzzer was once seen not to."""

    def keep(data: bytes) -> None:
        try:
            target(data)
        except BaseException:
            Path(f"{prefix}crash-{hashlib.sha1(data).hexdigest()}").write_bytes(data)
            raise

    return keep


def main() -> None:
    for name, log, prefix, arguments in json.loads(sys.argv[1]):
        if child := os.fork():
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
            continue
        written = os.open(log, os.O_WRONLY | os.O_CREAT)
        os.dup2(written, 1)
        os.dup2(written, 2)
        atheris.Setup(
            [name, f"-artifact_prefix={prefix}", *arguments], keeping(TARGETS[name], prefix), custom_mutator=change
        )
        atheris.Fuzz()  # ends the process


if __name__ == "__main__":
    main()
