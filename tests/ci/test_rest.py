"""How requests end: limits, redirects, servers in trouble, lists without an end."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.ci.fake_forge import Trouble
from tests.ci.fake_github import REPOSITORY, FakeGitHub
from vssync.ci.forge import Job
from vssync.ci.rest import RestApi, number_at, text_at
from vssync.errors import ForgeDenied, ForgeError, UsageProblem

PULL = "/pulls/7"
SECONDARY = "You have exceeded a secondary rate limit."


def reset_in(seconds: float) -> dict[str, str]:
    return {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(round(4_000_000_000 + seconds))}


@pytest.fixture
def fake() -> FakeGitHub:
    fake = FakeGitHub()
    fake.open_pull(7, "mona", "kb", "b1")
    fake.clock.now = 4_000_000_000.0
    return fake


@pytest.mark.parametrize(
    ("trouble", "waits"),
    [
        ((429, "", {"retry-after": "7"}), [7.0]),
        ((403, SECONDARY, {"retry-after": "20"}), [20.0]),
        ((403, SECONDARY, {}), [60.0]),
        ((429, "", {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}), [60.0]),
        ((403, "API rate limit exceeded", reset_in(40)), [40.0]),
        ((429, "", {"ratelimit-remaining": "0", "ratelimit-reset": "4000000030"}), [30.0]),
        ((429, "", {"retry-after": "0"}), [1.0]),
        ((403, "API rate limit exceeded", reset_in(-5)), [1.0]),
        ((500, "", {}), [1.0]),
        ((503, "", {}), [1.0]),
        ((0, "", {}), [1.0]),
    ],
)
def test_a_short_wait_is_waited_out(
    fake: FakeGitHub, tmp_path: Path, trouble: tuple[int, str, dict[str, str]], waits: list[float]
) -> None:
    fake.troubles.append(Trouble("GET", PULL, *trouble))
    assert fake.open_job(tmp_path).pull_request(7).number == 7
    assert fake.clock.waits == waits


@pytest.mark.parametrize(
    ("status", "headers", "back"),
    [(403, reset_in(1_500), "2096-10-02 07:31"), (429, {"retry-after": "3600"}, "2096-10-02 08:06")],
)
def test_a_long_wait_is_told_with_the_time_to_come_back(
    fake: FakeGitHub, tmp_path: Path, status: int, headers: dict[str, str], back: str
) -> None:
    fake.troubles.append(Trouble("GET", PULL, status, "slow down", headers))
    with pytest.raises(ForgeError, match=f"this rate limit ends at {back} UTC; run it then"):
        fake.open_job(tmp_path).pull_request(7)
    assert fake.clock.waits == []


def test_a_rate_limited_write_is_sent_again(fake: FakeGitHub, tmp_path: Path) -> None:
    fake.troubles.append(Trouble("POST", "comments", 403, SECONDARY, {"retry-after": "9"}))
    fake.open_job(tmp_path).put_comment(7, "<!-- m -->", "x")
    assert len(fake.comments) == 1
    assert fake.clock.waits == [9.0]


@pytest.mark.parametrize("status", [0, 502])
def test_trouble_that_stays_ends_with_what_was_asked(fake: FakeGitHub, tmp_path: Path, status: int) -> None:
    fake.troubles += [Trouble("GET", PULL, status, "Bad gateway") for _ in range(9)]
    with pytest.raises(
        ForgeError, match=f"api.github.com: GET /repos/{REPOSITORY}/pulls/7: .*; run the job again$"
    ) as caught:
        fake.open_job(tmp_path).pull_request(7)
    assert "rate limit" not in str(caught.value)
    assert len(fake.troubles) == 5


def test_no_redirect_is_followed(fake: FakeGitHub, tmp_path: Path) -> None:
    fake.troubles.append(Trouble("GET", PULL, 301, "Moved", {"location": "https://evil.example/x"}))
    with pytest.raises(ForgeError, match=r"redirects to https://evil.example/x, .*whether the repository was renamed"):
        fake.open_job(tmp_path).pull_request(7)


def api_of(*answers: httpx.Response, fake: FakeGitHub) -> RestApi:
    rest = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        return (
            rest.pop(0)
            if len(rest) > 1
            else httpx.Response(rest[0].status_code, headers=rest[0].headers, content=rest[0].content)
        )

    job = Job({}, print, fake.clock, httpx.MockTransport(answer))
    return RestApi(job, "https://git.example.org/api", {}, "ask for `{needs}`", "PUT")


@pytest.mark.parametrize(
    ("headers", "content", "message"),
    [
        ({}, b"<html>sign in</html>", "is not JSON; check the API's address"),
        ({}, b'{"a": 1}', "is not a list"),
        ({}, b"[" * 100_000, "is not JSON"),
        ({"link": '<https://evil.example/api/x?page=2>; rel="next"'}, b"[]", "continues on another host, evil.example"),
        ({"link": '<https://git.example.org/api/x?page=2>; rel="next"'}, b"[]", "has more than 5,000 entries"),
        ({"link": '<//git.example:.org/x>; rel="next"'}, b"[]", "continues at no address"),
    ],
)
def test_lists_that_make_no_sense_are_errors(
    fake: FakeGitHub, headers: dict[str, str], content: bytes, message: str
) -> None:
    with pytest.raises(ForgeError) as caught:
        list(api_of(httpx.Response(200, headers=headers, content=content), fake=fake).pages("/x", "api"))
    assert message in str(caught.value)


@pytest.mark.parametrize("depth", [*range(850, 1_000, 5), 9_000])
def test_an_error_is_told_however_deep_it_is_nested(fake: FakeGitHub, depth: int) -> None:
    """What can just be read may be too deep to be written again."""
    body = b'{"message": ' + b"[" * depth + b"]" * depth + b"}"
    with pytest.raises(ForgeError, match="GET /api/x: was answered 400"):
        api_of(httpx.Response(400, content=body), fake=fake).get("/x", "api")


@pytest.mark.parametrize("location", ["httpx:y/c", "https://[", "//:.org/"])
def test_a_redirect_that_leads_nowhere_is_an_error(fake: FakeGitHub, location: str) -> None:
    with pytest.raises(ForgeError, match=r"GET /api/x: (no answer|redirects)"):
        api_of(httpx.Response(302, headers={"location": location}), fake=fake).get("/x", "api")


@pytest.mark.parametrize(
    ("odd", "number"),
    [("seven", 0), ("9" * 5_000, 0), ("-7", 0), ("٧", 0), (7.5, 0), (None, 0), (True, 0), ("7", 7), (7, 7)],
)
def test_what_is_no_number_is_none(odd: object, number: int) -> None:
    assert number_at({"number": odd}, "number") == number


@pytest.mark.parametrize(
    ("said", "text"), [("b\ud800é", "b?é"), (7, "7"), (True, ""), (None, ""), ([], ""), ({"a": 1}, "")]
)
def test_a_text_of_an_answer_can_stand_in_an_address(said: object, text: str) -> None:
    """JSON can hold half of a character, and an address cannot."""
    assert text_at({"head": {"ref": said}}, "head", "ref") == text


@pytest.mark.parametrize("content", [b"null", b"[]", b"", b"7"])
def test_an_answer_that_is_no_object_is_an_error(fake: FakeGitHub, content: bytes) -> None:
    with pytest.raises(ForgeError, match="is not an object"):
        api_of(httpx.Response(200, content=content), fake=fake).get("/x", "api")


@pytest.mark.parametrize(
    ("status", "content", "message"),
    [
        (401, b'{"message": "401 Unauthorized"}', 'answered 401 "401 Unauthorized"; ask for `api`'),
        (403, b'{"error": "insufficient_scope", "scope": "api"}', 'answered 403 "insufficient_scope"; ask for `api`'),
        (404, b"<html>", "answered 404; it does not exist, or the token may not see it: ask for `api`"),
        (400, b'{"message": {"note": ["is too long"]}}', 'answered 400 "{"note": ["is too long"]}"; see the forge'),
        (422, b'{"message": "bad\\u001b[31m"}', 'answered 422 "bad\\x1b[31m"; see the forge'),
    ],
)
def test_an_error_quotes_the_answer_and_names_the_way_out(
    fake: FakeGitHub, status: int, content: bytes, message: str
) -> None:
    with pytest.raises(ForgeError) as caught:
        api_of(httpx.Response(status, content=content), fake=fake).get("/x", "api")
    assert f"git.example.org: GET /api/x: was {message}" in str(caught.value)
    assert isinstance(caught.value, ForgeDenied) == (status in (401, 403, 404))


@pytest.mark.parametrize("token", ["ghs_job\n", " ghs_job", "ghs_job\r\n"])
def test_a_token_is_taken_without_the_line_end_it_was_pasted_with(fake: FakeGitHub, tmp_path: Path, token: str) -> None:
    assert fake.open_job(tmp_path, token=token).pull_request(7).number == 7


@pytest.mark.parametrize("token", ["ghs_secret\nghs_secret", "ghs_secret x", "ghs_secrét", "\u201cghs_secret\u201d"])
def test_what_can_be_no_token_is_named_and_not_shown(fake: FakeGitHub, tmp_path: Path, token: str) -> None:
    with pytest.raises(UsageProblem, match="GITHUB_TOKEN: holds a character") as caught:
        fake.open_job(tmp_path, token=token)
    assert "secr" not in str(caught.value)


@pytest.mark.parametrize(
    "trouble",
    [
        (422, "no such thing: ghs_job"),
        (401, "token ghs_job is expired"),
        (302, "", {"location": "https://elsewhere.example/ghs_job?token=ghs_job"}),
        (500, "Bearer ghs_job"),
    ],
)
def test_an_answer_that_repeats_the_token_is_told_without_it(
    fake: FakeGitHub, tmp_path: Path, trouble: tuple[int, str]
) -> None:
    fake.troubles += [Trouble("GET", PULL, *trouble)] * 4
    with pytest.raises(ForgeError) as caught:
        fake.open_job(tmp_path).pull_request(7)
    assert "***" in str(caught.value)
    assert "ghs_job" not in str(caught.value)
