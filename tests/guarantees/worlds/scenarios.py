"""What everybody does with a store. Each leaves it as it should be, and says which texts may be found no more."""

from __future__ import annotations

from collections.abc import Callable

from tests.guarantees.worlds.world import World
from vssync.model.plan import Options
from vssync.model.report import Report

MANIFEST = """\
version: 1
owner: worlds
service: {provider: compatible, data_url: "http://local/v1"}
stores:
  shelf:
    attributes: {product: shelf, level: 3, weight: 0.5, public: true}
    guards: {max_delete: 100%, max_replace: 100%}
    files: [{path: "**/*.md"}, {path: "*.txt"}]
    overrides:
      - match: guide/*
        attributes: {kind: guide}
        chunking: {size: 400, overlap: 100}
"""
FILES = {
    "a.md": "alder\nThe first page.\n",
    "über.md": "birch\nA page with a name of its own.\n",
    "guide/c.md": "cedar\nThe guide's first page.\n",
    "guide/d.md": "dogwood\nThe guide's second page.\n",
    "notes.txt": "elder\nNotes.\n",
}
Scenario = Callable[[World], tuple[Report, tuple[str, ...]]]  # the last run, and the texts that are gone


def first_apply(world: World) -> tuple[Report, tuple[str, ...]]:
    world.write({"vssync.yaml": MANIFEST, **FILES})
    return world.apply(), ()


def edit(world: World) -> tuple[Report, tuple[str, ...]]:
    first_apply(world)
    world.write({"a.md": "aspen\nThe first page, better.\n", "guide/d.md": "damson\nThe second page, too.\n"})
    return world.apply(), (FILES["a.md"], FILES["guide/d.md"])


def move(world: World) -> tuple[Report, tuple[str, ...]]:
    first_apply(world)
    world.write({"a.md": None, "guide/first.md": FILES["a.md"]})
    return world.apply(), ()


def delete(world: World) -> tuple[Report, tuple[str, ...]]:
    first_apply(world)
    world.write({"über.md": None, "guide/c.md": None})
    return world.apply(), (FILES["über.md"], FILES["guide/c.md"])


def attributes(world: World) -> tuple[Report, tuple[str, ...]]:
    first_apply(world)
    changed = MANIFEST.replace("level: 3", "level: 4").replace("kind: guide", "kind: manual, reviewed: true")
    world.write({"vssync.yaml": changed})
    return world.apply(), ()


def change_all(world: World) -> tuple[Report, tuple[str, ...]]:
    """Everything that the ones above do, in one run."""
    first_apply(world)
    changed = MANIFEST.replace("level: 3", "level: 4").replace("kind: guide", "kind: manual, reviewed: true")
    pages = {"a.md": None, "guide/first.md": FILES["a.md"], "guide/c.md": None, "guide/d.md": "damson\nBetter.\n"}
    world.write({"vssync.yaml": changed, **pages})
    return world.apply(), (FILES["guide/c.md"], FILES["guide/d.md"])


def adopt(world: World) -> tuple[Report, tuple[str, ...]]:
    """A store made by hand, with the right files and chunking and some of the attributes."""
    world.write({"vssync.yaml": MANIFEST, **FILES})
    desired = world.loaded.desired.stores[0]
    accepts, refuses = world.dialect.accepts, world.dialect.refuses
    files = [
        file for file in desired.files if (not accepts or file.extension in accepts) and file.extension not in refuses
    ]
    contents = {file.filename: (world.docs / file.path).read_bytes() for file in files}
    chunking = {file.filename: file.chunking for file in files if not file.chunking.auto}
    world.make_by_hand(desired.name, contents, {"product": "shelf"}, chunking)
    world.clock.sleep(3600)
    return world.apply(Options(adopt=True)), ()


SCENARIOS: tuple[Scenario, ...] = (first_apply, edit, move, delete, attributes, adopt)
