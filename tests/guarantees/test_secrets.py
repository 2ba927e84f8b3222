"""No secret is written anywhere: each place that may hold one has its own, and every output of every verb is read.

Each secret begins and ends with the same word, so that a part of one is found, too, and has what JSON, HTML and
addresses write in other ways.
"""

from __future__ import annotations

import html
import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.api.loopback import Got, Sent, listening
from tests.auth import builders
from tests.ci.fake_forge import Trouble
from tests.ci.fake_github import FakeGitHub
from tests.ci.fake_gitlab import FakeGitLab
from tests.ci.project import Project
from tests.support import Clock, client_of
from vssync.api.errors import answer_of
from vssync.cli import process
from vssync.cli.events import EventStream
from vssync.cli.main import VERBS, cli
from vssync.errors import UsageProblem
from vssync.local.app import open_service
from vssync.local.dialects import LocalOptions
from vssync.local.transport import LocalTransport

WORD = "hunter2"
KEY = f"{WORD}/a+b&c=~{'x' * 40}{WORD}"
PASSWORD = f"{WORD}pass{WORD}"
MANIFEST = """\
version: 1
owner: shelf
service: {{provider: {provider}, data_url: "{url}", control_url: "{url}"{more}}}
environments: {{dev: {{}}, prod: {{}}}}
stores:
  docs: {{name: "docs-${{env}}", files: [{{path: "*.md"}}], tests: questions.yaml}}
"""
PLANTED = {
    **{f"{name}_API_KEY": KEY for name in ("VSSYNC", "OPENAI", "AZURE_OPENAI", "OCI_GENAI")},
    **dict.fromkeys(("GITHUB_TOKEN", "CI_JOB_TOKEN", "VSSYNC_GITLAB_TOKEN"), KEY),
    **dict.fromkeys(("HTTP_PROXY", "https_proxy", "ALL_PROXY"), f"http://me:{PASSWORD}@127.0.0.1:9"),
    "NO_PROXY": f"127.0.0.1,http://me:{PASSWORD}@proxy:x/",
    "OCI_CLI_PASSPHRASE": PASSWORD,
}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A work tree whose remote has a token, and a home whose files have more; the folder beside it is for outputs."""
    folder, outputs = tmp_path / "checkout", tmp_path / "outputs"
    for path in (folder, outputs):
        path.mkdir()
    (folder / "a.md").write_text("# How to stop\n")
    (folder / "questions.yaml").write_text("questions: [{ask: stop, expect: a.md}]\n")
    git = ("git", "-C", str(folder))
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "remote", "add", "origin", f"https://oauth2:{PASSWORD}@forge.example/shelf.git"], check=True)
    home = builders.write_home(tmp_path / "home", {"DEFAULT": builders.section(pass_phrase=PASSWORD)})
    (tmp_path / "home/.netrc").write_text(f"machine 127.0.0.1 login me password {PASSWORD}\n")
    places = {"VSSYNC_STATE_DIR": str(outputs / "state"), "VSSYNC_ALLOW_HOSTS": "127.0.0.1"}
    for name, value in {**PLANTED, **home, **places}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", str(outputs))
    monkeypatch.chdir(folder)
    yield folder
    logging.getLogger("vssync").setLevel(logging.NOTSET)


def run(*arguments: str, json_log: bool = False) -> int:
    """The program in this process, which logs as much as it can."""
    logger, stderr = logging.getLogger("vssync"), sys.stderr
    has_log = any("--log-file" in option.opts for option in cli.commands[arguments[0]].params)
    logs = ("-vv", "--log-file", "../outputs/log") if has_log else ()
    if json_log:
        sys.stderr = EventStream(stderr)
    try:
        return process.run_command(lambda: cli.main([*arguments, *logs], prog_name="vssync", standalone_mode=False))
    finally:
        sys.stderr = stderr
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            handler.close()


def assert_hidden(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Nothing of a secret was printed, or stands in a file that the program wrote; gives what was printed."""
    printed = "".join(capsys.readouterr())
    assert [line for line in printed.splitlines() if WORD in line.lower()] == []
    written = [*(tmp_path / "outputs").rglob("*"), *(tmp_path / "checkout").glob("[!.]*"), *tmp_path.glob("live/*")]
    holding = [path for path in written if path.is_file() and WORD.encode() in path.read_bytes().lower()]
    assert holding == []
    return printed


VERBS_RUN = [
    *("init -f ../outputs/new.yaml", "validate -e dev", "render -e dev", "plan -e dev"),
    "plan -e dev --out ../outputs/p.json",
    *(f"plan -e dev --format {form}" for form in ("json", "markdown", "html", "gitlab")),
    *("show ../outputs/p.json", "apply ../outputs/p.json --format json", "apply -e prod --yes --test --format html"),
    *("status -e dev docs/a.md", "status -e dev --format json", "search -e dev stop", "test -e dev --format junit"),
    *("output -e dev --format dotenv", "output -e dev --format json", "diff dev prod", "batches -e dev"),
    *("cancel -e dev vsfb_none", "doctor -e dev", "doctor -e dev --probe --yes --out ../outputs/evidence.json"),
    *("dump -e dev --store docs-dev -o ../outputs/dumped.yaml", "gc -e dev --yes"),
    "destroy -e dev --confirm shelf/dev",
    *("ci plan -e dev", "schema plan", "completion bash", "serve --api-key KEY --fault nonsense"),
]


def test_every_verb_is_run() -> None:
    assert {words.split()[0] for words in VERBS_RUN} == set(VERBS)


def test_no_verb_writes_a_secret(checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The service quotes the key that it was sent as the id of each request. Every second log is JSON."""
    service = open_service(tmp_path / "live", options=LocalOptions(api_key=KEY))

    def answer(got: Got) -> Sent:
        headers = {name: value for name, value in got.headers.items() if name != "host"}
        url = f"http://localhost{got.target}"
        request = httpx.Request(got.method, url, headers=headers, content=got.body)
        reply = LocalTransport(service).handle_request(request)
        kept = {"x-request-id": got.headers["authorization"], "content-type": reply.headers["content-type"]}
        return Sent(reply.status_code, reply.read().decode(), kept)

    with listening(answer) as place:
        (checkout / "vssync.yaml").write_text(MANIFEST.format(provider="compatible", url=place.url, more=""))
        codes = {
            words: run(*words.replace("KEY", KEY).split(), json_log=number % 2 == 1)
            for number, words in enumerate(VERBS_RUN)
        }
    service.close()
    ended = {words for words, code in codes.items() if code}
    assert {words.split()[0] for words in ended} == {"cancel", "ci", "serve"}, codes
    assert all(got.headers["authorization"] == f"Bearer {KEY}" for got in place.got)
    printed = assert_hidden(tmp_path, capsys)
    assert "***" in printed
    assert (tmp_path / "outputs/log").stat().st_size > 10_000


def quoting(said: str) -> list[str]:
    """Answers that quote what a request proved itself with, in each way to write it."""
    escaped = "".join(f"\\u{ord(char):04x}" for char in said)
    return [
        json.dumps({"error": {"message": f"wrong: {said}", "code": said, "param": said}}),
        json.dumps({"detail": [{"loc": ["header", said], "msg": said}]}).replace("/", "\\/"),
        f'{{"error": {{"message": "wrong: {escaped}"}}}}',
        json.dumps({"message": json.dumps({"error": {"message": said}}).replace("/", "\\/")}),
        json.dumps({"message": json.dumps({"nothing": said}).replace("/", "\\/")}),
        f"<html><title>x</title><body>wrong: {html.escape(said)}</body></html>",
        f"{'x' * 270} {said} {quote(said, safe='')}",
        json.dumps({"id": said * 20, "object": said}),
    ]


@pytest.mark.parametrize("answer", quoting(KEY))
def test_what_a_service_quotes_is_left_out(answer: str) -> None:
    for status in (200, 401, 503):
        for proof in ({"authorization": f"Bearer {KEY}"}, {"api-key": KEY}):
            request = httpx.Request("GET", "https://x.example/v1/files", headers=proof)
            told = answer_of(httpx.Response(status, text=answer, headers={"x-request-id": KEY}, request=request))
            assert WORD not in repr(told)
            assert "***" in told.message


@pytest.mark.parametrize(
    "row",
    [
        ("compatible", "", "VSSYNC_API_KEY"),
        ("openai", "", "OPENAI_API_KEY"),
        ("azure", ", auth: api_key", "AZURE_OPENAI_API_KEY"),
        ("oci", ", region: us-chicago-1, project: p, auth: bearer", "OCI_GENAI_API_KEY"),
        ("compatible", "", "VSSYNC_AUTH_COMMAND"),
        pytest.param(("oci", ", region: us-chicago-1, project: p, compartment: c", ""), marks=pytest.mark.oci),
    ],
)
def test_no_refusal_shows_what_it_refuses(
    checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    row: tuple[str, str, str],
) -> None:  # fmt: skip
    provider, more, variable = row
    for name in PLANTED:
        if name.endswith("_API_KEY") and name != variable:
            monkeypatch.delenv(name)
    if variable == "VSSYNC_AUTH_COMMAND":
        monkeypatch.setenv(variable, f"printf {PASSWORD}")
    sent: list[str] = []

    def answer(got: Got) -> Sent:
        sent.append(got.headers.get("api-key", "") + got.headers.get("authorization", ""))
        said = got.headers.get("api-key") or got.headers["authorization"].removeprefix("Bearer ")
        return Sent(401, quoting(said)[len(sent) % 8], {"x-request-id": said})

    with listening(answer) as place:
        manifest = MANIFEST.format(provider=provider, url=place.url, more=more)
        (checkout / "vssync.yaml").write_text(manifest)
        for words in ("plan -e dev", "doctor -e dev", "apply -e dev --yes"):
            assert run(*words.split()) != 0
    proofs = {part for proof in sent for part in proof.split('"') if len(part) > 40 or WORD in part}
    assert proofs, "nothing was sent"
    printed = assert_hidden(tmp_path, capsys)
    assert [proof for proof in proofs if proof in printed] == []


@pytest.mark.wide(3)
@pytest.mark.parametrize("status", [301, 401, 403, 422, 500])
@pytest.mark.parametrize("fake", [FakeGitHub, FakeGitLab])
def test_no_job_shows_its_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: type[FakeGitHub | FakeGitLab], status: int
) -> None:
    """Whatever the forge quotes of it: in the middle of a long text, too, where that is cut."""
    forge = fake()
    token = {FakeGitHub: "ghs_job", FakeGitLab: "glpat-x"}[fake]
    project = Project(tmp_path, forge, {"a.md": "harmless\n"}, monkeypatch)
    project.settings["environment"] = PLANTED
    manifest = MANIFEST.partition("service")[0] + 'stores: {docs: {files: [{path: "*.md"}]}}\n'
    project.open(7, {"vssync.yaml": manifest})
    location = f"https://me:{PASSWORD}@forge.example/{token}?signature={PASSWORD}"
    for method in ("GET", "POST") * 8:
        said = f"{'x' * 94}{token}{'x' * 400} {token}"  # the first is where a long text is cut
        forge.troubles.append(Trouble(method, "", status, said, {"location": location}))
    end = project.review(7)
    readable = "\n".join([end.log, end.error, end.summary, end.outputs, *project.comments(7)])
    assert "***" in readable
    assert [word for word in (WORD, token[:5]) if word in readable] == []


def test_what_is_no_forge_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"`https://\*\*\*@forge.example/api` is not the address") as caught:
        FakeGitLab().open_job(tmp_path, CI_API_V4_URL=f"https://me:{PASSWORD}@forge.example/api")
    assert WORD not in str(caught.value)


def test_no_traceback_shows_what_was_sent(checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        request.headers["authorization"] = f"Bearer {KEY}"
        raise RuntimeError("a bug of a library")

    assert process.run_command(client_of(fail, Clock()).list_stores) == process.BUG
    assert "The traceback is in" in assert_hidden(tmp_path, capsys)


@pytest.mark.parametrize(
    "service",
    [
        f"{{provider: compatible, data_url: 'https://me:{PASSWORD}@gateway.example/v1'}}",
        f"{{provider: compatible, data_url: 'https://gateway.example/v1?key={PASSWORD}'}}",
        f"{{provider: azure, data_url: 'https://me:{PASSWORD}@x.openai.azure.com/openai?api-version=1'}}",
        f"{{provider: openai, api_key: {PASSWORD}}}",
        f"{{provider: openai, headers: {{Authorization: Bearer {PASSWORD}}}}}",
    ],
)
def test_a_secret_that_a_manifest_holds_is_not_quoted(
    checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], service: str
) -> None:
    head, _, rest = MANIFEST.format(provider="", url="", more="").partition("service: ")
    (checkout / "vssync.yaml").write_text(f"{head}service: {service}\n{rest.partition(chr(10))[2]}")
    codes = [run(*words.split()) for words in ("validate -e dev", "plan -e dev", "doctor -e dev", "apply -e dev --yes")]
    assert codes[1:] != [0, 0, 0]
    (checkout / "vssync.yaml").unlink()
    assert_hidden(tmp_path, capsys)
