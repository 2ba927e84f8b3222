"""The signing flow around a signer that is not OCI's: what is signed, and how a refusal is met."""

from __future__ import annotations

import base64
import hashlib
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from vssync.auth.credential import CredentialError
from vssync.auth.signed import SignableRequest, Signer, SigningCredential
from vssync.endpoints import Endpoint
from vssync.errors import AccessDenied
from vssync.providers import OCI, AuthKind

URL = "https://localhost/openai/v1"
ENDPOINT = Endpoint(OCI, URL, URL, {}, {}, AuthKind.SIGNING_KEY)


def signer(name: str = "first") -> Signer:
    def sign(outgoing: SignableRequest) -> None:
        outgoing.headers["authorization"] = name

    return sign


def signed(
    renew: Callable[[], Signer] | None = None, sign: Signer | None = None, clock: Callable[[], float] = lambda: 0.0
) -> SigningCredential:
    return SigningCredential(ENDPOINT, "nobody", sign or signer(), renew, clock=clock)


def request(method: str = "GET", path: str = "/files", **body: Any) -> httpx.Request:
    return httpx.Request(method, URL + path, **body)


def refuse(sent: httpx.Request, **headers: str) -> httpx.Response:
    return httpx.Response(401, headers=headers, request=sent)


def test_a_signer_gets_the_request_as_it_will_be_sent() -> None:
    received: list[SignableRequest] = []

    def sign(outgoing: SignableRequest) -> None:
        received.append(outgoing)
        outgoing.headers |= {"authorization": "x", "content-type": outgoing.headers.get("content-type", "guessed")}

    sent = next(signed(sign=sign).auth_flow(request("GET", "/files?after=a%20b&limit=2")))
    assert (received[0].method, received[0].path_url) == ("GET", "/openai/v1/files?after=a%20b&limit=2")
    assert received[0].url == str(sent.url)
    assert sent.headers["date"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert "content-type" not in sent.headers  # not signed, so not sent


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_the_digest_is_of_the_body(method: str) -> None:
    sent = next(signed().auth_flow(request(method, json={"name": "é"})))
    expected = base64.b64encode(hashlib.sha256(sent.content).digest()).decode()
    assert sent.headers["x-content-sha256"] == expected


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD"])
def test_without_a_body_there_is_no_digest(method: str) -> None:
    assert "x-content-sha256" not in next(signed().auth_flow(request(method))).headers


def test_a_large_upload_is_signed_without_holding_it(tmp_path: Path) -> None:
    size = 64 * 2**20
    (tmp_path / "big").write_bytes(b"")
    with (tmp_path / "big").open("r+b") as big:
        big.truncate(size)
        sending = request("POST", files={"file": ("big.txt", big, "text/plain")}, data={"purpose": "assistants"})
        tracemalloc.start()
        sent = next(signed().auth_flow(sending))
        received = hashlib.sha256()
        assert isinstance(sent.stream, httpx.SyncByteStream)
        for chunk in sent.stream:
            received.update(chunk)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert sent.headers["x-content-sha256"] == base64.b64encode(received.digest()).decode()
    assert int(sent.headers["content-length"]) > size
    assert peak < size / 16


def test_an_accepted_request_is_sent_once() -> None:
    flow = signed(renew=lambda: pytest.fail("renewed")).auth_flow(request())
    next(flow)
    with pytest.raises(StopIteration):
        flow.send(httpx.Response(200))


def test_a_refusal_is_final_where_nothing_can_be_renewed() -> None:
    flow = signed().auth_flow(request())
    sent = next(flow)
    with pytest.raises(StopIteration):
        flow.send(refuse(sent))


def test_a_refusal_renews_once_signs_anew_and_sends_once_more() -> None:
    now = iter([0.0, 1.0, 60.0])
    flow = signed(renew=lambda: signer("second"), clock=lambda: next(now)).auth_flow(request("POST", json={}))
    first = dict(next(flow).headers)
    again = flow.send(refuse(request(), date="Thu, 01 Jan 1970 00:00:00 GMT"))
    assert (first["authorization"], again.headers["authorization"]) == ("first", "second")
    assert (first["date"], again.headers["date"]) == ("Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 00:01:00 GMT")
    assert again.headers["x-content-sha256"] == first["x-content-sha256"]
    with pytest.raises(StopIteration):
        flow.send(refuse(again))  # the second refusal is the answer


def test_a_retry_of_the_same_request_is_signed_anew() -> None:
    now = iter([0.0, 60.0])
    credential, same = signed(clock=lambda: next(now)), request()
    dates = [next(credential.auth_flow(same)).headers["date"] for _ in range(2)]
    assert dates == ["Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 1970 00:01:00 GMT"]


def test_what_renewal_says_reaches_the_caller() -> None:
    def renew() -> Signer:
        raise CredentialError("session expired")

    flow = signed(renew).auth_flow(request())
    sent = next(flow)
    with pytest.raises(CredentialError, match="session expired"):
        flow.send(refuse(sent))


def test_all_who_were_refused_together_share_one_renewal() -> None:
    """Every request is on its way before any is refused; a lock held meanwhile would keep the others from starting."""
    renewals: list[str] = []
    together = threading.Barrier(8, timeout=60)

    def renew() -> Signer:
        renewals.append("")
        return signer(f"renewal {len(renewals)}")

    def service(received: httpx.Request) -> httpx.Response:
        together.wait()
        return httpx.Response(401 if received.headers["authorization"] == "first" else 200)

    answers: list[tuple[int, str]] = []
    with httpx.Client(auth=signed(renew), transport=httpx.MockTransport(service)) as client:

        def ask() -> None:
            response = client.get(URL)
            answers.append((response.status_code, response.request.headers["authorization"]))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [(200, "renewal 1")] * 8


def test_a_later_refusal_renews_again() -> None:
    names = iter(["second", "third"])
    credential = signed(renew=lambda: signer(next(names)))
    used = []
    for _ in range(2):
        flow = credential.auth_flow(request())
        used.append(flow.send(refuse(next(flow))).headers["authorization"])
    assert used == ["second", "third"]


NOON = "Thu, 01 Jan 1970 12:00:00 GMT"


@pytest.mark.parametrize(
    ("ours", "date", "words"),
    [
        (12 * 3600 - 420, NOON, "clock: this machine's is 7 minutes behind the service's"),
        (12 * 3600 + 7200, NOON, "clock: this machine's is 120 minutes ahead of the service's"),
        (12 * 3600 - 300, NOON, ""),
        (12 * 3600 + 300, NOON, ""),
        (0, "", ""),
        (0, "yesterday", ""),
        (0, "Sat, 31 Jan 99999999 99:99:99 GMT", ""),
    ],
)
def test_a_wrong_clock_is_named_as_the_cause(ours: float, date: str, words: str) -> None:
    flow = signed(clock=lambda: ours).auth_flow(request("POST", "/vector_stores", json={}))
    refusal = refuse(next(flow), date=date, **{"opc-request-id": "r-1"})
    if not words:
        with pytest.raises(StopIteration):
            flow.send(refusal)
        return
    with pytest.raises(AccessDenied) as caught:
        flow.send(refusal)
    assert str(caught.value).startswith(words)
    assert "timedatectl" in str(caught.value)
    answer = caught.value.answer
    assert (answer.method, answer.path, answer.status, answer.request_id) == (
        "POST",
        "/openai/v1/vector_stores",
        401,
        "r-1",
    )


def test_another_address_gets_no_signature() -> None:
    with pytest.raises(CredentialError, match=r"evil\.com: not an address of this service"):
        next(signed().auth_flow(httpx.Request("GET", "https://evil.com/openai/v1")))
