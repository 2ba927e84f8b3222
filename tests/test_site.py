"""The guide as a website: its navigation has every page once, and the check of its links finds what is broken."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "examples/quickstart/docs"
PAGES = sorted(GUIDE.rglob("*.md"))
PROJECT = tomllib.loads((ROOT / ".github/site/zensical.toml").read_text())["project"]


def listed(nav: Any) -> Iterator[str]:
    """Every page of a navigation, in its order."""
    if isinstance(nav, str):
        yield nav
    for part in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from listed(part)


def test_the_navigation_has_every_page_once() -> None:
    assert sorted(listed(PROJECT["nav"])) == [page.relative_to(GUIDE).as_posix() for page in PAGES]


def title(page: Path) -> list[str]:
    """The headings of the first level, outside of code."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^# (.+)$", prose, re.MULTILINE)


def test_every_page_has_one_title_of_its_own() -> None:
    titles = [title(page) for page in PAGES]
    assert {len(title_parts) for title_parts in titles} == {1}
    assert len({title_parts[0] for title_parts in titles}) == len(PAGES)


def test_the_index_links_to_every_page() -> None:
    links = set(re.findall(r"\]\(([^)#]+\.md)\)", (GUIDE / "index.md").read_text()))
    assert links | {"index.md"} == set(listed(PROJECT["nav"]))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<a href="../a/#top">up</a> <a href="https://example.com/gone">elsewhere</a>', ""),
        ('<a href="../b/">gone</a>', "links to ../b/, which is not there"),
        ('<a href="#below">gone</a>', "links to #below: the page has no such anchor"),
        ('<a href="../../outside.yml">not on the site</a>', "links to ../../outside.yml, which is not there"),
        ('<script src="https://example.com/x.js"></script>', "loads https://example.com/x.js from elsewhere"),
    ],
)
def test_a_broken_link_of_the_built_site_is_named(tmp_path: Path, body: str, problem: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/index.html").write_text(f'<h1 id="top">A</h1>{body}')
    words = [sys.executable, str(ROOT / ".ci/links.py"), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    expected = f"{PROJECT['site_url']}a/ {problem}\n" if problem else ""
    assert (done.returncode, done.stderr) == (1 if problem else 0, expected)
