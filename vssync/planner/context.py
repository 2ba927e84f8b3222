"""What decisions depend on beside the objects they are about."""

from __future__ import annotations

from dataclasses import dataclass

from vssync.model.plan import Options
from vssync.model.state import Capabilities, DesiredStore, Snapshot
from vssync.planner.addresses import Scope


@dataclass(frozen=True, slots=True)
class PlanContext:
    """Whose plan it is, its options and the scope they set, what the service can do, and what is live."""

    owner: str
    options: Options
    capabilities: Capabilities
    scope: Scope
    snapshot: Snapshot
    vouched_extensions: frozenset[str] = frozenset()  # of files that the provider reads

    @property
    def owners(self) -> tuple[str, ...]:
        """Those whose marks count as ours."""
        return (self.owner, *self.options.adopt_from)


@dataclass(frozen=True, slots=True)
class StorePlanContext:
    """The context for decisions about the files of one store; `common` is the same for all stores."""

    common: PlanContext
    store: DesiredStore
    is_adopting: bool = False  # whether it takes over what was in the store before it was managed

    @property
    def adopts(self) -> bool:
        """Whether unmarked files of equal bytes are taken over: a person says so for one run, or the manifest."""
        return self.common.options.adopt or self.store.adopt

    @property
    def now(self) -> int:
        """The service's time when it was read."""
        return self.common.snapshot.now

    @property
    def ignored_attributes(self) -> tuple[str, ...]:
        """The names of attributes that others own."""
        return self.store.ignore_attributes

    def is_in_scope(self, key: str) -> bool:
        """Whether `--target` and `--exclude` leave a key in the plan."""
        scope = self.common.scope
        return not (scope.targets or scope.excludes) or scope.contains(self.store.key, key)

    @property
    def includes_all_files(self) -> bool:
        """Whether the whole store is in the plan."""
        return self.common.scope.includes_all_files(self.store.key)

    def is_replace_requested(self, key: str) -> bool:
        """Whether `--replace` names a key, and it was not replaced yet."""
        return self.common.scope.is_replace_requested(self.store.key, key)
