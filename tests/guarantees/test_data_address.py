"""A credential of the data address only: a pinned external store is kept as declared, and nothing else is touched."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.simulation.commands import Shell
from tests.support import open_test_session
from vssync.commands.search import SearchRequest, search_stores

MANIFEST = """\
version: 1
owner: keys
stores:
  docs:
    {pin}
    attributes: {{lang: {lang}}}
    guards: {{max_delete: 100%, max_replace: 100%}}
    files: [{{path: "*.md"}}]
{more}"""
TEXTS = {"a.md": "alder\n", "b.md": "birch\n", "c.md": "cedar\n"}
UNCONVERGED = {"plan": 2, "apply": 4}


class Team:
    """An administrator makes the store; whoever runs vssync has the key of the data address."""

    def __init__(self, folder: Path, status: int) -> None:
        self.shell = Shell(folder, f"local,stores-iam-only={status}")
        self.admin = Shell(folder, clock=self.shell.clock)
        self.write(**{"vssync.yaml": MANIFEST.format(pin="", lang="en", more="")}, **TEXTS)
        with self.admin.others() as session:
            self.store_id = session.client.create_store({"name": "docs"}).id
        self.declare()

    def write(self, **files: str | None) -> None:
        for name, text in files.items():
            path = self.shell.folder / name
            path.unlink() if text is None else path.write_text(text)

    def declare(self, pin: str = "external: true\n    id: {}", lang: str = "en", more: str = "") -> None:
        self.write(**{"vssync.yaml": MANIFEST.format(pin=pin.format(self.store_id), lang=lang, more=more)})

    def hits(self, question: str) -> set[str]:
        """What a search finds, with this credential."""
        with open_test_session(self.shell.folder, self.shell.clock, provider=self.shell.dialect) as (session, _):
            return {hit.text.strip() for hit in search_stores(session, SearchRequest(question, max_results=10)).hits}

    def live_files(self) -> dict[str, str]:
        """The language of each file by its key, as the administrator sees them."""
        with self.admin.others() as session:
            files = session.client.list_files(self.store_id)
        return {str(file.attributes["vssync_key"]): str(file.attributes["lang"]) for file in files}


@pytest.fixture(params=[pytest.param(401, marks=pytest.mark.slow), 403, 404])  # 401 is an AccessDenied, too
def team(tmp_path: Path, request: pytest.FixtureRequest) -> Team:
    return Team(tmp_path, request.param)


def test_a_pinned_external_store_needs_the_data_address_only(team: Team) -> None:
    steps: tuple[tuple[dict[str, str | None], str], ...] = (
        ({}, "en"),
        ({"a.md": "aspen\n", "b.md": None, "d.md": "dogwood\n"}, "de"),
    )
    for files, lang in steps:
        team.write(**files)
        team.declare(lang=lang)
        assert team.shell.run("plan", "--detailed-exitcode").code == 2
        assert team.shell.run("apply", "--yes").code == 0
        for verb in ("plan", "status"):
            assert team.shell.run(verb, "--detailed-exitcode").code == 0
        again = team.shell.run("apply", "--yes")
        assert (again.code, [exchange for exchange in again.exchanges if exchange.is_write]) == (0, [])
    assert team.live_files() == {"a.md": "de", "c.md": "de", "d.md": "de"}
    assert team.hits("aspen") == {"aspen"}
    assert team.hits("alder birch") == set()


def test_stores_are_asked_for_once_and_the_plan_says_so_once(team: Team) -> None:
    team.declare(more="  more: {files: [{path: c.md}]}\n")
    run = team.shell.run("plan", "--detailed-exitcode")
    assert run.document
    about_stores = [exchange for exchange in run.exchanges if exchange.url.partition("?")[0].endswith("/vector_stores")]
    assert len(about_stores) == 1
    notes = [note["detail"] for store in run.document["stores"] for note in store.get("notes", ())]
    assert ["only the stores pinned by `id:`" in detail for detail in notes] == [True]


@pytest.mark.parametrize(
    ("pin", "more", "words"),
    [
        ("external: true\n    id: {}", "  more: {{files: [{{path: c.md}}]}}\n", "`id:` and `external: true`"),
        ("external: true\n    id: {}", "  more: {external: true, files: [{path: c.md}]}\n", "`id:` and"),
        ("external: true\n    id: {}", "  more: {external: true, id: vs_gone, files: [{path: c.md}]}\n", "vs_gone"),
        ("id: {}", "", "give the store `external: true`"),
    ],
)
def test_what_cannot_be_read_is_held_back(team: Team, pin: str, more: str, words: str) -> None:
    team.declare(pin, more=more.replace("{{", "{").replace("}}", "}"))
    for verb, code in UNCONVERGED.items():
        run = team.shell.run(verb, "--detailed-exitcode" if verb == "plan" else "--yes")
        assert run.document
        assert (run.code, words in str(run.document)) == (code, True)
        assert not any(exchange.is_write and exchange.url.endswith("vector_stores") for exchange in run.exchanges)


@pytest.mark.parametrize(
    ("pin", "words"),
    [
        ("", "vssync.yaml:6:5: this credential may not read stores"),
        ("external: true", "vssync.yaml:5:5: this credential may not read stores"),
        ("external: true\n    id: vs_gone", "vssync.yaml:6:9: the files of vs_gone cannot be listed"),
    ],
)
def test_where_no_store_can_be_used_each_is_named_with_its_place_and_way_out(team: Team, pin: str, words: str) -> None:
    team.declare(pin, more="  more: {files: [{path: c.md}]}\n")
    run = team.shell.run("plan", "--detailed-exitcode")
    assert run.document
    assert (run.code, [store["change"]["reasons"] for store in run.document["stores"]]) == (2, [["denied"]] * 2)
    assert words in run.document["stores"][0]["change"]["detail"]
    assert re.search("use (a credential|one) that may", run.document["stores"][0]["change"]["detail"])
    assert team.shell.run("status", "--detailed-exitcode").code == 2


def test_a_credential_that_reads_nothing_is_the_error(team: Team) -> None:
    team.declare("external: true\n    id: vs_gone")
    run = team.shell.run("plan", faults=["status=401:GET:/files"])
    assert (run.code, run.document) == (1, None)


def test_output_gives_the_stores_that_can_be_used(team: Team) -> None:
    team.shell.run("apply", "--yes")
    team.declare(more="  more: {external: true, id: vs_gone, files: [{path: c.md}]}\n")
    run = team.shell.run("output")
    assert run.document
    assert (run.code, [*run.document["stores"]], [*run.document["problems"]]) == (1, ["docs"], ["more"])


@pytest.mark.parametrize(("verb", "flag"), [("destroy", "--confirm=keys"), ("gc", "--yes"), ("gc", "--suspected")])
def test_what_needs_every_store_is_refused(team: Team, verb: str, flag: str) -> None:
    team.shell.run("apply", "--yes")
    with team.admin.others() as session:  # an upload that only its name proves
        orphans = session.client.list_uploads()
        session.client.detach_file(team.store_id, next(orphans).id)
    team.shell.clock.now += 7 * 86_400
    run = team.shell.run(verb, flag, *(["--suspected"] if flag == "--yes" else []))
    assert (run.code, any(exchange.is_write for exchange in run.exchanges)) == (3, False)


def test_nothing_is_added_or_removed_while_the_ends_of_a_listing_differ(team: Team) -> None:
    team.shell.run("apply", "--yes")
    team.write(**{"b.md": None, "d.md": "dogwood\n"})
    team.shell.dialect += ",empty-after=2"
    for verb, code in UNCONVERGED.items():
        run = team.shell.run(verb, "--detailed-exitcode" if verb == "plan" else "--yes")
        assert (run.code, any(exchange.is_write for exchange in run.exchanges)) == (code, False)
        assert "of 3 files that were listed, the last reading has 2" in str(run.document)
