"""What decisions depend on besides the objects they are about: scope, options, capabilities, live state."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from wcmatch import glob

from vssync.errors import UsageProblem
from vssync.manifest.diagnostics import MAX_COMPARED, find_closest
from vssync.model.plan import Options
from vssync.model.service import Capabilities
from vssync.model.state import DesiredStore, Snapshot

_FLAGS = glob.GLOBSTAR | glob.BRACE | glob.DOTGLOB | glob.CASE | glob.FORCEUNIX


@dataclass(frozen=True, slots=True)
class PlanAddress:
    """An address on the command line: `store` (with everything in it) or `store/key`; both parts may be globs."""

    store: str
    key: str = ""

    @classmethod
    def parse(cls, text: str) -> PlanAddress:
        """Splits at the first slash: a file's key may contain slashes, a store's key may not."""
        store, _, key = text.partition("/")
        return cls(store, key)

    def __str__(self) -> str:
        return f"{self.store}/{self.key}" if self.key else self.store

    def matches_store(self, store_key: str) -> bool:
        return store_key == self.store or bool(_compile_glob(self.store).match(store_key))

    def names_whole_store(self, store_key: str) -> bool:
        return not self.key and self.matches_store(store_key)

    def contains(self, store_key: str, key: str) -> bool:
        is_in_store = self.matches_store(store_key)
        return is_in_store and (not self.key or key == self.key or _compile_glob(self.key).match(key))

    def matches_any(self, keys_by_store: Mapping[str, Collection[str] | None]) -> bool:
        """Whether it names any of these stores or keys; where a store has None, any key may be there."""
        return any(
            self.matches_store(store_key)
            if keys is None or not self.key
            else any(self.contains(store_key, key) for key in keys)
            for store_key, keys in keys_by_store.items()
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """What a plan may touch, and what `--replace` asks for.

    What lies outside the targets, or within the excludes, is neither changed nor deleted. `--replace` does not narrow
    the scope.
    """

    targets: tuple[PlanAddress, ...] = ()
    excludes: tuple[PlanAddress, ...] = ()
    replace_requests: tuple[PlanAddress, ...] = ()
    already_replaced: frozenset[tuple[str, str]] = frozenset()  # (store, key) of files that an earlier apply replaced

    @classmethod
    def of(cls, options: Options, already_replaced: frozenset[tuple[str, str]] = frozenset()) -> Scope:
        return cls(
            targets=tuple(map(PlanAddress.parse, options.targets)),
            excludes=tuple(map(PlanAddress.parse, options.excludes)),
            replace_requests=tuple(map(PlanAddress.parse, options.replace)),
            already_replaced=already_replaced,
        )

    def touches_store(self, store_key: str) -> bool:
        """Whether anything in a store may be changed."""
        is_targeted = not self.targets or any(address.matches_store(store_key) for address in self.targets)
        return is_targeted and not any(address.names_whole_store(store_key) for address in self.excludes)

    def includes_settings(self, store_key: str) -> bool:
        is_targeted = not self.targets or any(address.names_whole_store(store_key) for address in self.targets)
        return is_targeted and self.touches_store(store_key)

    def includes_all_files(self, store_key: str) -> bool:
        is_narrowed = any(address.matches_store(store_key) for address in self.excludes)
        return self.includes_settings(store_key) and not is_narrowed

    def contains(self, store_key: str, key: str) -> bool:
        is_targeted = not self.targets or any(address.contains(store_key, key) for address in self.targets)
        return is_targeted and not any(address.contains(store_key, key) for address in self.excludes)

    def is_replace_requested(self, store_key: str, key: str) -> bool:
        """Whether `--replace` names the key, and no earlier apply replaced it."""
        is_named = any(address.contains(store_key, key) for address in self.replace_requests)
        return is_named and (store_key, key) not in self.already_replaced

    def check_addresses(self, keys_by_store: Mapping[str, Collection[str] | None]) -> None:
        """Raises UsageProblem for an address that matches nothing.

        `keys_by_store` has every store, with None for one whose files were not listed: any key may be there.
        """
        for address in (*self.targets, *self.excludes, *self.replace_requests):
            if not address.matches_any(keys_by_store):
                folder, slash, name = address.key.rpartition("/")
                deeper = replace(address, key=f"{folder}{slash}**/{name}")
                hint = f"; `*` does not cross a `/`: write {deeper}" if deeper.matches_any(keys_by_store) else ""
                similar = _similar_address(str(address), keys_by_store)
                message = f"{address}: no store or file has this address.{similar} `vssync status` shows the stores"
                raise UsageProblem(f"{message}{hint}.")


def _similar_address(address: str, keys_by_store: Mapping[str, Collection[str] | None]) -> str:
    """A sentence that names the address most like one that matches nothing; empty where none is like it."""
    store, slash, _ = address.partition("/")
    keys = keys_by_store.get(store) or ()
    files = [f"{store}/{key}" for key in keys] if slash and len(keys) <= MAX_COMPARED else []
    similar = "" if glob.is_magic(address, flags=_FLAGS) else find_closest(address, [*keys_by_store, *files])
    return f" Did you mean `{similar}`?" if similar else ""


@lru_cache(maxsize=64)
def _compile_glob(pattern: str) -> glob.WcMatcher[str]:
    return glob.compile(pattern, flags=_FLAGS)


@dataclass(frozen=True, slots=True)
class PlanContext:
    """The owner of a plan, its options and their scope, what the service can do, and the live state."""

    owner: str
    options: Options
    capabilities: Capabilities
    scope: Scope
    snapshot: Snapshot
    proven_extensions: frozenset[str] = frozenset()  # those that the provider is known to read

    @property
    def owners(self) -> tuple[str, ...]:
        """The owners whose marks count as ours."""
        return (self.owner, *self.options.adopt_from)


@dataclass(frozen=True, slots=True)
class StorePlanContext:
    """The context of decisions about the files of one store; `common` is the same for all stores."""

    common: PlanContext
    store: DesiredStore
    is_adopting: bool = False  # until its adoption is complete, unmarked files may be matched by name alone

    @property
    def may_adopt(self) -> bool:
        """Whether unmarked files of equal bytes are taken over, by `--adopt` or `adopt: true`."""
        return self.common.options.adopt or self.store.adopt

    @property
    def accepts_gap(self) -> bool:
        """Whether a gap is allowed, or unavoidable because equal texts share chunks."""
        return self.common.options.allow_gap or self.common.capabilities.shares_chunks

    @property
    def now(self) -> int:
        """The service's time when the live state was read."""
        return self.common.snapshot.now

    def is_in_scope(self, key: str) -> bool:
        return self.common.scope.contains(self.store.key, key)

    @property
    def includes_all_files(self) -> bool:
        return self.common.scope.includes_all_files(self.store.key)

    def is_replace_requested(self, key: str) -> bool:
        return self.common.scope.is_replace_requested(self.store.key, key)
