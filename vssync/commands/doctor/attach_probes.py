"""Probes that attach: in batches and one by one, with attributes and chunking, each kind of file, and twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from vssync.api.errors import MissingCapability, file_named_by, missing_from_create_error
from vssync.commands.doctor.finding import failed, ok, warning
from vssync.commands.doctor.listing_probes import wait_for_upload
from vssync.commands.doctor.samples import SAMPLES, chapters
from vssync.commands.doctor.scratch import ATTRIBUTES, CHUNKING, TIMEOUT, Trial, is_refusal, unknown_id
from vssync.errors import ServiceError
from vssync.model.marks import NEEDS_ATTRIBUTES
from vssync.model.state import Attributes, Chunking, FileStatus, LiveBatch, LiveFile, Scalar

_VISIBLE_TIMEOUT, _ENDED_TIMEOUT = 60.0, 5.0  # seconds for a batch's files to be seen, and once the batch has ended


def attach_pair(trial: Trial) -> None:
    """Attaches two files in the best way there is, and looks at how long it takes until they are seen."""
    scratch = trial.scratch
    ids = [scratch.upload("reads one way.").id]
    wait_for_upload(trial, ids[0])
    ids.append(scratch.upload("reads another way.").id)
    _attach(trial, ids)
    checks = {
        "file_completed": lambda: all(file and file.status.ended for file in map(scratch.find_file, ids)),
        "file_listed": lambda: scratch.listed().keys() >= {*ids},
        "file_counted": lambda: trial.client.get_store(scratch.store_id).counts.total >= len(ids),
    }
    if trial.batch_id:
        batch = scratch.path("file_batches", trial.batch_id)
        checks["batch_started"] = lambda: scratch.ask("GET", batch).body.get("status") != "queued"
    delays = scratch.watch(checks)
    first, _ = [scratch.wait_for_file(file_id) for file_id in ids]
    trial.record_delay("batch_started", delays.get("batch_started"), "queued_seconds")
    trial.record_delay("file_completed", delays.get("file_completed"))
    trial.record_delay("file_listed", delays.get("file_listed"), "late_files", "short_files")
    trial.record_delay("file_counted", delays.get("file_counted"), "late_counts")
    trial.pair = tuple(ids)
    trial.record("takes_attributes", True)
    trial.record_prefix("file_ids", ids[0])
    late = [name for name in ("late_files", "short_files", "late_counts") if trial.facts.get(name)]
    if late or delays.keys() != checks.keys():
        trial.emit(warning("list files", "listings or counts are late or short after a change: plans take longer"))
    _chunking(trial, first.chunking)
    _attributes(trial, first)


def _attach(trial: Trial, file_ids: list[str]) -> None:
    client, store_id = trial.client, trial.scratch.store_id
    forms: tuple[tuple[str, Callable[[], LiveBatch]], ...] = (
        ("files", lambda: client.create_batch(store_id, [*map(trial.entry, file_ids)]).batch),
        ("file_ids", lambda: client.create_uniform_batch(store_id, file_ids, ATTRIBUTES, CHUNKING).batch),
    )
    for form, create in forms:
        try:
            if trial.facts.get("has_batches", True) and _attach_batch(trial, form, file_ids, create):
                return
        except ServiceError as error:
            if missing_from_create_error(error, file_ids) is MissingCapability.ATTRIBUTES:
                raise
            trial.emit(failed("batches", str(error)))
    for file_id in file_ids:
        if trial.scratch.find_file(file_id) is None:  # a batch whose reply was lost may have brought it
            client.attach_file(store_id, trial.entry(file_id))
    trial.emit(ok("attach", "single files can be attached"))


def _attach_batch(trial: Trial, form: str, file_ids: list[str], create: Callable[[], LiveBatch]) -> bool:
    """Whether a batch of this form is accepted and attaches its files."""
    capability = "batch_files" if form == "files" else "batches"
    try:
        batch = create()
    except ServiceError as error:
        missing = missing_from_create_error(error, file_ids)
        if missing in (None, MissingCapability.ATTRIBUTES):
            raise
        if missing is MissingCapability.BATCHES:
            trial.facts |= {"has_batches": False, "batches": False, "batch_files": False}
            text = f"the service has none ({error.answer.status}): files are attached one by one"
            trial.emit(warning("batches", text))
        else:
            trial.facts |= {"has_batches": True, f"{form}_form": "refused"}
            trial.record(capability, False, warning("batches", f"a batch with `{form}` is refused: {error}"))
        return False
    trial.facts["has_batches"] = True
    trial.record_prefix("batch_ids", batch.id)
    read = trial.scratch.ask("GET", trial.scratch.path("file_batches", batch.id))
    is_readable = not read.error
    trial.batch_id = batch.id if is_readable and read.body.get("status") == "queued" else ""
    works = _are_attached(trial, batch, file_ids, is_readable=is_readable)
    ending = "works" if works else "is accepted, but its files are ignored"
    trial.record(f"{form}_form", "works" if works else "ignored")
    trial.record("reads_batches", is_readable)
    trial.record("unreadable_batches", read.status if read.error else 0)
    trial.record(capability, works, (ok if works else warning)("batches", f"a batch with `{form}` {ending}"))
    if works:
        trial.record("batches", is_readable)
    if not is_readable:
        trial.emit(warning("batches", "a batch cannot be read or cancelled: attach files one by one"))
    return works


def _are_attached(trial: Trial, batch: LiveBatch, file_ids: list[str], *, is_readable: bool) -> bool:
    """Waits until a batch's files are in the store, whatever can be read of the batch."""
    clock, scratch = trial.client.clock, trial.scratch
    end = clock.monotonic() + _VISIBLE_TIMEOUT

    def are_seen() -> bool:
        return all(map(scratch.find_file, file_ids))

    while not are_seen() and clock.monotonic() < end:
        if is_readable and trial.client.get_batch(scratch.store_id, batch.id).batch.status.ended:
            return scratch.wait_until(are_seen, bool, _ENDED_TIMEOUT)
        clock.sleep(1.0)
    return are_seen()


def _chunking(trial: Trial, reported: Chunking | None) -> None:
    """A warning at most: the reported chunking never causes a replace."""
    came_by_batch = trial.facts.get("files_form") == "works" or trial.facts.get("file_ids_form") == "works"
    if reported is None or reported.auto or came_by_batch:
        trial.facts["echoes"] = "null" if reported is None else "auto" if reported.auto else "static"
    if reported == CHUNKING:
        trial.emit(ok("chunking", "reported as requested"))
        return
    text = "not reported" if reported is None else f"requested {CHUNKING}, reported as {reported}"
    trial.emit(warning("chunking", f"{text}: vssync knows its own from the marks, but sees no changes by others"))


def _attributes(trial: Trial, live: LiveFile) -> None:
    """Whether attributes can be used at all: sent when attaching, or by an update after that."""
    returned = live.attributes or _send_attributes(trial, live.id)
    if not returned:
        text = f"lost: {NEEDS_ATTRIBUTES}, so vssync cannot be used here"
        trial.record("attributes", False, failed("attributes", text))
        trial.pair = ()
        return
    changed = [name for name, sent in ATTRIBUTES.items() if not is_same(sent, returned.get(name))]
    if changed:
        values = ", ".join(f"{name} as {_shorten(returned.get(name))}" for name in changed)
        finding = warning("attributes", f"returned changed: {values}")
    elif not live.attributes:
        finding = warning("attributes", "lost when attaching, kept when sent again: one more request for each file")
    else:
        finding = ok("attributes", "returned as they were sent")
    trial.record("attributes", True, finding)
    trial.record("floats", isinstance(returned.get("large"), float))
    trial.record("attributes_changed", len(changed))


def _send_attributes(trial: Trial, file_id: str) -> Attributes:
    store_id = trial.scratch.store_id
    try:
        trial.client.set_attributes(store_id, file_id, ATTRIBUTES)
    except ServiceError:
        return {}
    return trial.client.get_file(store_id, file_id).attributes


def is_same(sent: Scalar, returned: Scalar | None) -> bool:
    """Equal in kind and value: `true` is not 1, but 1 is 1.0."""
    return isinstance(sent, bool) == isinstance(returned, bool) and sent == returned


def _shorten(value: Scalar | None) -> str:
    return "nothing" if value is None else repr(value) if len(str(value)) < 40 else f"{len(str(value))} characters"


def update_file(trial: Trial) -> None:
    """Whether an update changes anything; how values come back is another probe's finding."""
    client, store_id = trial.client, trial.scratch.store_id
    file_id = trial.pair[0]
    before = client.get_file(store_id, file_id).attributes
    try:
        client.set_attributes(store_id, file_id, {**ATTRIBUTES, "accent": "è"})
    except ServiceError as error:
        if not is_refusal(error):
            raise
        trial.record("attribute_updates", False, warning("update file", f"not possible in place: {error}"))
        return
    works = client.get_file(store_id, file_id).attributes != before
    text = "attributes change in place" if works else "has no effect"
    trial.record("attribute_updates", works, (ok if works else warning)("update file", text))


def attach_again(trial: Trial) -> None:
    """What happens when a file is attached that is attached, and when one that does not exist is."""
    scratch = trial.scratch
    file_id = trial.pair[0]
    again = scratch.ask("POST", scratch.path("files"), body=trial.entry(file_id, accent="again").body())
    trial.record("reattaches", not again.error)
    phantom = scratch.ask("POST", scratch.path("files"), body={"file_id": unknown_id(file_id)})
    trial.record("phantom_files", not phantom.error)
    content = scratch.ask("GET", f"/files/{file_id}/content")
    if content.status in (200, 400, 403):
        trial.record("refuses_content", content.error is not None)
    text = scratch.ask("GET", scratch.path("files", file_id, "content"))
    if "data" in text.body or "content" in text.body:
        trial.record("content_pages", "data" in text.body)


def attach_plainly(trial: Trial) -> None:
    """A file with a name in another alphabet, without attributes, in chunks that are smaller than the rules allow."""
    scratch = trial.scratch
    upload = scratch.upload("has an accent in its name.", " é.txt")
    name = [*scratch.uploads][-1]
    plain = "".join(char for char in name if char.isascii() and (char.isalnum() or char in "._-"))
    garbled = name.encode().decode("latin-1")
    trial.facts |= {"garbles_names": upload.filename == garbled, "plain_names": upload.filename == plain}
    kept = upload.filename == name
    text = "names are kept" if kept else "names come back changed: vssync goes by its own attributes"
    trial.emit((ok if kept else warning)("names", text))
    small = {"type": "static", "static": {"max_chunk_size_tokens": 50, "chunk_overlap_tokens": 0}}
    attached = scratch.ask("POST", scratch.path("files"), body={"file_id": upload.id, "chunking_strategy": small})
    trial.record("lax", not attached.error)
    if attached.error:
        attached = scratch.ask("POST", scratch.path("files"), body={"file_id": upload.id})
    if attached.error:
        raise attached.error
    trial.record("attaches_at_once", attached.body.get("status") == "completed")
    scratch.wait_for_file(upload.id)
    read = scratch.ask("GET", scratch.path("files", upload.id))
    if "attributes" in read.body:
        trial.record("null_attributes", read.body["attributes"] is None)


def kinds(trial: Trial) -> None:
    """Attaches a small file of each kind: which are refused, which fail, and which are read."""
    scratch = trial.scratch
    ends: dict[str, str] = {}
    attached: dict[str, str] = {}
    for kind, make in SAMPLES.items():
        upload = scratch.upload(make(scratch.word), kind)
        reply = scratch.ask("POST", scratch.path("files"), body=trial.entry(upload.id, kind=kind).body())
        if reply.error:
            if not is_refusal(reply.error):
                raise reply.error
            ends[kind] = f"refused {reply.error.answer.code}".strip()
            trial.record("refusal_names_file", bool(file_named_by(reply.error, [upload.id])))
        else:
            attached[kind] = upload.id

    def has_ended(file_id: str) -> bool:
        file = scratch.find_file(file_id)
        return file is not None and file.status.ended

    delays = scratch.watch({kind: partial(has_ended, file_id) for kind, file_id in attached.items()}, TIMEOUT)
    for kind, file_id in attached.items():
        trial.record_delay(f"ingested {kind}", delays.get(kind))
        file = scratch.find_file(file_id)
        error = f" {file.error.code}" if file and file.error else ""
        ends[kind] = f"{file.status}{error}" if file else "not visible"
        if file and file.status is FileStatus.FAILED:
            trial.record("forgets_errors", file.error is None)
    by_end: dict[str, list[str]] = {}
    for kind, end in sorted(ends.items(), key=lambda item: item[1]):
        by_end.setdefault(end, []).append(kind)
    text = "; ".join(f"{end}: {' '.join(kinds)}" for end, kinds in by_end.items())
    trial.record("kinds", dict(sorted(ends.items())), ok("kinds", text))


def chunk_sizes(trial: Trial) -> None:
    """Whether a long text is found in pieces of the size that was asked for."""
    whole = len(chapters(trial.scratch.word))
    if hits := [len(hit.text) for hit in trial.search() if hit.attributes.get("kind") == ".md"]:
        ignores = max(hits) * 3 > whole  # 200 tokens are a seventh of it
        text = "ignored: texts are found in larger pieces than were asked for"
        finding = warning("chunk sizes", text) if ignores else ok("chunk sizes", "as requested")
        trial.record("ignores_chunking", ignores, finding)


def refused_in_batch(trial: Trial) -> None:
    """What a batch does with a file of a kind that is refused."""
    ends = trial.facts.get("kinds")
    refused = [kind for kind, end in ends.items() if end.startswith("refused")] if isinstance(ends, dict) else []
    if not refused or trial.facts.get("batch_files") is not True:
        return
    scratch = trial.scratch
    bad = next(upload for name, upload in scratch.uploads.items() if upload and name.endswith(refused[0]))
    good = scratch.upload("shares a batch with a file that is refused.")
    try:
        trial.client.create_batch(scratch.store_id, [trial.entry(bad.id), trial.entry(good.id)])
    except ServiceError as error:
        names = bool(file_named_by(error, [bad.id, good.id]))
        trial.record("refusal_in_batch_names_file", names)
        text = f"one with a refused file is refused as a whole, and {'names it' if names else 'does not name it'}"
        trial.record("refused_in_batch", "refused", ok("batches", text))
    else:
        trial.record("refused_in_batch", "accepted", ok("batches", "one with a refused file is accepted"))


def cancel_batch(trial: Trial) -> None:
    """Cancels a batch under way, and one that has ended."""
    if trial.facts.get("batches") is not True:
        return
    client, scratch = trial.client, trial.scratch
    store_id, file_id = scratch.store_id, scratch.upload("is cancelled.").id
    if trial.facts.get("batch_files"):
        batch = client.create_batch(store_id, [trial.entry(file_id)]).batch
    else:
        batch = client.create_uniform_batch(store_id, [file_id], ATTRIBUTES, CHUNKING).batch
    cancelled = scratch.ask("POST", scratch.path("file_batches", batch.id, "cancel"))
    after = scratch.wait_until(
        lambda: client.get_batch(store_id, batch.id).batch, lambda batch: batch.status.ended, 30.0
    )
    if cancelled.error and after.status.ended:
        trial.record("cancel", "late", ok("cancel", "not known: the batch ended before it could be cancelled"))
    elif cancelled.error:
        trial.record("cancel", "refused", warning("cancel", f"refused: {cancelled.error}"))
    else:
        trial.record("cancel", "accepted", ok("cancel", "accepted"))
    if after.status is FileStatus.CANCELLED:
        trial.record("cancel_keeps_counts", after.counts.in_progress > 0)
    if after.status is FileStatus.COMPLETED or not cancelled.error:
        again = scratch.ask("POST", scratch.path("file_batches", batch.id, "cancel"))
        trial.record("cancels_finished", not again.error)
