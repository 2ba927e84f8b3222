"""When a store counts as ingesting nothing, and when a refusal counts as everybody's."""

from __future__ import annotations

import pytest

from vssync.applier.observations import IngestionHealth, RefusalStreak
from vssync.errors import Answer, ServiceError
from vssync.model.state import IngestError

BROKEN, BAD = IngestError("server_error"), IngestError("invalid_file")
Ended = tuple[str, str]  # keys that completed and keys that failed, a letter each


@pytest.mark.parametrize(
    ("ended", "error", "has_outage"),
    [
        ([("", "abcdefghi")], BROKEN, False),  # nine
        ([("", "abcdefghij")], BROKEN, True),
        ([("", "abcdefghij")], None, True),  # failed, and nobody says why
        ([("", "abcdefghij")], IngestError("odd"), True),
        ([("", "abcdefghij")], BAD, False),  # each is about its own file
        ([("", "ab")] * 9, BROKEN, False),  # two files prove nothing
        ([("", "abc")] * 3, BROKEN, False),
        ([("", "abc")] * 3 + [("", "a")], BROKEN, True),
        ([("z", "abcdefghij")], BROKEN, False),  # one was completed beside them
        ([("", "abcdefghi"), ("z", ""), ("", "j")], BROKEN, False),
        ([("z", ""), ("", "abcdefghij")], BROKEN, True),
        ([("", "abcdefghij"), ("a", "")], BROKEN, False),  # it is over
        ([("", "abcdefghij"), ("a", ""), ("", "bcdefghij")], BROKEN, False),
    ],
)
def test_a_store_has_an_outage_when_many_files_fail_and_none_is_completed(
    ended: list[Ended], error: IngestError | None, has_outage: bool
) -> None:
    ingestion = IngestionHealth()
    for completed, failed in ended:
        ingestion.record(list(completed), [(key, error) for key in failed])
    assert ingestion.has_outage is has_outage


def test_what_is_said_depends_on_whether_others_were_completed() -> None:
    ingestion = IngestionHealth()
    ingestion.record([], [(key, BROKEN) for key in "abc"])
    assert ingestion.summary == "ingests nothing now: server_error"
    ingestion.record(["a"], [])
    assert ingestion.summary == "2 files failed: server_error"


def refusal(status: int = 422, code: str = "", message: str = "no") -> ServiceError:
    return ServiceError("", Answer("POST", "/files", status, code, message))


@pytest.mark.parametrize(
    ("refusals", "is_stuck"),
    [
        ([(refusal(), key) for key in "abcd"], False),
        ([(refusal(), key) for key in "abcde"], True),
        ([(refusal(), "abcde")], True),  # of one request
        ([(refusal(), "aaaaa")] * 9, False),  # the same file
        ([(refusal(message=key), key) for key in "abcde"], False),
        ([(refusal(status=400 + at), key) for at, key in enumerate("abcde")], False),
        ([(refusal(code="unsupported_file"), "abcde")], False),
        ([(refusal(status=413), "abcde")], False),
        ([(refusal(), "abcd"), (refusal(code="invalid_file"), "e"), (refusal(), "f")], False),
    ],
)
def test_the_same_answer_for_five_files_in_a_row_is_for_all(
    refusals: list[tuple[ServiceError, str]], is_stuck: bool
) -> None:
    streak = RefusalStreak()
    assert [streak.record(error, keys) for error, keys in refusals][-1] is is_stuck


def test_an_accepted_file_ends_the_row() -> None:
    streak = RefusalStreak()
    assert not streak.record(refusal(), "abcd")
    streak.reset()
    assert not streak.record(refusal(), "e")
