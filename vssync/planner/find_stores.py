"""Which live store belongs to which store of the manifest: by pinned id, else by mark, else by name.

An application may replace a store's metadata, and the mark with it. So a store that this machine created is preferred
to one that only has the same name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from vssync.errors import Refused
from vssync.model.marks import StoreMark
from vssync.model.plan import Options
from vssync.model.state import Contents, Desired, DesiredStore, FileStatus, LiveStore
from vssync.planner.context import Scope

# Stores created for one key within this time are taken to come from parallel first applies.
MAX_PARALLEL_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class StoreMatch:
    """The live stores that match one desired store, oldest first."""

    live: tuple[LiveStore, ...] = ()  # without the expired ones
    expired: tuple[LiveStore, ...] = ()  # these count only if nothing else matches
    lacks_mark: bool = False  # they match by name alone, or by the `id:` of a store to remove

    @classmethod
    def of(cls, stores: Sequence[LiveStore], *, lacks_mark: bool = False) -> StoreMatch:
        """The match of these stores, which are sorted by age."""
        usable = tuple(live for live in stores if not live.is_expired)
        return cls(usable, tuple(live for live in stores if live.is_expired), lacks_mark)


@dataclass(frozen=True, slots=True)
class StoreMatches:
    """Which live stores match those of the manifest, and which of ours match none."""

    by_key: Mapping[str, StoreMatch] = field(default_factory=dict)
    removed: Mapping[str, StoreMatch] = field(default_factory=dict)  # of the stores that the manifest says to remove
    undeclared: tuple[tuple[str, LiveStore], ...] = ()  # each with the key in its mark; several may have one key

    @property
    def ids(self) -> Mapping[str, str]:
        """The live id of each store key that has a usable store; of several, the oldest with completed files."""
        return {
            key: min(match.live, key=lambda live: (not live.counts.completed, live.created_at, live.id)).id
            for key, match in self.by_key.items()
            if match.live
        }

    @property
    def ids_to_list(self) -> tuple[str, ...]:
        """The ids of stores whose contents must be listed before planning, sorted. Expired ones cannot be listed."""
        matched = [live for match in (*self.by_key.values(), *self.removed.values()) for live in match.live]
        undeclared = [live for _, live in self.undeclared if not live.is_expired]
        return tuple(sorted({live.id for live in (*matched, *undeclared)}))


def order_of_use(live: LiveStore, contents: Contents | None, owners: Collection[str]) -> tuple[bool, bool, int, str]:
    """The sort key of stores with the same mark; the first in this order is the one in use.

    By it, machines that each created a store at the same time choose the same one: usable stores come first, of these
    the ones with a completed file of ours, of these the oldest. `contents` is None for a store that cannot be listed.
    """
    is_usable = not live.is_expired and contents is not None and not contents.problem
    files = contents.files if contents and is_usable else ()
    has_ours = any(file.status is FileStatus.COMPLETED and file.owner in owners for file in files)
    return not is_usable, not has_ours, live.created_at, live.id


def is_duplicate(live: LiveStore, in_use: LiveStore, contents: Contents, owners: Collection[str]) -> bool:
    """Whether a store was created by a first apply parallel to that of the store in use, and holds only our files."""
    all_ours = all(file.owner in owners for file in contents.files)
    return abs(live.created_at - in_use.created_at) <= MAX_PARALLEL_SECONDS and all_ours and not contents.unlisted


def match_stores(
    desired: Desired, stores: tuple[LiveStore, ...], options: Options, created_here: Mapping[str, str] | None = None
) -> StoreMatches:
    """The matches of every store in scope; if several live stores carry its mark, all of them.

    `created_here` has the keys, by id, of stores that this machine created, which are found even if their mark is lost.
    A newer version's mark counts as a mark of the owner and key it names. Raises Refused for a store of another owner,
    and for two stores of the manifest that match the same live store.
    """
    scope = Scope.of(options)
    matcher = _StoreMatcher(desired, options, stores, created_here or {})
    in_order = sorted(desired.stores, key=lambda store: store.key)
    by_key = {store.key: matcher.match(store) for store in in_order if scope.touches_store(store.key)}
    removed = {store.key: matcher.match_removed(store) for store in desired.removed if scope.touches_store(store.key)}
    matches = {**by_key, **removed}
    _refuse_shared(matches)
    matched_ids = {live.id for match in matches.values() for live in (*match.live, *match.expired)}
    declared_ids = matcher.pinned_ids | matched_ids
    undeclared: list[tuple[str, LiveStore]] = []
    for (owner, key), marked in sorted(matcher.by_mark.items()):
        if owner == desired.owner and scope.touches_store(key):
            undeclared += [(key, live) for live in marked if live.id not in declared_ids]
    return StoreMatches(by_key, removed, tuple(undeclared))


def _refuse_shared(by_key: Mapping[str, StoreMatch]) -> None:
    """Raises Refused for two stores that match one live store: each would delete the other's files."""
    keys_by_id: dict[str, str] = {}
    for key, match in by_key.items():
        for live in match.live:
            other_key = keys_by_id.setdefault(live.id, key)
            if other_key != key:
                raise Refused(
                    f"{other_key} and {key}: both are the live store {live.label}. "
                    f"Give one of them another name, or another `id:`."
                )


class _StoreMatcher:
    """Looks desired stores up among the live ones.

    `pinned_ids` are the ids that the manifest names by `id:`. `reserved_ids` adds those of stores that carry our mark
    for one of the manifest's keys: none of these may be matched by name alone.
    """

    def __init__(
        self, desired: Desired, options: Options, stores: Iterable[LiveStore], created_here: Mapping[str, str]
    ) -> None:
        self.desired, self.options, self.created_here = desired, options, created_here
        self.by_id: dict[str, LiveStore] = {}
        self.by_name: dict[str, list[LiveStore]] = {}
        self.by_mark: dict[tuple[str, str], list[LiveStore]] = {}
        for live in sorted(stores, key=lambda live: (live.created_at, live.id)):
            self.by_id[live.id] = live
            self.by_name.setdefault(live.name, []).append(live)
            if all(claim := live.claim):
                self.by_mark.setdefault(claim, []).append(live)
        self.pinned_ids = {store.id for store in desired.stores if store.id}
        all_stores = (*desired.stores, *desired.removed)
        self.keys = {store.key for store in all_stores}
        marked_keys = {key for store in all_stores if not store.external for key in (store.key, *store.was)}
        marked = (live.id for key in marked_keys for live in self.by_mark.get((desired.owner, key), ()))
        self.reserved_ids = self.pinned_ids.union(marked)

    def match(self, store: DesiredStore) -> StoreMatch:
        """Matches by pinned id, else by mark, else by name. Raises Refused for a store of another owner."""
        if store.id:
            pinned = self._find_pinned(store)
            if pinned and not store.external:
                self._refuse_other_owner(store, pinned[0])
            return StoreMatch.of(pinned)
        if store.external:
            return StoreMatch.of(self.by_name.get(store.name, []), lacks_mark=True)
        for owner in (self.desired.owner, *self.options.adopt_from):
            if marked := self._find_marked(owner, store):
                return StoreMatch.of(marked)
        if created := self._find_created_here(store):
            return StoreMatch.of(created)
        return self._match_name(store)

    def match_removed(self, store: DesiredStore) -> StoreMatch:
        """Matches by pinned id, else by a mark of this key, else by name; `lacks_mark` is set without such a mark."""
        if store.external:
            return self.match(store)
        marked = self._find_marked(self.desired.owner, store)
        if store.id:
            pinned = self._find_pinned(store)
            return StoreMatch.of(pinned, lacks_mark=not any(live in marked for live in pinned))
        if marked:
            return StoreMatch.of(marked)
        # One with our mark for another key is not this store.
        named = [live for live in self.by_name.get(store.name, ()) if live.owner != self.desired.owner]
        return StoreMatch.of([live for live in named if live.id not in self.pinned_ids], lacks_mark=True)

    def _find_pinned(self, store: DesiredStore) -> list[LiveStore]:
        return [self.by_id[store.id]] if store.id in self.by_id else []

    def _find_created_here(self, store: DesiredStore) -> list[LiveStore]:
        """The usable stores that this machine created for the key, and whose mark was removed since."""
        return [
            live
            for live in self.by_id.values()
            if self.created_here.get(live.id) in (store.key, *store.was)
            and not (live.id in self.pinned_ids or live.is_expired or isinstance(live.mark, StoreMark))
        ]

    def _match_name(self, store: DesiredStore) -> StoreMatch:
        """The usable stores of this name that nobody else owns; if there are none, those of `--adopt-from` owners.

        Raises Refused if one of these belongs to any other owner.
        """
        named = self.by_name.get(store.name, [])
        usable = [live for live in named if live.id not in self.reserved_ids and not live.is_expired]
        available = [live for live in usable if live.owner in ("", self.desired.owner)]
        if available or not usable:
            return StoreMatch.of(available, lacks_mark=True)
        for live in usable:
            self._refuse_other_owner(store, live)
        return StoreMatch.of(usable)

    def _find_marked(self, owner: str, store: DesiredStore) -> list[LiveStore]:
        """Stores with this owner's mark of the key, or of a former key that no store of the manifest has now."""
        former_keys = [key for key in store.was if key not in self.keys]
        marked = [live for key in (store.key, *former_keys) for live in self.by_mark.get((owner, key), ())]
        return [live for live in marked if live.id not in self.pinned_ids]

    def _refuse_other_owner(self, store: DesiredStore, live: LiveStore) -> None:
        owner = live.owner
        if owner not in ("", self.desired.owner, *self.options.adopt_from):
            raise Refused(
                f"{store.key}: the live store {live.label} belongs to {owner}. "
                f"Give this one another {'`id:`' if store.id else 'name'}, or take the store over with "
                f"--adopt-from {owner}. If {owner} hands it over, they first apply `removed: keep`, then you "
                "apply `adopt: true`."
            )
