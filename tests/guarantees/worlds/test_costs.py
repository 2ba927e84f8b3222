"""What a plan says it costs is what carrying it out costs: uploads to the byte, requests within a fifth.

Where nobody knows whether batches work, the plan says "up to": what the apply costs if they do not. A service that has
its time is polled. Those requests follow a wait, and are given apart, as at most so many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.guarantees.worlds.scenarios import FILES, MANIFEST, SCENARIOS, adopt, change_all, first_apply
from tests.guarantees.worlds.world import World
from vssync.model.plan import Options
from vssync.providers import COMPATIBLE, LOCAL, OCI, OPENAI, Provider

OGX = {"batch_files": False, "list_batches": False, "updates_reach_search": False}
TAKING = "oci,accepts=.md+.txt+.css+.js"  # nothing is refused, so that all that is planned is done
WORLDS: dict[str, tuple[str, Provider, Mapping[str, int]]] = {
    "local": ("local", LOCAL, {}),
    "oci": (TAKING, OCI, {}),
    "oci-listing": (f"{TAKING},lists-batches=on", OCI, {"list_batches": True}),
    "oci-single": (f"{TAKING},has-batches=off", OCI, {"batches": False}),
    "openai": ("openai", OPENAI, {}),
    "compatible": ("compatible", COMPATIBLE, OGX),
    "uniform": ("local,takes-files=off", LOCAL, {"batch_files": False}),
    "single": ("local,has-batches=off", LOCAL, {"batches": False}),
    "unnoted": ("local,lists-batches=off", LOCAL, {"list_batches": False, "store_updates": False}),
    # Where the first apply finds out about searches, and whether batches work.
    "unknown": ("local", COMPATIBLE, {"shares_chunks": False}),
    "unknown-single": ("local,has-batches=off", COMPATIBLE, {"shares_chunks": False}),
}


def many(world: World) -> None:
    """More than a page of files, in several batches of two chunkings; then most are edited and the others leave."""
    world.capabilities = {**world.capabilities, "batch_size": 40}
    pages = {f"{folder}{number}.md": f"{folder} {number}\n" for folder in ("guide/", "p") for number in range(70)}
    world.write({"vssync.yaml": MANIFEST, "notes.txt": "n\n", **pages})
    world.apply()
    names = sorted(pages)
    world.write({**dict.fromkeys(names[:30], None), **{name: f"other {name}\n" for name in names[40:110]}})
    world.apply()


def few_of_many(world: World) -> None:
    """A store of two pages, in which one file is edited and one leaves, and then only one leaves."""
    pages = {f"p{number}.md": f"page {number}\n" for number in range(150)}
    world.write({"vssync.yaml": MANIFEST, "notes.txt": "n\n", **pages})
    world.apply()
    world.write({"p1.md": "other\n", "p2.md": None})
    world.apply()
    world.write({"p3.md": None})
    world.apply()


def strange_kinds(world: World) -> None:
    """Files of kinds that not every provider vouches for: of each, one is tried first."""
    names = [f"{kind}{number}.{kind}" for kind in ("css", "js") for number in range(6)]
    manifest = MANIFEST.replace('{path: "*.txt"}', '{path: "*.{txt,css,js}"}')
    world.write({"vssync.yaml": manifest, **FILES, **{name: f"{name}\n" for name in names}})
    world.apply()


def among_others(world: World) -> None:
    """A service where others have stores: each is asked before an upload is deleted."""
    world.write({"vssync.yaml": MANIFEST, **FILES})
    for number in range(7):
        world.make_by_hand(f"other {number}", {"a.md": b"theirs\n"}, {})
    first_apply(world)
    world.write({"a.md": "aspen\n", "über.md": None})
    world.apply()
    world.write({"notes.txt": "Other notes.\n"})
    world.apply(Options(targets=("shelf/notes.txt",)))


def leave(world: World) -> None:
    """A store leaves the manifest, and another comes."""
    first_apply(world)
    world.write({"vssync.yaml": MANIFEST.replace("  shelf:", "  board:\n    name: board")})
    world.apply(Options(allow_store_deletes=True))


def expire(world: World) -> None:
    """A store expires, and a new one takes its place."""
    world.write({"vssync.yaml": MANIFEST.replace("    guards", "    expires_after: {days: 1}\n    guards"), **FILES})
    world.apply()
    world.clock.sleep(2 * 86_400)
    world.apply(Options(allow_store_replace=True))


def share(world: World) -> None:
    """A store that others made and keep, in which some of its files are ours."""
    world.write({"vssync.yaml": MANIFEST.replace("    guards", "    external: true\n    guards"), **FILES})
    world.make_by_hand("shelf", {"theirs.md": b"theirs\n"}, {})
    world.apply()
    world.write({"a.md": "aspen\n", "über.md": None})
    world.apply()


SELDOM = (adopt, strange_kinds, many, few_of_many, among_others, leave, expire, share)
PLAYS: tuple[Callable[[World], Any], ...] = (*dict.fromkeys((*SCENARIOS, change_all, *SELDOM)),)
# In which worlds every run plays it, the others in all; the slow tests have the rest.
WHERE: dict[Callable[[World], Any], tuple[str, ...]] = dict.fromkeys(SELDOM, ("local", "oci", "compatible"))
WHERE |= {play: ("local",) for play in SCENARIOS if play is not adopt}


def cases() -> Iterator[Any]:
    for name in WORLDS:
        for play in PLAYS:
            marks = [] if name in WHERE.get(play, WORLDS) else [pytest.mark.slow]
            yield pytest.param(name, play, id=f"{name}-{play.__name__}", marks=marks)


@pytest.mark.wide(2)
@pytest.mark.parametrize(("name", "play"), list(cases()))
def test_a_plan_costs_what_it_says(tmp_path: Path, name: str, play: Callable[[World], Any]) -> None:
    spoken, provider, capabilities = WORLDS[name]
    limits = "uploads=0,attaches=0,files=0"  # so that every wait is one between two polls
    with closing(World(tmp_path, spoken, provider, capabilities=capabilities, limits=limits)) as world:
        play(world)
    assert world.bills
    for cost, requests, polls in world.bills:
        uploads = sum(method == "POST" and path.endswith("v1/files") for method, path in requests)
        tries = sum(method == "POST" and path.endswith("/file_batches") for method, path in requests)
        batches = tries if world.dialect.has_batches else 0  # what is refused creates none
        sent = len(requests) - polls
        assert cost.uploads == uploads
        assert batches <= cost.batches
        assert tries <= max(cost.batches, 2 * cost.at_most)  # one is refused, and the route is asked for once more
        assert batches == cost.batches or cost.at_most
        if not (cost.at_most and name == "unknown"):
            within = 0 if (name, play) == ("local", few_of_many) else 0.2  # no page of a listing is forgotten
            assert abs(cost.requests - sent) <= within * sent, (cost, sent, requests)
        else:  # batches work, which takes less than "up to"
            assert sent <= cost.requests, (cost, sent, requests)
        assert polls <= cost.polls
