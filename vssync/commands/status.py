"""One file from all sides: as declared, as live, and as planned."""

from __future__ import annotations

from vssync.commands.plan import read_live
from vssync.commands.session import Session
from vssync.errors import UsageProblem
from vssync.manifest.resolve import provenance
from vssync.model.marks import KEY, Mark, UnreadableMark, key_attribute, key_digest
from vssync.model.plan import HELD_BACK, Options
from vssync.model.state import LiveFile
from vssync.planner.assemble import make_plan
from vssync.render.file_status import FileInspection, LiveCopy
from vssync.sources.load import locate_value


def inspect_file(session: Session, address: str) -> FileInspection:
    """All that is known about one file.

    Raises UsageProblem for an address of which nothing is known.
    """
    store_key, _, key = address.partition("/")
    loaded = session.loaded
    store = next((store for store in loaded.desired.stores if store.key == store_key), None)
    if store is None:
        raise UsageProblem(f"{address}: the manifest has no store `{store_key}`")
    options = Options()
    snapshot = read_live(session, options)
    plan = make_plan(loaded.desired, snapshot, options, session.capabilities)
    planned = next(planned for planned in plan.stores if planned.key == store_key)
    desired = next((file for file in store.files if file.key == key), None)
    contents = snapshot.contents.get(planned.id)
    copies = [file for file in contents.files if _is_copy(file, key, plan.owner)] if contents else []
    if desired is None and not copies and key not in store.skipped:
        raise UsageProblem(f"{address}: neither the manifest nor the store {store.name} has such a file")
    entry = store.skipped.get(key, "")
    if desired:
        path = provenance(loaded.manifest, store_key, desired, {})["file"]
        entry = locate_value(loaded, path) if path else ""
    batches = {file_id: batch.id for batch in contents.batches for file_id in batch.file_ids or ()} if contents else {}
    return FileInspection(
        address=address,
        entry=entry,
        desired=desired,
        copies=tuple(LiveCopy(file, batches.get(file.id, "")) for file in copies),
        changes=tuple(change for change in planned.files if change.key == key),
        held_back=tuple(note for note in planned.notes if note.key == key and note.kind in HELD_BACK),
    )


def _is_copy(file: LiveFile, key: str, owner: str) -> bool:
    mark = file.mark
    if isinstance(mark, UnreadableMark):
        return file.attributes.get(KEY) == key_attribute(key)
    return isinstance(mark, Mark) and mark.owner == owner and mark.key_digest == key_digest(key)
