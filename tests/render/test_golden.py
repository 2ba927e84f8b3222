"""Whole outputs as people see them, each a file to be read beside this one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.planner.builders import OWNER, desired_file, desired_store
from tests.render.builders import SAMPLE_PLANS, SAMPLE_REPORTS, STAMP, plan, store, update
from vssync.model.marks import ApplyStamp
from vssync.model.plan import Options, Revision
from vssync.model.report import Audit
from vssync.model.service import ServiceSpec
from vssync.model.state import Desired, Guards, Limit
from vssync.planner.against import ManifestComparison, compare_manifests
from vssync.render.against import comparison_text
from vssync.render.comment import comparison_markdown, plan_markdown
from vssync.render.html import plan_html, report_html
from vssync.render.layout import View
from vssync.render.markdown import report_markdown
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
def test_a_plan_as_a_page(name: str, golden: Golden) -> None:
    audit = Audit(ApplyStamp("4f2a91c" + "0" * 33, "eva", "", "2026-11-27T14:02:31Z"), "", "9f2c" * 16, "1.2.3")
    golden(f"{name}.html", _without_style(plan_html(SAMPLE_PLANS[name](), View(), audit)))


def _without_style(page: str) -> str:
    """A page without its style, the style's hash, and empty lines."""
    page = re.sub(r"(?s)(<style>).*(</style>)|(sha256-)[^']*", r"\1\3...\2", page)
    return re.sub(r"\n\s*\n+", "\n", page)


@pytest.mark.parametrize("name", ["small", "everything"])
def test_a_status(name: str, golden: Golden) -> None:
    golden(f"{name}-status.txt", status_text(SAMPLE_PLANS[name](), View()))


def test_a_status_of_many_stores(golden: Golden) -> None:
    quiet = [store(key=f"client-{n}", live=n**6, applied=STAMP) for n in range(3, 6)]
    long = store(update(), key="a client of a rather long name/in Münster", applied=STAMP)
    made = plan(*SAMPLE_PLANS["everything"]().stores, *quiet, long)
    golden("stores-status.txt", status_text(made, View()))
    assert status_text(made, View(full=True)).count("\n  status ") == len(made.stores)


def sample_comparison() -> ManifestComparison:
    """Two stores, one of which is new; a guard that is raised, drafts, and a revision of which not all is known."""
    files = [desired_file(f"docs/{number}.md", str(number)) for number in range(12)]
    old = desired_store(*files, skipped={"docs/x.png": "unsupported"})
    new = [*files[:6], replace(files[6], key="docs/moved.md"), desired_file("docs/7.md", "edited"), *files[8:10]]
    after = replace(
        old,
        files=tuple(new),
        skipped={"docs/x.png": "unsupported", "docs/11.md": "draft"},
        guards=Guards(max_delete=Limit(share=0.9)),
    )
    faq = desired_store(desired_file("faq.md"), key="faq", name="faq-prod", adopt=True)
    manifests = (Desired(OWNER, ServiceSpec(), (old,)), Desired(OWNER, ServiceSpec(region="eu"), (faq, after)))
    made = compare_manifests(*manifests, Options(), (Revision("main", "4f2a91c" + "0" * 33), None))
    return replace(made, notes=("2 files that git ignores are taken as unchanged: git has no earlier version",))


def test_a_comparison(golden: Golden) -> None:
    golden("against-80.txt", comparison_text(sample_comparison(), View()))
    golden("against.md", comparison_markdown(sample_comparison(), View()))


@pytest.mark.parametrize("name", sorted(SAMPLE_REPORTS))
def test_a_report(name: str, golden: Golden) -> None:
    report = SAMPLE_REPORTS[name]()
    golden(f"report-{name}.txt", report_text(report, View()))
    golden(f"report-{name}.md", report_markdown(report, View()))


def test_a_report_as_a_page(golden: Golden) -> None:
    golden("report-mixed.html", _without_style(report_html(SAMPLE_REPORTS["mixed"](), View())))
