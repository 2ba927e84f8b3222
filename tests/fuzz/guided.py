"""One target under Atheris, in a process of its own: `python -m tests.fuzz.guided TARGET [options of libFuzzer]`."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["vssync"], enable_loader_override=False):
    from tests.fuzz.targets import TARGETS

from tests.fuzz.mutate import mutate


def change(data: bytes, most: int, seed: int) -> bytes:
    return mutate(data, most, seed, atheris.Mutate)


def main() -> None:
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name], custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
