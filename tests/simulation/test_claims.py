"""Everything that a document can say is checked, or is only told: a new field needs a checker before anything else."""

from __future__ import annotations

from pathlib import Path

from tests.simulation.claims import Schema, possible_claims
from tests.simulation.judge import CHECKERS, JUDGED, UNCHECKED, checker_of, is_unchecked
from tests.simulation.judged import CHECKED_BY

SCHEMAS = {path.name.removesuffix(".schema.json") for path in (Path(__file__).parents[2] / "schemas").iterdir()}
OTHERS = {
    "manifest",
    "questions",
    "test",
    "against",
    "batches",
    "doctor",
    "event",
    "evidence",
    "search",
    "validate",
}  # of no plan, and no ground for a job
CLAIMS = {name: schema for kind in JUDGED for name, schema in possible_claims(kind).items()}


def test_every_document_that_jobs_rely_on_is_judged() -> None:
    assert {*JUDGED, *OTHERS} == SCHEMAS


def test_a_claim_has_a_checker_or_is_only_told() -> None:
    unclear = [claim for claim in CLAIMS if (checker_of(claim) is not None) is is_unchecked(claim)]
    assert unclear == [], "write a checker for it in one of *_claims.py"


def test_what_is_only_told_is_little_and_never_a_count_an_action_or_a_state() -> None:
    assert len(UNCHECKED) < 40
    told = {name: schema for name, schema in CLAIMS.items() if is_unchecked(name)}
    assert {name for name, schema in told.items() if not is_text_or_time(name, schema)} == set()


def is_text_or_time(name: str, schema: Schema) -> bool:
    if name.endswith(".seconds"):
        return True
    values = schema.get("items", schema)
    return values.get("type") == "string" and "enum" not in values


def test_nothing_is_checked_or_told_that_no_document_says() -> None:
    assert CHECKED_BY
    fields = {f"*.{name.rpartition('.')[2]}" for name in CLAIMS} | {f"*.{name.partition('.')[2]}" for name in CLAIMS}
    assert {*CHECKERS, *UNCHECKED} - {*CLAIMS, *fields} == set()
