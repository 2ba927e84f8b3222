"""Where everything comes from that a manifest declares of its files: found when somebody asks, and never kept.

Documents are read again for what is looked up in them.
"""

from __future__ import annotations

from vssync.model.plan import Options
from vssync.planner.addresses import Scope
from vssync.render.manifest import TracedFile
from vssync.sources.load import LoadedManifest, file_provenance, locate_values


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
    locations = locate_values(loaded, {origin.path for _, _, parts in traced for origin in parts.values()})
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
