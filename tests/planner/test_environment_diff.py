"""Two environments side by side: what differs is said once, what is the same is said to be."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from vssync.model.service import ServiceSpec
from vssync.model.state import AUTO, Attributes, Chunking, Desired, DesiredFile, DesiredStore
from vssync.planner.environment_diff import EnvironmentDiff, compare_environments, declared_environment
from vssync.render.diff import diff_json, diff_text
from vssync.render.layout import View

WIDE = View(width=100)


def file(
    key: str = "a.md", *, sha256: str = "1", chunking: Chunking = AUTO, filename: str = "", **given: str
) -> DesiredFile:
    attributes: Attributes = given
    return DesiredFile(key, filename or key, attributes, chunking, path=key, size=1, sha256=sha256)


def store(*files: DesiredFile, key: str = "docs", name: str = "docs", protect: bool = False) -> DesiredStore:
    return DesiredStore(key, name, protect=protect, files=files)


def between(
    left: tuple[DesiredStore, ...], right: tuple[DesiredStore, ...], provider: str = "local"
) -> EnvironmentDiff:
    return compare_environments(
        declared_environment("dev", Desired("kb/dev", ServiceSpec(), left)),
        declared_environment("prod", Desired("kb/prod", ServiceSpec(provider), right)),
    )


@pytest.mark.parametrize(
    ("left", "right", "shows"),
    [
        ((store(),), (store(),), "No differences in 1 store."),
        ((store(file()),), (store(file(), name="kb"),), '    name  "docs" -> "kb"'),
        ((store(protect=True),), (store(),), "    protect  true -> false"),
        ((store(file(), file("b.md")),), (store(file()),), "  -   1 file only in dev: b.md"),
        ((store(file()),), (store(file(), file("b.md")),), "  +   1 file only in prod: b.md"),
        ((store(file()),), (store(file(sha256="2")),), '        content  "1" -> "2"'),
        ((store(file(lang="en")),), (store(file(lang="de")),), '        attributes.lang  "en" -> "de"'),
        ((store(file()),), (store(file(chunking=Chunking(800, 400))),), '        chunking  "auto" -> "800/400"'),
        ((store(file()),), (store(file(filename="x.md")),), '        filename  "a.md" -> "x.md"'),
        ((store(file()),), (), "docs  only in dev, 1 file"),
        ((), (store(file()),), "docs  only in prod, 1 file"),
    ],
)
def test_what_differs_is_shown(left: tuple[DesiredStore, ...], right: tuple[DesiredStore, ...], shows: str) -> None:
    found = between(left, right)
    assert found.same is ("No differences" in shows)
    assert shows in diff_text(found, WIDE).split("\n")


def test_equal_content_under_other_settings_is_the_same_knowledge_base() -> None:
    found = between((store(file(lang="en"), name="dev"),), (store(file(lang="en"), name="prod"),), "openai")
    assert found.stores[0].same_content
    assert not found.same
    text = diff_text(found, WIDE)
    assert '    provider  "local" -> "openai"' in text
    assert "docs  the same 1 file, digest " in text
    assert text.endswith("Same content: 1 of 1 store.")


def test_a_file_whose_key_was_changed_outside_is_a_difference() -> None:
    (both,) = between((store(file()),), (store(file()),)).stores
    assert both.same
    assert not replace(both, only_left=("a.md",), only_right=("theirs.md",)).same


def test_files_that_differ_alike_are_said_once() -> None:
    names = [f"{number}.md" for number in range(9)]
    lefts, rights = (store(*(file(name, env=env) for name in names)) for env in ("dev", "prod"))
    text = diff_text(between((lefts,), (rights,)), WIDE)
    assert text.count("attributes.env") == 1
    assert "9 files: 0.md, 1.md, 2.md, 3.md, 4.md, and 4 more" in text
    assert "8.md" in diff_text(between((lefts,), (rights,)), View(full=True))


def test_json_holds_everything() -> None:
    told = json.loads(diff_json(between((store(file(lang="en")),), (store(file(), file("b.md")),))))
    docs = told["stores"]["docs"]
    assert (told["state"], told["same"], docs["only_left"], docs["only_right"]) == ("desired", False, [], ["b.md"])
    assert docs["changed"] == {"a.md": [{"name": "attributes.lang", "left": "en", "right": None}]}


def test_foreign_names_steer_no_terminal() -> None:
    text = diff_text(between((store(file("a\x1b[2J\n::error::.md")),), (store(),)), WIDE)
    assert all(line.isprintable() and not line.startswith("::") for line in text.split("\n"))


def test_names_of_files_keep_to_the_width() -> None:
    keys = [f"docs/chapter-{number}/page.md" for number in range(9)]
    found = between((store(*(file(key) for key in keys)),), (store(*(file(key, sha256="2") for key in keys)),))
    text = diff_text(found, View(width=80))
    assert max(map(len, text.splitlines())) <= 80
    assert "9 files: docs/chapter-0/page.md, docs/chapter-1/page.md," in text
    assert " ".join(text.split()).count("docs/chapter-") == 5
