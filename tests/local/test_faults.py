"""The grammar of faults, which requests a rule picks, and what each kind does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.local.client import Api, Clock, ids
from vssync.local.app import Service
from vssync.local.dialects import ErrorStyle, parse_dialect
from vssync.local.errors import OptionError
from vssync.local.faults.kind import FaultContext
from vssync.local.faults.rules import KINDS, parse_rule, with_faults
from vssync.local.transport import LocalTransport

Misbehaving = Callable[..., Api]


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ("", "unknown fault ''; use one of status, "),
        ("nonsense:POST", "nonsense:POST: unknown fault 'nonsense'"),
        ("status", "a value is missing; write status=CODE"),
        ("status=", "a value is missing; write status=CODE"),
        ("status=399", "'399' must be a whole number between 400 and 599"),
        ("status=600", "must be a whole number between 400 and 599"),
        ("status=4x0", "must be a whole number"),
        ("status=503,retry-after", "write retry-after=SECONDS"),
        ("status=503,after=1", "status takes no after; it takes status=CODE, retry-after=SECONDS"),
        ("reset-before=1", "reset-before takes no value; it takes nothing"),
        ("status=503:PUT", "'PUT' is not a method; use one of GET, POST, DELETE, or *"),
        ("status=503:GET:files", "'files' is not a path; it begins with /"),
        ("status=503:GET:/files:0", "'0' does not say which requests; write 3, 3+, 2-4 or 20%"),
        ("status=503:GET:/files:4-2", "'4-2' does not say which requests"),
        ("status=503:GET:/files:101%", "'101%' does not say which requests"),
        ("status=503:GET:/files:1:2", "'1:2' does not say which requests"),
    ],
)
def test_a_rule_that_makes_no_sense(rule: str, complaint: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_rule(rule)
    assert complaint in str(caught.value)
    assert str(caught.value).startswith(f"{rule}: ")


PIECES = st.sampled_from(
    [*KINDS, "=", ",", ":", "file", "value", "retry-after", "5", "503", "GET", "/files", "*", "3+", "%", "é", ""]
)


@given(st.lists(PIECES, max_size=8).map("".join) | st.text())
def test_any_text_is_a_rule_or_a_complaint_about_it(text: str) -> None:
    complaint = ""
    try:
        rule = parse_rule(text)
        rule.kind.new_action(FaultContext(), rule.settings)
    except OptionError as error:
        complaint = str(error)
    assert not complaint or complaint.startswith(f"{text}: ")


def statuses(api: Api, *requests: str) -> list[int]:
    return [api.http.request(*request.split()).status_code for request in requests]


@pytest.mark.parametrize(
    ("where", "hit"),
    [
        ("", "1111111"),
        (":*:*", "1111111"),
        (":GET", "1110111"),
        (":get:/files", "1010100"),
        ("::/files", "1011100"),
        (":GET:/vector_stores/*", "0100000"),
        (":GET:/vector_stores/**", "0100011"),
        (":GET:/**/files", "0000011"),
        (":GET::2", "0100000"),
        (":GET::2+", "0110111"),
        (":GET:/files:2-3", "0010100"),
        ("::/nothing", "0000000"),
    ],
)
def test_which_requests_a_rule_picks(misbehaving: Misbehaving, where: str, hit: str) -> None:
    api = misbehaving(f"status=418{where}")
    seen = statuses(
        api,
        "GET /files",
        "GET /vector_stores/vs_1",
        "GET /files?limit=1",
        "POST /files",
        "GET /files",
        "GET /vector_stores/vs_1/files",
        "GET /vector_stores/vs_1/file_batches/vsfb_1/files",
    )
    assert "".join("1" if status == 418 else "0" for status in seen) == hit


def test_a_share_falls_as_the_seed_says(misbehaving: Misbehaving) -> None:
    def falls(seed: int) -> list[int]:
        return statuses(misbehaving("status=500:::30%", seed=seed), *["GET /files"] * 100)

    assert falls(1) == falls(1)
    assert falls(1) != falls(2)
    assert 15 <= falls(1).count(500) <= 45


def test_the_first_rule_stands_nearest_to_the_client(misbehaving: Misbehaving) -> None:
    api = misbehaving("status=500:GET::1", "status=501:GET::1")
    assert statuses(api, "GET /files", "GET /files") == [500, 200]


def test_no_rules_no_wrapper(opened: Callable[..., Service]) -> None:
    service = opened()
    assert with_faults(service, []) is service


@pytest.mark.parametrize("status", [400, 401, 404, 409, 429, 500, 503, 599])
def test_a_status_without_and_with_effect(misbehaving: Misbehaving, status: int) -> None:
    api = misbehaving(f"status={status}:POST:/vector_stores:1", f"status-after={status},retry-after=7:POST::2")
    refused = api.http.post("/vector_stores", json={"name": "a"})
    assert (refused.status_code, refused.headers.get("retry-after")) == (status, None)
    assert not api.get("/vector_stores")["data"]
    done = api.http.post("/vector_stores", json={"name": "b"})
    assert (done.status_code, done.headers["retry-after"]) == (status, "7")
    kinds = {429: "requests", **dict.fromkeys((500, 503, 599), "server_error")}
    assert done.json()["error"]["type"] == kinds.get(status, "invalid_request_error")
    assert [store["name"] for store in api.get("/vector_stores")["data"]] == ["b"]


@pytest.mark.parametrize(
    ("rule", "stores", "error"),
    [
        ("reset-before", 0, httpx.ReadError),
        ("reset-after", 1, httpx.ReadError),
        ("lost-reply", 1, httpx.RemoteProtocolError),
        ("lost-reply=5", 1, httpx.RemoteProtocolError),
    ],
)
def test_a_cut_connection(misbehaving: Misbehaving, rule: str, stores: int, error: type[Exception]) -> None:
    api = misbehaving(f"{rule}:POST")
    with pytest.raises(error):
        api.http.post("/vector_stores", json={})
    assert len(api.get("/vector_stores")["data"]) == stores


def test_waiting(misbehaving: Misbehaving, naps: list[float]) -> None:
    api = misbehaving("delay=250:GET", "lost-reply=1500:POST")
    api.get("/files")
    with pytest.raises(httpx.RemoteProtocolError):
        api.http.post("/vector_stores", json={})
    assert naps == [0.25, 1.5]


def test_a_truncated_body(misbehaving: Misbehaving) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        misbehaving("truncated").http.get("/files")


def test_a_web_page_instead_of_json(misbehaving: Misbehaving) -> None:
    api = misbehaving("not-json:POST", "not-json,status=502:GET:/vector_stores:1")
    page = api.http.post("/vector_stores", json={})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html")
    assert api.http.get("/vector_stores").status_code == 502
    assert len(api.get("/vector_stores")["data"]) == 1


@pytest.mark.parametrize(
    ("shape", "part"),
    [
        (1, '{"code": "404"'),
        (2, '"message": "{\\"code\\": \\"404\\"'),
        (3, '{"error": {"code": "not_found"'),
        (4, "Status Code from provider: 422, Provider response: {"),
        (5, "upstream connect error"),
        (6, '{"detail": "'),
        (7, '{"detail": [{"loc": ["body", "file_id"], "msg": "'),
        (8, '{"detail": {"errors": [{"loc": '),
        (9, '{"error": {"detail": {"errors": [{"loc": '),
    ],
)
def test_shapes_of_errors(misbehaving: Misbehaving, shape: int, part: str) -> None:
    response = misbehaving(f"error-shape={shape}").http.get("/files/file-none")
    assert response.status_code == 404
    assert part in response.text
    assert misbehaving(f"error-shape={shape}").http.get("/files").status_code == 200


@pytest.mark.parametrize(
    ("provider", "rule", "path", "expected"),
    [
        ("openai", "status=429", "/v1/files", '"type": "requests", "param": null, "code": "rate_limit_exceeded"'),
        ("compatible", "status=429", "/v1/files", '{"error": {"message": "This 429 was asked for."}}'),
        ("oci", "status=429", "/openai/v1/files", '{"error": {"code": "rate_limit_exceeded"'),
        ("oci", "status=429", "/20231130/openai/v1/vector_stores", '{"code": "429", "message": "This 429'),
        ("oci", "status=409", "/20231130/openai/v1/vector_stores", '{"code": "IncorrectState", "message": "This 409'),
        ("oci", "status=503", "/openai/v1/files", "upstream connect error"),
        ("oci", "status-after=503", "/openai/v1/files", "upstream connect error"),
        ("oci", "error-shape=1 status=503", "/openai/v1/files", '{"code": "503", "message": "This 503'),
        ("oci", "invalid-project", "/openai/v1/files", '"message": "Invalid OpenAI project"'),
    ],
)
def test_errors_are_of_the_providers_shape(
    opened: Callable[..., Service], provider: str, rule: str, path: str, expected: str
) -> None:
    faulty = with_faults(opened(dialect=parse_dialect(provider)), rule.split())
    headers = {"authorization": "Bearer key", "openai-project": "ocid1.project"}
    with httpx.Client(transport=LocalTransport(faulty), headers=headers) as http:
        answer = http.get(f"http://local{path}")
    assert expected in answer.text
    assert ("opc-request-id" in answer.headers) is (provider == "oci")


def test_what_a_fault_hides_is_missing_in_the_providers_words(misbehaving: Misbehaving) -> None:
    api = misbehaving("unseen", "poisoned-page:::2", errors=ErrorStyle.BARE)
    file = api.upload("picture.svg")["id"]
    assert api.get(f"/files/{file}", 404) == {"error": {"message": f"No object found with id '{file}'."}}
    assert api.get("/files", 200)["data"]
    assert list(api.get("/files", 500)["error"]) == ["message"]


def test_a_refused_request_meets_no_further_fault(misbehaving: Misbehaving) -> None:
    api = misbehaving("status=503:GET:/files:1", "slow-delete=1")
    (file,) = api.files("a.md")
    api.delete(f"/files/{file}")
    assert statuses(api, *["GET /files"] * 3, f"GET /files/{file}") == [503, 200, 200, 404]


@pytest.mark.parametrize("kind", ["slow-delete=1", "ghost-search"])
@pytest.mark.parametrize(("spoilt", "status"), [("not-json,status=502", 502), ("not-json", 200), ("status=409", 409)])
def test_a_deletion_meets_other_faults_too(misbehaving: Misbehaving, kind: str, spoilt: str, status: int) -> None:
    api = misbehaving(kind, f"{spoilt}:DELETE::1")
    store = api.store("a.md")
    (file,) = ids(api.get(f"/vector_stores/{store}/files"))
    path = f"/vector_stores/{store}/files/{file}"
    assert statuses(api, f"DELETE {path}", *[f"GET {path}"] * 3) == [status, 200, 200, 200]


def test_what_a_fault_asks_meets_no_other_fault(misbehaving: Misbehaving) -> None:
    api = misbehaving("slow-delete=1", "poisoned-page", "duplicates", "wrong-counts")
    store = api.store("a.md", "b.md")
    other, file = ids(api.get(f"/vector_stores/{store}/files"))
    api.delete(f"/vector_stores/{store}/files/{file}")
    api.get("/files")
    assert api.get(f"/vector_stores/{store}")["file_counts"]["total"] == 2
    assert ids(api.get(f"/vector_stores/{store}/files")) == [other]


def test_an_id_in_another_alphabet_is_found_by_faults(misbehaving: Misbehaving) -> None:
    api = misbehaving("poisoned-page,file=*.svg", "unseen", phantom_files=True)
    store = api.store()
    api.post(f"/vector_stores/{store}/files", {"file_id": "日本"})
    path = f"/vector_stores/{store}/files"
    assert statuses(api, *[f"GET {path}/日本"] * 2, f"GET {path}") == [404, 200, 200]


def test_a_rate_limit(misbehaving: Misbehaving, clock: Clock) -> None:
    api = misbehaving("rate-limit=2")
    assert statuses(api, "GET /files", "GET /files", "GET /files") == [200, 200, 429]
    assert api.http.get("/files").headers["retry-after"] == "61"
    clock.now += 61
    assert statuses(api, "GET /files") == [200]


def test_large_bodies_pass_a_wrapper_whole(misbehaving: Misbehaving) -> None:
    api = misbehaving("delay=1:GET")
    file = api.upload("big.md", b"x" * 600_000)["id"]
    assert len(api.http.get(f"/files/{file}/content").content) == 600_000


def test_ingestion_may_begin_late(mounted: Callable[..., Api], clock: Clock) -> None:
    api = mounted(ingest_delay=2.5)
    store = api.store("a.md")
    path = f"/vector_stores/{store}"
    assert "openai-poll-after-ms" not in api.http.get(path).headers
    clock.now += 2
    assert api.get(path)["status"] == "in_progress"
    clock.now += 1
    assert api.get(path)["status"] == "completed"


@pytest.mark.parametrize(
    "kind", ["unseen", "slow-delete", "ghost-search", "garbled-attributes", "erased-mark", "lost-metadata"]
)
def test_what_makes_no_sense_is_refused_as_ever(misbehaving: Misbehaving, kind: str) -> None:
    api = misbehaving(kind)
    (file,) = api.files("a.md")
    path = f"/vector_stores/{api.store()}"
    wrong: list[dict[str, Any]] = [{"attributes": {"a": None}}, {"attributes": {"a": []}}, {"attributes": 1}]
    bodies: list[Any] = [None, [], {"file_ids": 1}, {"files": 1}, {"files": [1]}, {"files": [{}]}]
    for body in (*bodies, *({"files": [{"file_id": file, **fields}]} for fields in wrong)):
        api.post(f"{path}/file_batches", body, 400)
    for content in (b"[" * 100_000, b'{"files": [{"attributes": {"a": "\\ud800"}}]}'):
        api.send("POST", f"{path}/file_batches", 400, content=content, headers={"content-type": "application/json"})
    for nothing in ("files", "file_batches", f"files/{file}/content"):
        api.delete(f"{path}/{nothing}", 405)


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can, so that what they share is met half done."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("restless")
@pytest.mark.parametrize("rule", ["slow-delete=1", "unseen=1", "rate-limit=9999"])
def test_threads_share_a_fault(misbehaving: Misbehaving, rule: str) -> None:
    api = misbehaving(rule)

    def work(_number: int) -> None:
        (file,) = api.files("a.md")
        statuses(api, f"GET /files/{file}")
        api.get(f"/files/{file}")
        api.delete(f"/files/{file}")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(60)))


def test_a_type_that_is_refused_is_not_recommended(misbehaving: Misbehaving) -> None:
    api = misbehaving("refused-type")
    message = api.attach(api.store(), api.files("a.md")[0], 400)["error"]["message"]
    assert "has the type '.md', which cannot be searched; use one of .c, " in message
    assert " .md," not in message
