"""Fails when a built website links to a page, file or anchor it does not have, or loads anything from elsewhere."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

SITE = "https://vssync.github.io/vssync/"
LOADED = {"script": "src", "img": "src", "link": "href"}  # what a browser fetches by itself


class Page(HTMLParser):
    """A page's anchors, its links, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors, self.links, self.loads = {""}, set[str](), set[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        elif LOADED.get(tag) in given and given.get("rel") != "canonical":
            self.loads.add(given[LOADED[tag]])


def broken(folder: Path) -> list[str]:
    """What is wrong, a line each."""
    home = urlsplit(SITE)
    pages = {path: Page(path.read_text()) for path in sorted(folder.rglob("*.html"))}
    problems = []
    for path, page in pages.items():
        here = SITE + path.relative_to(folder).as_posix().removesuffix("index.html")
        for link in sorted(page.links | page.loads):
            parts = urlsplit(urljoin(here, link))
            if parts.netloc != home.netloc:
                if link in page.loads:
                    problems.append(f"{here} loads {link} from elsewhere")
                continue
            target = folder / unquote(parts.path).removeprefix(home.path)
            target = target / "index.html" if target.is_dir() else target
            if not parts.path.startswith(home.path) or not target.is_file():
                problems.append(f"{here} links to {link}, which is not there")
            elif target in pages and unquote(parts.fragment) not in pages[target].anchors:
                problems.append(f"{here} links to {link}: the page has no such anchor")
    return problems


if __name__ == "__main__":
    sys.exit("\n".join(broken(Path(sys.argv[1]))) or None)
