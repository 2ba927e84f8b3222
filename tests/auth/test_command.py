"""Tokens that a command prints: when it runs, how often, and what each way to fail is called."""

from __future__ import annotations

import os
import shlex
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.auth.builders import PAST, listening, token
from vssync import auth
from vssync.auth.command import CommandCredential
from vssync.auth.credential import CredentialError
from vssync.endpoints import Caller, Endpoint, Sourced, resolve_endpoint
from vssync.errors import UsageProblem, VssyncError
from vssync.model.service import ServiceSpec
from vssync.providers import COMPATIBLE, AuthKind

URL = "https://localhost/v1"
SECRET = "hunter2"
# Prints the next line of its first argument, each time, and says on stderr that it ran.
TURNS = "import sys; f = open(sys.argv[1], 'r+'); t = f.read().split(); print(t[0]); f.seek(0); f.truncate()\n"
TURNS += "f.write(chr(10).join(t[1:] or t)); open(sys.argv[1] + '.runs', 'a').write('x')"


def endpoint(command: str, url: str = URL) -> Endpoint:
    return Endpoint(COMPATIBLE, url, url, {}, {}, AuthKind.BEARER, auth_command=Sourced(command, "--auth-command"))


def credential(command: str, url: str = URL, time_limit: float = 60.0, now: float = 0.0) -> CommandCredential:
    return CommandCredential(endpoint(command, url), os.environ, clock=lambda: now, time_limit=time_limit)


class Turns:
    """A command that prints these tokens in turn, then the last one for ever, and how often it ran."""

    def __init__(self, folder: Path, *tokens: str) -> None:
        self.file = folder / "tokens"
        self.file.write_text("\n".join(tokens))
        self.command = shlex.join([sys.executable, "-c", TURNS, str(self.file)])

    @property
    def runs(self) -> int:
        return len(Path(f"{self.file}.runs").read_text())


def sent_by(credential: httpx.Auth) -> str:
    flow = credential.auth_flow(httpx.Request("GET", f"{URL}/files"))
    return next(flow).headers["authorization"].removeprefix("Bearer ")


# -- when it runs


@pytest.mark.parametrize(
    ("tokens", "statuses", "sent", "runs"),
    [
        (["a"], [200, 200], ["a", "a"], 1),  # opaque: until it is refused
        (["a", "b"], [401, 200, 200], ["a", "b", "b"], 2),
        (["a", "a"], [401, 200], ["a", "a"], 2),  # the same again is not sent again
        (["a", "b", "c"], [200, 401, 401], ["a", "a", "b"], 2),  # one renewal for a request
    ],
)
def test_it_runs_again_after_a_refusal(
    tmp_path: Path, tokens: list[str], statuses: list[int], sent: list[str], runs: int
) -> None:
    turns = Turns(tmp_path, *tokens)
    with listening() as service:
        service.statuses = statuses.copy()
        with httpx.Client(auth=credential(turns.command, service.url)) as client:
            while len(service.seen) < len(sent):
                client.post(f"{service.url}/files", files={"file": ("a.md", BytesIO(b"hello"))})
    assert [got.headers["authorization"] for got in service.seen] == [f"Bearer {token}" for token in sent]
    assert all(b"\r\n\r\nhello\r\n" in got.body for got in service.seen)  # the whole upload, each time
    assert turns.runs == runs


@pytest.mark.parametrize(
    ("lifetime", "after", "runs"),
    [(3600, 3539, 1), (3600, 3540, 2), (3600, 9000, 2), (40, 19, 1), (40, 20, 2), (None, 1e12, 1)],
)
def test_it_runs_again_before_the_token_expires(tmp_path: Path, lifetime: int | None, after: float, runs: int) -> None:
    tokens = ["opaque"] if lifetime is None else [token("a", lifetime), token("b", 10**11)]
    turns, now = Turns(tmp_path, *tokens), [0.0]
    printed = CommandCredential(endpoint(turns.command), os.environ, clock=lambda: now[0])
    assert sent_by(printed) == tokens[0]
    now[0] = after
    assert sent_by(printed) == tokens[runs - 1]
    assert turns.runs == runs


def in_threads(count: int, work: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


@pytest.mark.parametrize("second", ["b", "a"])
def test_threads_that_are_refused_together_run_it_once(tmp_path: Path, second: str) -> None:
    turns = Turns(tmp_path, "a", second, "c")
    printed, refused, sent = credential(turns.command), threading.Barrier(8), list[str]()

    def work() -> None:
        request = httpx.Request("GET", f"{URL}/files")
        flow = printed.auth_flow(request)
        next(flow)
        refused.wait(60)
        with suppress(StopIteration):
            sent.append(flow.send(httpx.Response(401, request=request)).headers["authorization"])

    in_threads(8, work)
    assert turns.runs == 2
    assert sent == (["Bearer b"] * 8 if second == "b" else [])


def test_threads_that_wait_for_a_command_that_fails_do_not_each_run_it(tmp_path: Path) -> None:
    turns = Turns(tmp_path, "a", "not'a'token", "c")
    printed, refused, failures = credential(turns.command), threading.Barrier(8), list[str]()

    def work() -> None:
        request = httpx.Request("GET", f"{URL}/files")
        flow = printed.auth_flow(request)
        next(flow)
        refused.wait(60)
        with pytest.raises(CredentialError) as caught:
            flow.send(httpx.Response(401, request=request))
        failures.append(str(caught.value))

    in_threads(8, work)
    assert (turns.runs, len(failures), len(set(failures))) == (2, 8, 1)


# -- how it runs, and how it fails


def test_no_shell_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VSSYNC_TEST_WORD", "filled-in")
    command = f"printf %s $VSSYNC_TEST_WORD;touch {tmp_path}/made"
    with pytest.raises(CredentialError):
        credential(command)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 3", "ended with exit code 3: it wrote nothing to stderr; run it by hand"),
        ("echo first >&2; echo 'sign in first' >&2; echo ' ' >&2; exit 1", "ended with exit code 1: sign in first"),
        ("kill -9 $$", "was ended by signal 9"),
        ("true", "printed nothing"),
        ("echo; echo ' '; printf '\\302\\240'", "printed nothing"),  # a no-break space
        ("echo a; echo b", "printed 2 lines"),
        ('echo \'{"accessToken": "x"}\'', "printed a character that no token has"),
        ("echo Bearer x", "printed a character that no token has"),
        (f"echo {token(expires=PAST)}", "printed a token that expired at 2000-01-01 00:00 UTC"),
        ("echo a; exec sleep 100", "took longer than 0.4 s, and was ended"),
        ("sleep 100 & sleep 100", "took longer than 0.4 s, and was ended"),
        ("exec yes", "printed more than 64.0 KB, and was ended"),
        ("read line; echo $line", "printed nothing"),  # it has no input to wait for
    ],
)
def test_each_failure_is_one_sentence(script: str, words: str) -> None:
    seconds = 0.4 if "0.4" in words else 60.0
    with pytest.raises(CredentialError) as caught:
        credential(shlex.join(["sh", "-c", script]), time_limit=seconds, now=1e9)
    assert str(caught.value).startswith(f"auth command `sh` of --auth-command: {words}")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "leaked",
    [
        f"Authorization: Bearer {SECRET}",
        f"client_secret={SECRET} is wrong",
        f'{{"password": "{SECRET}"}}',
        f"--token: {SECRET}",
        f"https://me:{SECRET}@vault.example",
        f"no such token {token(SECRET * 4)}",
        f"refused aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ{SECRET}",
        f"refused a/b+C/{SECRET}/aGVsbG8gd29y/bGQgaGVsbG8gd29ybGQ=",
    ],
)
def test_what_a_command_says_is_told_without_secrets(leaked: str) -> None:
    with pytest.raises(CredentialError) as caught:
        credential(shlex.join(["sh", "-c", 'echo "$0" >&2; exit 1', leaked]))
    message = str(caught.value)
    assert "***" in message
    assert SECRET not in message
    assert token(SECRET * 4).split(".")[1] not in message


def test_a_long_line_is_not_cut_inside_of_a_secret() -> None:
    with pytest.raises(CredentialError) as caught:
        credential(shlex.join(["sh", "-c", 'echo "$0" >&2; exit 1', f"{'x ' * 980}refused {SECRET * 9}"]))
    assert str(caught.value).endswith("x refused")


def test_a_child_that_keeps_the_output_open_does_not_hold_it_up() -> None:
    assert sent_by(credential("sh -c 'sleep 5 & echo a'")) == "a"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("no-such-program-here x", "cannot be run: no such program"),
        ("/etc/passwd", "cannot be run: Permission denied"),
    ],
)
def test_a_program_that_cannot_be_run(command: str, words: str) -> None:
    with pytest.raises(CredentialError, match=words):
        credential(command)


def test_quotes_that_are_not_closed_are_wrong_usage() -> None:
    with pytest.raises(UsageProblem, match="--auth-command: cannot be split"):
        credential("vault read 'secret")


def test_nothing_shows_the_token_or_the_arguments() -> None:
    printed = auth.create_credential(endpoint(f"printf {SECRET}"), os.environ)
    assert printed
    assert sent_by(printed) == SECRET
    assert repr(printed) == "<CommandCredential: token printed by `printf` of --auth-command>"
    assert SECRET not in repr(endpoint(f"printf {SECRET}"))
    assert SECRET not in repr(Caller(auth_command=f"printf {SECRET}"))


# -- whose word counts


@pytest.mark.parametrize(
    ("provider", "flag", "environment", "written", "expected"),
    [
        ("compatible", "x", {}, {}, ("x", AuthKind.BEARER)),
        ("compatible", "", {"VSSYNC_AUTH_COMMAND": "y"}, {}, ("y", AuthKind.BEARER)),
        ("compatible", "x", {"VSSYNC_AUTH_COMMAND": "y", "VSSYNC_API_KEY": "k"}, {}, ("x", AuthKind.BEARER)),
        ("compatible", "", {"VSSYNC_AUTH_COMMAND": " "}, {}, ("", AuthKind.NONE)),
        ("oci", "x", {}, {"profile": "P"}, ("x", AuthKind.BEARER)),
        ("oci", "", {"VSSYNC_AUTH_COMMAND": "y"}, {"profile": "P"}, ("y", AuthKind.SIGNING_KEY)),  # a profile is named
        ("oci", "x", {}, {"control_auth": "signing_key"}, ("x", AuthKind.BEARER)),
        ("oci", "", {"VSSYNC_AUTH_COMMAND": "y"}, {"auth": "signing_key"}, ("y", AuthKind.SIGNING_KEY)),
    ],
)
def test_the_flag_comes_before_the_variable_and_both_before_a_key(
    provider: str, flag: str, environment: dict[str, str], written: dict[str, Any], expected: tuple[str, AuthKind]
) -> None:
    spec = replace(ServiceSpec(provider, "us-chicago-1", "p", "c", "http://localhost:1/v1"), **written)
    found = resolve_endpoint(spec, Caller(auth_command=flag, allow_hosts=("localhost",)), environment)
    assert (found.auth_command.value, found.auth) == expected


def test_a_flag_that_would_not_be_used_is_refused() -> None:
    spec = ServiceSpec("oci", "us-chicago-1", "p", "c", auth="signing_key")
    with pytest.raises(VssyncError, match="--auth-command: prints a bearer token") as caught:
        resolve_endpoint(spec, Caller(auth_command=f"x {SECRET}"), {})
    assert SECRET not in str(caught.value)
