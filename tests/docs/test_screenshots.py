"""The README's pictures show what is printed today; `pytest --update-goldens` draws them anew."""

from __future__ import annotations

import html
import re
from xml.etree import ElementTree

import pytest

from tests import screenshots


@pytest.fixture(scope="module")
def drawn() -> dict[str, str]:
    return {name: screenshots.picture(name, text) for name, text in screenshots.outputs().items()}


def words(svg: str) -> list[str]:
    """The texts of a picture, in their order."""
    return [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]


@pytest.mark.parametrize("name", ["plan"])
def test_the_picture_is_of_the_real_output(name: str, drawn: dict[str, str], request: pytest.FixtureRequest) -> None:
    path = screenshots.PICTURES / f"{name}.svg"
    if request.config.getoption("--update-goldens"):
        path.write_text(drawn[name])
    assert words(path.read_text()) == words(drawn[name])
    assert ElementTree.fromstring(path.read_text()).tag.endswith("svg")
    assert "url(http" not in path.read_text(), "a picture that fetches nothing"
    assert f"(examples/screenshots/{name}.svg)" in (screenshots.ROOT / "README.md").read_text()


def test_the_pictures_show_the_main_lines(drawn: dict[str, str]) -> None:
    assert "Plan: 1 to add" in "".join(words(drawn["plan"])).replace("\xa0", " ")
