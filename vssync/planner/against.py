"""What a change of the manifest and its files means, found out without a service.

The state that an apply of the earlier manifest would leave is made up here, and the plan is made from it as from a live
one. So a comparison has the actions, reasons and guards of a plan, and no rules of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace

from vssync.model.convergence import find_convergence
from vssync.model.digests import mark_for, store_mark_for, with_key
from vssync.model.marks import STORE_OWNER, STORE_PROTECT, Origin
from vssync.model.plan import FieldChange, Options, Plan, Revision
from vssync.model.state import (
    Contents,
    Desired,
    DesiredFile,
    DesiredStore,
    FileCounts,
    FileStatus,
    LiveFile,
    LiveStore,
    Snapshot,
    StoreStatus,
)
from vssync.planner.assemble import make_plan
from vssync.planner.context import Scope
from vssync.planner.environment_diff import compare_values, declared_settings

_BEFORE = "before:"  # the prefix of ids that are made up
# The settings that govern a store: they decide what an apply may do to it. Of the others, those with an effect show in
# the plan.
_GOVERNING = ("adopt", "external", "guards", "id", "ignore_attributes", "protect", "prune", "removed")

LeftOut = Mapping[str, tuple[str, ...]]  # keys by kind, as in `DesiredStore.left_out`


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """The Markdown of a converted document at both revisions."""

    store: str
    key: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ManifestComparison:
    """A plan from the manifest of one revision to that of another, or to the work tree's.

    `governing` are the settings that decide what an apply may do, by their path in the manifest.
    """

    plan: Plan
    before: Revision
    after: Revision | None = None  # None for the work tree
    governing: tuple[FieldChange, ...] = ()
    left_out_before: Mapping[str, LeftOut] = field(default_factory=dict)  # by store, where it changed
    notes: tuple[str, ...] = ()  # why not all could be compared
    documents: tuple[DocumentChange, ...] = ()  # those of which reviewers see the text

    @property
    def same(self) -> bool:
        """Whether nothing changed, as far as it could be compared."""
        return not (self.governing or self.left_out_before) and find_convergence(self.plan).reached


def compare_manifests(
    before: Desired | None, after: Desired, options: Options, revisions: tuple[Revision, Revision | None]
) -> ManifestComparison:
    """What changed between two states of a manifest, each with its files read; without one before, all is new.

    Raises what `make_plan` raises.
    """
    owner = before.owner if before else after.owner
    if owner != after.owner:  # so that the plan says what is taken over, and not that all is new beside it
        options = replace(options, adopt_from=(*options.adopt_from, owner))
    capabilities = after.service.declared_capabilities
    plan = make_plan(after, applied_snapshot(before, after), options, capabilities)
    scope, earlier = Scope.of(options), _earlier_stores(before, after)
    left_out = {
        store.key: earlier[store.key].left_out
        for store in after.stores
        if scope.includes_all_files(store.key) and store.left_out != earlier[store.key].left_out
    }
    governing = tuple(_governing_changes(before, after, earlier))
    return ManifestComparison(plan, *revisions, governing, left_out)


def _earlier_stores(before: Desired | None, after: Desired) -> dict[str, DesiredStore]:
    """What each store was, by its key of today; for a new one, a store of its name with nothing but defaults."""
    by_key = {store.key: store for store in (*before.stores, *before.removed)} if before else {}
    return {
        store.key: next(
            (by_key[key] for key in (store.key, *store.was) if key in by_key),
            DesiredStore(store.key, store.name, id=store.id, external=store.external),
        )
        for store in (*after.stores, *after.removed)
    }


def applied_snapshot(before: Desired | None, after: Desired) -> Snapshot:
    """What a service would hold if the earlier manifest had just been applied to one that was empty.

    Stores that exist without the manifest, since they are `external` or pinned by `id`, are taken to be empty. What the
    later manifest says to remove, and the earlier one does not have, is taken not to be there.
    """
    live: dict[str, LiveStore] = {}
    contents: dict[str, Contents] = {}
    for store, owner in [(store, before.owner) for store in before.stores] if before else []:
        files = tuple(_applied_file(owner, file, store) for file in store.files)
        live[_store_id(store)] = _applied_store(owner, store, len(files))
        contents[_store_id(store)] = Contents(files, count=len(files))
    names = {store.name for store in live.values()}
    for store in after.stores:
        is_known = store.id in live if store.id else store.name in names
        if (store.external or store.id) and not is_known:
            live[_store_id(store)] = _applied_store("", store, 0)
            contents[_store_id(store)] = Contents()
    return Snapshot(now=0, stores=tuple(live.values()), contents=contents)


def is_made_up(id: str) -> bool:
    """Whether an id comes from a state that is made up here, not from a service."""
    return id.startswith(_BEFORE)


def _store_id(store: DesiredStore) -> str:
    return store.id or f"{_BEFORE}{store.key}"


def _applied_store(owner: str, store: DesiredStore, file_count: int) -> LiveStore:
    """A store as an apply leaves it; without an owner, as somebody else made it."""
    metadata = dict(store.metadata)
    if owner and not store.external:
        protect = {STORE_PROTECT: "true"} if store.protect else {}
        metadata |= {**protect, STORE_OWNER: str(store_mark_for(owner, store))}
    return LiveStore(
        id=_store_id(store),
        name=store.name,
        status=StoreStatus.COMPLETED,
        created_at=0,
        metadata=metadata if owner else {},
        expires_after_days=store.expires_after_days,
        description=store.description,
        counts=FileCounts(completed=file_count, total=file_count),
    )


def _applied_file(owner: str, file: DesiredFile, store: DesiredStore) -> LiveFile:
    origin = Origin.DECLARED if file.file_id else Origin.UPLOADED
    return LiveFile(
        id=file.file_id or f"{_BEFORE}{store.key}/{file.key}",
        status=FileStatus.COMPLETED,
        created_at=0,
        attributes=with_key(file.attributes, file.key),
        chunking=file.chunking,
        mark=mark_for(owner, file, store.ignore_attributes, origin=origin),
    )


def _governing_changes(
    before: Desired | None, after: Desired, earlier: Mapping[str, DesiredStore]
) -> Iterator[FieldChange]:
    """The settings that decide what an apply may do and that changed."""
    if before:
        old, new = ({"owner": desired.owner, "service": asdict(desired.service)} for desired in (before, after))
        yield from compare_values(old, new)
    for store in sorted((*after.stores, *after.removed), key=lambda store: store.key):
        for change in compare_values(_governing(earlier[store.key]), _governing(store)):
            yield replace(change, name=f"stores.{store.key}.{change.name}")


def _governing(store: DesiredStore) -> dict[str, object]:
    return {name: value for name, value in declared_settings(store).items() if name in _GOVERNING}
