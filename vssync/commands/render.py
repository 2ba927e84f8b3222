"""Where everything comes from that a manifest declares of its files: found when somebody asks, and never kept.

Documents are read again for their front matter.
"""

from __future__ import annotations

from vssync.manifest.yaml_loader import TreePath
from vssync.model.plan import Options
from vssync.planner.context import Scope
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
    paths: set[TreePath] = {path for _, _, parts in traced for path in parts.values() if path is not None}
    locations = locate_values(loaded, paths)
    return tuple(
        TracedFile(
            store,
            file,
            {part: str(locations[path]) if path else f"front matter of {file.path}" for part, path in parts.items()},
        )
        for store, file, parts in traced
    )
