"""Files: uploading, reading back, sharing of bytes, expiry, and everything a form can get wrong."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.local.client import Api, Clock, ids


def blobs(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "service.db")) as connection:
        return int(connection.execute("select count(*) from blobs").fetchone()[0])


def test_an_upload_is_described_and_given_back(api: Api, clock: Clock) -> None:
    file = api.upload("guide.md", b"# Guide")
    assert file == {
        "id": file["id"],
        "object": "file",
        "bytes": 7,
        "created_at": clock.now,
        "filename": "guide.md",
        "purpose": "assistants",
        "status": "processed",
    }
    assert api.get(f"/files/{file['id']}") == file
    assert api.http.get(f"/files/{file['id']}/content").content == b"# Guide"


@pytest.mark.parametrize("name", ["a b.md", 'with "quotes".md', "日本.md", "100%.md", "docs__guide.md", "noextension"])
def test_names_survive(api: Api, name: str) -> None:
    assert api.upload(name)["filename"] == name


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"purpose": "nonsense"}, "purpose"),
        ({"colour": "red"}, "colour"),
        ({"purpose[x]": "y"}, "purpose[x]"),
        ({"expires_after[x]": "y"}, "expires_after.x"),
        ({"expires_after": "soon"}, "expires_after"),
        ({"expires_after[seconds]": "3600"}, "expires_after.anchor"),
        ({"expires_after[anchor]": "created_at", "expires_after[seconds]": "3599"}, "expires_after.seconds"),
        ({"expires_after[anchor]": "created_at", "expires_after[seconds]": "2592001"}, "expires_after.seconds"),
        ({"expires_after[anchor]": "last_active_at", "expires_after[seconds]": "3600"}, "expires_after.anchor"),
        ({"expires_after[anchor]": "created_at", "expires_after[seconds]": "soon"}, "expires_after.seconds"),
    ],
)
def test_wrong_fields_are_refused(api: Api, fields: dict[str, Any], param: str) -> None:
    assert api.upload(status=400, **fields)["error"]["param"] == param
    assert not api.get("/files")["data"]


def test_an_empty_file_is_refused(api: Api) -> None:
    assert api.upload(content=b"", status=400)["error"]["message"] == "File is empty."


def test_a_file_and_a_purpose_are_required(api: Api) -> None:
    without_file = api.send("POST", "/files", 400, files={"purpose": (None, "assistants")})
    without_purpose = api.send("POST", "/files", 400, files={"file": ("a.md", b"text")})
    without_name = api.send("POST", "/files", 400, files={"file": (None, b"text")})
    assert [answer["error"]["param"] for answer in (without_file, without_purpose, without_name)] == [
        "file",
        "purpose",
        "file",
    ]


def test_too_large_a_file_is_refused(mounted: Callable[..., Api]) -> None:
    api = mounted(max_file_bytes=10)
    assert api.upload(content=b"x" * 10)["bytes"] == 10
    assert api.upload(content=b"x" * 11, status=413)["error"]["code"] == "file_too_large"
    assert api.upload(content=b"x" * (2 << 20), status=413)["error"]["code"] == "file_too_large"


@pytest.mark.parametrize(
    "body",
    [
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.md"\r\n\r\ncut off',
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.md"\r\n\r\ntext\r\n--b\r\nContent-Disp',
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="\xff.md"\r\n\r\ntext\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n\xff\r\n--b--\r\n',
        b"--b\r\n\r\ntext\r\n--b--\r\n",
        b"--b--\r\n",
        b"",
    ],
)
def test_a_broken_form_leaves_nothing(api: Api, folder: Path, body: bytes) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert "error" in api.send("POST", "/files", 400, content=body, headers=headers)
    assert not api.get("/files")["data"]
    assert blobs(folder) == 0


def test_a_large_file_streams_both_ways(api: Api) -> None:
    content = bytes(range(256)) * 20_000
    file = api.upload("big.md", content)
    with api.http.stream("GET", f"/files/{file['id']}/content") as response:
        assert response.headers["content-length"] == str(len(content))
        assert b"".join(response.iter_bytes()) == content


def test_a_download_may_be_left_early_and_survives_deletion(api: Api) -> None:
    file = api.upload("big.md", b"x" * 1_000_000)
    with api.http.stream("GET", f"/files/{file['id']}/content") as response:
        pieces: Iterator[bytes] = response.iter_raw()
        first = next(pieces)
        api.delete(f"/files/{file['id']}")
        assert len(first) + sum(map(len, pieces)) == 1_000_000
    other = api.upload("big.md", b"y" * 1_000_000)
    with api.http.stream("GET", f"/files/{other['id']}/content") as response:
        next(response.iter_raw())


def test_equal_bytes_are_kept_once_and_as_long_as_needed(api: Api, folder: Path) -> None:
    first, second = api.files("a.md", "b.md", content=b"same")
    assert blobs(folder) == 1
    api.delete(f"/files/{first}")
    assert api.http.get(f"/files/{second}/content").content == b"same"
    assert api.delete(f"/files/{second}") == {"id": second, "object": "file", "deleted": True}
    assert blobs(folder) == 0


def test_a_deleted_file_is_gone(api: Api) -> None:
    (file,) = api.files("a.md")
    api.delete(f"/files/{file}")
    for path in (f"/files/{file}", f"/files/{file}/content"):
        assert api.get(path, 404)["error"]["code"] == "not_found"
    assert api.delete(f"/files/{file}", 404)["error"]["type"] == "invalid_request_error"


def test_listing_by_purpose(api: Api) -> None:
    unexpiring = api.upload(purpose="user_data")["id"]
    api.upload(purpose="assistants")
    assert ids(api.get("/files", purpose="user_data")) == [unexpiring]
    assert len(api.get("/files")["data"]) == 2
    assert api.get("/files", 400, purpose="nonsense")["error"]["param"] == "purpose"


def test_files_expire(api: Api, clock: Clock) -> None:
    hour: dict[str, Any] = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    mortal = api.upload(**hour)
    batch = api.upload("b.md", purpose="batch")
    assert mortal["expires_at"] == clock.now + 3600
    assert batch["expires_at"] == clock.now + 30 * 86_400
    store = api.store()
    api.attach(store, mortal["id"])
    clock.now += 3599
    assert api.get(f"/files/{mortal['id']}") == mortal
    clock.now += 1
    api.get(f"/files/{mortal['id']}", 404)
    assert ids(api.get("/files")) == [batch["id"]]
    assert not api.get(f"/vector_stores/{store}/files")["data"]


def test_an_upload_that_fails_at_the_client_fails_as_there(api: Api) -> None:
    def broken() -> Iterator[bytes]:
        yield b"--b\r\n"
        raise OSError("the disk is gone")

    headers = {"content-type": "multipart/form-data; boundary=b"}
    for more in ({}, {"content-length": "1000"}):
        with pytest.raises(OSError, match="the disk is gone"):
            api.http.post("/files", content=broken(), headers=headers | more)
    assert not api.get("/files")["data"]


def test_a_body_of_unknown_length_is_taken(api: Api) -> None:
    form = httpx.Request("POST", "http://x", files={"file": ("a.md", b"text")}, data={"purpose": "assistants"})
    pieces = iter([form.read()[:50], form.read()[50:]])
    response = api.http.post("/files", content=pieces, headers={"content-type": form.headers["content-type"]})
    assert response.json()["bytes"] == 4
