"""Tokens that a command prints: the command line of a cloud, a vault, a gateway.

The command comes from whoever runs vssync, never from a manifest, and no shell reads it. What it prints is a secret:
of its output only the last line of stderr enters a message, without what looks like one.
"""

from __future__ import annotations

import os
import re
import selectors
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import PurePath

import httpx

from vssync.auth.credential import Credential, CredentialError, Flow, token_expiry
from vssync.endpoints import Endpoint, Sourced
from vssync.text import format_elapsed, format_size, shorten_middle

TIME_LIMIT = 60.0  # seconds for a command to print its token
_EARLY = 60.0  # seconds before its expiry that a token is renewed
_MAX_OUTPUT = 64 << 10  # bytes of each stream
_POLL = 0.1  # seconds after which a command that has ended is noticed, though a child of it holds its output open
_MAX_LINE = 2000  # characters of stderr that are searched for secrets
_MAX_REASON = 200  # columns of stderr in a message
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1
_SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+\S+"), r"\1 ***"),
    (re.compile(r"(?i)(\w*(?:token|secret|password|passwd|api_?key)\w*[\"']?\s*[=:]\s*[\"']?)[^\s\"',;]+"), r"\1***"),
    (re.compile(r"(://)[^/\s@]+@"), r"\1***@"),
    (re.compile(r"(?=\S*[a-z])(?=\S*[A-Z])(?=\S*[0-9])[A-Za-z0-9+/=_~.-]{32,}"), "***"),  # base64, which has slashes
    (re.compile(r"(?=[A-Za-z_~+=-]*[0-9])[A-Za-z0-9_~+=-]{20,}(?:\.[A-Za-z0-9_~+=-]+)*"), "***"),
)


class CommandCredential(Credential):
    """Thread-safe. Sends the token that a command prints, which runs again before the token expires and after a 401.

    A failure stays one: threads that wait for the same token do not each run a command that fails.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        environment: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.time,
        time_limit: float = TIME_LIMIT,
    ) -> None:
        self._arguments = split_command(endpoint.auth_command)
        program = PurePath(self._arguments[0]).name  # only that: arguments may hold a secret
        self._name = f"`{program}` of {endpoint.auth_command.source}"
        super().__init__(endpoint, f"token printed by {self._name}")
        self._environment = environment
        self._clock = clock
        self._time_limit = time_limit
        self._lock = threading.Lock()
        self._failure = ""
        self._runs = 0
        self._renew_at = 0.0
        self._token = ""
        self._current()

    def authenticate(self, request: httpx.Request) -> Flow:
        """Adds the token; after a 401 adds the next one, where it is another, and sends again."""
        token, run = self._current()
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401:
            renewed, _ = self._current(after=run)
            if renewed != token:
                request.headers["Authorization"] = f"Bearer {renewed}"
                yield request

    def _current(self, after: int = 0) -> tuple[str, int]:
        """The token and the number of the run that printed it, which is a later run than `after`."""
        with self._lock:
            if not self._failure and (self._runs <= after or self._clock() >= self._renew_at):
                self._runs += 1
                try:
                    self._token, self._renew_at = self._fetch()
                except CredentialError as error:
                    self._failure = str(error)
            if self._failure:
                raise CredentialError(self._failure)
            return self._token, self._runs

    def _fetch(self) -> tuple[str, float]:
        """A new token, and when to ask for the next one, in seconds since the epoch."""
        token = self._read_token()
        now, expiry = self._clock(), token_expiry(token)
        if expiry is None:
            return token, float("inf")
        if expiry <= now:
            when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(expiry))
            raise self._error(f"printed a token that expired at {when}; sign in again, or set this machine's clock")
        return token, max(expiry - _EARLY, (now + expiry) / 2)  # a token that is always short-lived is used, too

    def _read_token(self) -> str:
        try:
            code, out, err = run_bounded(self._arguments, self._environment, self._time_limit)
        except TimeoutError as error:
            raise self._error(f"{error}, and was ended; it must print one token, and not wait for input") from None
        except OSError as error:
            reason = "no such program" if isinstance(error, FileNotFoundError) else error.strerror
            raise self._error(f"cannot be run: {reason}; name one on the PATH, or its whole path") from None
        if code:
            how = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
            raise self._error(f"{how}: {_last_line(err)}")
        lines = [*filter(None, map(str.strip, out.decode("utf-8", "replace").split("\n")))]
        if len(lines) == 1 and _TOKEN.fullmatch(lines[0]):
            return lines[0]
        what = f"{len(lines):,} lines" if lines[1:] else "a character that no token has, such as a quote"
        raise self._error(f"printed {what if lines else 'nothing'}; it must print one token and nothing else")

    def _error(self, problem: str) -> CredentialError:
        return CredentialError(f"auth command {self._name}: {problem}")


def split_command(command: Sourced) -> list[str]:
    """A command's program and arguments, as a shell splits them; nothing is filled in. Raises UsageProblem."""
    try:
        return shlex.split(command.value)
    except ValueError as error:
        raise command.error(f"cannot be split into words: {str(error).lower()}; check its quotes") from None


def run_bounded(arguments: list[str], environment: Mapping[str, str], seconds: float) -> tuple[int, bytes, bytes]:
    """A command's exit code, stdout and stderr. It has no terminal and no input.

    Raises OSError where it cannot be started, and TimeoutError where it takes longer or prints more than is sensible;
    it and its children are ended then.
    """
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(environment),
        start_new_session=True,
    )
    deadline, outputs, has_ended = time.monotonic() + seconds, (bytearray(), bytearray()), False
    with process, selectors.DefaultSelector() as selector:
        try:
            for pipe, output in zip((process.stdout, process.stderr), outputs, strict=True):
                assert pipe
                selector.register(pipe, selectors.EVENT_READ, output)
            while selector.get_map() and not has_ended:
                ready = selector.select(_POLL)
                for key, _ in ready:
                    part = os.read(key.fd, _MAX_OUTPUT)
                    key.data.extend(part)
                    if not part:
                        selector.unregister(key.fileobj)
                if max(map(len, outputs)) > _MAX_OUTPUT:
                    raise TimeoutError(f"printed more than {format_size(_MAX_OUTPUT)}")
                if time.monotonic() > deadline:
                    break
                has_ended = not ready and process.poll() is not None
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            has_ended = process.returncode is not None
            if not has_ended:
                raise TimeoutError(f"took longer than {format_elapsed(seconds)}")
        finally:
            if not has_ended:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, bytes(outputs[0]), bytes(outputs[1])


def _last_line(output: bytes) -> str:
    """The last line that a command wrote, without what looks like a secret."""
    line = next(filter(None, map(str.strip, reversed(output.decode("utf-8", "replace").split("\n")))), "")
    if len(line) > _MAX_LINE:  # at a space: half of a secret might not look like one
        line = line[:_MAX_LINE].rpartition(" ")[0]
    for pattern, replacement in _SECRETS:
        line = pattern.sub(replacement, line)
    return shorten_middle(line, _MAX_REASON) or "it wrote nothing to stderr; run it by hand to see why"
