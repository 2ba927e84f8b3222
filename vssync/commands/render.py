"""Where everything a manifest says of its files came from: looked up when a person asks, and kept nowhere.

It reads documents again for their front matter, so it belongs to the shell.
"""

from __future__ import annotations

from vssync.manifest.yaml_loader import TreePath
from vssync.model.plan import Options
from vssync.planner.context import Scope
from vssync.render.manifest import TracedFile
from vssync.sources.load import LoadedManifest, file_provenance, locate_values

_FRONT_MATTER = "front matter of {}"


def trace_files(loaded: LoadedManifest, targets: tuple[str, ...] = ()) -> tuple[TracedFile, ...]:
    """Every file of the manifest, or those with one of these addresses (globs), each part with its place.

    Raises UsageProblem for an address that nothing has.
    """
    scope = Scope.of(Options(targets=targets))
    scope.check_addresses({store.key: [file.key for file in store.files] for store in loaded.desired.stores})
    found = [
        (store.key, file, file_provenance(loaded, store.key, file))
        for store in loaded.desired.stores
        for file in store.files
        if scope.contains(store.key, file.key)
    ]
    wanted: set[TreePath] = {path for _, _, parts in found for path in parts.values() if path is not None}
    places = locate_values(loaded, wanted)
    return tuple(
        TracedFile(
            store,
            file,
            {part: str(places[path]) if path else _FRONT_MATTER.format(file.path) for part, path in parts.items()},
        )
        for store, file, parts in found
    )
