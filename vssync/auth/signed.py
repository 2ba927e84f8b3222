"""Signs requests as OCI asks, around any signer with the call convention of the `oci` package.

Retries happen above this flow, so each attempt is signed anew with a fresh date. A lock guards signing and renewal,
which change a signer, and is never held while a request is under way.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections.abc import Callable
from email.utils import formatdate, parsedate_to_datetime

import httpx

from vssync.auth.credential import Credential, Flow
from vssync.endpoints import Endpoint
from vssync.errors import AccessDenied, Answer
from vssync.limits import CLOCK_SKEW

_WITH_BODY = ("POST", "PUT", "PATCH")


class SignableRequest:
    """A request in the shape a signer of the `oci` package reads and fills; `headers` are what it signs."""

    __slots__ = ("body", "headers", "method", "path_url", "url")

    def __init__(self, request: httpx.Request, digest: str, date: str) -> None:
        self.method = request.method
        self.url = str(request.url)
        self.path_url = request.url.raw_path.decode("ascii")
        self.body = None
        self.headers = {"date": date}
        if digest:
            self.headers["content-type"] = request.headers.get("content-type", "application/json")
            self.headers["content-length"] = request.headers["content-length"]
            self.headers["x-content-sha256"] = digest


Signer = Callable[..., object]  # takes a SignableRequest, or a request of that package's own


class SigningCredential(Credential):
    """Thread-safe. After a 401 `renew`, where there is one, gives a fresh signer, once for all who were refused."""

    def __init__(
        self,
        endpoint: Endpoint,
        identity: str,
        signer: Signer,
        renew: Callable[[], Signer] | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(endpoint, identity)
        self._signer = signer
        self._renew = renew
        self._clock = clock
        self._lock = threading.Lock()
        self._renewals = 0

    def authenticate(self, request: httpx.Request) -> Flow:
        """Signs and sends; after a 401 renews and sends again. Raises AccessDenied where a wrong clock explains it."""
        digest = body_digest(request)
        renewal = self._sign(request, digest)
        response = yield request
        if response.status_code != 401:
            return
        self._check_clock(response)
        if self._renew:
            with self._lock:
                if self._renewals == renewal:  # otherwise another thread has renewed it
                    self._signer = self._renew()
                    self._renewals += 1
            self._sign(request, digest)
            yield request

    def sign_in_place(self, request: object) -> None:
        """Signs a request of the `oci` package's own clients, in place."""
        with self._lock:
            self._signer(request)

    def _sign(self, request: httpx.Request, digest: str) -> int:
        """Signs in place; returns the number of renewals so far, which tells signers apart."""
        outgoing = SignableRequest(request, digest, formatdate(self._clock(), usegmt=True))
        names = ("authorization", *outgoing.headers)  # what a signer adds beyond these, it does not sign
        with self._lock:
            self._signer(outgoing)
            renewal = self._renewals
        request.headers.update({name: outgoing.headers[name] for name in names})
        return renewal

    def _check_clock(self, response: httpx.Response) -> None:
        try:
            behind = parsedate_to_datetime(response.headers.get("date", "")).timestamp() - self._clock()
        except (ValueError, OverflowError):
            return
        if abs(behind) <= CLOCK_SKEW:
            return
        request = response.request
        answer = Answer(request.method, request.url.path, 401, request_id=response.headers.get("opc-request-id", ""))
        raise AccessDenied(
            f"clock: this machine's is {abs(behind) / 60:,.0f} minutes {'behind' if behind > 0 else 'ahead of'} the "
            "service's, which refuses signatures that are more than 5 minutes off; set it, such as with "
            "`timedatectl set-ntp true`",
            answer,
        )


def body_digest(request: httpx.Request) -> str:
    """SHA-256 of the body as it will be sent, in base64; empty for a method that signs none.

    The body is read once here and once when it is sent, and never held in memory: JSON, bytes, a form, or files that
    can seek.
    """
    if request.method not in _WITH_BODY:
        return ""
    assert isinstance(request.stream, httpx.SyncByteStream)  # the client is a synchronous one
    digest = hashlib.sha256()
    for chunk in request.stream:
        digest.update(chunk)
    return base64.b64encode(digest.digest()).decode("ascii")
