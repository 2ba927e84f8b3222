"""Every kind of change at a live service: after each, nothing is left to do, and every search finds what it should."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import pytest

from tests.live.corpus import ADOPTED, COMMON, FIRST, Page, State, Step, filters, steps
from tests.live.service import LiveService, Run

pytestmark = pytest.mark.live
MOST_HITS = 50  # that the API gives
MOST_CHARACTERS = 8  # of a token, on average


def key_of(live: LiveService, name: str) -> str:
    """A page's path, with the run's token in the file's name."""
    path = PurePosixPath(name)
    return str(path.with_stem(f"{path.stem}-{live.token}"))


def keyed(live: LiveService, pages: State) -> State:
    """The pages under their keys, with values that the service keeps."""
    named = {key_of(live, name): page for name, page in pages.items()}
    if not live.only_text:
        return named
    return {
        key: replace(page, attributes={name: str(value) for name, value in page.attributes.items()})
        for key, page in named.items()
    }


def lay(live: LiveService, stores: dict[str, State]) -> None:
    """Makes the folder hold exactly these pages, and a manifest that says so."""
    shutil.rmtree(live.folder / "docs", ignore_errors=True)
    manifest: dict[str, Any] = {}
    for store, pages in stores.items():
        entries = []
        for key, page in pages.items():
            path = live.folder / "docs" / store / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page.text, "utf-8")
            entry = {"path": path.relative_to(live.folder).as_posix(), "key": key, "attributes": dict(page.attributes)}
            entries.append({**entry, **({"chunking": dict(page.chunking)} if page.chunking else {})})
        manifest[store] = {
            "name": f"{store}-{live.token}",
            "guards": {"max_delete": "100%", "max_replace": "100%"},
            "files": entries,
        }
    live.write_manifest(manifest)


def converge(live: LiveService, *options: str) -> Run:
    """Applies. Then the plan is empty, and carrying it out writes nothing."""
    run = live.run("apply", "--yes", "--format", "json", *options)
    live.check("apply", run.code and run)
    live.check("its report", "" if run.code or run.document["converged"] else f"exit code 0, and not converged: {run}")
    again = live.run("apply", "--yes")
    live.check("the second apply", again.code and again)
    live.check("its plan", "" if "\nNo changes. " in again.output else again)
    live.check("writes of the second apply", again.writes)
    return run


def search(live: LiveService, store: str, query: str, chosen: Any = None) -> list[Any] | None:
    """The hits; None for a kind of filter that the service does not know."""
    body = {"query": query, "max_num_results": MOST_HITS, **({"filters": chosen} if chosen else {})}
    response = live.ask("POST", f"vector_stores/{store}/search", json=body)
    if response.status_code in (400, 422) and chosen and chosen["type"] != "eq":
        return None
    assert response.is_success, f"search with {chosen}: {response.status_code} {response.text[:500]}"
    return list(response.json()["data"])


def text_of(hit: Any) -> str:
    return " ".join(part["text"] for part in hit["content"])


def key_of_hit(hit: Any) -> str:
    return str((hit["attributes"] or {}).get("vssync_key"))


def assert_live(live: LiveService, store: str, pages: State, gone: tuple[str, ...] = ()) -> None:
    """The store holds these pages, and searches by each text and attribute find them and nothing else."""
    store_id = live.own_stores()[f"{store}-{live.token}"]
    rows = list(live.list_all(f"vector_stores/{store_id}/files"))
    live.check("files of the store", "" if len(rows) == len(pages) else f"{len(rows)} instead of {len(pages)}")
    live.check("their status", {row["status"] for row in rows} - {"completed"})
    for page in pages.values():
        equals = {each for each, other in pages.items() if other.text == page.text}
        for word in page.words[:: max(1, len(page.words) // 4)]:
            live.expect(f"search for {word!r}", partial(missed, live, store_id, word, page, equals))
    for word in gone:
        live.expect(f"search for {word!r}, which is gone", partial(found_gone, live, store_id, word))
    for chosen, expected in filters(pages):
        live.expect(f"filter {chosen}", partial(misfiltered, live, store_id, chosen, expected, pages))
    problems, live.problems = live.problems, []
    assert not problems, "\n".join(problems)


def missed(live: LiveService, store: str, word: str, page: Page, equals: set[str]) -> str:
    """Whether a search for a word fails to find its page, with its attributes. Of equal pages one is enough."""
    hits = search(live, store, f"What does the {COMMON} say about {word}?") or []
    found = [hit for hit in hits if word in text_of(hit) and key_of_hit(hit) in equals]
    if not found:
        return f"not found; hits are {[(key_of_hit(hit), text_of(hit)[:60]) for hit in hits[:5]]}"
    longest = max(len(text_of(hit)) for hit in found)
    if page.chunking and longest > MOST_CHARACTERS * page.chunking["size"]:
        return f"a piece of {longest:,} characters, which is more than {page.chunking['size']} tokens"
    if len(equals) > 1:
        return ""
    attributes = found[0]["attributes"]
    differing = {name: attributes.get(name) for name, value in page.attributes.items() if attributes.get(name) != value}
    return f"attributes differ: {differing}" if differing else ""


def found_gone(live: LiveService, store: str, word: str) -> str:
    hits = search(live, store, f"What does the {COMMON} say about {word}?") or []
    return ", ".join(key_of_hit(hit) for hit in hits if word in text_of(hit))


def misfiltered(live: LiveService, store: str, chosen: Any, expected: set[str], pages: State) -> str:
    """Whether a filter finds other pages than it should; of equal pages a service may find only one."""
    hits = search(live, store, COMMON, chosen)
    if hits is None:
        live.refused.add(chosen["type"])
        return ""
    found = {key_of_hit(hit) for hit in hits}
    equal = {key for key in expected if sum(other.text == pages[key].text for other in pages.values()) > 1}
    missing, strange = expected - found - equal, found - expected
    return f"not found {sorted(missing)}, found {sorted(strange)}" if missing or strange else ""


@pytest.mark.parametrize("step", list(steps()), ids=lambda step: step.name)
def test_each_change_ends_as_it_should(live: LiveService, step: Step) -> None:
    pages = keyed(live, step.pages)
    lay(live, {"shelf": pages})
    converge(live)
    assert_live(live, "shelf", pages, step.gone)


def test_a_store_made_by_hand_is_taken_over(live: LiveService) -> None:
    pages = keyed(live, ADOPTED)
    body = {"name": f"desk-{live.token}"}
    store_id = live.get("POST", "vector_stores", control=True, json=body)["id"]
    for key, page in pages.items():
        part = {"file": (key, page.text.encode(), "text/markdown")}
        file_id = live.get("POST", "files", data={"purpose": "assistants"}, files=part)["id"]
        live.uploaded_by_hand.add(file_id)
        attach_by_hand(live, store_id, {"file_id": file_id, "attributes": {"kind": page.attributes["kind"]}})
    lay(live, {"shelf": keyed(live, {"fir.md": FIRST["fir.md"]}), "desk": pages})
    converge(live, "--adopt")
    live.check("its id", "" if live.own_stores()[body["name"]] == store_id else "another store took its place")
    assert_live(live, "desk", pages)


def attach_by_hand(live: LiveService, store_id: str, body: Any) -> None:
    """Attaches, to a store that may be too young to be known everywhere, and waits until the file is ingested."""
    deadline = time.monotonic() + 120
    while not (response := live.ask("POST", f"vector_stores/{store_id}/files", json=body)).is_success:
        assert (response.status_code, time.monotonic() < deadline) == (404, True), response.text
        time.sleep(1)
    address = f"vector_stores/{store_id}/files/{body['file_id']}"
    while (status := live.get("GET", address)["status"]) != "completed":
        assert (status, time.monotonic() < deadline) == ("in_progress", True)
        time.sleep(1)


def test_destroy_leaves_nothing(live: LiveService) -> None:
    lay(live, {"shelf": keyed(live, FIRST), "desk": keyed(live, ADOPTED)})
    converge(live)
    plan = live.run("plan", "--detailed-exitcode")
    live.check("the plan", plan.code and plan)
    run = live.run("destroy", "--confirm", live.owner)
    live.check("destroy", run.code and run)
    live.expect("stores that are left", lambda: ", ".join(live.own_stores()))
    live.expect("uploads that are left", lambda: ", ".join(set(live.own_uploads()) - live.uploaded_by_hand))
    again = live.run("destroy", "--confirm", live.owner)
    live.check("the second destroy", (again.code or again.writes) and again)
    problems, live.problems = live.problems, []
    assert not problems, "\n".join(problems)
