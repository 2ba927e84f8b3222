"""One file from all sides, as declared, as live, and as planned; and where everything comes from that is declared.

It is found when somebody asks, and never kept: documents are read again for what is looked up in them.
"""

from __future__ import annotations

from vssync.commands.plan import read_live
from vssync.commands.search import unknown_store_error
from vssync.commands.session import Session
from vssync.errors import UsageProblem
from vssync.manifest.diagnostics import find_source_locations
from vssync.manifest.resolve import trace_provenance
from vssync.model.convergence import HELD_BACK
from vssync.model.marks import KEY, Mark, UnreadableMark, key_attribute, key_digest
from vssync.model.plan import Action, Options
from vssync.model.state import LiveFile
from vssync.planner.assemble import make_plan
from vssync.planner.context import Scope
from vssync.render.manifest import TracedFile
from vssync.render.status import FileInspection, LiveCopy
from vssync.sources.load import LoadedManifest, file_provenance, find_source_location


def inspect_file(session: Session, address: str) -> FileInspection:
    """All that is known about one file. Raises UsageProblem for an address of which nothing is known."""
    store_key, _, key = address.partition("/")
    loaded = session.loaded
    stores = {store.key: store for store in loaded.desired.stores}
    if store_key not in stores:
        raise unknown_store_error(store_key, stores)
    store = stores[store_key]
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
        entry = find_source_location(loaded, trace_provenance(loaded.manifest, store_key, desired, {})["file"].path)
    batches = {file_id: batch.id for batch in contents.batches for file_id in batch.file_ids or ()} if contents else {}
    return FileInspection(
        address=address,
        entry=entry,
        desired=desired,
        copies=tuple(LiveCopy(file, batches.get(file.id, "")) for file in copies),
        changes=tuple(change for change in planned.files if change.key == key),
        held_back=tuple(note for note in planned.notes if note.key == key and note.kind in HELD_BACK),
        problem=planned.change.detail if planned.change and planned.change.action is Action.REFUSE else "",
    )


def _is_copy(file: LiveFile, key: str, owner: str) -> bool:
    mark = file.mark
    if isinstance(mark, UnreadableMark):
        return file.attributes.get(KEY) == key_attribute(key)
    return isinstance(mark, Mark) and mark.owner == owner and mark.key_digest == key_digest(key)


def trace_files(loaded: LoadedManifest, targets: tuple[str, ...] = ()) -> tuple[TracedFile, ...]:
    """Every file of the manifest, or those with one of these addresses (globs), with the place of each part.

    Raises UsageProblem for an address that matches nothing.
    """
    scope = Scope.of(Options(targets=targets))
    scope.check_addresses({store.key: [file.key for file in store.files] for store in loaded.desired.stores})
    traced = [
        (store.key, file, file_provenance(loaded, store.key, file))
        for store in loaded.desired.stores
        for file in store.files
        if scope.contains(store.key, file.key)
    ]
    places = {origin.path for _, _, parts in traced for origin in parts.values()}
    locations = find_source_locations(loaded.manifest.documents, places)
    return tuple(
        TracedFile(
            store,
            file,
            {
                part: f"{locations[origin.path]}{f', {origin.source} of {file.path}' if origin.source else ''}"
                for part, origin in parts.items()
            },
        )
        for store, file, parts in traced
    )
