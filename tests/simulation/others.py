"""What others do at the service: another team, an application, and a person who tries things out.

They choose by the truth, from what there is in an order that no id decides, and take no answer for an error: a service
may refuse any of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from tests.simulation.truth import State, TrueFile, TrueStore
from vssync.local.transport import LocalTransport

Service = Callable[..., Any]


class Others:
    """`service` is the service as they reach it, `state` what it holds now."""

    def __init__(self, service: Service, state: Callable[[], State]) -> None:
        self._http = httpx.Client(transport=LocalTransport(service), base_url="http://local/v1")
        self._state = state
        self.texts: dict[str, str] = {}  # of our documents, by path
        self.values: dict[str, Any] = {}  # of our manifest
        self.declared: dict[str, str] = {}  # Files that our manifest declares, by key

    def do(self, act: str, pick: int) -> None:
        """One of `ACTS`."""
        ACTS[act](self, pick)

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """The answer to a request; empty where it was refused."""
        response = self._http.request(method, path, **more)
        return response.json() if response.is_success else {}

    def stores(self) -> list[TrueStore]:
        return sorted(self._state().stores.values(), key=lambda store: (store.name, store.created_at))

    def some_file(self, pick: int) -> tuple[TrueStore, TrueFile] | None:
        """One of those with a mark."""
        files = [(store, file) for store in self.stores() for file in store.files if file.owner]
        files.sort(key=lambda pair: (pair[0].name, str(pair[1].attributes.get("vssync_key")), pair[1].created_at))
        return files[pick % len(files)] if files else None

    def attach(self, store: TrueStore, name: str, content: bytes, attributes: dict[str, Any]) -> None:
        """Uploads something, and attaches it."""
        upload = self.ask("POST", "/files", data={"purpose": "assistants"}, files={"file": (name, content)})
        if upload:
            body = {"file_id": upload["id"], "attributes": attributes}
            self.ask("POST", f"/vector_stores/{store.id}/files", json=body)

    def set_attributes(self, store: TrueStore, file: TrueFile, attributes: dict[str, Any]) -> None:
        self.ask("POST", f"/vector_stores/{store.id}/files/{file.id}", json={"attributes": attributes})

    def attach_foreign(self, pick: int) -> None:
        """Another team has a file in a store of ours."""
        if stores := self.stores():
            mark = f"v1;them;{pick:016};{'0' * 64};{'0' * 16};{'0' * 16};u;0;-;-"
            attributes = {"vssync_key": "theirs.md", "vssync_mark": mark} if pick % 2 else {"owner": "them"}
            self.attach(stores[pick % len(stores)], "theirs.md", f"theirs {pick}\n".encode(), attributes)

    def upload_our_name(self, pick: int) -> None:
        """A person uploads one of our documents by hand, as it is or changed, and attaches it or not."""
        if found := self.some_file(pick):
            store, file = found
            if pick % 3:
                self.attach(store, file.filename or "a.md", f"# by hand {pick}\n".encode(), {})
            else:
                upload = {"file": (file.filename or "a.md", f"# by hand {pick}\n".encode())}
                self.ask("POST", "/files", data={"purpose": "assistants"}, files=upload)

    def erase_mark(self, pick: int) -> None:
        """An application writes attributes of its own, and nothing else."""
        if found := self.some_file(pick):
            store, file = found
            self.set_attributes(store, file, {**file.plain_attributes, "seen": pick})

    def change_attributes(self, pick: int) -> None:
        """An application changes an attribute of ours, and adds one."""
        if found := self.some_file(pick):
            store, file = found
            self.set_attributes(store, file, {**file.attributes, ("lang", "seen")[pick % 2]: "xx"})

    def detach_file(self, pick: int) -> None:
        if found := self.some_file(pick):
            self.ask("DELETE", f"/vector_stores/{found[0].id}/files/{found[1].id}")

    def delete_upload(self, pick: int) -> None:
        """In a dashboard, where a store may go on listing it."""
        if found := self.some_file(pick):
            self.ask("DELETE", f"/files/{found[1].id}")

    def change_store(self, pick: int) -> None:
        """A person renames a store, or an application changes its metadata."""
        if stores := self.stores():
            store = stores[pick % len(stores)]
            body = {"name": "renamed"} if pick % 2 else {"metadata": {**store.metadata, "team": "theirs"}}
            self.ask("POST", f"/vector_stores/{store.id}", json=body)

    def lend_upload(self, pick: int) -> None:
        """A colleague attaches an upload of ours to a store of theirs."""
        if found := self.some_file(pick):
            self._attach_to_theirs(found[1].id)

    def lend_loose(self, pick: int) -> None:
        """The same with one that no store holds."""
        state = self._state()
        held = {file.id for store in state.stores.values() for file in store.files}
        if loose := sorted(state.uploads.keys() - held, key=lambda id_: (state.uploads[id_], id_)):
            self._attach_to_theirs(loose[pick % len(loose)])

    def _attach_to_theirs(self, file_id: str) -> None:
        theirs = next((store.id for store in self.stores() if store.name == "theirs"), "")
        theirs = theirs or self.ask("POST", "/vector_stores", json={"name": "theirs"}).get("id", "")
        self.ask("POST", f"/vector_stores/{theirs}/files", json={"file_id": file_id})

    def make_store(self, pick: int) -> None:
        """Before there is any manifest, somebody fills a store by hand: with our texts, and with older ones."""
        store = self.ask("POST", "/vector_stores", json={"name": "docs"})
        for number, (name, text) in enumerate(sorted(self.texts.items())):
            content = text if (number + pick) % 3 else "x" * len(text)
            upload = {"file": (name, content.encode())}
            made = self.ask("POST", "/files", data={"purpose": "assistants"}, files=upload)
            self.ask("POST", f"/vector_stores/{store['id']}/files", json={"file_id": made["id"]})

    def overwrite_metadata(self, pick: int) -> None:
        """An application writes metadata of its own, and nothing else."""
        if stores := self.stores():
            self.ask("POST", f"/vector_stores/{stores[pick % len(stores)].id}", json={"metadata": {"app": "chat"}})

    def write_odd_mark(self, pick: int) -> None:
        """Somebody, or a newer version, writes what is no mark to us."""
        text = ("nonsense", "v2;history;more")[pick % 2]
        if pick % 3 == 0 and (stores := self.stores()):
            store = stores[pick % len(stores)]
            metadata = {"metadata": {**store.metadata, "vssync_owner": text}}
            self.ask("POST", f"/vector_stores/{store.id}", json=metadata)
        elif found := self.some_file(pick):
            self.set_attributes(*found, {**found[1].attributes, "vssync_mark": text})

    def upload_our_size(self, pick: int) -> None:
        """A person takes a document of ours out, and attaches another of the same name and size."""
        if found := self.some_file(pick):
            store, file = found
            self.ask("DELETE", f"/vector_stores/{store.id}/files/{file.id}")
            self.attach(store, file.filename or "a.md", b"x" * max(1, file.size), {})

    def attach_equal_text(self, pick: int) -> None:
        """Another team has a text of ours in a store of ours, as a file of its own."""
        if found := self.some_file(pick):
            self.attach(found[0], "theirs.md", self._text_of(found[1]), {"owner": "them"})

    def double_file(self, pick: int) -> None:
        """An application attaches a copy of a file of ours, with all of its attributes."""
        if found := self.some_file(pick):
            store, file = found
            self.attach(store, file.filename or "a.md", self._text_of(file), dict(file.attributes))

    def _text_of(self, file: TrueFile) -> bytes:
        return self.texts.get(str(file.attributes.get("vssync_key")), "theirs").encode()

    def copy_store(self, pick: int) -> None:
        """Somebody copies a store of ours with the attributes of its files, to try something; our manifest names it."""
        if stores := [store for store in self.stores() if store.mark[0] and store.name == self.values["name"]]:
            metadata = {"metadata": dict(stores[0].metadata)} if pick % 3 == 0 else {}
            copy = self.ask("POST", "/vector_stores", json={"name": stores[0].name, **metadata})
            for file in stores[0].files:
                self.ask("POST", f"/vector_stores/{copy['id']}/files", json=_entry(file))
            self.values["id"] = copy["id"] if pick % 3 == 1 else ""

    def upload_alike(self, pick: int) -> None:
        """Somebody uploads other texts, with the names and sizes of our documents."""
        for name, text in sorted(self.texts.items()):
            upload = {"file": (name.rpartition("/")[2], b"y" * len(text))}
            self.ask("POST", "/files", data={"purpose": "assistants"}, files=upload)

    def declare_upload(self, pick: int) -> None:
        """A person uploads a File by hand, and declares it in the manifest."""
        upload = {"file": ("by-hand.md", f"# by hand {pick}\n".encode())}
        if made := self.ask("POST", "/files", data={"purpose": "assistants"}, files=upload):
            self.declared[f"by-hand-{pick}.md"] = made["id"]

    def declare_ours(self, pick: int) -> None:
        """A person declares a File that one of our documents made."""
        found = self.some_file(pick)
        if found and found[1].id not in self.declared.values():
            self.declared[f"ours-{pick}.md"] = found[1].id

    def close(self) -> None:
        self._http.close()


def _entry(file: TrueFile) -> dict[str, Any]:
    return {"file_id": file.id, "attributes": dict(file.attributes)}


ACTS: dict[str, Callable[[Others, int], None]] = {
    act.__name__: act
    for act in (
        *(Others.attach_foreign, Others.upload_our_name, Others.erase_mark, Others.change_attributes),
        *(Others.detach_file, Others.delete_upload, Others.change_store, Others.upload_our_size),
        *(Others.lend_upload, Others.lend_loose, Others.overwrite_metadata, Others.write_odd_mark),
        *(Others.make_store, Others.attach_equal_text, Others.double_file, Others.copy_store),
        *(Others.upload_alike, Others.declare_upload, Others.declare_ours),
    )
}
