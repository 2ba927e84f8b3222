"""Which live store belongs to which store of the manifest: by pinned id, else by mark, else by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vssync.errors import Refused, VssyncError
from vssync.model.marks import StoreMark, UnreadableMark
from vssync.model.plan import Options
from vssync.model.state import Desired, DesiredStore, LiveStore
from vssync.planner.addresses import Scope


@dataclass(frozen=True, slots=True)
class StoreMatch:
    """What fits one desired store, oldest first."""

    live: tuple[LiveStore, ...] = ()
    expired: tuple[LiveStore, ...] = ()  # these only count where nothing else fits
    by_name: bool = False  # found by the name alone: they carry no mark of this key


@dataclass(frozen=True, slots=True)
class StoreMatches:
    """The matches by store key; `undeclared` are stores of ours that no store of the manifest claims, by their key."""

    by_key: Mapping[str, StoreMatch] = field(default_factory=dict)
    undeclared: tuple[tuple[str, LiveStore], ...] = ()

    @property
    def ids(self) -> Mapping[str, str]:
        """The live id of each store key that has a usable store; of several copies, the newest."""
        return {key: match.live[-1].id for key, match in self.by_key.items() if match.live}

    @property
    def ids_to_list(self) -> tuple[str, ...]:
        """The stores whose contents must be listed before planning, sorted. Expired ones cannot be."""
        matched = [live for match in self.by_key.values() for live in match.live]
        undeclared = [live for _, live in self.undeclared if not live.is_expired]
        return tuple(sorted({live.id for live in (*matched, *undeclared)}))


def match_stores(desired: Desired, stores: tuple[LiveStore, ...], options: Options) -> StoreMatches:
    """Match every store in scope, without a look at files; where several stores carry one mark, all are candidates.

    Raises Refused for a store of another owner and for two of the manifest that match one live store, VssyncError for a
    mark that a newer version wrote.
    """
    scope = Scope.of(options)
    for live in stores:
        _refuse_newer(live, desired.owner)
    matcher = _StoreMatcher(desired, options, stores)
    stores_by_key = sorted(desired.stores, key=lambda store: store.key)
    by_key = {store.key: matcher.match(store) for store in stores_by_key if scope.touches_store(store.key)}
    _refuse_shared(by_key)
    claimed_ids = matcher.claimed_ids.union(
        live.id for found in by_key.values() for live in (*found.live, *found.expired)
    )
    undeclared: list[tuple[str, LiveStore]] = []
    for (owner, key), copies in sorted(matcher.by_mark.items()):
        if owner == desired.owner and scope.touches_store(key):
            undeclared += [(key, live) for live in copies if live.id not in claimed_ids]
    return StoreMatches(by_key, tuple(undeclared))


def _refuse_shared(by_key: Mapping[str, StoreMatch]) -> None:
    """Of two stores that match one live store, each would delete the other's files."""
    keys_by_id: dict[str, str] = {}
    for key, live in ((key, live) for key, match in by_key.items() for live in match.live):
        if other := keys_by_id.get(live.id):
            raise Refused(
                f"{other} and {key}: both are the live store {live.name} ({live.id}). "
                f"Give one of them another name, or another `id:`."
            )
        keys_by_id[live.id] = key


class _StoreMatcher:
    """Looks desired stores up among the live ones; those that are pinned or marked are not found by name alone."""

    def __init__(self, desired: Desired, options: Options, stores: Iterable[LiveStore]) -> None:
        self.desired, self.options = desired, options
        self.by_id: dict[str, LiveStore] = {}
        self.by_name: dict[str, list[LiveStore]] = {}
        self.by_mark: dict[tuple[str, str], list[LiveStore]] = {}
        for live in sorted(stores, key=lambda live: (live.created_at, live.id)):
            self.by_id[live.id] = live
            self.by_name.setdefault(live.name, []).append(live)
            if isinstance(mark := live.mark, StoreMark):
                self.by_mark.setdefault((mark.owner, mark.key), []).append(live)
        self.pinned_ids = {store.id for store in desired.stores if store.id}
        keys = {key for store in desired.stores if not store.external for key in (store.key, *store.was)}
        marked = (live.id for key in keys for live in self.by_mark.get((desired.owner, key), ()))
        self.claimed_ids = self.pinned_ids.union(marked)

    def match(self, store: DesiredStore) -> StoreMatch:
        """What fits a store, by the strongest claim there is; raises Refused for another owner's."""
        if store.id:
            pinned = self.by_id.get(store.id)
            if pinned and not store.external:
                self._refuse_other_owner(store, pinned)
            return _split_expired([pinned] if pinned else [])
        if store.external:
            return _split_expired(self.by_name.get(store.name, []), by_name=True)
        for owner in filter(None, (self.desired.owner, self.options.adopt_from)):
            if marked := self._find_marked(owner, store):
                return _split_expired(marked)
        return self._match_name(store)

    def _match_name(self, store: DesiredStore) -> StoreMatch:
        """The usable stores of this name: those without another owner, else all when `--adopt-from` names theirs."""
        named = self.by_name.get(store.name, [])
        usable = [live for live in named if live.id not in self.claimed_ids and not live.is_expired]
        free = [live for live in usable if self._owner_of(live) in ("", self.desired.owner)]
        if free or not usable:
            return _split_expired(free, by_name=True)
        for live in usable:
            self._refuse_other_owner(store, live)
        return _split_expired(usable)

    def _find_marked(self, owner: str, store: DesiredStore) -> list[LiveStore]:
        """A former key counts only while no other store of the manifest has it."""
        keys = {other.key for other in self.desired.stores}
        former = [key for key in store.was if key not in keys]
        marked = [live for key in (store.key, *former) for live in self.by_mark.get((owner, key), ())]
        return [live for live in marked if live.id not in self.pinned_ids]

    def _owner_of(self, live: LiveStore) -> str:
        """Whose a store is; empty when nobody's. Raises VssyncError when only a newer version can tell."""
        _refuse_newer(live)
        mark = live.mark
        return mark.owner if isinstance(mark, StoreMark) else ""

    def _refuse_other_owner(self, store: DesiredStore, live: LiveStore) -> None:
        owner = self._owner_of(live)
        if owner not in ("", self.desired.owner, self.options.adopt_from):
            raise Refused(
                f"{store.key}: the live store {live.name} ({live.id}) belongs to {owner}. "
                f"Give this one another {'`id:`' if store.id else 'name'}, or take the store over with "
                f"--adopt-from {owner}."
            )


def _refuse_newer(live: LiveStore, owner: str = "") -> None:
    """With an owner, only a mark with this owner in its second field is refused."""
    mark = live.mark
    if isinstance(mark, UnreadableMark) and mark.version and owner in ("", mark.text.split(";")[1]):
        raise VssyncError(
            f"{live.name} ({live.id}): its mark has version {mark.version}, which a newer vssync wrote. Upgrade vssync."
        )


def _split_expired(stores: list[LiveStore], *, by_name: bool = False) -> StoreMatch:
    live = tuple(each for each in stores if not each.is_expired)
    expired = tuple(each for each in stores if each.is_expired)
    return StoreMatch(live, expired, by_name)
