"""`-e` with a pattern: each environment in turn, the worst exit code, and nothing deleted but what the pattern made."""

from __future__ import annotations

import shutil
from json import JSONDecoder
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_commands import vssync

MANIFEST = """\
version: 1
owner: kb
stores: {docs: {name: 'docs-${env}', files: [{path: '*.md'}]}}
environments: {dev: {}, prod: {}, pr-*: {}}
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest, live in prod and in two previews; nothing in it is changed."""
    folder = tmp_path_factory.mktemp("live")
    (folder / "vssync.yaml").write_text(MANIFEST)
    (folder / "a.md").write_text("text\n")
    for env in ("prod", "pr-12", "pr-7"):
        assert vssync(folder, "apply", "--yes", "-e", env).code == 0
    return folder


@pytest.fixture
def checkout(live: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(live, tmp_path / "checkout"))


def documents(text: str) -> list[Any]:
    """The JSON documents that follow each other in a text, as `jq` reads them."""
    found, decoder = [], JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


@pytest.mark.parametrize(
    ("arguments", "owners", "code"),
    [
        (("plan", "-e", "*"), ["kb/dev", "kb/prod"], 0),
        (("plan", "-e", "*", "--detailed-exitcode"), ["kb/dev", "kb/prod"], 2),
        (("plan", "-e", "p*", "--detailed-exitcode"), ["kb/prod"], 0),
        (("plan", "-e", "???"), ["kb/dev"], 0),
        (("status", "-e", "*"), ["kb/dev", "kb/prod", "kb/pr-7", "kb/pr-12"], 0),
        (("status", "-e", "pr-*", "--detailed-exitcode"), ["kb/pr-7", "kb/pr-12"], 0),
        (("status", "-e", "pr-1*"), ["kb/pr-12"], 0),
        (("validate", "-e", "*"), ["kb/dev", "kb/prod", "kb/pr-0"], 0),
    ],
)
def test_each_environment_in_turn(live: Path, arguments: tuple[str, ...], owners: list[str], code: int) -> None:
    result = vssync(live, *arguments, "--format", "json")
    assert result.code == code
    assert [each["owner"] for each in documents(result.out)] == owners
    text = vssync(live, *arguments)
    assert text.code == code
    places = [text.out.index(name) for owner in owners for name in [owner.replace("/", ", ")] if name in text.out]
    assert places == sorted(places)
    assert not text.out.startswith("\n")


def test_totals_name_their_environment(live: Path) -> None:
    shown = vssync(live, "plan", "-e", "*", "-q").out
    assert shown.startswith("dev:\nPlan: 1 to add")
    assert "\n\nprod:\nNo changes." in shown


def test_an_error_of_one_is_told_and_the_others_are_shown(checkout: Path) -> None:
    (checkout / "vssync.yaml").write_text(MANIFEST.replace("dev: {}", "dev: {service: {provider: openai}}"))
    result = vssync(checkout, "plan", "-e", "*", "--detailed-exitcode")
    assert result.code == 1
    assert "kb, prod: local" in result.out
    assert "this was the environment dev" in result.err
    (checkout / "vssync.yaml").write_text(MANIFEST.replace("pr-*: {}", "pr-*: {stores: {docs: {nmae: x}}}"))
    result = vssync(checkout, "validate", "-e", "*")
    assert (result.code, "nmae" in result.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("plan", "-e", "x*"), 64, "--env x*: matches no declared environment; declared here: dev, prod, pr-*"),
        (
            ("plan", "-e", "pr-*"),
            64,
            "is a pattern in the manifest, too; name one of the environments that it stands for",
        ),
        (("status", "-e", "x*"), 64, "matches no environment that has stores"),
        (("plan", "-e", "*", "--out", "p.json"), 64, "saves the plan of one environment"),
        (("plan", "-e", "*", "--format", "html"), 64, "--format html: is of one environment"),
        (("apply", "-e", "*", "--yes"), 1, "`plan`, `status`, `validate` and `destroy` take a pattern"),
        (("output", "-e", "*"), 1, "cannot be the name of an environment"),
        (("destroy", "-e", "*", "--confirm", "kb/*"), 3, "the manifest declares no such pattern"),
        (("destroy", "-e", "p*", "--confirm", "kb/p*"), 3, "the manifest declares no such pattern"),
        (("destroy", "-e", "pr-*"), 3, "The owner is kb/pr-*: type it at a terminal"),
        (("destroy", "-e", "pr-*", "--confirm", "kb/pr-7"), 3, "The owner is kb/pr-*"),
    ],
)
def test_what_takes_no_pattern_or_not_this_one(live: Path, arguments: tuple[str, ...], code: int, says: str) -> None:
    result = vssync(live, *arguments)
    assert (result.code, says in (result.out + result.err)) == (code, True)
    if arguments[0] == "destroy":
        assert len(documents(vssync(live, "status", "-e", "*", "--format", "json").out)) == 4


def test_a_manifest_without_environments_takes_no_pattern(checkout: Path) -> None:
    (checkout / "vssync.yaml").write_text("version: 1\nowner: kb\nstores: {docs: {files: [{path: '*.md'}]}}\n")
    result = vssync(checkout, "plan", "-e", "*")
    assert (result.code, "declares no environments; leave the option out" in (result.out + result.err)) == (64, True)


def test_a_pattern_that_the_manifest_declares_can_be_destroyed(checkout: Path) -> None:
    before = vssync(checkout, "status", "-e", "prod", "--format", "json").out
    result = vssync(checkout, "destroy", "-e", "pr-*", "--confirm", "kb/pr-*", "--format", "json")
    assert result.code == 0
    assert [each["owner"] for each in documents(result.out)] == ["kb/pr-7", "kb/pr-12"]
    assert vssync(checkout, "status", "-e", "prod", "--format", "json").out == before
    again = vssync(checkout, "destroy", "-e", "pr-*", "--confirm", "kb/pr-*")
    assert (again.code, "Nothing to delete" in again.out) == (0, True)
    none = vssync(checkout, "status", "-e", "pr-*")
    assert (none.code, none.out) == (0, "pr-*: no environment of this pattern has stores.\n")
