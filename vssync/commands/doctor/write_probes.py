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
from vssync.errors import NotFound, ServiceError, VssyncError
from vssync.limits import MAX_VALUE_LENGTH
from vssync.model.marks import NEEDS_ATTRIBUTES, NEEDS_METADATA
from vssync.model.state import Attributes, Capabilities, Chunking, FileStatus, LiveFile, Scalar

CHUNKING = Chunking(200, 50)
# What services are known to bend: other alphabets, fractions, large numbers, booleans, the empty and the longest text.
ATTRIBUTES: Attributes = {
    "accent": "é",
    "fraction": 0.1,
    "large": 2**53,
    "yes": True,
    "empty": "",
    "long": "x" * MAX_VALUE_LENGTH,
}
_NOTICED = 30.0  # seconds for a search index to notice
_BATCH_ENDS = (FileStatus.COMPLETED, FileStatus.FAILED, FileStatus.CANCELLED)


@dataclass(slots=True)
class _ProbeRun:
    """One trial under way: where it happens, and what it has found out."""

    scratch: ScratchStore
    tell: Emit
    found: dict[str, bool] = field(default_factory=dict)

    @property
    def client(self) -> Client:
        return self.scratch.client

    @property
    def store(self) -> str:
        return self.scratch.store_id

    def learn(self, capability: str, has: bool, finding: Finding) -> None:
        """Keeps what a service has or has not, and tells it."""
        self.found[capability] = has
        self.tell(finding)


def run_write_probes(client: Client, tell: Emit) -> tuple[Mapping[str, bool], bool]:
    """What the service was seen to be capable of, and whether something of the trial is left there."""
    trial = _ProbeRun(ScratchStore(client), tell)
    try:
        _tries(trial)
    except VssyncError as error:
        if isinstance(error, ServiceError) and missing_from_create_error(error) is MissingCapability.ATTRIBUTES:
            trial.learn("attributes", False, failed("attributes", f"refused: {error}"))
        elif isinstance(error, ServiceError) and not trial.store and is_permanent(error):
            trial.learn("store_creates", False, failed("create store", str(error)))
        else:
            tell(failed("trial", str(error)))
    finally:
        clean = trial.scratch.clean(tell)
    return trial.found, not clean


def _tries(trial: _ProbeRun) -> None:
    trial.scratch.make_store()
    trial.tell(ok("create store", f"{trial.store}: made, and it answers"))
    _list_batches(trial)
    first = [trial.scratch.upload("reads one way."), trial.scratch.upload("reads another way.")]
    _attach(trial, first)
    live = trial.scratch.ended(first[0])
    trial.scratch.ended(first[1])
    _echo(trial, live.chunking)
    if _round_trip(trial, live):
        _update_file(trial, first[0])
    _update_store(trial)
    _cancel(trial)
    _shares_chunks(trial)


def _list_batches(trial: _ProbeRun) -> None:
    error = trial.client.probe(url_path("vector_stores", trial.store, "file_batches")).error
    if error and missing_from_list_error(error) is None:
        raise error
    finding = warning("list batches", f"not supported ({error.answer.status})") if error else ok("list batches", "work")
    trial.learn("list_batches", error is None, finding)


def _attach(trial: _ProbeRun, ids: list[str]) -> None:
    """Attaches by the best way there is, and finds out which that is."""
    if _in_batch(
        trial, "batch_files", "files[]", ids, lambda: trial.client.create_batch(trial.store, _entries(ids)).batch.id
    ):
        trial.found["batches"] = True
        return
    if trial.found.get("batches", True):
        shared = lambda: trial.client.create_uniform_batch(trial.store, ids, ATTRIBUTES, CHUNKING).batch.id  # noqa: E731
        if _in_batch(trial, "batches", "file_ids", ids, shared):
            return
    for entry in _entries(ids):
        trial.client.attach_file(trial.store, entry)
    trial.tell(ok("attach", "single files can be attached"))


def _entries(ids: list[str]) -> list[AttachmentEntry]:
    return [AttachmentEntry(file_id, ATTRIBUTES, CHUNKING) for file_id in ids]


def _in_batch(trial: _ProbeRun, capability: str, form: str, ids: list[str], create: Callable[[], str]) -> bool:
    """Whether a batch of this form is taken, and brings its files in."""
    topic = "batches"
    try:
        batch_id = create()
    except ServiceError as error:
        lack = missing_from_create_error(error, ids)
        if lack is None:
            raise
        if lack is MissingCapability.BATCHES:
            trial.found["batches"] = False
            trial.found["batch_files"] = False
            trial.tell(warning(topic, f"the service has none ({error.answer.status}): files are attached one by one"))
        else:
            trial.learn(capability, False, warning(topic, f"a batch with `{form}` is refused: {error}"))
        return False
    trial.scratch.until(lambda: trial.client.get_batch(trial.store, batch_id).batch.status, _BATCH_ENDS.__contains__)
    there = {file.id for file in trial.client.list_files(trial.store)}
    taken = there.issuperset(ids)
    said = f"a batch with `{form}` {'works' if taken else 'is accepted, and ignored'}"
    trial.learn(capability, taken, ok(topic, said) if taken else warning(topic, said))
    return taken


def _echo(trial: _ProbeRun, chunking: Chunking | None) -> None:
    """What is reported never causes a replace, so anything but the truth is only worth knowing."""
    if chunking == CHUNKING:
        trial.tell(ok("chunking", "reported as it was asked for"))
        return
    said = "not reported" if chunking is None else f"asked for {CHUNKING}, reported as {chunking}"
    trial.tell(warning("chunking", f"{said}: changes by others cannot be seen, ours are kept in the mark"))


def _round_trip(trial: _ProbeRun, live: LiveFile) -> bool:
    """Whether attributes can be used at all: sent while attaching, or else by an update."""
    kept = live.attributes or _sent_later(trial, live.id)
    if not kept:
        trial.learn(
            "attributes", False, failed("attributes", f"lost: {NEEDS_ATTRIBUTES}, so vssync cannot be used here")
        )
        return False
    bent = [name for name, sent in ATTRIBUTES.items() if not same(sent, kept.get(name))]
    if bent:
        said = ", ".join(f"{name} as {_short(kept.get(name))}" for name in bent)
        finding = warning("attributes", f"come back changed: {said}")
    elif not live.attributes:
        finding = warning("attributes", "lost while attaching, kept when sent again: a request more a file")
    else:
        finding = ok("attributes", "come back as they were sent")
    trial.learn("attributes", True, finding)
    return True


def _sent_later(trial: _ProbeRun, file_id: str) -> Attributes:
    """What an update keeps of attributes that attaching lost."""
    try:
        trial.client.set_attributes(trial.store, file_id, ATTRIBUTES)
    except ServiceError:
        return {}
    return trial.client.get_file(trial.store, file_id).attributes


def same(sent: Scalar, back: Scalar | None) -> bool:
    """Equal in kind and value: `true` is not 1, and 1 is 1.0."""
    return isinstance(sent, bool) == isinstance(back, bool) and sent == back


def _short(value: Scalar | None) -> str:
    return "nothing" if value is None else repr(value) if len(str(value)) < 40 else f"{len(str(value))} characters"


def _update_file(trial: _ProbeRun, file_id: str) -> None:
    """Whether an update changes anything; how values are bent is told by the round trip."""
    before, changed = trial.client.get_file(trial.store, file_id).attributes, {**ATTRIBUTES, "accent": "è"}
    try:
        trial.client.set_attributes(trial.store, file_id, changed)
    except ServiceError as error:
        trial.learn("attribute_updates", False, warning("update file", f"not possible in place: {error}"))
        return
    kept = trial.client.get_file(trial.store, file_id).attributes != before
    finding = ok("update file", "attributes change in place") if kept else warning("update file", "not kept")
    trial.learn("attribute_updates", kept, finding)


def _update_store(trial: _ProbeRun) -> None:
    """Sends the live metadata along: some services keep their own settings there."""
    try:
        live = trial.client.get_store(trial.store)
        if not live.metadata:
            trial.tell(
                warning("metadata", f"lost: {NEEDS_METADATA}", "Make stores there, and declare each `external`.")
            )
        trial.client.update_store(trial.store, {"metadata": {**live.metadata, "tried": "yes"}})
        kept = trial.client.get_store(trial.store).metadata.get("tried") == "yes"
    except ServiceError as error:
        trial.learn("store_updates", False, warning("update store", f"not possible: {error}"))
        return
    finding = ok("update store", "metadata changes in place") if kept else warning("update store", "not kept")
    trial.learn("store_updates", kept, finding)


def _cancel(trial: _ProbeRun) -> None:
    """One that comes too late is refused by some services, which is as good."""
    if not trial.found.get("batches"):
        return
    ids = [trial.scratch.upload("is cancelled.")]
    if trial.found.get("batch_files"):
        batch = trial.client.create_batch(trial.store, _entries(ids)).batch
    else:
        batch = trial.client.create_uniform_batch(trial.store, ids, ATTRIBUTES, CHUNKING).batch
    try:
        trial.client.cancel_batch(trial.store, batch.id)
    except ServiceError as error:
        late = trial.client.get_batch(trial.store, batch.id).batch.status in _BATCH_ENDS
        said = "came too late to tell" if late else f"refused: {error}"
        trial.tell(ok("cancel", said) if late else warning("cancel", said))
        return
    trial.tell(ok("cancel", "accepted"))


def _shares_chunks(trial: _ProbeRun) -> None:
    """Two files of the same text: when the later one goes, is the earlier one still found?"""
    kept, gone = (trial.scratch.upload("stands in two files.") for _ in range(2))
    for file_id in (kept, gone):
        trial.client.attach_file(trial.store, AttachmentEntry(file_id, {}, CHUNKING))
        trial.scratch.ended(file_id)
    try:
        before = trial.scratch.until(lambda: _hits(trial), lambda hits: bool(hits & {kept, gone}), _NOTICED)
        if not before & {kept, gone}:
            trial.tell(warning("equal texts", "search found neither of two, so whether they share chunks is not known"))
            return
        trial.client.detach_file(trial.store, gone)
        shared = kept not in trial.scratch.until(lambda: _hits(trial), lambda hits: kept in hits, _NOTICED)
    except NotFound as error:
        trial.tell(
            warning("equal texts", f"search does not answer, so whether they share chunks is not known: {error}")
        )
        return
    said = "share their chunks: removing one hides the other" if shared else "are kept apart"
    trial.learn("shares_chunks", shared, warning("equal texts", said) if shared else ok("equal texts", said))


def _hits(trial: _ProbeRun) -> set[str]:
    return {
        hit.file_id for hit in trial.client.search_store(trial.store, f"{trial.scratch.word} stands in two files", 10)
    }


def capabilities_snippet(found: Mapping[str, bool], stated: Mapping[str, bool]) -> str:
    """What to commit: every capability that differs from what vssync takes for granted."""
    usual = Capabilities()
    differing = {name: has for name, has in sorted(found.items()) if has != getattr(usual, name)}
    if wrong := [name for name, said in stated.items() if name in found and found[name] != said]:
        head = f"The manifest says otherwise of {', '.join(sorted(wrong))}. Under `service`:"
    elif differing and not differing.keys() <= stated.keys():
        head = "Put this into the manifest, under `service`:"
    else:
        return "Capabilities: as the manifest says."
    lines = [f"    {name}: {str(has).lower()}" for name, has in differing.items()]
    return "\n".join([head, "", "  capabilities:", *lines]) if lines else f"{head} remove them."
