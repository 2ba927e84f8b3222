"""Nothing is destroyed from a listing that is short of the service's own count, or that failed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.test_commands import End, vssync
from tests.program import SKIPS_WAITS
from vssync.local.app import open_service
from vssync.local.faults.rules import with_faults
from vssync.local.server import serving

MANIFEST = """\
version: 1
owner: shelf
service: {provider: local, data_url: "%s"}
stores: {%s: {files: [{path: "%s", optional: true}]%s}}
"""
FILES = "/vector_stores/*/files"
NUMBERS = "the service counts 203 files in it and lists 200"
DESTROY = ("destroy", "--confirm", "shelf")


def manifest(folder: Path, url: str, key: str = "docs", files: str = "*.md", more: str = "") -> None:
    (folder / "vssync.yaml").write_text(MANIFEST % (url, key, files, more))


def attach_others(http: httpx.Client, store: str, count: int) -> None:
    for number in range(count):
        file = http.post("/files", data={"purpose": "assistants"}, files={"file": (f"x{number}.md", b"others'")}).json()
        assert http.post(f"/vector_stores/{store}/files", json={"file_id": file["id"]}).status_code == 200


def list_all(http: httpx.Client, path: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while page := http.get(path, params={"limit": 100, **({"after": rows[-1]["id"]} if rows else {})}).json()["data"]:
        rows += page
    return rows


def an_hour_ago() -> float:
    """What was done then is listed by now."""
    return time.time() - 3600


@contextmanager
def shelf(folder: Path, *faults: str, clock: Callable[[], float] = time.time) -> Iterator[tuple[str, httpx.Client]]:
    """The service of a folder: the address where it misbehaves, and a client where it does not."""
    with ExitStack() as stack:
        service = stack.enter_context(open_service(folder / ".vssync/local", clock=clock))
        url, right = (stack.enter_context(serving(app)) for app in (with_faults(service, faults), service))
        yield url, stack.enter_context(httpx.Client(base_url=right, timeout=60))


@pytest.fixture(scope="module")
def filled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose service holds 100 files of ours and 103 of others in one store: more than both ends show."""
    folder = tmp_path_factory.mktemp("filled")
    for number in range(100):
        (folder / f"{number:03}.md").write_text(f"text {number}\n")
    with shelf(folder, clock=an_hour_ago) as (url, http):
        manifest(folder, url)
        assert vssync(folder, "apply", "--yes").code == 0
        (store,) = list_all(http, "/vector_stores")
        attach_others(http, store["id"], 103)
    return folder


State = tuple[set[str], set[str]]


def state(http: httpx.Client) -> State:
    """What each store holds, and every File."""
    stores = [store["id"] for store in list_all(http, "/vector_stores")]
    held = {f"{store}/{file['id']}" for store in stores for file in list_all(http, f"/vector_stores/{store}/files")}
    return held, {file["id"] for file in list_all(http, "/files")}


def run_against(folder: Path, faults: tuple[str, ...], *arguments: str, **changed: str) -> tuple[End, State, State]:
    """How a command ends against a service that misbehaves, once the manifest is changed; all before and after."""
    with shelf(folder, *faults) as (url, http):
        manifest(folder, url, **changed)
        before = state(http)
        return vssync(folder, *arguments, **{SKIPS_WAITS: "1"}), before, state(http)


def flowing(text: str) -> str:
    """Without the line ends of a narrow screen."""
    return " ".join(text.split())


SHORT = [
    (("only-page",), (), NUMBERS),
    (
        (f"only-page:GET:{FILES}",),
        (),
        f"{NUMBERS}, so 3 more may not be ours: try again later, or --delete-unmanaged 103",
    ),
    (("only-page",), ("--delete-unmanaged", "102"), NUMBERS),
    ((), (), "103 files in it are not ours: --delete-unmanaged 103"),
]
UNLISTABLE = [
    ((f"status=404:GET:{FILES}",), "but not its files"),
    ((f"status=400:GET:{FILES}:2+",), "400"),
    ((f"only-page:GET:{FILES}", "status=404:GET:/vector_stores/*"), "404"),
]


@pytest.mark.wide(3)
@pytest.mark.parametrize(("faults", "flags", "says"), SHORT)
def test_destroy_refuses_what_is_not_listed(filled_folder: Path, faults: Any, flags: Any, says: str) -> None:
    result, before, after = run_against(filled_folder, faults, *DESTROY, *flags)
    assert says in flowing(result.out)
    assert (result.code, after) == (3, before)


@pytest.mark.wide(3)
@pytest.mark.parametrize(("faults", "flags", "says"), SHORT)
def test_a_store_that_left_the_manifest_stays(filled_folder: Path, faults: Any, flags: Any, says: str) -> None:
    """The rest of the plan is carried out, and the exit code says that not all of it was."""
    more = ("--allow-store-deletes", *flags)
    result, before, after = run_against(filled_folder, faults, "apply", "--yes", *more, key="other", files="none/*.md")
    assert says in flowing(result.out)
    assert (result.code, after) == (4, before)


@pytest.mark.parametrize("arguments", [DESTROY, ("apply", "--yes", "--allow-store-deletes")])
def test_a_listing_of_files_that_fails_is_an_error(filled_folder: Path, arguments: tuple[str, ...]) -> None:
    faults = (f"status=403:GET:{FILES}",)
    result, before, after = run_against(filled_folder, faults, *arguments, key="another", files="none/*.md")
    assert "403" in result.err
    assert (result.code, after) == (1, before)


@pytest.mark.parametrize(
    ("arguments", "code"), [(DESTROY, 3), (("apply", "--yes", "--allow-store-deletes"), 4)], ids=["destroy", "apply"]
)
def test_a_credential_that_may_not_list_stores_changes_none(
    filled_folder: Path, arguments: tuple[str, ...], code: int
) -> None:
    faults = ("status=403:GET:/vector_stores",)
    result, before, after = run_against(filled_folder, faults, *arguments, key="another", files="none/*.md")
    assert "403" in flowing(result.out + result.err)
    assert (result.code, after) == (code, before)


@pytest.mark.parametrize(("faults", "says"), UNLISTABLE)
def test_a_store_whose_files_cannot_be_listed_is_not_destroyed(filled_folder: Path, faults: Any, says: str) -> None:
    for flags in ((), ("--delete-unmanaged", "999"), ("--delete-unlisted", "another")):
        result, before, after = run_against(filled_folder, faults, *DESTROY, *flags)
        assert says in flowing(result.out)
        assert "neither the content nor the owner of its 203 files is known" in flowing(result.out)
        assert (result.code, after) == (3, before)


@pytest.mark.parametrize("faults", [(f"status=400:GET:{FILES}",), (f"status=404:GET:{FILES}",)])
def test_a_store_whose_files_cannot_be_listed_is_destroyed_by_name(
    filled_folder: Path, tmp_path: Path, faults: Any
) -> None:
    copy = Path(shutil.copytree(filled_folder, tmp_path / "copy"))
    named = ("--delete-unlisted", "docs", "--delete-unlisted", "other")  # which an earlier test may have left
    result, (_, uploads), (held, files) = run_against(copy, faults, *DESTROY, *named)
    assert "neither the content nor the owner of its 203 files is known" in flowing(result.out)
    assert (result.code, held, files) == (0, set(), uploads)


def test_an_external_store_of_which_not_all_is_listed(tmp_path: Path) -> None:
    for number in range(203):
        (tmp_path / f"{number:03}.md").write_text(f"text {number}\n")
    with shelf(tmp_path, clock=an_hour_ago) as (url, http):
        assert http.post("/vector_stores", json={"name": "docs"}).status_code == 200
        manifest(tmp_path, url, more=", external: true")
        assert vssync(tmp_path, "apply", "--yes").code == 0
    result, before, after = run_against(tmp_path, ("only-page",), *DESTROY, more=", external: true")
    assert (result.code, after) == (3, before)
    assert f"{NUMBERS}: 200 changes left for later" in flowing(result.out)
    result, _, after = run_against(tmp_path, (), *DESTROY, more=", external: true")
    assert (result.code, after) == (0, (set(), set()))


def test_what_is_allowed_is_destroyed(filled_folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(filled_folder, tmp_path / "copy"))
    result, _, (held, files) = run_against(copy, ("only-page",), *DESTROY, "--delete-unmanaged", "103")
    assert (result.code, held, len(files)) == (0, set(), 103)
