"""One file from all sides: what the manifest says, what is live, what a plan would do."""

from __future__ import annotations

from vssync.commands.plan import read_live
from vssync.commands.session import Session
from vssync.errors import UsageProblem
from vssync.manifest.resolve import provenance
from vssync.model.marks import Mark, key_digest
from vssync.model.plan import Options
from vssync.model.state import DesiredFile, LiveFile
from vssync.planner.assemble import make_plan
from vssync.render.file_status import FileInspection, LiveCopy
from vssync.sources.load import locate_value


def inspect_file(work: Session, address: str) -> FileInspection:
    """Everything known of one file.

    Raises UsageProblem for an address of which nothing is known.
    """
    store_key, _, key = address.partition("/")
    store = next((store for store in work.loaded.desired.stores if store.key == store_key), None)
    if store is None:
        raise UsageProblem(f"{address}: the manifest has no store `{store_key}`")
    options = Options()
    snapshot = read_live(work, options)
    plan = make_plan(work.loaded.desired, snapshot, options, work.capabilities)
    planned = next(found for found in plan.stores if found.key == store_key)
    desired = next((file for file in store.files if file.key == key), None)
    contents = snapshot.contents.get(planned.id)
    live = [file for file in contents.files if _is(file, key, plan.owner)] if contents else []
    if desired is None and not live and key not in store.skipped:
        raise UsageProblem(f"{address}: neither the manifest nor the store {store.name} has such a file")
    batches = {file_id: batch.id for batch in contents.batches for file_id in batch.file_ids or ()} if contents else {}
    return FileInspection(
        address=address,
        entry=_entry(work, store_key, desired) if desired else store.skipped.get(key, ""),
        desired=desired,
        copies=tuple(LiveCopy(file, batches.get(file.id, "")) for file in live),
        changes=tuple(change for change in planned.files if change.key == key),
    )


def _is(file: LiveFile, key: str, owner: str) -> bool:
    mark = file.mark
    return isinstance(mark, Mark) and mark.owner == owner and mark.key == key_digest(key)


def _entry(work: Session, store: str, file: DesiredFile) -> str:
    path = provenance(work.loaded.manifest, store, file, {})["file"]
    return locate_value(work.loaded, path) if path else ""
