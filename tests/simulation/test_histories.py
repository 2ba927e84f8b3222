"""Whatever happens to some documents and a service: what is promised holds after every request, and at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.__main__ import describe
from tests.simulation.histories import History, Step
from tests.simulation.play import play
from tests.simulation.scenes import history_of
from tests.simulation.shrink import shrink

# A run that is killed while it waits for its threads is killed once more as that wait is closed: nobody can catch it.
_CLOSING = "Exception ignored in. <generator object as_completed"
pytestmark = pytest.mark.filterwarnings(f"ignore:{_CLOSING}:pytest.PytestUnraisableExceptionWarning")
SOON, A_TIME, ALL = 10, 10, 1_000  # seeds of every run of the tests, those of one test, and all of the slow ones
FOUND = {  # what histories found, as they were shrunk
    "two runs that ended well, of which one had seen the settings of the other's commit": History(
        seed=1095,
        dialect="local,cancels-finished=off",
        steps=(
            *(Step("apply"), Step("set_value", pick=78), Step("change_attributes"), Step("pull")),
            *(Step("apply", machine=1), Step("apply", beside=True)),
        ),
    ),
    "no file of others in a store that is refused, though none was read": History(
        seed=1, steps=(Step("make_store"), Step("status"))
    ),
    "a saved plan with a capability that is stated as false": History(
        seed=11, dialect="local,garbles-names=on", steps=(Step("plan --out"), Step("apply PLAN"))
    ),
    "a file of other chunking that was taken over and counted as chunked as wanted": History(
        seed=150,
        steps=(Step("apply"), Step("set_value", pick=95), Step("set_value", pick=96), Step("erase_mark")),
    ),
    "an upload that a store holds which no listing has was deleted once another store let it go": History(
        seed=200,
        dialect="local,late-stores=99999999",
        steps=(
            Step("toggle_store"),
            Step("pull"),
            Step("apply"),
            Step("set_value", pick=27),
            Step("pull"),
            Step("apply"),
        ),
    ),
    "a request that waited for its turn when the run was interrupted counted as sent": History(
        seed=158,
        steps=(
            Step("apply"),
            Step("add_file"),
            Step("pull"),
            Step("apply", faults=("late-ingestion=30000",), stop="interrupted", at=136),
        ),
    ),
}


def assert_holds(history: History) -> None:
    played = play(history)
    if played.error:
        pytest.fail(f"{played.error}\n{describe(shrink(played))}", pytrace=False)


@pytest.mark.parametrize(
    "first",
    [pytest.param(first, marks=[] if first < SOON else [pytest.mark.slow]) for first in range(0, ALL, A_TIME)],
)
def test_a_history_ends_well_and_is_told_truly(first: int) -> None:
    for seed in range(first, first + A_TIME):
        assert_holds(history_of(seed))


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_stays_mended(name: str) -> None:
    assert_holds(FOUND[name])


@pytest.mark.parametrize("stop", ["killed", "interrupted"])
@pytest.mark.parametrize(
    "first", [pytest.param(at, marks=[] if at == 150 else [pytest.mark.slow]) for at in range(0, 500, 10)]
)
def test_whenever_a_run_is_stopped_the_next_one_ends_it(stop: str, first: int) -> None:
    """And the report of one that was interrupted names every upload."""
    edits = (Step("apply"), Step("toggle_store"), Step("edit_file"), Step("remove_file", pick=2), Step("pull"))
    points = range(first, first + 10, 5) if first != 150 else (130, 155)  # about where it uploads and attaches
    for at in points:
        assert_holds(History(at, (*edits, Step("apply", stop=stop, at=at), Step("apply"))))


@pytest.mark.parametrize(
    "first", [pytest.param(first, marks=[] if first < 2 else [pytest.mark.slow]) for first in range(0, 50, 2)]
)
def test_a_seed_gives_the_same_requests_to_the_byte(tmp_path: Path, first: int) -> None:
    for seed in (first, first + 1):
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        one, other = play(history_of(seed)), play(history_of(seed), tmp_path / "elsewhere" / str(seed))
        assert (one.log, one.choices, one.told) == (other.log, other.choices, other.told)


def test_threads_meet_in_many_ways() -> None:
    """One history, of two machines at work at once, under many schedulers."""
    steps = (Step("apply"), Step("edit_file"), Step("pull"), Step("pull", machine=1))
    both = (Step("apply"), Step("apply", machine=1, beside=True))
    played = [play(History(seed, (*steps, *both), workers=2, restless=0.9)) for seed in range(6)]
    assert len({each.choices for each in played}) == len(played)
    orders = {tuple(line.split()[1] for line in each.log) for each in played}
    assert len(orders) == len(played), "of whose request comes when"
