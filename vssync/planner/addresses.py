"""Addresses from the command line: which stores and keys a plan is about.

An address is `store` (the store and everything in it) or `store/key`; both halves may be globs. What lies outside
the scope is left exactly as it is: it is neither changed nor deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from wcmatch import glob

from vssync.errors import UsageProblem
from vssync.model.plan import Options

_FLAGS = glob.GLOBSTAR | glob.BRACE | glob.DOTGLOB | glob.CASE | glob.FORCEUNIX


@dataclass(frozen=True, slots=True)
class Address:
    """One address; `key` is empty when the whole store is meant."""

    store: str
    key: str = ""

    @classmethod
    def of(cls, text: str) -> Address:
        store, _, key = text.partition("/")
        return cls(store, key)

    def __str__(self) -> str:
        return f"{self.store}/{self.key}" if self.key else self.store

    def in_store(self, store: str) -> bool:
        return store == self.store or fnmatchcase(store, self.store)

    def whole(self, store: str) -> bool:
        return not self.key and self.in_store(store)

    def holds(self, store: str, key: str) -> bool:
        return self.in_store(store) and (not self.key or key == self.key or _matches(self.key, key))


@dataclass(frozen=True, slots=True)
class Scope:
    """What `--target`, `--exclude` and `--replace` say together; `fulfilled` are keys replaced already, by store."""

    targets: tuple[Address, ...] = ()
    excludes: tuple[Address, ...] = ()
    replaced: tuple[Address, ...] = ()
    fulfilled: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, options: Options) -> Scope:
        return cls(
            tuple(map(Address.of, options.targets)),
            tuple(map(Address.of, options.excludes)),
            tuple(map(Address.of, options.replace)),
        )

    def touches(self, store: str) -> bool:
        """Whether anything of the store is in scope."""
        aimed = not self.targets or any(address.in_store(store) for address in self.targets)
        return aimed and not any(address.whole(store) for address in self.excludes)

    def settings(self, store: str) -> bool:
        """Whether the store's own settings are in scope."""
        return self.touches(store) and (not self.targets or any(address.whole(store) for address in self.targets))

    def whole(self, store: str) -> bool:
        """Whether every key of the store is in scope."""
        return self.settings(store) and not any(address.in_store(store) for address in self.excludes)

    def holds(self, store: str, key: str) -> bool:
        """Whether one key is in scope."""
        aimed = not self.targets or any(address.holds(store, key) for address in self.targets)
        return aimed and not any(address.holds(store, key) for address in self.excludes)

    def requested(self, store: str, key: str) -> bool:
        """Whether `--replace` names the key, and it was not done yet."""
        return (store, key) not in self.fulfilled and any(address.holds(store, key) for address in self.replaced)

    def check(self, known: Mapping[str, Iterable[str]]) -> None:
        """Raise UsageProblem naming an address that meets nothing; `known` holds the keys of every store."""
        for address in (*self.targets, *self.excludes, *self.replaced):
            if not any(_meets(address, store, keys) for store, keys in known.items()):
                raise UsageProblem(f"{address}: no store or file has this address. `vssync status` shows the stores.")


def _meets(address: Address, store: str, keys: Iterable[str]) -> bool:
    return address.whole(store) or (address.in_store(store) and any(address.holds(store, key) for key in keys))


def _matches(pattern: str, key: str) -> bool:
    return bool(_compiled(pattern).match(key))


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> glob.WcMatcher[str]:
    return glob.compile(pattern, flags=_FLAGS)
