"""A plan says how many requests it takes: as many as a service gets where all has ended when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.doctor.builders import service_of
from tests.support import Clock, Silent
from vssync.commands.apply import apply_plan
from vssync.commands.plan import make_plan_now
from vssync.commands.session import Settings, load_manifest, open_session
from vssync.local.server import serving
from vssync.model.plan import Options
from vssync.model.state import Limit
from vssync.planner.estimate import estimate_cost

CHUNKING = "    chunking: {size: 200, overlap: 50}\n"
SINGLY = [
    "{batches: false, updates_reach_search: false}",
    "{batches: false, updates_reach_search: true, shares_chunks: false}",
    "{batches: false, list_batches: false, updates_reach_search: false}",
]


class Shelf:
    """A folder of files and its store, in a service that attaches one file after the other."""

    def __init__(self, folder: Path, url: str, capabilities: str) -> None:
        self.folder, self.url, self.capabilities = folder, url, capabilities
        self.product, self.more = "a", ""
        (folder / "docs").mkdir()

    def write(self, *numbers: int, text: str = "") -> None:
        for number in numbers:
            (self.folder / f"docs/{number}.md").write_text(f"# {number}\nWords of {number}. {text}\n")

    def set(self, name: str, value: str) -> None:
        setattr(self, name, value)

    def apply(self) -> tuple[int, int]:
        """How many requests the plan said, and how many an apply made."""
        (self.folder / "vssync.yaml").write_text(
            f"version: 1\nowner: shelf\nservice: {{provider: compatible, data_url: '{self.url}', capabilities: "
            f"{self.capabilities}}}\nstores:\n  guide:\n    attributes: {{product: {self.product}}}\n"
            f"    guards: {{max_replace: 100%}}\n    files: [{{path: 'docs/*.md'}}]\n{self.more}"
        )
        settings = Settings(manifest=str(self.folder), workers=1, environment={"VSSYNC_API_KEY": "k"})
        with open_session(settings, load_manifest(settings), clock=Clock()) as session:
            plan = make_plan_now(session, Options(max_delete=Limit(count=60)))
            before = session.client.sender.request_count
            assert apply_plan(session, plan, Silent()).converged
            return estimate_cost(plan).requests, session.client.sender.request_count - before


CHANGES: dict[str, Callable[[Shelf], object]] = {
    "first apply": lambda shelf: shelf.write(*range(8)),
    "one file edited": lambda shelf: shelf.write(0, text="More."),
    "all edited": lambda shelf: shelf.write(*range(8), text="Other."),
    "an attribute": lambda shelf: shelf.set("product", "b"),
    "chunking": lambda shelf: shelf.set("more", CHUNKING),
    "30 new files": lambda shelf: shelf.write(*range(100, 130)),
    "one file deleted": lambda shelf: (shelf.folder / "docs/7.md").unlink(),
    "one file moved": lambda shelf: (shelf.folder / "docs/1.md").rename(shelf.folder / "docs/moved.md"),
}


@pytest.mark.wide(3)
@pytest.mark.parametrize("capabilities", SINGLY)
def test_as_many_requests_are_made_as_were_said(tmp_path: Path, capabilities: str) -> None:
    with service_of(tmp_path, "compatible", Clock()) as service, serving(service) as url:
        shelf = Shelf(tmp_path, url, capabilities)
        said, made = dict[str, int](), dict[str, int]()
        for name, change in CHANGES.items():
            change(shelf)
            said[name], made[name] = shelf.apply()
    assert said == made
