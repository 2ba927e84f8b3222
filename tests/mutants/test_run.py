"""The mutants fit the program; running them takes minutes and is left to `tests/mutants/run.py`."""

from __future__ import annotations

import pytest

from tests.mutants.mutant import Mutant, outdated
from tests.mutants.run import MUTANTS, main
from tests.mutants.table import SHARE, TABLE, read_table, seen_share, table_text, with_catch


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_its_text_is_found_once_and_its_tests_exist(mutant: Mutant) -> None:
    assert outdated(mutant) == ""
    assert mutant.wrong != mutant.right


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["no-such-bug"], 2), (["--simulations"], 2), (["--tests", "--simulation"], 2), (["--help"], 0)],
)
def test_what_names_no_bugs_runs_none(arguments: list[str], code: int) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == code


def test_no_two_have_one_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_says_what_a_person_meets(mutant: Mutant) -> None:
    assert mutant.history.endswith(".")
    assert "|" not in mutant.history + mutant.unseen  # it is a cell of a table


NUMBERS = "vssync/limits.py"


@pytest.mark.parametrize(
    ("mutant", "message"),
    [
        (
            Mutant("x", NUMBERS, "no such text", ""),
            "`no such text` is no longer in vssync/limits.py; update the mutant",
        ),
        (Mutant("x", "vssync/gone.py", "class", ""), "`class` is no longer in vssync/gone.py; update the mutant"),
        (Mutant("x", NUMBERS, "MAX_PAIRS", ""), "`MAX_PAIRS` is in vssync/limits.py 2 times; update the mutant"),
        (Mutant("x", NUMBERS, "PAGE_SIZE = 100", "PAGE_SIZE ="), "is no Python any more, so any test would catch it"),
        (Mutant("x", NUMBERS, "PAGE_SIZE = 100", "", ("tests/gone.py",)), "there is no tests/gone.py"),
    ],
)
def test_one_that_does_not_fit_is_named(mutant: Mutant, message: str) -> None:
    assert outdated(mutant) == f"x: {message}"


SEEN, HIDDEN = Mutant("seen", "vssync/api/http.py", "a", "b"), Mutant("hidden", "vssync/ci/rest.py", "a", "b")


@pytest.mark.parametrize(
    ("mutant", "found", "numbers"),
    [
        (
            SEEN,
            {"test": "api/test_http.py::test_it", "seed": "seed 7"},
            "catches 1 and misses 0; 0 were not tried. Of the 1 that",
        ),
        (SEEN, {"seed": "missed in 300"}, "simulator alone catches 0 and misses 1; 0 were not tried"),
        (SEEN, {"test": "missed"}, "The suite catches 0 and misses 1; 0 were not tried"),
        (HIDDEN, {"test": "ci/test_rest.py::test_it"}, "catches 1 and misses 0; 0 were not tried. Of the 0 that"),
    ],
)
def test_a_table_is_read_as_it_was_written(mutant: Mutant, found: dict[str, str], numbers: str) -> None:
    catches = with_catch({}, mutant.name, **found)
    text = table_text((mutant,), catches)
    assert read_table(text)[mutant.name].test == catches[mutant.name].test
    assert table_text((mutant,), read_table(text)) == text
    assert numbers in text
    assert seen_share((mutant,), catches) == (catches[mutant.name].is_seen, mutant is SEEN)


def test_the_table_has_all_of_them() -> None:
    assert table_text(MUTANTS, read_table(TABLE.read_text())) == TABLE.read_text()


def test_the_simulator_finds_most_of_what_it_could() -> None:
    seen, visible = seen_share(MUTANTS, read_table(TABLE.read_text()))
    assert seen >= SHARE * visible
