"""The service that a manifest names, and what it can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from vssync.providers import LOCAL, PROVIDERS


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a service can do; each absence has its fallback or a plan-time error."""

    attributes: bool = True  # of store files; the mark is one of them, so nothing can be managed without
    batches: bool = True
    batch_files: bool = True  # `files[]` with attributes and chunking each
    batch_size: int = 100  # files that are sent in one
    list_batches: bool = True
    attribute_updates: bool = True
    store_creates: bool = True
    store_updates: bool = True
    shares_chunks: bool = False  # equal texts share chunks: search finds the last copy attached, none once any goes
    updates_reach_search: bool | None = True  # searches filter by attributes that were updated; None: not known

    @property
    def uniform_batches(self) -> bool:
        """Whether files may share a batch and get attributes of their own afterwards, by updates that search sees."""
        return self.batches and self.attribute_updates and self.updates_reach_search is True

    @property
    def one_by_one(self) -> bool:
        """Whether each file is attached by a request of its own."""
        return not (self.batches and (self.batch_files or self.uniform_batches))


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """Where a manifest is applied, as written; no secrets. Empty means not given."""

    provider: str = "local"
    region: str = ""
    project: str = ""
    compartment: str = ""
    data_url: str = ""
    control_url: str = ""
    auth: str = ""
    control_auth: str = ""
    profile: str = ""
    capabilities: Mapping[str, bool | int] = field(default_factory=dict)

    @property
    def declared_capabilities(self) -> Capabilities:
        """Those of the provider and, over them, of the manifest. A plan file may hold names that this version lacks."""
        names = {field.name for field in fields(Capabilities)}
        provider = PROVIDERS.get(self.provider, LOCAL)
        usual = Capabilities(
            list_batches=provider.lists_batches,
            shares_chunks=provider.shares_chunks,
            updates_reach_search=provider.updates_reach_search,
        )
        declared: dict[str, Any] = {name: value for name, value in self.capabilities.items() if name in names}
        return replace(usual, **declared)
