"""A folder, a service in some dialect, and a clock that does not wait: what a scenario is played in."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from tests.guarantees.test_converge import lay_tree
from tests.support import Clock, Recorder, Silent
from vssync.api.connect import connect
from vssync.api.parse import chunking_body
from vssync.commands.apply import apply_plan
from vssync.commands.plan import make_plan_now
from vssync.commands.session import Session, Settings, load_manifest
from vssync.endpoints import Endpoint
from vssync.local.app import Service, open_service
from vssync.local.dialects import Dialect, LocalOptions, parse_dialect
from vssync.local.transport import LocalTransport
from vssync.model.marks import KEY
from vssync.model.plan import NoteKind, Options
from vssync.model.report import Report
from vssync.model.state import Chunking, DesiredFile, Scalar
from vssync.planner.estimate import Cost, estimate_cost
from vssync.providers import COMPATIBLE, AuthKind, Provider
from vssync.sources.load import LoadedManifest
from vssync.threads import Pool

PLAIN = Options()
STRANGE = (NoteKind.ADOPTABLE, NoteKind.UNMANAGED)  # nobody else uses these stores
HEADERS = {"openai-project": "ocid1.p", "opc-compartment-id": "ocid1.c", "authorization": "Bearer key"}


@dataclass
class World:
    """`spoken` is a dialect with its switches. The service runs until the world is closed, and so it remembers.

    `capabilities` are those that the manifest states. `bills` has of each apply what its plan said it would take, the
    requests that it took, and how many of them came after a wait.
    """

    folder: Path
    spoken: str
    provider: Provider = COMPATIBLE
    clock: Clock = field(default_factory=Clock)
    capabilities: Mapping[str, int] = field(default_factory=dict)
    limits: str = ""
    bills: list[tuple[Cost, Sequence[tuple[str, str]], int]] = field(default_factory=list)
    _loaded: LoadedManifest | None = None

    @cached_property
    def dialect(self) -> Dialect:
        return parse_dialect(self.spoken)

    @cached_property
    def service(self) -> Service:
        options = LocalOptions(dialect=self.dialect)
        return open_service(self.folder / "live", clock=self.clock.monotonic, options=options)

    @cached_property
    def urls(self) -> tuple[str, str]:
        """The data address and the control address."""
        data, control = ("openai/v1", "20231130/openai/v1") if self.dialect.split else ("v1", "v1")
        return f"http://local/{data}", f"http://local/{control}"

    @cached_property
    def endpoint(self) -> Endpoint:
        capabilities = self.loaded.desired.service.declared_capabilities
        return Endpoint(self.provider, *self.urls, HEADERS, HEADERS, AuthKind.NONE, capabilities=capabilities)

    @cached_property
    def http(self) -> httpx.Client:
        """An application beside vssync, at the data address."""
        return httpx.Client(transport=LocalTransport(self.service), base_url=self.urls[0], headers=HEADERS)

    @property
    def docs(self) -> Path:
        return self.folder / "docs"

    def write(self, files: Mapping[str, str | None]) -> None:
        """Lays files into the manifest's folder; None takes one away."""
        self._loaded = None
        for name, text in files.items():
            path = self.docs / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink() if text is None else path.write_text(text)

    @cached_property
    def settings(self) -> Settings:
        return Settings(manifest=str(self.docs), environment={"VSSYNC_STATE_DIR": str(self.folder / "state")})

    @property
    def loaded(self) -> LoadedManifest:
        """The manifest, read again when a file was written since, for this world's provider."""
        if self._loaded is None:
            loaded = load_manifest(self.settings)
            stated = {**loaded.desired.service.capabilities, **self.capabilities}
            service = replace(loaded.desired.service, provider=self.provider.name, capabilities=stated)
            stores = loaded.desired.stores
            if self.dialect.stores_iam_only:  # then somebody else makes the stores
                stores = tuple(replace(each, external=True, id=self._id_of(each.name)) for each in stores)
            self._loaded = replace(loaded, desired=replace(loaded.desired, service=service, stores=stores))
        return self._loaded

    def lay(self, tree: Path) -> None:
        """Makes the folder hold exactly this tree."""
        self._loaded = None
        self.docs.mkdir(exist_ok=True)
        lay_tree(tree, self.docs)

    def _id_of(self, name: str) -> str:
        """The id of a store, which is made where there is none of this name."""
        if name not in self.stores():
            self.make_by_hand(name, {}, {})
        return self.stores()[name][0]

    @contextmanager
    def session(self) -> Iterator[tuple[Session, Recorder]]:
        """A run of vssync, and the requests that it sends."""
        recorder = Recorder(LocalTransport(self.service))
        client = connect(self.endpoint, auth=None, clock=self.clock, workers=1, transport=recorder, limits=self.limits)
        try:
            with Pool(1) as pool:
                yield Session(self.settings, self.loaded, self.endpoint, client, pool), recorder
        finally:
            client.close()

    def apply(self, options: Options = PLAIN) -> Report:
        with self.session() as (session, recorder):
            plan = make_plan_now(session, options)
            sent, waits = len(recorder.seen), len(self.clock.waits)
            report = apply_plan(session, plan, Silent())
            self.bills.append((estimate_cost(plan), recorder.seen[sent:], len(self.clock.waits) - waits))
            return report

    def stores(self) -> dict[str, list[str]]:
        """Ids by name, as they are."""
        ids = defaultdict(list)
        for name, store_id in self._rows("select name, id from stores"):
            ids[name].append(store_id)
        return ids

    def loose_uploads(self) -> set[str]:
        """Ids of Files that are in no store."""
        return {row[0] for row in self._rows("select id from files where id not in (select id from store_files)")}

    def _rows(self, query: str) -> list[Any]:
        """What the service has in its database, which it makes when it is opened."""
        assert self.service
        with closing(sqlite3.connect(self.folder / "live/service.db")) as database:
            return database.execute(query).fetchall()

    def send(self, method: str, url: str, **more: Any) -> Any:
        """A request of another program, which asks until it succeeds."""
        said = ""
        for _ in range(200):
            try:
                response = self.http.request(method, url, **more)
            except httpx.ReadError as error:
                said = str(error)
            else:
                if response.is_success:
                    return response.json()
                said = response.text
            self.clock.sleep(1)
        raise AssertionError(said)

    def make_by_hand(
        self,
        store: str,
        files: Mapping[str, bytes],
        attributes: Mapping[str, Any],
        chunking: Mapping[str, Chunking] = {},  # by name; others have the service's own
    ) -> None:
        """Somebody makes a store and looks at it; some services take no attributes."""
        address = f"{self.urls[1]}/vector_stores"
        admin = {"authorization": "Signature of an administrator"}
        if store not in self.stores():
            self.send("POST", address, json={"name": store}, headers=admin)
        (store_id,) = self.stores()[store]
        self.send("GET", f"vector_stores/{store_id}/files")
        self.clock.sleep(60)
        given = {"attributes": attributes} if self.dialect.takes_attributes else {}
        for name, content in files.items():
            file = self.send("POST", "files", data={"purpose": "assistants"}, files={"file": (name, content)})["id"]
            strategy = chunking_body(chunking[name]) if name in chunking else {}
            self.send("POST", f"vector_stores/{store_id}/files", json={"file_id": file, **given, **strategy})
        for _ in range(3):
            self.send("GET", address, headers=admin)

    def search(self, store: str, queries: Sequence[str], filters: Any = None) -> list[dict[str, Any]]:
        """What an application finds by these."""
        body = {"query": queries, "max_num_results": 50, **({"filters": filters} if filters else {})}
        return list(self.send("POST", f"vector_stores/{store}/search", json=body)["data"])

    def close(self) -> None:
        self.http.close()
        self.service.close()


def assert_all_found(
    world: World, missing: Collection[str] = (), gone: Collection[str] = (), *, alone: bool = True
) -> None:
    """Searches for all texts find every desired file but those `missing`, with a filter on each attribute and without.

    `alone`: and nothing else, also by the texts that are gone.
    """
    live_ids = world.stores()
    for store in world.loaded.desired.stores:
        files = [file for file in store.files if file.key not in missing]
        texts = {file.key: (world.loaded.root / file.path).read_text().strip() for file in files}
        queries = [*texts.values(), *gone]
        if not queries:
            continue
        assert len(live_ids[store.name]) == 1, live_ids
        (live_id,) = live_ids[store.name]
        pairs = {(name, type(value), value) for file in files for name, value in file.attributes.items()}
        for pair in (None, *pairs):
            chosen = {"type": "eq", "key": pair[0], "value": pair[2]} if pair else None
            expected = {(file.key, texts[file.key]) for file in files if not pair or has_attribute(file, *pair)}
            hits = world.search(live_id, queries, chosen)
            found = {((hit["attributes"] or {}).get(KEY), hit["content"][0]["text"].strip()) for hit in hits}
            assert expected <= found, (pair, expected - found)
            assert not alone or expected == found, (pair, found - expected)


def assert_texts_found(world: World, missing: Collection[str] = ()) -> None:
    """Searches find the text of every desired file but those `missing`, whatever its mark and attributes."""
    for store in world.loaded.desired.stores:
        texts = {(world.loaded.root / file.path).read_text().strip() for file in store.files if file.key not in missing}
        (live_id,) = world.stores()[store.name]
        assert texts <= {hit["content"][0]["text"].strip() for hit in world.search(live_id, [*texts], None)}


def has_attribute(file: DesiredFile, name: str, kind: type, value: Scalar) -> bool:
    """Whether it has this value; true is not 1."""
    return file.attributes.get(name) == value and type(file.attributes[name]) is kind


def assert_as_desired(world: World, report: Report, gone: Collection[str] = ()) -> None:
    """The run converged, nothing is left to do, doing it writes nothing, and every file is found."""
    assert report.converged, [outcome for outcome in report.outcomes if outcome.detail]
    assert world.loose_uploads() <= {orphan.file_id for orphan in report.orphans}
    with world.session() as (session, recorder):
        plan = make_plan_now(session, PLAIN)
        left = [*plan.changes(), *plan.refusals]
        assert left == [], left
        notes = [note for store in plan.stores for note in store.notes if note.kind in STRANGE]
        expected = world.dialect.connector_files * len(plan.stores)
        assert sum(note.count for note in notes) == expected, "ours look like others'"
        assert apply_plan(session, plan, Silent()).converged
        assert recorder.writes == []
    assert_all_found(world, gone=gone)
