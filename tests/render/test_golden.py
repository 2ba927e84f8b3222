"""Whole outputs as people see them, each a file to be read beside this one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.render.builders import SAMPLE_PLANS, SAMPLE_REPORTS
from vssync.render.layout import View
from vssync.render.markdown import plan_markdown, report_markdown
from vssync.render.plan_text import plan_text
from vssync.render.report import report_text
from vssync.render.status import status_text

Golden = Callable[[str, str], None]


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", sorted(SAMPLE_PLANS))
def test_a_plan_as_text(name: str, width: int, golden: Golden) -> None:
    golden(f"{name}-{width}.txt", plan_text(SAMPLE_PLANS[name](), View(width=width)))


@pytest.mark.parametrize("name", sorted(SAMPLE_PLANS))
def test_a_plan_as_markdown(name: str, golden: Golden) -> None:
    golden(f"{name}.md", plan_markdown(SAMPLE_PLANS[name](), View()))


@pytest.mark.parametrize("name", ["small", "everything"])
def test_a_status(name: str, golden: Golden) -> None:
    golden(f"{name}-status.txt", status_text(SAMPLE_PLANS[name](), View()))


@pytest.mark.parametrize("name", sorted(SAMPLE_REPORTS))
def test_a_report(name: str, golden: Golden) -> None:
    report = SAMPLE_REPORTS[name]()
    golden(f"report-{name}.txt", report_text(report, View()))
    golden(f"report-{name}.md", report_markdown(report, View()))
