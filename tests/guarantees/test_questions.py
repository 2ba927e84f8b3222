"""Questions asked through the real client, of services in several dialects: what is found, what is not, and where."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.cli.test_commands import vssync
from tests.guarantees.worlds.world import World
from tests.program import SKIPS_WAITS
from tests.sources.test_git import commit, git
from tests.support import client_of
from vssync.commands.plan import make_plan_now
from vssync.commands.session import Session
from vssync.commands.test import AskProgress, ask_stores, stores_with_questions
from vssync.errors import UsageProblem, VssyncError
from vssync.local.transport import LocalTransport
from vssync.model.plan import NoteKind, Options
from vssync.planner.score import QuestionReport
from vssync.threads import Pool

MANIFEST = """\
version: 1
owner: kb
stores:
  guide:
    attributes: {lang: en}
    tests: questions.yaml
    files: [{path: "*.md"}]
    overrides: [{match: de.md, attributes: {lang: de}}]
  quiet: {files: [{path: alder.md}]}
"""
QUESTIONS = """\
pass: 50%
questions:
  - {ask: alder, expect: alder.md, top: 1}
  - {ask: alder birch, expect: [alder.md, "b*.md"]}
  - {ask: erle, expect: de.md, filter: {lang: de}, never: alder.md}
  - {ask: alder, expect: birch.md}
  - {ask: alder, expect: alder.md, filter: {type: and, filters: [{type: eq, key: lang, value: de}]}}
  - {ask: fir, expect: fir.md}
  - {ask: fir, expect: gone.md}
"""
FILES: Mapping[str, str | None] = {
    "vssync.yaml": MANIFEST,
    "questions.yaml": QUESTIONS,
    "alder.md": "alder\nThe first page.\n",
    "birch.md": "birch\nAnother page.\n",
    "de.md": "erle\nNoch eine Seite.\n",
    "fir.md": "---\ndraft: true\n---\nfir\n",
}
DETAILS = [
    "in the store, not among the first 50",
    "in the store, with attributes that the filter leaves out",
    "left out of the store (draft)",
    "not in the manifest",
]


def asked(session: Session, *keys: str) -> QuestionReport:
    return ask_stores(session, keys or stores_with_questions(session.loaded.desired), AskProgress())


@pytest.mark.wide(2)
@pytest.mark.parametrize("spoken", ["local", "openai", "oci", "azure", "compatible", "local,own-hit-ids=on"])
def test_every_dialect_answers(tmp_path: Path, spoken: str) -> None:
    with closing(World(tmp_path, spoken)) as world:
        world.write(FILES)
        assert world.apply().converged
        with world.session() as (session, recorder):
            report = asked(session)
            (score,) = report.stores
            assert [result.error for result in score.results] == [""] * 7
            assert [result.passed for result in score.results] == [True] * 3 + [False] * 4
            assert [each.detail for result in score.results for each in result.missing] == DETAILS
            assert (score.failed, report.unasked) == (True, 0)
            assert not recorder.writes
            searches = [path for _, path in recorder.seen if path.endswith("/search")]
            assert len(searches) == 7 + 4  # those that fail are searched deeper


def test_questions_keep_to_the_rate_limits(tmp_path: Path) -> None:
    with closing(World(tmp_path, "local")) as world:
        world.write({**FILES, "questions.yaml": "questions:\n" + "  - {ask: alder, expect: alder.md}\n" * 300})
        world.apply()
        world.limits, started = "requests=60", world.clock.now
        with world.session() as (session, _):
            assert asked(session).stores[0].passed == 300
        assert 180 < world.clock.now - started < 360  # a minute's worth may go at once


@pytest.mark.parametrize("spoken", ["local", "local,stale-filters=on"])
def test_a_question_that_a_plan_names_fails_after_it(tmp_path: Path, spoken: str) -> None:
    """And of those that it does not name, the ones whose document stays as it is still pass."""
    with closing(World(tmp_path, spoken)) as world:
        questions = """\
questions:
  - {ask: alder, expect: alder.md}
  - {ask: erle, expect: "d*.md", filter: {lang: de}}
  - {ask: birch, expect: "b*.md"}
  - {ask: hazel birch, expect: [hazel.md, birch.md]}
  - {ask: oak old, expect: "{oak,old}.md"}
"""
        trees = {f"{name}.md": f"{name}\nA page of {name}.\n" for name in ("alder", "birch", "hazel", "oak", "old")}
        manifest = MANIFEST.partition("  quiet:")[0].replace("    tests", "    guards: {max_delete: 100%}\n    tests")
        world.write({**FILES, "vssync.yaml": manifest, "questions.yaml": questions, "fir.md": "fir\n", **trees})
        world.apply()
        named = []
        for change, lost in (
            ({"oak.md": None}, set()),
            ({"birch.md": None, "bay.md": "birch\nA page of bay.\n"}, {"hazel birch"}),
            ({"alder.md": f"---\ndraft: true\n---\n{trees['alder.md']}"}, {"alder"}),
            ({"vssync.yaml": manifest.replace("{lang: de}", "{lang: at}")}, {"erle"}),
            ({"old.md": None, "new.md": trees["old.md"]}, {"oak old"}),
        ):
            world.write(change)
            with world.session() as (session, _):
                plan = make_plan_now(session, Options())
            notes = [note for note in plan.stores[0].notes if note.kind is NoteKind.LOST_QUESTION]
            assert {note.key for note in notes} == lost, change
            named += [note.key for note in notes]
            assert world.apply().converged
            with world.session() as (session, _):
                results = asked(session).stores[0].results
            assert [result.question.ask for result in results if not result.passed] == [
                each.question.ask for each in results if each.question.ask in named
            ]


class Without(httpx.BaseTransport):
    """A service whose hits have no attributes, or that refuses some searches."""

    def __init__(self, inner: httpx.BaseTransport, refusal: int = 0, asked: str = "") -> None:
        self._inner, self._refusal, self._asked = inner, refusal, asked
        self.searches = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/search"):
            return self._inner.handle_request(request)
        self.searches += 1
        if self._refusal and self._asked in json.loads(request.content)["query"]:
            own_id = {"x-request-id": f"req_{self.searches}"}
            return httpx.Response(self._refusal, json={"error": {"message": "no search here"}}, headers=own_id)
        response = self._inner.handle_request(request)
        body = json.loads(response.read())
        hits = [hit | {"attributes": None} for hit in body["data"]]
        return httpx.Response(200, json=body | {"data": hits})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with closing(World(tmp_path, "local")) as made:
        made.write(FILES)
        made.apply()
        yield made


def ask_through(world: World, transport: Without) -> QuestionReport:
    client = client_of(transport.handle_request, world.clock)
    with closing(client), Pool(1) as pool:
        return asked(Session(world.settings, world.loaded, world.endpoint, client, pool))


def test_hits_without_attributes_are_told_by_their_file(world: World) -> None:
    (score,) = ask_through(world, Without(LocalTransport(world.service))).stores
    assert [result.passed for result in score.results] == [True] * 3 + [False] * 4
    assert score.results[0].hits[0].key == "alder.md"


@pytest.mark.parametrize(
    ("status", "word", "unasked", "searches"),
    [
        (400, "erle", 1, 7 + 4),  # what is wrong with one question stops no other
        (422, "", 7, 7),
        (403, "", 7, 1),  # what is wrong with the store ends its questions
        (404, "", 7, 1),
        (403, "fir", 2, 6),
    ],
)
def test_what_cannot_be_asked_is_told_and_does_not_fail(
    world: World, status: int, word: str, unasked: int, searches: int
) -> None:
    world.write({"questions.yaml": QUESTIONS.replace("50%", "40%")})
    transport = Without(LocalTransport(world.service), status, word)
    report = ask_through(world, transport)
    assert (report.unasked, report.failed, transport.searches) == (unasked, False, searches)
    (reason,) = {result.error for result in report.stores[0].results if result.error}
    assert "no search here" in reason


def test_a_store_that_does_not_exist_cannot_be_asked(tmp_path: Path) -> None:
    with closing(World(tmp_path, "local")) as world:
        world.write(FILES)
        with world.session() as (session, recorder):
            report = asked(session)
            assert (report.unasked, report.failed, report.stores[0].id) == (7, False, "")
            assert "run `vssync apply -f " in report.stores[0].results[0].error
            assert not [path for _, path in recorder.seen if path.endswith("/search")]


@pytest.mark.parametrize(
    ("keys", "message", "kind"),
    [
        (("guides",), "guides: the manifest has no such store; did you mean `guide`?", UsageProblem),
        (("x",), "x: the manifest has no such store; it has guide and quiet", UsageProblem),
        (("quiet",), "quiet: the store has no questions", UsageProblem),
        ((), "no store of the manifest has questions", VssyncError),
    ],
)
def test_a_store_without_questions_is_an_error(
    tmp_path: Path, keys: tuple[str, ...], message: str, kind: type[VssyncError]
) -> None:
    with closing(World(tmp_path, "local")) as world:
        manifest = MANIFEST if keys else MANIFEST.replace("    tests: questions.yaml\n", "")
        world.write({**FILES, "vssync.yaml": manifest})
        with pytest.raises(kind, match=message.replace("?", r"\?")) as raised:
            stores_with_questions(world.loaded.desired, keys)
        assert raised.value.exit_code == kind.exit_code


def lay(folder: Path, questions: str, **files: str) -> None:
    for name, text in {**FILES, "questions.yaml": questions, **files}.items():
        (folder / name).write_text(text or "")


GOOD, BAD = "questions: [{ask: alder, expect: alder.md}]\n", "questions: [{ask: birch, never: birch.md}]\n"


def test_the_exit_code_says_how_it_went(tmp_path: Path) -> None:
    """0 when all pass, 2 when a question failed, 4 when it could not be asked or the apply left something undone."""
    lay(tmp_path, GOOD)
    assert (vssync(tmp_path, "test").code, vssync(tmp_path, "test", "nope").code) == (4, 64)
    first = vssync(tmp_path, "apply", "--yes", "--test")
    assert (first.code, "1 of 1 pass." in first.out) == (0, True)
    assert vssync(tmp_path, "test").code == 0
    lay(tmp_path, BAD)
    forms = ((), ("--format", "markdown"), ("--format", "html"))
    for command in (("test",), ("test", *forms[2]), *(("apply", "--yes", "--test", *form) for form in forms)):
        end = vssync(tmp_path, *command)
        assert (end.code, "one never was broken" in re.sub("`|</?code>", "", end.out)) == (2, True), end
    document = json.loads(vssync(tmp_path, "apply", "--yes", "--test", "--format", "json").out)
    assert (document["kind"], document["converged"], document["test"]["failed"]) == ("report", True, True)
    lay(tmp_path, GOOD, **{"vssync.yaml": MANIFEST.partition("  quiet:")[0]})
    undone = vssync(tmp_path, "apply", "--yes", "--test")
    assert (undone.code, "1 of 1 pass." in undone.out) == (4, True)  # a store is left over
    (tmp_path / "vssync.yaml").write_text(
        MANIFEST + "service: {provider: compatible, data_url: 'http://127.0.0.1:9/v1'}\n"
    )
    down = vssync(tmp_path, "test", "--format", "junit", VSSYNC_API_KEY="k", **{SKIPS_WAITS: "1"})
    assert (down.code, 'errors="1"' in down.out, "cannot be reached" in down.out) == (4, True, True), down
    lay(tmp_path, "questions: [{ask: x}]")
    assert vssync(tmp_path, "test").code == 1


def test_what_no_file_can_answer_is_told_once(tmp_path: Path) -> None:
    lay(tmp_path, "questions: [{ask: alder, expect: oak.md}]\n")
    assert "`oak.md` matches no file" in vssync(tmp_path, "apply", "--yes").err
    end = vssync(tmp_path, "test")
    assert (end.code, end.err, end.out.count("oak.md")) == (2, "", 1)


def test_a_comparison_names_the_questions_of_the_later_revision_that_lose_their_document(tmp_path: Path) -> None:
    """Those of the work tree, or of the revision that `--at` names, which has a question file of its own."""
    lay(tmp_path, GOOD)
    git(tmp_path, "init", "-q")
    commit(tmp_path, 1)
    lay(tmp_path, GOOD, **{"alder.md": "---\ndraft: true\n---\nalder\n"})
    commit(tmp_path, 2)
    (tmp_path / "questions.yaml").unlink()
    assert "there is no file `questions.yaml`" in vssync(tmp_path, "plan", "--against", "HEAD^").err
    end = vssync(tmp_path, "plan", "--against", "HEAD^", "--at", "HEAD", "--max-delete", "100%", "--format", "json")
    notes = [note for store in json.loads(end.out)["stores"] for note in store.get("notes", ())]
    assert notes == [{"kind": "lost_question", "key": "alder", "detail": "`alder.md` is left out (draft)"}]
    (tmp_path / "questions.yaml").write_text(BAD)
    assert "will fail" not in vssync(tmp_path, "plan", "--against", "HEAD^").out
