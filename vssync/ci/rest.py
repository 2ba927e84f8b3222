"""Asks a forge's API: pages, rate limits, retries, and one kind of error, which names the way out."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, ClassVar

import httpx

from vssync.api.connect import open_http
from vssync.api.exchange import TRANSPORT_ERRORS, read_bounded
from vssync.api.http import url_path
from vssync.api.log import log_answer
from vssync.ci.forge import LABEL_PREFIX, MAX_COMMITS, Forge, Job, Label, PullRequest, Severity
from vssync.errors import ForgeDenied, ForgeError, UsageProblem
from vssync.render.markdown import clean_markdown, fit_markdown
from vssync.text import conceal, conceal_user, escape_control, replace_surrogates, shorten_middle

PER_PAGE = 100  # the most that GitHub and GitLab give
_MAX_PAGES = 50
_MAX_TITLE = 255
_BOT = re.compile(r"\[bot\]$|^(project|group)_\d+_bot")  # of GitHub's apps, and of GitLab's access tokens
_PROOFS = ("authorization", "private-token", "job-token")
_ATTEMPTS = 4
_LONGEST_WAIT = 60.0  # seconds; a job that waits longer for a rate limit had better end and say when to come back
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_MAX_BYTES, _MAX_SECONDS = 32 << 20, 120.0


@dataclass(frozen=True, slots=True)
class Kept:
    """One object to keep: how to find its id, and those of copies; where to create it, and where it then is."""

    find: Callable[[], Iterable[str]]
    collection: str
    items: str
    retire: Callable[[str], object]


class RestApi:
    """One forge's API with one token.

    `way_out` says what to do about a request refused for lack of `{needs}`; `update` is the method that changes.
    """

    def __init__(self, job: Job, url: str, headers: Mapping[str, str], way_out: str, update: str) -> None:
        if not re.match(r"https?://[\w.:\[\]-]+(/|$)", url):
            shown = escape_control(conceal_user(url))
            raise UsageProblem(f"`{shown}` is not the address of the forge's API; run this in one of its jobs")
        self._clock = job.clock
        self._url = httpx.URL(url.rstrip("/"))
        self._headers = headers
        proofs = (headers.get(name, "").removeprefix("Bearer ") for name in _PROOFS)
        self._token = next(filter(None, proofs), "")
        self._way_out = way_out
        self._update = update
        self._http, *_ = open_http((url,), transport=job.transport)

    def get(self, path: str, needs: str) -> dict[str, Any]:
        """The object that a GET answers. Raises ForgeError."""
        return self._object(self._request("GET", path, needs))

    def update(self, path: str, needs: str, fields: Mapping[str, str]) -> dict[str, Any]:
        """Changes an object; what it is now. Raises ForgeError."""
        return self._object(self._request(self._update, path, needs, fields))

    def pages(self, path: str, needs: str, *, key: str = "", **params: str | int) -> Iterator[dict[str, Any]]:
        """The objects of a list, page by page; they are below `key` where the answer is an object.

        Raises ForgeError, also for a list that does not end.
        """
        url = httpx.URL(f"{self._url}{path}", params={**params, "per_page": PER_PAGE})
        for _ in range(_MAX_PAGES):
            response = self._request("GET", url, needs)
            body = self._parse(response)
            items = body.get(key) if key and isinstance(body, dict) else body
            if not isinstance(items, list):
                raise self._error(response, "is not a list", "check the address of the API")
            yield from (item for item in items if isinstance(item, dict))
            if not (following := response.links.get("next", {}).get("url", "")):
                return
            try:
                url = url.join(following)
            except httpx.InvalidURL:
                raise self._error(response, "continues at no address", "check the forge's external URL") from None
            if (url.scheme, url.netloc) != (self._url.scheme, self._url.netloc):
                raise self._error(response, f"continues on another host, {url.host}", "check the forge's external URL")
        raise self._error(response, f"has more than {_MAX_PAGES * PER_PAGE:,} entries", "remove some")

    def delete(self, path: str, needs: str) -> None:
        """Deletes an object. Raises ForgeError."""
        self._request("DELETE", path, needs)

    def put(self, kept: Kept, needs: str, fields: Mapping[str, str]) -> dict[str, Any]:
        """Updates the first object that `kept` finds and retires the others, or creates one.

        It looks again when the object was deleted meanwhile, and after a create: a reply may be lost, and another run
        may have created one at the same time. Raises ForgeError.
        """
        attempt = 0
        while True:
            attempt += 1
            ids = list(kept.find())
            try:
                if not ids:
                    created = self._object(self._request("POST", kept.collection, needs, fields))
                    ids = list(kept.find())
                    if len(ids) < 2:
                        return created
                updated = self.update(kept.items + url_path(ids[0]), needs, fields)
                for extra in ids[1:]:
                    kept.retire(kept.items + url_path(extra))
                return updated
            except ForgeError as error:
                is_gone = bool(ids) and error.status in (404, 410)
                if attempt == _ATTEMPTS - 1 or not (is_gone or error.status == 0 or error.status >= 500):
                    raise
                self._clock.sleep(2.0**attempt)

    def _request(
        self, method: str, where: str | httpx.URL, needs: str, body: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """A successful answer, after retries; `where` is a path or a whole address."""
        url = httpx.URL(f"{self._url}{where}") if isinstance(where, str) else where
        attempt = 0
        while True:
            attempt += 1
            try:
                response = self._attempt(method, url, body)
            except TRANSPORT_ERRORS as cause:
                was_sent = not isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)
                if attempt == _ATTEMPTS or (method == "POST" and was_sent):
                    reason = escape_control(str(cause) or type(cause).__name__)
                    message = f"{url.host}: {method} {url.path}: no answer: {reason}; run the job again"
                    raise ForgeError(self._redact(message)) from None
                self._clock.sleep(2.0 ** (attempt - 1))
                continue
            if response.is_success:
                return response
            limited = self._rate_limit_wait(response)
            is_repeatable = response.status_code >= 500 and method != "POST"
            wait = 2.0 ** (attempt - 1) if is_repeatable else limited
            if wait is None or wait > _LONGEST_WAIT or attempt == _ATTEMPTS:
                raise self._refusal(response, needs, limited)
            self._clock.sleep(wait)

    def _attempt(self, method: str, url: httpx.URL, body: Mapping[str, str] | None) -> httpx.Response:
        request = self._http.build_request(method, url, json=body, headers=self._headers, timeout=_TIMEOUT)
        started = self._clock.monotonic()
        response = read_bounded(
            self._http.send(request, stream=True), _MAX_BYTES, lambda: self._clock.monotonic() - started > _MAX_SECONDS
        )
        log_answer(method, url.path, response.status_code, self._clock.monotonic() - started)
        return response

    def _rate_limit_wait(self, response: httpx.Response) -> float | None:
        """Seconds until a rate-limited request may be sent again; None for any other answer.

        GitHub's page "Rate limits for the REST API": 403 or 429; `retry-after`, else `x-ratelimit-reset` where
        nothing remains, else a minute. GitLab's "Rate limits": 429 with `Retry-After` and `RateLimit-Reset`.
        """
        headers = response.headers
        is_spent = "0" in (headers.get("x-ratelimit-remaining"), headers.get("ratelimit-remaining"))
        is_limited = is_spent or "retry-after" in headers or "rate limit" in self._message(response).lower()
        if response.status_code != 429 and not (response.status_code == 403 and is_limited):
            return None
        with suppress(ValueError, KeyError):
            return max(1.0, float(headers["retry-after"]))
        with suppress(ValueError, KeyError):
            reset = float(headers.get("x-ratelimit-reset") or headers["ratelimit-reset"])
            return max(1.0, reset - self._clock.wall_time())
        return 60.0

    def _refusal(self, response: httpx.Response, needs: str, wait: float | None) -> ForgeError:
        status, message = response.status_code, self._message(response)
        said = f'was answered {status} "{message}"' if message else f"was answered {status}"
        if wait is not None:
            with suppress(ValueError, OverflowError, OSError):
                back = datetime.fromtimestamp(self._clock.wall_time() + wait, UTC)
                return self._error(response, said, f"this rate limit ends at {back:%Y-%m-%d %H:%M} UTC; run it then")
        if response.is_redirect:
            location = re.split("[?#]", response.headers.get("location", ""))[0]  # the rest may be signed
            target = conceal_user(self._redact(escape_control(location)))
            said = f"redirects to {shorten_middle(target, 200)}, and a token does not follow"
            return self._error(response, said, "check the API's address, and whether the repository was renamed")
        if "locked" in message.lower():
            return self._error(response, said, "unlock the conversation, or read the job's summary", ForgeDenied)
        if status == 410:
            return self._error(response, said, "switch issues on in the repository's settings")
        if status in (401, 403, 404):
            way_out = self._way_out.format(needs=needs)
            hidden = "it does not exist, or the token may not see it: " if status == 404 else ""
            return self._error(response, said, hidden + way_out, ForgeDenied)
        return self._error(response, said, "run the job again" if status >= 500 else "see the forge's API reference")

    def _object(self, response: httpx.Response) -> dict[str, Any]:
        body = self._parse(response)
        if not isinstance(body, dict):
            raise self._error(response, "is not an object", "check the API's address")
        return body

    def _parse(self, response: httpx.Response) -> Any:
        try:
            return json.loads(response.content or b"null")
        except (ValueError, RecursionError):
            raise self._error(response, "is not JSON", "check the API's address") from None

    def _error(
        self, response: httpx.Response, said: str, way_out: str, kind: type[ForgeError] = ForgeError
    ) -> ForgeError:
        asked = f"{response.request.url.host}: {response.request.method} {response.request.url.path}"
        return kind(self._redact(f"{asked}: {said}; {way_out}"), response.status_code)

    def _redact(self, text: str) -> str:
        """Without the token, which some answer or pass on."""
        return conceal(text, [self._token])

    def _message(self, response: httpx.Response) -> str:
        """What an error says, on one line: GitHub's and GitLab's bodies have it in `message` or `error`."""
        text = ""
        with suppress(ValueError, RecursionError):
            body = json.loads(response.content)
            found = (body.get("message") or body.get("error")) if isinstance(body, dict) else None
            text = found if isinstance(found, str) else json.dumps(found) if found else ""
        return shorten_middle(self._redact(escape_control(text)), 300)


class RestForge(Forge):
    """What GitHub and GitLab have in common; `author` is where a comment or an issue says who wrote it."""

    _api: RestApi
    _repository: str
    _author: tuple[str, str]
    _comments: tuple[str, str]  # where a request's comments are made and listed, and where each of them then is
    _read_right: str
    _comment_right: str
    _issue_right: str
    _issue_number: str
    _issue_text: str
    _issue_query: ClassVar[Mapping[str, str]]
    _issue_closing: ClassVar[Mapping[str, str]]
    _max_text: int  # characters of a comment
    _requests: str  # where requests are
    _open_states: ClassVar[Collection[str]]
    _requests_with: str  # where the requests with a commit are listed
    _account = ""

    @abstractmethod
    def _merge_commit(self, request: Mapping[str, Any]) -> str:
        """The commit that a request merged into the event's branch became there; empty for any other."""

    @abstractmethod
    def _describe(self, request: Mapping[str, Any]) -> PullRequest:
        """A request as a value."""

    def pull_request(self, number: int) -> PullRequest:
        return self._describe(self._request(number))

    def is_open(self, number: int) -> bool:
        return text_at(self._request(number), "state") in self._open_states

    def _request(self, number: int) -> dict[str, Any]:
        return self._api.get(f"{self._repository}{self._requests}/{number}", self._read_right)

    def merged_pull_requests(self, commits: Iterable[str]) -> tuple[PullRequest, ...]:
        wanted = dict.fromkeys(filter(None, commits))
        if len(wanted) > MAX_COMMITS:
            asked = f"of {len(wanted):,} commits only the newest {MAX_COMMITS} were asked for their labels"
            self.annotate(Severity.WARNING, asked)
        found: dict[str, dict[str, Any]] = {}
        for commit in islice(wanted, MAX_COMMITS):
            path = self._repository + self._requests_with.format(url_path(commit))
            for request in self._api.pages(path, self._read_right):
                if self._merge_commit(request) in wanted:
                    found.setdefault(text_at(request, "id"), request)
        return tuple(map(self._describe, found.values()))

    def put_comment(self, number: int, marker: str, body: str) -> str:
        fields = {"body": self._fit(marker, body)}
        return text_at(self._api.put(self._kept_comment(number, marker), self._comment_right, fields), "html_url")

    def remove_comment(self, number: int, marker: str) -> None:
        kept = self._kept_comment(number, marker)
        for id_ in list(kept.find()):
            kept.retire(kept.items + url_path(id_))

    def _kept_comment(self, number: int, marker: str) -> Kept:
        listed, items = (self._repository + path.format(number) for path in self._comments)
        right = self._comment_right
        return Kept(
            lambda: self._own(self._api.pages(listed, right), marker, "id"),
            listed,
            items,
            lambda path: self._api.delete(path, right),
        )

    def put_issue(self, marker: str, title: str, body: str) -> str:
        issues = f"{self._repository}/issues"
        fields = {"title": escape_control(title)[:_MAX_TITLE], self._issue_text: self._fit(marker, body)}
        kept = Kept(lambda: self._own_issues(marker), issues, issues, self._close)
        issue = self._api.put(kept, self._issue_right, fields)
        return text_at(issue, "html_url") or text_at(issue, "web_url")

    def close_issue(self, marker: str) -> None:
        for number in list(self._own_issues(marker)):
            self._close(f"{self._repository}/issues{url_path(number)}")

    def _close(self, path: str) -> None:
        self._api.update(path, self._issue_right, self._issue_closing)

    def _own_issues(self, marker: str) -> Iterator[str]:
        issues = self._api.pages(f"{self._repository}/issues", self._issue_right, **self._issue_query)
        return self._own(issues, marker, self._issue_number)

    def _own(self, items: Iterable[Mapping[str, Any]], marker: str, key: str) -> Iterator[str]:
        """The ids of the comments or issues that begin with the marker and that this account wrote.

        One that somebody else wrote, or copied, is left alone.
        """
        for item in items:
            text = text_at(item, "body") or text_at(item, "description")
            is_comment_or_issue = not item.get("pull_request") and not item.get("system")
            if text.startswith(marker) and is_comment_or_issue and text_at(item, *self._author) == self._login():
                yield text_at(item, key)

    def _login(self) -> str:
        """The token's account, as the author of what it writes."""
        self._account = self._account or text_at(self._api.get("/user", self._comment_right), self._author[-1])
        return self._account

    def _fit(self, marker: str, body: str) -> str:
        text = clean_markdown(body if body.startswith(marker) else f"{marker}\n{body}")
        # A line that begins with a slash could be a quick action, which GitLab would carry out as the token's account.
        text = re.sub(r"(?m)^/", " /", text)
        return fit_markdown(text, self._max_text, f"Cut here: [the job]({self.event.job_url}) shows everything.")


def current_labels(
    names: Iterable[str], acts: Iterable[Mapping[str, Any]], user: tuple[str, str], pusher: str = ""
) -> tuple[Label, ...]:
    """Labels by the forge's records of the last time that each was set.

    `acts` are oldest first, `user` is where they say who did it, and `pusher` is who pushed last, if that is known.
    """
    last = {text_at(act, "label", "name"): act for act in acts}
    return tuple(_label(name, text_at(last.get(name), *user), last.get(name), pusher) for name in names)


def _label(name: str, user: str, act: Mapping[str, Any] | None, pusher: str) -> Label:
    time = time_at(act, "created_at")
    if act is None:
        why = "there is no record of who set it; remove it and set it again"
    elif not user or time is None:
        why = "whoever set it is gone; remove it and set it again"
    elif _BOT.search(user):
        why = f"a bot set it, {user}, and whoever can push can make it do so; a person has to set it"
    elif user == pusher:
        why = f"{user} set it, who pushed last; somebody else has to set it"
    else:
        return Label(name, user, time)
    return Label(name, set_at=time, unknown=why)


def own_labels(names: Iterable[str]) -> list[str]:
    """The labels that are for vssync."""
    return [name for name in names if name.casefold().startswith(LABEL_PREFIX)]


def dig(value: Any, *keys: str) -> Any:
    """What stands below these keys of an answer, or None."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text_at(value: Any, *keys: str) -> str:
    """The text, or the number as text, below these keys of an answer; empty if there is none."""
    found = dig(value, *keys)
    return replace_surrogates(str(found)) if isinstance(found, str | int) and not isinstance(found, bool) else ""


def number_at(value: Any, *keys: str) -> int:
    """The whole number below these keys of an answer; 0 if there is none."""
    text = text_at(value, *keys)
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else 0


def time_at(value: Any, *keys: str) -> datetime | None:
    """The time below these keys of an answer, if it has one with a zone."""
    with suppress(ValueError):
        time = datetime.fromisoformat(text_at(value, *keys))
        return time if time.tzinfo else None
    return None
