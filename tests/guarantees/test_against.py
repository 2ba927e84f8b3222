"""`plan --against A` lists at B what `plan` would list there after an apply of A: what makes it worth reading."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import Phase, assume, event, given, reject, settings
from hypothesis import strategies as st

from tests.guarantees.test_converge import SCENARIOS
from tests.manifest.builders import write_files
from tests.sources.test_git import commit, git
from tests.support import Clock, Silent
from vssync.commands.against import compare_with_revision
from vssync.commands.apply import apply_plan
from vssync.commands.plan import make_plan_now
from vssync.commands.session import Session, Settings, load_manifest, open_session
from vssync.errors import VssyncError
from vssync.manifest.yaml_loader import load_values
from vssync.model.plan import Options, Plan
from vssync.model.state import Limit

PATHS = ("docs/a.md", "docs/b.md", "docs/deep/c.md", "notes/d.md", "notes/e.txt", "notes/f.png", "notes/g.md")
TEXTS = (
    "# One\n\nwords\n",
    "# Two\n\nother words\n",
    "---\ntitle: Three\nlang: de\n---\nwords\n",
    "---\ntitle: Four\ndraft: true\n---\nwords\n",
    "",
)
ATTRIBUTES: tuple[dict[str, Any], ...] = (
    {},
    {"lang": "en"},
    {"title": {"from": ["front_matter", "heading"]}, "n": 1},
    {"folder": "${stem}", "n": True},
)


@st.composite
def stores(draw: st.DrawFn) -> dict[str, Any]:
    """A store's entry in a manifest."""
    choose = {
        "name": st.sampled_from(["left", "right", "third"]),
        "prune": st.booleans(),
        "protect": st.booleans(),
        "expires_after": st.just({"days": 7}),
        "chunking": st.just({"size": 800, "overlap": 200}),
        "metadata": st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), min_size=1),
        "attributes": st.sampled_from(ATTRIBUTES[1:]),
        "guards": st.just({"max_delete": "100%", "max_replace": 1}),
        "overrides": st.just([{"match": "docs/deep", "chunking": {"size": 400, "overlap": 100}}]),
    }
    if draw(st.integers(0, 9)) == 0:
        return {"removed": draw(st.sampled_from(["delete", "keep"]))}
    rare = {"name", "prune", "protect"}
    store = {key: draw(values) for key, values in choose.items() if draw(st.integers(0, 9)) < (1 if key in rare else 3)}
    pattern = draw(st.sampled_from(["**/*", "**/*", "docs/**/*.md", "notes/*", "*/*.md"]))
    return store | {"files": [{"path": pattern, "optional": True}]}


@st.composite
def trees(draw: st.DrawFn) -> dict[str, str]:
    """A manifest and its files, by path."""
    declared = draw(st.dictionaries(st.sampled_from(["guide", "faq", "old"]), stores(), min_size=1, max_size=2))
    free = [name for name in ("guide", "faq", "old") if name not in declared]
    for store in declared.values():
        if "removed" not in store and free and draw(st.integers(0, 3)) == 0:
            store["was"] = [free.pop(draw(st.integers(0, len(free) - 1)))]
    owner = draw(st.sampled_from(["kb"] * 9 + ["other"]))
    manifest = {
        "version": 1,
        "owner": owner,
        "defaults": {"skip": ["empty", "unsupported", "draft"]},
        "stores": declared,
    }
    files = draw(st.dictionaries(st.sampled_from(PATHS), st.sampled_from(TEXTS), min_size=2))
    ignored = draw(st.sampled_from(["", "docs/deep/\n", "*.txt\n"]))
    return {"vssync.yaml": json.dumps(manifest), ".gitignore": ignored, **files}


@st.composite
def pairs(draw: st.DrawFn) -> tuple[dict[str, str], dict[str, str]]:
    """A tree, and what becomes of it: files that are edited, moved, deleted and added, and maybe another manifest."""
    before, other = draw(trees()), draw(trees())
    after = {"vssync.yaml": draw(st.sampled_from([before, before, other]))["vssync.yaml"], ".gitignore": ""}
    for path, text in before.items():
        change = draw(st.sampled_from(["keep", "keep", "edit", "move", "delete"]))
        if path in PATHS and change != "delete":
            moved = draw(st.sampled_from(PATHS)) if change == "move" else path
            after[moved] = draw(st.sampled_from(TEXTS)) if change == "edit" else text
    return before, {**{path: text for path, text in other.items() if path in PATHS[:2]}, **after}


def essence(plan: Plan) -> list[Any]:
    """What a plan does and why, without the ids of a service."""
    return [
        (
            store.key.partition("@")[0],
            store.change and (store.change.action, store.change.reasons, store.change.fields),
            [(file.key, file.action, file.reasons, file.fields, file.was, file.gap) for file in store.files],
            [(note.kind, note.key, note.count) for note in store.notes],
            (store.unchanged, store.owned, store.live, store.wanted, store.digest, store.live_digest, store.left_out),
            store.unproven,
        )
        for store in plan.stores
    ] + [(refusal.store, refusal.message) for refusal in plan.refusals]


@contextmanager
def opened(folder: Path) -> Iterator[Session]:
    """The manifest of a folder, and the local service beside it."""
    settings = Settings(manifest=str(folder))
    with open_session(settings, load_manifest(settings), clock=Clock()) as session:
        yield session


def apply_now(folder: Path) -> bool:
    """Applies what is there, and says whether all is as declared."""
    with opened(folder) as session:
        plan = make_plan_now(session, Options(max_delete=Limit(), max_replace=Limit()))
        return apply_plan(session, plan, Silent()).converged


def assert_promise(folder: Path) -> str:
    """What is committed was applied; the work tree is compared with it. Gives the actions, for statistics."""
    settings, before = Settings(manifest=str(folder)), load_values(git(folder, "show", "HEAD:vssync.yaml"), "")
    try:
        with opened(folder) as session:
            former = {before["owner"]} - {session.loaded.desired.owner}  # a comparison shows its stores as taken over
            plan = make_plan_now(session, Options(adopt_from=tuple(former)))
    except VssyncError as error:
        with pytest.raises(type(error)):
            compare_with_revision(settings, Options(), "HEAD")
        return "no plan"
    comparison = compare_with_revision(settings, Options(), "HEAD")
    assert essence(comparison.plan) == essence(plan)
    assert comparison.notes == ()
    assert plan.empty or not comparison.same
    return " ".join(sorted({change.action for change in plan.changes()})) or "nothing"


def joins_stores(before: dict[str, str], after: dict[str, str]) -> bool:
    """Whether a store takes over the mark of one that is there beside it: which of two wins, their ids decide."""
    old, new = (json.loads(tree["vssync.yaml"])["stores"] for tree in (before, after))
    return any({key, *store.get("was", ())} <= old.keys() for key, store in new.items() if "was" in store)


def lay(tree: Mapping[str, str] | Path, folder: Path) -> None:
    """Makes the folder hold exactly this tree; what git and the local service keep stays."""
    for path in folder.iterdir():
        if path.name not in (".git", ".vssync"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if isinstance(tree, Path):
        shutil.copytree(tree, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("plan.txt"))
    else:
        write_files(folder, dict(tree))


def assert_law(pair: tuple[dict[str, str], dict[str, str]]) -> None:
    before, after = pair
    assume(not joins_stores(before, after))
    with TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        git(folder, "init", "-q", "-b", "main")
        write_files(folder, before)
        commit(folder, 1)
        try:
            converged = apply_now(folder)
        except VssyncError as error:
            event(f"no apply: {str(error).partition(': ')[2][:60]}")
            reject()
        assert converged
        lay(after, folder)
        event(assert_promise(folder))


PHASES = set(Phase) - {Phase.explain}  # which takes minutes


@given(pairs())
@settings(max_examples=8, phases=PHASES)
def test_it_lists_what_a_plan_would_list_after_an_apply(pair: tuple[dict[str, str], dict[str, str]]) -> None:
    assert_law(pair)


@pytest.mark.slow
@given(pairs())
@settings(max_examples=200, phases=PHASES)
def test_it_lists_what_a_plan_would_list_after_an_apply_of_many(pair: tuple[dict[str, str], dict[str, str]]) -> None:
    assert_law(pair)


@pytest.mark.wide(3)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.name)
def test_it_holds_between_the_states_of_each_scenario(scenario: Path, tmp_path: Path) -> None:
    states = sorted(path for path in scenario.iterdir() if path.is_dir())
    for number, (before, after) in enumerate(pairwise(states)):
        folder = tmp_path / str(number)
        folder.mkdir()
        git(folder, "init", "-q", "-b", "main")
        lay(before, folder)
        commit(folder, 1)
        assert apply_now(folder)
        lay(after, folder)
        assert_promise(folder)
