"""The mutants fit the program; running them takes minutes and is left to `tests/mutants/run.py`."""

from __future__ import annotations

import pytest

from tests.mutants.run import MUTANTS, Mutant, outdated


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_its_text_and_its_tests_are_found(mutant: Mutant) -> None:
    assert outdated(mutant) == ""
    assert mutant.wrong != mutant.right


@pytest.mark.parametrize(
    ("path", "right", "tests", "message"),
    [
        (
            "vssync/errors.py",
            "no such text",
            (),
            "x: `no such text` is no longer in vssync/errors.py; update the mutant",
        ),
        ("vssync/gone.py", "class", (), "x: `class` is no longer in vssync/gone.py; update the mutant"),
        ("vssync/errors.py", "class", ("tests/gone.py",), "x: there is no tests/gone.py"),
    ],
)
def test_one_that_does_not_fit_is_named(path: str, right: str, tests: tuple[str, ...], message: str) -> None:
    assert outdated(Mutant("x", path, right, "", tests)) == message
