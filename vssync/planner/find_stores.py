"""Which live store belongs to which store of the manifest: by pinned id, else by mark, else by name.

It sees stores only, never their files, so that it can say whose files must be listed. It decides nothing that a
listing could change: where several stores carry one mark, all are candidates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from vssync.errors import Refused, VssyncError
from vssync.model.marks import StoreMark, UnreadableMark
from vssync.model.plan import Options
from vssync.model.state import Desired, DesiredStore, LiveStore, StoreStatus
from vssync.planner.addresses import Scope


class MatchKind(Enum):
    """How a store was found."""

    NOTHING = "nothing"
    PINNED = "pinned"
    MARK = "mark"
    OTHER_OWNER = "other owner"  # by the mark of the owner that `--adopt-from` names
    NAME = "name"


@dataclass(frozen=True, slots=True)
class StoreMatch:
    """What fits one desired store, oldest first; `expired` only counts where nothing else fits."""

    by: MatchKind = MatchKind.NOTHING
    live: tuple[LiveStore, ...] = ()
    expired: tuple[LiveStore, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreMatches:
    """The matches by store key; `left` are stores of ours that no store of the manifest claims, by their key."""

    found: Mapping[str, StoreMatch] = field(default_factory=dict)
    left: tuple[tuple[str, LiveStore], ...] = ()

    @property
    def ids(self) -> Mapping[str, str]:
        """The live id of each store key that has a usable store; of several copies, the newest."""
        return {key: match.live[-1].id for key, match in self.found.items() if match.live}

    @property
    def wanted_ids(self) -> tuple[str, ...]:
        """The stores whose contents must be listed before planning, sorted. Expired ones cannot be."""
        found = [store for match in self.found.values() for store in match.live]
        left = [store for _, store in self.left if store.status is not StoreStatus.EXPIRED]
        return tuple(sorted({store.id for store in (*found, *left)}))


def match_stores(desired: Desired, stores: tuple[LiveStore, ...], options: Options) -> StoreMatches:
    """Match every store in scope.

    Raises Refused for a store of another owner and for two stores in one, VssyncError for a mark that a newer version
    wrote.
    """
    scope = Scope.of(options)
    for store in stores:
        _refuse_newer(store, desired.owner)
    live = _Live.of(stores)
    finder = _Finder(desired, options, live, live.marked(desired))
    wanted = [store for store in sorted(desired.stores, key=lambda store: store.key) if scope.touches(store.key)]
    found = {store.key: finder.match(store) for store in wanted}
    _refuse_shared(found)
    taken = {store.id for match in found.values() for store in (*match.live, *match.expired)}
    left = [(key, store) for key, store in finder.left() if store.id not in taken and scope.touches(key)]
    return StoreMatches(found, tuple(left))


def _refuse_shared(found: Mapping[str, StoreMatch]) -> None:
    """Two stores of the manifest in one live store would each delete what the other put there."""
    taken: dict[str, str] = {}
    for key, match in found.items():
        for live in match.live:
            if other := taken.get(live.id):
                raise Refused(
                    f"{other} and {key}: both are the live store {live.name} ({live.id}). "
                    f"Give one of them another name, or another `id:`."
                )
            taken[live.id] = key


@dataclass(frozen=True, slots=True)
class _Live:
    """The live stores by what they can be found by, each list oldest first."""

    by_id: dict[str, LiveStore]
    by_name: dict[str, list[LiveStore]]
    by_mark: dict[tuple[str, str], list[LiveStore]]

    @classmethod
    def of(cls, stores: Iterable[LiveStore]) -> _Live:
        index = cls({}, {}, {})
        for store in sorted(stores, key=lambda store: (store.created_at, store.id)):
            index.by_id[store.id] = store
            index.by_name.setdefault(store.name, []).append(store)
            if isinstance(mark := store.mark, StoreMark):
                index.by_mark.setdefault((mark.owner, mark.key), []).append(store)
        return index

    def marked(self, desired: Desired) -> frozenset[str]:
        """The ids that are pinned by, or marked as, some store of the manifest."""
        pinned = {store.id for store in desired.stores if store.id}
        keys = {key for store in desired.stores if not store.external for key in (store.key, *store.was)}
        return frozenset(pinned | {store.id for key in keys for store in self.by_mark.get((desired.owner, key), ())})


@dataclass(frozen=True, slots=True)
class _Finder:
    """Looks one desired store up; `spoken_for` are live ids that a name alone may not claim."""

    desired: Desired
    options: Options
    live: _Live
    spoken_for: frozenset[str]

    def match(self, store: DesiredStore) -> StoreMatch:
        if store.id:
            return self._pinned(store)
        named = self.live.by_name.get(store.name, [])
        if store.external:
            return _match(MatchKind.NAME, named)
        if marked := self._marked(self.desired.owner, store):
            return _match(MatchKind.MARK, marked)
        if self.options.adopt_from and (marked := self._marked(self.options.adopt_from, store)):
            return _match(MatchKind.OTHER_OWNER, marked)
        return self._named(store, [live for live in named if live.id not in self.spoken_for])

    def left(self) -> list[tuple[str, LiveStore]]:
        """Stores of ours under keys that the manifest does not know, by key."""
        ours = [(key, live) for (owner, key), live in self.live.by_mark.items() if owner == self.desired.owner]
        return [(key, store) for key, live in sorted(ours) for store in live if store.id not in self.spoken_for]

    def _pinned(self, store: DesiredStore) -> StoreMatch:
        live = self.live.by_id.get(store.id)
        if live and not store.external:
            self._refuse_others(store, live)
        return _match(MatchKind.PINNED, [live] if live else [])

    def _marked(self, owner: str, store: DesiredStore) -> list[LiveStore]:
        """A former key counts only while no other store of the manifest bears it."""
        pinned = {other.id for other in self.desired.stores if other.id}
        keys = {other.key for other in self.desired.stores}
        former = [key for key in store.was if key not in keys]
        found = [live for key in (store.key, *former) for live in self.live.by_mark.get((owner, key), ())]
        return [live for live in found if live.id not in pinned]

    def _named(self, store: DesiredStore, named: list[LiveStore]) -> StoreMatch:
        usable = [live for live in named if live.status is not StoreStatus.EXPIRED]
        free = [live for live in usable if self._owner(live) in ("", self.desired.owner)]
        if not free and usable:
            self._refuse_others(store, usable[0])
            return _match(
                MatchKind.OTHER_OWNER, [live for live in usable if self._owner(live) == self.options.adopt_from]
            )
        return _match(MatchKind.NAME if free else MatchKind.NOTHING, free)

    def _owner(self, live: LiveStore) -> str:
        """Whose a store is; empty when nobody's. Raises VssyncError when only a newer version can tell."""
        _refuse_newer(live)
        mark = live.mark
        return mark.owner if isinstance(mark, StoreMark) else ""

    def _refuse_others(self, store: DesiredStore, live: LiveStore) -> None:
        owner = self._owner(live)
        if owner not in ("", self.desired.owner, self.options.adopt_from):
            raise Refused(
                f"{store.key}: the live store {live.name} ({live.id}) belongs to {owner}. "
                f"Give this one another {'`id:`' if store.id else 'name'}, or take the store over with "
                f"--adopt-from {owner}."
            )


def _refuse_newer(live: LiveStore, owner: str = "") -> None:
    """With an owner, only a mark that names this owner in its second field concerns us."""
    mark = live.mark
    if isinstance(mark, UnreadableMark) and mark.version and owner in ("", *mark.text.split(";")[1:2]):
        raise VssyncError(
            f"{live.name} ({live.id}): its mark has version {mark.version}, which a newer vssync wrote. Upgrade vssync."
        )


def _match(by: MatchKind, stores: list[LiveStore]) -> StoreMatch:
    live = tuple(store for store in stores if store.status is not StoreStatus.EXPIRED)
    return StoreMatch(by, live, tuple(store for store in stores if store.status is StoreStatus.EXPIRED))
