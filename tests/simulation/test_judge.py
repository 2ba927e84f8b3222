"""The judge finds a lie: every value of true documents is changed, one at a time, and each change is noticed."""

from __future__ import annotations

import copy
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.applier.world import Place, killed
from tests.simulation.claims import Claim, claims_of, possible_claims
from tests.simulation.judge import JUDGED, Run, is_unchecked, judge
from tests.simulation.judged import apply_plan, compare, inspect_file, plan_destruction, read_environment, recorded_runs
from tests.support import Silent
from vssync.api.parse import AttachmentEntry
from vssync.model.marks import Mark
from vssync.model.plan import Options
from vssync.model.state import AUTO, Limit

BEFORE = """\
version: 1
owner: scene
service: {provider: local, capabilities: {list_batches: true, batch_size: 3}}
stores:
  guide:
    description: The guide
    metadata: {team: docs}
    attributes: {lang: en, level: 1}
    ignore_attributes: [views]
    guards: {max_delete: 90%, max_replace: 20}
    skip: [empty]
    files: [{path: "*.md"}]
  more:
    expires_after: {days: 30}
    files: [{path: "more/*.md"}]
  kept:
    prune: false
    files: [{path: "kept/*.md"}]
"""
AFTER = BEFORE.replace("team: docs", "team: help").replace(
    '    files: [{path: "*.md"}]',
    '    files: [{path: "*.md"}]\n    overrides: [{match: "c.md", chunking: '
    "{size: 400, overlap: 100}}, {match: b.md, attributes: {lang: de}}]",
)
FIRST = {f"{name}.md": f"# {name}\n" for name in "abcdefgh"} | {
    "bad.md": "# bad\n",
    "kept/a.md": "# kept a\n",
    "more/0.md": "# 0\n",
}
EDITS: dict[str, str | None] = {
    "vssync.yaml": AFTER,
    "a.md": "# a, better\n",
    "d.md": None,
    "moved.md": "# e\n",
    "e.md": None,
    "f.md": "",
    "new.md": "# new\n",
    "kept/a.md": None,
    "kept/b.md": "# kept b\n",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Everything that can be said, said of a store in which much is to do."""
    place = Place(tmp_path_factory.mktemp("scene"))
    place.write({"vssync.yaml": BEFORE, **FIRST})
    with recorded_runs() as recorded:
        place.apply(faults=("fails,file=bad.md",))
        place.write({"more/1.md": "# more 1\n", "more/2.md": "# more 2\n"})
        place.ingest_delay = 3600.0
        assert killed(place, lambda requests: requests[-1][1].endswith("/file_batches") and requests[-1][0] == "POST")
        disturb(place)
        place.write({**EDITS, "more/1.md": "# more 1, better\n"})
        place.plan()
        place.plan(Options(max_delete=Limit(count=0)))
        place.plan(Options(adopt=True, max_delete=Limit(share=0.1), excludes=("kept",)))
        with place.work() as session:
            for address in ("guide/a.md", "guide/bad.md", "guide/b.md", "more/more/2.md"):
                inspect_file(session, address)
            earlier = read_environment(session, "earlier")
        place.ingest_delay = 0.0
        place.apply(faults=("lost-reply:POST:/files:1", "status=429,retry-after=2:GET:*:3"))
        place.plan(Options(replace=("guide/a.md",), max_replace=Limit(count=0)))
        place.write({"bad.md": "# good\n"})
        place.apply(options=Options(adopt=True))
        place.plan()
        with place.work() as session:
            later = read_environment(session, "later")
            session.client.upload_file(io.BytesIO(b"# new\n"), "new.md")  # too young for an orphan
        compare(earlier, later)
        compare(later, later)
        place.gc(suspected=True)
        place.gc(suspected=True, delete=True)
        with place.work() as session:
            apply_plan(session, plan_destruction(session, delete_unmanaged=9), Silent())
    return recorded


def disturb(place: Place) -> None:
    """What others do: attach files of theirs and an upload of ours, and take away a mark and attributes."""
    with place.work() as session:
        client = session.client
        (store,) = [store for store in client.list_stores() if store.name == "guide"]
        theirs = client.upload_file(io.BytesIO(b"# theirs\n"), "theirs.md").id
        client.attach_file(store.id, AttachmentEntry(theirs, {"owner": "them"}, AUTO))
        files = {str(file.attributes["vssync_key"]): file for file in client.list_files(store.id) if file.mark}
        client.set_attributes(store.id, files["h.md"].id, files["h.md"].attributes)
        other = client.create_store({"name": "of others", "metadata": {}, "description": ""})
        client.attach_file(other.id, AttachmentEntry(files["d.md"].id, {}, AUTO))
        drifted = {**files["g.md"].attributes, "lang": "fr", "views": 7}
        mark = files["g.md"].mark
        assert isinstance(mark, Mark)
        client.set_attributes(store.id, files["g.md"].id, drifted, mark)


def lies(claim: Claim) -> Iterator[Any]:
    """Other values of the same type."""
    value = claim.value
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value + 1, value + 1000)
    elif isinstance(value, str):
        yield f"{value}x"
    elif isinstance(value, list):
        yield from [value[:-1]] if value else []
        yield from [[*value, "strange"]] if not value or isinstance(value[0], str) else []
    elif isinstance(value, dict) and claim.name.endswith("{}"):
        yield {**value, "strange": "x"}
        yield from [{}] if value else []


def told(run: Run, claim: Claim, lie: Any) -> Run:
    """The run with one value of its document changed."""
    document: Any = copy.deepcopy(run.document)
    place = document
    for step in claim.path[:-1]:
        place = place[step]
    place[claim.path[-1]] = lie
    return replace(run, document=document)


def is_noticed(run: Run, claim: Claim) -> bool:
    before = Counter(falsehood.claim for falsehood in judge(run))
    for lie in lies(claim):
        try:
            if Counter(falsehood.claim for falsehood in judge(told(run, claim, lie))) - before:
                return True
        except (KeyError, TypeError, AttributeError, IndexError, ValueError):
            return True  # no document of its schema
    return False


def test_every_lie_is_noticed(runs: list[Run]) -> None:
    noticed: set[str] = set()
    seen: set[str] = set()
    for run in runs:
        for claim in claims_of(run.kind, run.document or {}):
            if (
                not is_unchecked(claim.name)
                and claim.name not in noticed
                and claim.path
                and any(True for _ in lies(claim))
            ):
                seen.add(claim.name)
                noticed |= {claim.name} if is_noticed(run, claim) else set()
    assert ", ".join(sorted(seen - noticed)) == ""
    possible = {name for kind in JUDGED for name in possible_claims(kind) if not is_unchecked(name)}
    assert ", ".join(sorted(name for name in possible - seen if not name.endswith("?"))) == ""
