"""The retry table, row by row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vssync.api.retry import BUDGET, LONGEST_WAIT, MAX_ATTEMPTS, Failure, max_attempts, wait_before_retry

AGAIN, ENDS = True, False


@pytest.mark.parametrize(
    ("failure", "read", "write"),
    [
        (Failure(sent=False), AGAIN, AGAIN),
        (Failure(sent=True), AGAIN, ENDS),
        (Failure(429), AGAIN, AGAIN),
        (Failure(409, "IncorrectState"), AGAIN, AGAIN),
        (Failure(409, "Conflict"), ENDS, ENDS),
        (Failure(500), AGAIN, ENDS),
        (Failure(501), ENDS, ENDS),
        (Failure(503), AGAIN, ENDS),
        (Failure(400), ENDS, ENDS),
        (Failure(401), ENDS, ENDS),
        (Failure(404), ENDS, ENDS),
        (Failure(408), AGAIN, ENDS),
        (Failure(429, "rate_limit_exceeded"), AGAIN, AGAIN),
        (Failure(429, "insufficient_quota"), ENDS, ENDS),
        (Failure(sent=False, is_permanent=True), ENDS, ENDS),
        (Failure(is_permanent=True), ENDS, ENDS),
        (Failure(stale=True), AGAIN, ENDS),
        (Failure(sent=False, stale=True), AGAIN, AGAIN),
    ],
)
def test_who_is_sent_again(failure: Failure, read: bool, write: bool) -> None:
    for idempotent, expected in ((True, read), (False, write)):
        wait = wait_before_retry(failure, idempotent=idempotent, attempt=1, elapsed=0, jitter=0.5)
        assert (wait is not None) is expected


def test_waiting_grows_to_its_longest_and_ends() -> None:
    waits = [
        wait_before_retry(Failure(503), idempotent=True, attempt=n, elapsed=0, jitter=1.0)
        for n in range(1, MAX_ATTEMPTS + 1)
    ]
    assert waits == [1, 2, 4, 8, 16, LONGEST_WAIT, LONGEST_WAIT, None]


@pytest.mark.parametrize(
    ("asked", "attempt", "elapsed", "wait"),
    [
        (7.0, 1, 0, 7.0),
        (0.0, 1, 0, 1.0),
        (0.0, 4, 0, 8.0),
        (None, 4, 0, 8.0),
        (7.0, 4, 0, 8.0),
        (9.0, 4, 0, 9.0),
        (BUDGET, 1, 0, BUDGET),
        (BUDGET + 1, 1, 0, None),
        (20.0, 1, BUDGET - 10, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_longer_of_our_backoff_and_the_services_wish_counts_within_the_budget(
    status: int, asked: float | None, attempt: int, elapsed: float, wait: float | None
) -> None:
    failure = Failure(status, retry_after=asked)
    assert wait_before_retry(failure, idempotent=True, attempt=attempt, elapsed=elapsed, jitter=1.0) == wait


def waits(failure: Failure, *, has_responded: bool, optional: bool = False) -> list[float | None]:
    """Until it ends."""
    attempts = max_attempts(failure, has_responded=has_responded, optional=optional)
    found = [
        wait_before_retry(failure, idempotent=True, attempt=n, elapsed=0, jitter=1.0, attempts=attempts)
        for n in range(1, 9)
    ]
    return found[: found.index(None)]


@pytest.mark.parametrize(
    ("failure", "has_responded", "found"),
    [
        (Failure(sent=False), False, [1, 2]),
        (Failure(sent=True), False, [1, 2]),
        (Failure(503), False, [1, 2, 4, 8, 16, 30, 30]),
        (Failure(sent=False), True, [1, 2, 4, 8, 16, 30, 30]),
        (Failure(stale=True), True, [0, 2, 4, 8, 16, 30, 30]),
        (Failure(sent=False, stale=True), True, [0, 2, 4, 8, 16, 30, 30]),
    ],
)
def test_an_address_that_never_answered_is_given_up_soon(
    failure: Failure, has_responded: bool, found: list[float]
) -> None:
    assert waits(failure, has_responded=has_responded) == found


@pytest.mark.parametrize(("status", "found"), [(503, [1, 2]), (500, [1, 2]), (429, [1, 2, 4, 8, 16, 30, 30])])
def test_what_has_a_way_round_is_not_waited_for_where_the_service_fails(status: int, found: list[float]) -> None:
    assert waits(Failure(status), has_responded=True, optional=True) == found


@given(st.floats(0, 1), st.integers(1, MAX_ATTEMPTS - 1))
def test_jitter_keeps_between_half_and_all_of_the_backoff(jitter: float, attempt: int) -> None:
    wait = wait_before_retry(Failure(503), idempotent=True, attempt=attempt, elapsed=0, jitter=jitter)
    whole = min(LONGEST_WAIT, 2 ** (attempt - 1))
    assert wait is not None
    assert whole / 2 <= wait <= whole
