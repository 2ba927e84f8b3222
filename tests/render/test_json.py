"""What programs read."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings

from tests.render import builders
from tests.render.builders import ARBITRARY_REPORTS, change, create, deleted, plan, replaced, store, update
from vssync.model.plan import Action, Plan, Reason, StoreChange
from vssync.model.report import Report
from vssync.model.state import SearchHit
from vssync.planfile import dump
from vssync.render.json import plan_gitlab, plan_json, report_json
from vssync.render.search import SearchResults, search_json

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "report.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


@given(ARBITRARY_REPORTS)
@settings(max_examples=60)
def test_every_report_fits_the_schema(report: Report) -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    found = json.loads(report_json(report))
    VALIDATOR.validate(found)
    assert found["converged"] is report.converged
    assert sum(found["counts"].values()) == len(report.outcomes) == len(found["outcomes"])


def test_the_plan_as_json_is_the_plan_file() -> None:
    made = builders.everything()
    assert plan_json(made) + "\n" == dump(made)


@pytest.mark.parametrize(
    ("made", "numbers"),
    [
        (plan(), {"create": 0, "update": 0, "delete": 0}),
        (plan(store(create(), update("b"), replaced("c"), deleted("d"))), {"create": 1, "update": 2, "delete": 1}),
        (plan(store(change("a", Action.AWAIT, Reason.INGESTING))), {"create": 0, "update": 0, "delete": 0}),
        (plan(store(change=StoreChange(Action.DELETE, ()))), {"create": 0, "update": 0, "delete": 1}),
    ],
)
def test_gitlab(made: Plan, numbers: dict[str, int]) -> None:
    assert json.loads(plan_gitlab(made)) == numbers


def test_search_as_json_is_whole() -> None:
    hit = SearchHit(0.5, "a.md", "file-1", "docs/a.md", {"n": True}, "text " * 500)
    (found,) = json.loads(search_json(SearchResults((hit,))))["results"]
    assert found == {name: getattr(hit, name) for name in hit.__slots__}
