"""Tries on a scratch store what a service is capable of, and removes the store again, whatever happens.

A capability that could not be tried is left out of the result: only what was seen is worth committing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vssync.api.client import Client
from vssync.api.errors import MissingCapability, is_permanent, missing_from_create_error, missing_from_list_error
from vssync.api.http import url_path
from vssync.api.parse import AttachmentEntry
from vssync.commands.doctor.finding import Emit, Finding, failed, ok, warning
from vssync.commands.doctor.scratch import ScratchStore
from vssync.commands.doctor.search_probes import SearchProbes
from vssync.errors import ServiceError, VssyncError
from vssync.limits import MAX_VALUE_LENGTH
from vssync.model.marks import NEEDS_ATTRIBUTES, NEEDS_METADATA
from vssync.model.service import Capabilities
from vssync.model.state import Attributes, Chunking, FileStatus, LiveBatch, LiveFile, Scalar

_DEFAULTS = Capabilities()
CHUNKING = Chunking(200, 50)
# Values that services are known to change: other alphabets, fractions, large numbers, booleans, empty and long texts.
ATTRIBUTES: Attributes = {
    "accent": "é",
    "fraction": 0.1,
    "large": 2**53,
    "yes": True,
    "empty": "",
    "long": "x" * MAX_VALUE_LENGTH,
}
LISTING_TIMEOUT = 30.0  # seconds for a listing to follow a change
# What is safe to take for so where no probe could tell.
SAFE = {"shares_chunks": True, "updates_reach_search": False}
_BATCH_ENDS = (FileStatus.COMPLETED, FileStatus.FAILED, FileStatus.CANCELLED)


def run_write_probes(client: Client, emit: Emit) -> tuple[Mapping[str, bool], bool]:
    """What the service was seen to be capable of, and whether anything is left there."""
    probes = _WriteProbes(ScratchStore(client), emit)
    try:
        probes.run()
    except VssyncError as error:
        if isinstance(error, ServiceError) and not probes.store_id and is_permanent(error):
            probes.record("store_creates", False, failed("create store", str(error)))
        else:
            emit(failed("write probes", str(error)))
    finally:
        is_clean = probes.scratch.clean(emit)
    return probes.capabilities, not is_clean


@dataclass(slots=True)
class _WriteProbes:
    """The probes of one run, in order, and the capabilities seen so far."""

    scratch: ScratchStore
    emit: Emit
    capabilities: dict[str, bool] = field(default_factory=dict)

    @property
    def client(self) -> Client:
        return self.scratch.client

    @property
    def store_id(self) -> str:
        return self.scratch.store_id

    def record(self, capability: str, has: bool, finding: Finding) -> None:
        """Notes whether the service has a capability, and emits the finding."""
        self.capabilities[capability] = has
        self.emit(finding)

    def run(self) -> None:
        """Probes everything. Raises VssyncError where there is no store, or the service is gone."""
        self.scratch.create_store()
        self.emit(ok("create store", f"{self.store_id}: created, and it answers"))
        self._try("list batches", self._list_batches)
        self._try("attach", self._attach_and_look)
        self._try("update store", self._update_store)
        self._try("cancel", self._cancel_batch)
        searches = SearchProbes(self.scratch, self.record, self.emit)
        self._try("equal texts", lambda: searches.equal_texts(CHUNKING))

    def _try(self, topic: str, probe: Callable[[], None]) -> None:
        """Runs one probe; where an answer ends it, that is its finding, and the others go on."""
        try:
            probe()
        except VssyncError as error:
            if isinstance(error, ServiceError) and not error.answer.status:
                raise
            if isinstance(error, ServiceError) and missing_from_create_error(error) is MissingCapability.ATTRIBUTES:
                self.record("attributes", False, failed("attributes", f"refused: {error}"))
            else:
                self.emit(failed(topic, str(error)))

    def _attach_and_look(self) -> None:
        """Attaches two files, and looks at how the first comes back, changes, and is found."""
        file_ids = [self.scratch.upload("reads one way."), self.scratch.upload("reads another way.")]
        self._attach(file_ids)
        live, _ = [self.scratch.wait_for_file(file_id) for file_id in file_ids]
        self._chunking(live.chunking)
        if not self._attributes(live):
            return
        self._try("list files", lambda: self._listing(live.id))
        self._try("update file", lambda: self._update_file(live.id))
        if self.capabilities.get("attribute_updates"):
            searches = SearchProbes(self.scratch, self.record, self.emit)
            self._try("search", lambda: searches.filter_by_update(live.id, ATTRIBUTES, ("yes", True)))

    def _listing(self, file_id: str) -> None:
        """Whether a listing has the attributes that a GET of the file has."""
        read = self.client.get_file(self.store_id, file_id).attributes
        listed = next((file.attributes for file in self.client.list_files(self.store_id) if file.id == file_id), {})
        if listed == read:
            self.emit(ok("list files", "attributes are listed"))
        else:
            text = "listings leave attributes out that a GET of the file has, and vssync recognizes its files by them"
            self.emit(failed("list files", text))

    def _list_batches(self) -> None:
        error = self.client.probe(url_path("vector_stores", self.store_id, "file_batches")).error
        if error and missing_from_list_error(error) is None:
            raise error
        missing = error and warning("list batches", f"not supported ({error.answer.status})")
        self.record("list_batches", error is None, missing or ok("list batches", "supported"))

    def _attach(self, file_ids: list[str]) -> None:
        """Attaches files in the best way that the service supports."""
        if self._attach_batch("batch_files", "files[]", file_ids, self._create_batch):
            self.capabilities["batches"] = True
            return
        may_have_batches = self.capabilities.get("batches", True)
        if may_have_batches and self._attach_batch("batches", "file_ids", file_ids, self._create_uniform_batch):
            return
        for entry in _entries(file_ids):
            self.client.attach_file(self.store_id, entry)
        self.emit(ok("attach", "single files can be attached"))

    def _create_batch(self, file_ids: list[str]) -> LiveBatch:
        return self.client.create_batch(self.store_id, _entries(file_ids)).batch

    def _create_uniform_batch(self, file_ids: list[str]) -> LiveBatch:
        return self.client.create_uniform_batch(self.store_id, file_ids, ATTRIBUTES, CHUNKING).batch

    def _attach_batch(
        self, capability: str, form: str, file_ids: list[str], create: Callable[[list[str]], LiveBatch]
    ) -> bool:
        """Whether a batch of this form is accepted and attaches its files."""
        try:
            batch = create(file_ids)
        except ServiceError as error:
            missing = missing_from_create_error(error, file_ids)
            if missing is None:
                raise
            if missing is MissingCapability.BATCHES:
                self.capabilities |= {"batches": False, "batch_files": False}
                text = f"the service has none ({error.answer.status}): files are attached one by one"
                self.emit(warning("batches", text))
            else:
                self.record(capability, False, warning("batches", f"a batch with `{form}` is refused: {error}"))
            return False
        self.scratch.wait_until(lambda: self._batch_status(batch), _BATCH_ENDS.__contains__)
        works = {file.id for file in self.client.list_files(self.store_id)}.issuperset(file_ids)
        finding = (
            ok("batches", f"a batch with `{form}` works")
            if works
            else warning("batches", f"a batch with `{form}` is accepted, but its files are ignored")
        )
        self.record(capability, works, finding)
        return works

    def _batch_status(self, batch: LiveBatch) -> FileStatus:
        return self.client.get_batch(self.store_id, batch.id).batch.status

    def _chunking(self, reported: Chunking | None) -> None:
        """A warning at most: the reported chunking never causes a replace."""
        if reported == CHUNKING:
            self.emit(ok("chunking", "reported as requested"))
            return
        text = "not reported" if reported is None else f"requested {CHUNKING}, reported as {reported}"
        self.emit(warning("chunking", f"{text}: vssync knows its own from the marks, but sees no changes by others"))

    def _attributes(self, live: LiveFile) -> bool:
        """Whether attributes can be used at all: sent when attaching, or by an update after that."""
        returned = live.attributes or self._send_attributes(live.id)
        if not returned:
            text = f"lost: {NEEDS_ATTRIBUTES}, so vssync cannot be used here"
            self.record("attributes", False, failed("attributes", text))
            return False
        changed = [name for name, sent in ATTRIBUTES.items() if not is_same(sent, returned.get(name))]
        if changed:
            values = ", ".join(f"{name} as {_shorten(returned.get(name))}" for name in changed)
            finding = warning("attributes", f"returned changed: {values}")
        elif not live.attributes:
            finding = warning("attributes", "lost when attaching, kept when sent again: one more request for each file")
        else:
            finding = ok("attributes", "returned as they were sent")
        self.record("attributes", True, finding)
        return True

    def _send_attributes(self, file_id: str) -> Attributes:
        try:
            self.client.set_attributes(self.store_id, file_id, ATTRIBUTES)
        except ServiceError:
            return {}
        return self.client.get_file(self.store_id, file_id).attributes

    def _update_file(self, file_id: str) -> None:
        """Whether an update changes anything; how values come back is another probe's finding."""
        before = self.client.get_file(self.store_id, file_id).attributes
        try:
            self.client.set_attributes(self.store_id, file_id, {**ATTRIBUTES, "accent": "è"})
        except ServiceError as error:
            if not _is_refusal(error):
                raise
            self.record("attribute_updates", False, warning("update file", f"not possible in place: {error}"))
            return
        works = self.client.get_file(self.store_id, file_id).attributes != before
        finding = ok("update file", "attributes change in place") if works else warning("update file", "has no effect")
        self.record("attribute_updates", works, finding)

    def _update_store(self) -> None:
        """Sends the live metadata along: some services keep their own settings there."""
        try:
            live = self.client.get_store(self.store_id)
            if not live.metadata:
                way_out = "Create the stores there by other means, and declare each `external`."
                self.emit(warning("metadata", f"lost: {NEEDS_METADATA}", way_out))
            self.client.update_store(self.store_id, {"metadata": {**live.metadata, "tried": "yes"}})
            works = self.client.get_store(self.store_id).metadata.get("tried") == "yes"
            if works and not self.scratch.wait_until(self._is_listed_as_updated, bool, LISTING_TIMEOUT):
                text = "listings leave out metadata that a GET of the store has, and vssync recognizes stores by it"
                self.emit(failed("list stores", text))
        except ServiceError as error:
            if not _is_refusal(error):
                raise
            self.record("store_updates", False, warning("update store", f"not possible: {error}"))
            return
        finding = ok("update store", "metadata changes in place") if works else warning("update store", "has no effect")
        self.record("store_updates", works, finding)

    def _is_listed_as_updated(self) -> bool:
        listed = (store for store in self.client.list_stores() if store.id == self.store_id)
        return any(store.metadata.get("tried") == "yes" for store in listed)

    def _cancel_batch(self) -> None:
        """Some services refuse to cancel a batch that has ended, which is fine."""
        if not self.capabilities.get("batches"):
            return
        file_ids = [self.scratch.upload("is cancelled.")]
        has_files = self.capabilities.get("batch_files")
        batch = self._create_batch(file_ids) if has_files else self._create_uniform_batch(file_ids)
        try:
            self.client.cancel_batch(self.store_id, batch.id)
        except ServiceError as error:
            if self._batch_status(batch) in _BATCH_ENDS:
                self.emit(ok("cancel", "not known: the batch ended before it could be cancelled"))
            else:
                self.emit(warning("cancel", f"refused: {error}"))
            return
        self.emit(ok("cancel", "accepted"))


def _is_refusal(error: ServiceError) -> bool:
    """Whether the service says that it does not do this, rather than that something went wrong."""
    return error.answer.status in (400, 404, 405, 422, 501)


def _entries(file_ids: list[str]) -> list[AttachmentEntry]:
    return [AttachmentEntry(file_id, ATTRIBUTES, CHUNKING) for file_id in file_ids]


def is_same(sent: Scalar, returned: Scalar | None) -> bool:
    """Equal in kind and value: `true` is not 1, but 1 is 1.0."""
    return isinstance(sent, bool) == isinstance(returned, bool) and sent == returned


def _shorten(value: Scalar | None) -> str:
    return "nothing" if value is None else repr(value) if len(str(value)) < 40 else f"{len(str(value))} characters"


def capabilities_snippet(
    seen: Mapping[str, bool], declared: Mapping[str, int], defaults: Capabilities = _DEFAULTS
) -> str:
    """What to commit: every capability that differs from the defaults, and the safe side of what is not known."""
    unknown = SAFE.keys() - seen.keys() - declared.keys() if seen.get("attributes") else set[str]()
    values = {**seen, **{name: SAFE[name] for name in unknown}}
    differing = {name: has for name, has in sorted(values.items()) if has != getattr(defaults, name)}
    comments = dict.fromkeys(unknown, "  # not known: this is the safe side")
    lines = (f"    {name}: {str(has).lower()}{comments.get(name, '')}" for name, has in differing.items())
    snippet = "\n".join(["", "  capabilities:", *lines])
    if wrong := [name for name, has in declared.items() if name in seen and seen[name] != has]:
        way_out = f"Under `service`:\n{snippet}" if differing else "Remove that from `service.capabilities`."
        return f"The manifest says otherwise about {', '.join(sorted(wrong))}. {way_out}"
    if differing and not differing.keys() <= declared.keys():
        return f"Put this into the manifest, under `service`:\n{snippet}"
    return "Capabilities: as the manifest says."
