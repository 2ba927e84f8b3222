"""Asks a forge's API: pages, rate limits, retries, and one kind of error, which names the way out."""

from __future__ import annotations

import json
import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import httpx

from vssync.api.connect import open_http
from vssync.api.http import read_bounded, url_path
from vssync.ci.forge import LABEL_PREFIX, MAX_COMMITS, Forge, Job, Label, PullRequest, Severity
from vssync.errors import ForgeDenied, ForgeError
from vssync.text import escape_control, shorten_middle

log = logging.getLogger(__name__)
PER_PAGE = 100  # the most that GitHub and GitLab give
_MAX_PAGES = 50
_ATTEMPTS = 4
_LONGEST_WAIT = 60.0  # seconds; a job that waits longer for a rate limit had better end and say when to come back
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_MAX_BYTES, _MAX_SECONDS = 32 << 20, 120.0


class RestApi:
    """One forge's API with one token.

    `way_out` says what to do about a request refused for lack of `{needs}`; `update` is the method that changes.
    """

    def __init__(self, job: Job, url: str, headers: Mapping[str, str], way_out: str, update: str) -> None:
        self._clock = job.clock
        self._url = httpx.URL(url.rstrip("/"))
        self._headers = headers
        self._way_out = way_out
        self._update = update
        self._http, _ = open_http((url,), transport=job.transport)

    def get(self, path: str, needs: str) -> dict[str, Any]:
        """The object that a GET answers. Raises ForgeError."""
        return self._object(self._request("GET", self._url_of(path), needs))

    def update(self, path: str, needs: str, **fields: str) -> dict[str, Any]:
        """Changes an object; what it is now. Raises ForgeError."""
        return self._object(self._request(self._update, self._url_of(path), needs, fields))

    def pages(self, path: str, needs: str, *, key: str = "", **params: str | int) -> Iterator[dict[str, Any]]:
        """The objects of a list, page by page; they are below `key` where the answer is an object.

        Raises ForgeError, also for a list that does not end.
        """
        url = self._url_of(path).copy_merge_params({**params, "per_page": PER_PAGE})
        for _ in range(_MAX_PAGES):
            response = self._request("GET", url, needs)
            body = self._parse(response)
            items = body.get(key) if key and isinstance(body, dict) else body
            if not isinstance(items, list):
                raise self._error(response, "is not a list", "check the address of the API")
            yield from (item for item in items if isinstance(item, dict))
            following = response.links.get("next", {}).get("url", "")
            if not following:
                return
            url = url.join(following)
            if (url.scheme, url.netloc) != (self._url.scheme, self._url.netloc):
                raise self._error(response, f"continues on another host, {url.host}", "check the forge's external URL")
        raise self._error(response, f"has more than {_MAX_PAGES * PER_PAGE:,} entries", "remove some")

    def put(self, find: Callable[[], str], lists: tuple[str, str], needs: str, **fields: str) -> dict[str, Any]:
        """Updates the object whose id `find` gives, or creates one; `lists` is where to create, and where it then is.

        It looks again when the object was deleted meanwhile, and after a lost reply, so that there are never two.
        Raises ForgeError.
        """
        collection, items = lists
        for attempt in range(1, _ATTEMPTS):
            id_ = find()
            try:
                if id_:
                    return self.update(items + url_path(id_), needs, **fields)
                return self._object(self._request("POST", self._url_of(collection), needs, fields))
            except ForgeError as error:
                is_gone = bool(id_) and error.status in (404, 410)
                if attempt == _ATTEMPTS - 1 or not (is_gone or error.status == 0 or error.status >= 500):
                    raise
                self._clock.sleep(2.0**attempt)
        raise AssertionError  # unreachable: the last attempt returns or raises

    def _url_of(self, path: str) -> httpx.URL:
        return httpx.URL(f"{self._url}{path}")

    def _request(
        self, method: str, url: httpx.URL, needs: str, body: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """A successful answer, after retries."""
        for attempt in range(1, _ATTEMPTS + 1):
            is_last = attempt == _ATTEMPTS
            try:
                response = self._attempt(method, url, body)
            except (httpx.RequestError, httpx.StreamError, UnicodeError) as cause:
                was_sent = not isinstance(cause, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)
                if is_last or (method == "POST" and was_sent):
                    reason = escape_control(str(cause) or type(cause).__name__)
                    message = f"{url.host}: {method} {url.path}: no answer: {reason}; run the job again"
                    raise ForgeError(message) from None
                self._clock.sleep(2.0 ** (attempt - 1))
                continue
            if response.is_success:
                return response
            limited = self._rate_limit_wait(response)
            is_repeatable = response.status_code >= 500 and method != "POST"
            wait = 2.0 ** (attempt - 1) if is_repeatable else limited
            if wait is None or wait > _LONGEST_WAIT or is_last:
                raise self._refusal(response, needs, limited)
            self._clock.sleep(wait)
        raise AssertionError  # unreachable: the last attempt returns or raises

    def _attempt(self, method: str, url: httpx.URL, body: Mapping[str, str] | None) -> httpx.Response:
        request = self._http.build_request(method, url, json=body, headers=self._headers, timeout=_TIMEOUT)
        started = self._clock.monotonic()
        response = read_bounded(
            self._http.send(request, stream=True), _MAX_BYTES, lambda: self._clock.monotonic() - started > _MAX_SECONDS
        )
        log.info("%s %s %d", method, url.path, response.status_code)
        return response

    def _rate_limit_wait(self, response: httpx.Response) -> float | None:
        """Seconds until a rate-limited request may be sent again; None for any other answer.

        GitHub's page "Rate limits for the REST API": 403 or 429; `retry-after`, else `x-ratelimit-reset` where
        nothing remains, else a minute. GitLab's "Rate limits": 429 with `Retry-After` and `RateLimit-Reset`.
        """
        headers = response.headers
        is_spent = "0" in (headers.get("x-ratelimit-remaining"), headers.get("ratelimit-remaining"))
        is_limited = is_spent or "retry-after" in headers or "rate limit" in _message(response).lower()
        if response.status_code != 429 and not (response.status_code == 403 and is_limited):
            return None
        with suppress(ValueError, KeyError):
            return max(1.0, float(headers["retry-after"]))
        with suppress(ValueError, KeyError):
            reset = float(headers.get("x-ratelimit-reset") or headers["ratelimit-reset"])
            return max(1.0, reset - self._clock.wall_time())
        return 60.0

    def _refusal(self, response: httpx.Response, needs: str, wait: float | None) -> ForgeError:
        status, message = response.status_code, _message(response)
        said = f'was answered {status} "{message}"' if message else f"was answered {status}"
        if wait is not None:
            with suppress(ValueError, OverflowError, OSError):
                back = datetime.fromtimestamp(self._clock.wall_time() + wait, UTC)
                return self._error(response, said, f"this rate limit ends at {back:%Y-%m-%d %H:%M} UTC; run it then")
        if response.is_redirect:
            target = shorten_middle(escape_control(response.headers.get("location", "")), 200)
            said = f"redirects to {target}, and a token does not follow"
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
        request = response.request
        return kind(f"{request.url.host}: {request.method} {request.url.path}: {said}; {way_out}", response.status_code)


class RestForge(Forge):
    """What GitHub and GitLab have in common."""

    _api: RestApi
    _author: tuple[str, str]  # where a comment or an issue says who wrote it

    @abstractmethod
    def _account(self) -> str:
        """Whose token this is, as `_author` says it."""

    @abstractmethod
    def _requests_with(self, commit: str) -> Iterable[dict[str, Any]]:
        """The merged requests with this commit, and maybe others."""

    @abstractmethod
    def _merge_commit(self, request: Mapping[str, Any]) -> str:
        """The commit that a request merged into the event's branch became there; empty for any other."""

    @abstractmethod
    def _describe(self, request: Mapping[str, Any]) -> PullRequest:
        """A request as a value."""

    def merged_pull_requests(self, commits: Iterable[str]) -> tuple[PullRequest, ...]:
        wanted = dict.fromkeys(filter(None, commits))
        asked = [*wanted][:MAX_COMMITS]
        if len(asked) < len(wanted):
            self.annotate(
                Severity.WARNING,
                f"of {len(wanted):,} commits only the newest {MAX_COMMITS} were asked for their labels",
            )
        found: dict[str, dict[str, Any]] = {}
        for commit in asked:
            for request in self._requests_with(commit):
                if self._merge_commit(request) in wanted:
                    found.setdefault(text_at(request, "id"), request)
        return tuple(map(self._describe, found.values()))

    def _own(self, items: Iterable[Mapping[str, Any]], marker: str, key: str) -> str:
        """The id of the first comment or issue that begins with the marker and that this account wrote, or empty.

        One that somebody else wrote, or copied, is left alone.
        """
        for item in items:
            text = text_at(item, "body") or text_at(item, "description")
            is_comment_or_issue = not item.get("pull_request") and not item.get("system")
            if text.startswith(marker) and is_comment_or_issue and text_at(item, *self._author) == self._account():
                return text_at(item, key)
        return ""


def own_labels(names: Iterable[str]) -> list[str]:
    """The labels that are for vssync."""
    return [name for name in names if name.casefold().startswith(LABEL_PREFIX)]


def label_set_by(name: str, act: Mapping[str, Any] | None, user: str, *, is_bot: bool) -> Label:
    """A label and the forge's record of the last time it was set, or why that proves nothing."""
    time = time_at(act, "created_at")
    if act is None:
        return Label(name, unknown="there is no record of who set it; remove it and set it again")
    if not user or time is None:
        return Label(name, unknown="whoever set it is gone; remove it and set it again")
    why = f"a bot set it, {user}, and whoever can push can make it do so; a person has to set it" if is_bot else ""
    return Label(name, user, time, why)


def _message(response: httpx.Response) -> str:
    """What an error says, on one line: GitHub's and GitLab's bodies have it in `message` or `error`."""
    body: Any = None
    with suppress(ValueError, RecursionError):
        body = json.loads(response.content)
    found = (body.get("message") or body.get("error")) if isinstance(body, dict) else None
    text = found if isinstance(found, str) else json.dumps(found) if found else ""
    return shorten_middle(escape_control(text), 300)


def dig(value: Any, *keys: str) -> Any:
    """What stands below these keys of an answer, or None."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text_at(value: Any, *keys: str) -> str:
    """The text, or the number as text, below these keys of an answer; empty if there is none."""
    found = dig(value, *keys)
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""


def time_at(value: Any, *keys: str) -> datetime | None:
    """The time below these keys of an answer, if it has one with a zone."""
    with suppress(ValueError):
        time = datetime.fromisoformat(text_at(value, *keys))
        return time if time.tzinfo else None
    return None
