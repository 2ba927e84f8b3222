"""Everything that can be wrong with a service or a credential: one message, no traceback, its exit code, no secret."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from tests.api.loopback import Got, Sent, listening, said, self_signed
from tests.auth.builders import PAST, pem, rsa, section, token, write_home
from tests.cli import test_commands
from tests.cli.test_commands import End, started
from vssync.cli import process
from vssync.cli.main import cli
from vssync.local.app import open_service
from vssync.local.dialects import LocalOptions, parse_dialect
from vssync.local.server import serving

# The services here listen on this machine, where a key goes only if it is told to.
vssync = partial(test_commands.vssync, VSSYNC_ALLOW_HOSTS="127.0.0.1")
KEY, PHRASE = "sk-the-secret", "the-passphrase"
PROJECT = "ocid1.generativeaiproject.oc1.us-chicago-1.aaaa"
OCI = f"provider: oci, region: us-chicago-1, project: {PROJECT}, compartment: ocid1.compartment.oc1..bbbb"


def manifest(folder: Path, service: str) -> Path:
    (folder / "a.md").write_text("hello\n")
    (folder / "vssync.yaml").write_text(
        f"version: 1\nowner: shelf\nservice: {{{service}}}\nstores: {{docs: {{files: [{{path: '*.md'}}]}}}}\n"
    )
    return folder


def one_message(end: End, code: int, *said: str) -> None:
    """A sentence, which begins with what it is about and holds these words, and nothing else."""
    assert end.code == code, end.err
    assert end.out == ""
    assert "Traceback" not in end.err
    assert "a bug" not in end.err
    assert len(end.err.splitlines()) == 1, end.err
    for words in said:
        assert words in end.err
    assert KEY not in end.err
    assert PHRASE not in end.err


# -- what is wrong before any request ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "arguments", "environment", "code", "said"),
    [
        ("provider: openai", [], {}, 1, "OPENAI_API_KEY"),
        ("provider: azure, data_url: https://lamp.openai.azure.com", [], {"VSSYNC_API_KEY": KEY}, 1, "com/openai/v1"),
        ("provider: azure, data_url: https://lamp.openai.azure.com/openai/v1", [], {}, 1, "AZURE_OPENAI_API_KEY"),
        ("provider: openai", [], {"OPENAI_API_KEY": f"{KEY} \u201d"}, 1, "OPENAI_API_KEY: holds a character"),
        ("provider: oci, region: us-chicago-1", [], {"VSSYNC_API_KEY": KEY}, 1, "service.project: missing"),
        (f"provider: oci, project: {PROJECT}", [], {"VSSYNC_API_KEY": KEY}, 1, "service.region: missing"),
        (OCI, ["--region", "chicago"], {"VSSYNC_API_KEY": KEY}, 64, "us-chicago-1"),
        (OCI, ["--auth", "api_key"], {"VSSYNC_API_KEY": KEY}, 64, "two things"),
        ("provider: compatible, data_url: https://evil.example/v1", [], {"VSSYNC_API_KEY": KEY}, 1, "--allow-host"),
        ("provider: compatible, data_url: http://evil.example/v1", [], {"VSSYNC_API_KEY": KEY}, 1, "--allow-http"),
        ("provider: compatible, data_url: http://127.0.0.1:9/v1", ["--limits", "x=1"], {}, 64, "--limits x=1"),
        ("provider: openai", [], {"OPENAI_API_KEY": KEY, "SSL_CERT_FILE": "/nowhere.pem"}, 64, "SSL_CERT_FILE"),
        ("provider: openai", [], {"OPENAI_API_KEY": KEY, "HTTPS_PROXY": f"ftp://me:{KEY}@p"}, 64, "HTTPS_PROXY"),
    ],
)
def test_before_any_request(
    tmp_path: Path, *, service: str, arguments: list[str], environment: dict[str, str], code: int, said: str
) -> None:
    one_message(vssync(manifest(tmp_path, service), "plan", *arguments, **environment), code, said)


def test_a_name_where_a_url_belongs(tmp_path: Path) -> None:
    end = vssync(manifest(tmp_path, "provider: azur, data_url: lamp"), "plan")
    assert (end.code, end.out) == (1, "")
    assert "did you mean `azure`?" in end.err
    assert "allowed: a URL that begins with https://, such as https://" in end.err


def test_the_oci_extra_is_not_installed(tmp_path: Path) -> None:
    (tmp_path / "stub/oci").mkdir(parents=True)
    (tmp_path / "stub/oci/__init__.py").write_text("raise ImportError('no oci here')\n")
    end = started(manifest(tmp_path, OCI), "plan", PYTHONPATH=str(tmp_path / "stub"))
    one_message(end, 1, "pip install 'vssync[oci]', or use a bearer key (--auth bearer)")


USUAL = section()
LOCKED = {"locked.pem": pem(rsa(), PHRASE)}


@pytest.mark.oci
@pytest.mark.parametrize(
    ("profile", "files", "environment", "arguments", "said"),
    [
        (section(key_file="~/.oci/none.pem"), {}, {}, [], "No such file"),
        (section(key_file="~/.oci"), {}, {}, [], "key_file"),
        (section(key_file="~/.oci/text.pem"), {"text.pem": KEY}, {}, [], "not a private key"),
        (section(key_file="~/.oci/locked.pem"), LOCKED, {}, [], "needs a passphrase"),
        (
            section(key_file="~/.oci/locked.pem"),
            LOCKED,
            {"OCI_CLI_PASSPHRASE": KEY},
            [],
            "none of the given passphrases",
        ),
        (section(key_file="~/.oci/locked.pem", pass_phrase=KEY), LOCKED, {}, [], "none of the given passphrases"),
        (USUAL, {}, {}, ["--profile", "ELSEWHERE"], "profile 'ELSEWHERE'"),
        (
            section(security_token_file="~/.oci/token"),
            {"token": token(expires=PAST)},
            {},
            [],
            "oci session refresh",
        ),
    ],
)
def test_oci_profiles_and_keys(
    tmp_path: Path,
    *,
    profile: Mapping[str, str],
    files: Mapping[str, bytes | str],
    environment: dict[str, str],
    arguments: list[str],
    said: str,
) -> None:
    home = write_home(tmp_path / "home", {"DEFAULT": profile}, files)
    end = vssync(manifest(tmp_path, OCI), "plan", *arguments, **home, **environment)
    one_message(end, 1, said)


@pytest.mark.oci
def test_no_oci_configuration_at_all(tmp_path: Path) -> None:
    one_message(vssync(manifest(tmp_path, OCI), "plan", HOME=str(tmp_path)), 1, "oci setup config")


# -- what a service answers ----------------------------------------------------------------------------------


def test_a_wrong_key(tmp_path: Path) -> None:
    with open_service(tmp_path / "live", options=LocalOptions(api_key="right")) as service, serving(service) as url:
        end = vssync(manifest(tmp_path, f"provider: openai, data_url: '{url}'"), "plan", OPENAI_API_KEY=KEY)
    one_message(end, 1, "401", "not accepted", "vssync doctor")


HTML = {"content-type": "text/html"}


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (Sent(200, "<html>Please log in</html>", HTML), "web page"),
        (Sent(403, "<html>Blocked by policy</html>", HTML), "web page"),
        (said(401, code="NotAuthenticated", message="The token has expired."), "expired"),
        (said(400, message="Invalid OpenAI project"), "service.project"),
        (said(404, code="NotAuthorizedOrNotFound", message="Authorization failed."), "vssync doctor"),
        (Sent(302, "", {"location": f"https://login.example/?k={KEY}"}), "redirect to login.example"),
        (said(200, surprise=True), "without `data`"),
        (said(429, error={"code": "insufficient_quota", "message": "You exceeded your quota."}), "billing"),
    ],
    ids=["web page", "blocked", "expired", "wrong region", "hidden", "redirect", "no listing", "quota"],
)
def test_an_answer_that_does_not_help(tmp_path: Path, sent: Sent, said: str) -> None:
    """The first request's answer is the end: nothing was written, and the message names the request."""
    with listening(lambda _: sent) as place:
        split = f"{OCI}, auth: bearer, data_url: '{place.url}', control_url: '{place.url}'"
        end = vssync(manifest(tmp_path, split), "plan", VSSYNC_API_KEY=KEY)
    one_message(end, 1, said)
    assert {got.headers["authorization"] for got in place.got} == {f"Bearer {KEY}"}


def test_a_listed_store_whose_files_are_hidden(tmp_path: Path) -> None:
    store = {"id": "vs_1", "name": "docs", "created_at": 1, "status": "completed"}

    def answer(got: Got) -> Sent:
        if "/vs_1/" in got.target:
            return said(404, code="NotAuthorizedOrNotFound", message="Authorization failed.")
        return said(data=[store], has_more=False)

    with listening(answer) as place:
        split = f"{OCI}, auth: bearer, data_url: '{place.url}', control_url: '{place.url}'"
        end = vssync(manifest(tmp_path, split), "plan", "--adopt", "--detailed-exitcode", VSSYNC_API_KEY=KEY)
    assert (end.code, end.err) == (2, "")
    assert "the service lists vs_1, but not its files" in " ".join(end.out.split())
    assert "1 store needs attention" in end.out


def test_a_certificate_nobody_vouches_for(tmp_path: Path) -> None:
    with listening(lambda _: said(data=[]), self_signed(tmp_path)) as place:
        end = vssync(manifest(tmp_path, f"provider: openai, data_url: '{place.url}'"), "plan", OPENAI_API_KEY=KEY)
    one_message(end, 1, "certificate is not trusted", "SSL_CERT_FILE")
    assert place.got == []


# -- the log -------------------------------------------------------------------------------------------------


def test_the_log_goes_where_it_was_told_to_without_secrets(tmp_path: Path) -> None:
    with open_service(tmp_path / "live", options=LocalOptions(api_key=KEY)) as service, serving(service) as url:
        folder = manifest(tmp_path, f"provider: openai, data_url: '{url}'")
        quiet = vssync(folder, "plan", OPENAI_API_KEY=KEY)
        loud = vssync(folder, "plan", "-vv", "--log-file", "requests.log", OPENAI_API_KEY=KEY)
    assert (quiet.code, quiet.err, loud.out) == (0, "", quiet.out)
    assert "GET /v1/vector_stores 200" in loud.err
    log = folder / "requests.log"
    assert "INFO" in log.read_text()
    assert log.read_text().count("GET /v1/vector_stores 200") == 1
    assert KEY not in log.read_text() + loud.err
    assert log.stat().st_mode & 0o077 == 0


def test_a_log_that_cannot_be_written_is_wrong_usage(tmp_path: Path) -> None:
    end = vssync(manifest(tmp_path, "provider: local"), "plan", "--log-file", "none/requests.log")
    assert end.code == 64
    assert "none/requests.log" in end.err


def test_doctor_says_it_all_and_exits_with_1(tmp_path: Path) -> None:
    with open_service(tmp_path / "live", options=LocalOptions(api_key="right")) as service, serving(service) as url:
        end = vssync(manifest(tmp_path, f"provider: openai, data_url: '{url}'"), "doctor", OPENAI_API_KEY=KEY)
    assert end.code == 1
    assert "failed   credential" in end.out
    assert KEY not in end.out + end.err


def test_doctor_gives_it_all_to_a_program_in_one_document(tmp_path: Path) -> None:
    with open_service(tmp_path / "live", options=LocalOptions(api_key="right")) as service, serving(service) as url:
        folder = manifest(tmp_path, f"provider: openai, data_url: '{url}'")
        wrong = vssync(folder, "doctor", "--format", "json", OPENAI_API_KEY=KEY)
        right = vssync(folder, "doctor", "--format", "json", "--probe", "--yes", OPENAI_API_KEY="right")
    assert (wrong.code, right.code, wrong.err) == (1, 0, "")
    assert "removes everything again" in right.err
    assert KEY not in wrong.out
    found, well = json.loads(wrong.out), json.loads(right.out)
    assert (found["complete"], found["owner"], found["provider"]) == (True, "shelf", "openai")
    assert (found["capabilities"], well["capabilities"]["attributes"]) == (None, True)
    denied = next(finding for finding in found["findings"] if finding["status"] == "failed")
    assert (denied["check"], "401" in denied["text"], denied["way_out"]) == ("credential", True, [])
    assert {finding["status"] for finding in well["findings"]} == {"ok"}


def test_doctor_prints_what_to_commit(tmp_path: Path) -> None:
    options = LocalOptions(dialect=parse_dialect("local,lists-batches=off"))
    with open_service(tmp_path / "live", options=options) as service, serving(service) as url:
        folder = manifest(tmp_path, f"provider: compatible, data_url: '{url}'")
        end = vssync(folder, "doctor", "--probe", "--yes")
        assert end.code == 0
        lines = "list_batches: false\n    shares_chunks: false\n    updates_reach_search: true\n"
        assert f"  capabilities:\n    {lines}" in end.out
        assert end.out.endswith("\n\n  vssync serve --provider local,lists-batches=off\n")
        capabilities = "{list_batches: false, shares_chunks: false, updates_reach_search: true}"
        manifest(tmp_path, f"provider: compatible, data_url: '{url}', capabilities: {capabilities}")
        assert "\nCapabilities: as the manifest says.\n" in vssync(folder, "doctor", "--probe", "--yes").out


# -- names that no disk takes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        *("validate -f NAME", "validate -f NAME/x", "plan -f NAME", "init -f NAME", "show NAME", "apply NAME"),
        *("dump --store x -o NAME", "plan --out NAME", "doctor -o NAME", "serve --data NAME --port 0"),
        *("plan --log-file NAME", "validate -f loop", "init -f loop/x"),
    ],
)
def test_a_name_that_cannot_be_used_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    monkeypatch.chdir(manifest(tmp_path, "provider: local"))
    (tmp_path / "loop").symlink_to("loop")
    arguments = words.replace("NAME", "n" * 300).split()
    code = process.run_command(lambda: cli.main(arguments, prog_name="vssync", standalone_mode=False))
    said = capsys.readouterr().err
    assert (code in (process.ERROR, process.USAGE, process.REFUSED), "a bug" in said) == (True, False), said
    assert re.search(r"nnn|loop", said)
