"""The requests that ogx's page promises are those that the local service gets in its dialect."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.doctor.builders import client_for, service_of, tried
from tests.support import Clock, Silent
from vssync.commands.apply import apply_plan
from vssync.commands.plan import make_plan_now
from vssync.commands.session import Settings, load_manifest, open_session
from vssync.local.server import serving
from vssync.model.plan import Options
from vssync.model.state import Limit

PAGES = Path(__file__).parents[2] / "examples/quickstart/docs/providers"
CAPABILITIES = "{batch_files: false, list_batches: false, updates_reach_search: false}"
ROWS = re.findall(r"^\| ([^|]+) \| ([0-9 to]+) \| \d+ \|$", (PAGES / "ogx.md").read_text(), re.MULTILINE)
PROMISED = {what: [int(number) for number in numbers.split(" to ")] for what, numbers in ROWS}


class Place:
    """Files of a manifest, and the service that has them."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url, self.product, self.more = folder, url, "shelf", ""
        (folder / "docs").mkdir()

    def write(self, numbers: range, text: str = "") -> None:
        for number in numbers:
            (self.folder / f"docs/{number}.md").write_text(f"# Page {number}\nWords of page {number}. {text}\n")

    def move(self) -> None:
        (self.folder / "docs/0.md").rename(self.folder / "docs/moved.md")

    def add_twin(self) -> None:
        (self.folder / "docs/twin.md").write_text((self.folder / "docs/1.md").read_text())

    def delete(self, *names: str) -> None:
        for name in names:
            (self.folder / f"docs/{name}.md").unlink()

    def count(self, change: Callable[[], object] = bool, *, applies: bool = True) -> int:
        """How many requests it takes to plan after a change, and to apply that."""
        change()
        (self.folder / "vssync.yaml").write_text(
            f"version: 1\nowner: shelf\nservice: {{provider: compatible, data_url: '{self.url}', capabilities: "
            f"{CAPABILITIES}}}\nstores:\n  guide:\n    attributes: {{product: {self.product}}}\n"
            f"    guards: {{max_replace: 100%}}\n    files: [{{path: 'docs/*.md'}}]\n{self.more}"
        )
        settings = Settings(manifest=str(self.folder), workers=1, environment={"VSSYNC_API_KEY": "k"})
        with open_session(settings, load_manifest(settings), clock=Clock()) as session:
            plan = make_plan_now(session, Options(max_delete=Limit(count=60)))
            assert plan.empty is not applies
            assert not applies or apply_plan(session, plan, Silent()).converged
            return session.client.sender.request_count


def overridden(fields: str) -> str:
    return f"    overrides: [{{match: docs/2.md, {fields}}}]\n"


def test_every_change_takes_what_the_page_says(tmp_path: Path) -> None:
    with service_of(tmp_path, "compatible", Clock()) as service, serving(service) as url:
        place = Place(tmp_path, url)
        counted = {
            "first apply of 8 files": [place.count(lambda: place.write(range(8)))],
            "plan without changes": [place.count(applies=False)],
            "one file edited or moved": [
                place.count(lambda: place.write(range(1), "More.")),
                place.count(place.move),
            ],
        }
        place.count(lambda: place.delete("7"))
        place.count(place.add_twin)
        counted["one of two equal files removed"] = [place.count(lambda: place.delete("twin"))]
        place.more = overridden("attributes: {kind: faq}")
        counted["an attribute of one file"] = [place.count()]
        place.product = "other"
        counted["an attribute of 7 files, or their chunking"] = [place.count()]
        place.more += "    chunking: {size: 200, overlap: 50}\n"
        counted["an attribute of 7 files, or their chunking"] += [place.count()]
        place.count(lambda: place.write(range(100, 193)))
        counted["20 files edited"] = [place.count(lambda: place.write(range(100, 120), "More."))]
        counted["60 files deleted"] = [place.count(lambda: place.delete(*map(str, range(120, 180))))]
    bounds = {what: sorted({min(counts), max(counts)}) for what, counts in counted.items()}
    assert bounds == {what: bound for what, bound in PROMISED.items() if what != "first apply of 101 files"}


def test_a_first_apply_of_many_files_takes_what_the_page_says(tmp_path: Path) -> None:
    with service_of(tmp_path, "compatible", Clock()) as service, serving(service) as url:
        place = Place(tmp_path, url)
        assert [place.count(lambda: place.write(range(101)))] == PROMISED["first apply of 101 files"]


@pytest.mark.parametrize(
    ("page", "spoken"), [("ogx", "compatible"), ("llama-stack", "compatible,ignores-files=off,takes-files=off")]
)
def test_the_probes_take_what_the_page_says(tmp_path: Path, page: str, spoken: str) -> None:
    clock = Clock()
    with service_of(tmp_path, spoken, clock) as service:
        before, client = clock.now, client_for(service, "compatible", clock=clock)
        tried(client)
    said = re.search(r"doctor --probe` \D*(\d+)\D* in (\d+)\s+seconds", (PAGES / f"{page}.md").read_text())
    assert said
    assert [*map(int, said.groups())] == [client.sender.request_count, round(clock.now - before)]
