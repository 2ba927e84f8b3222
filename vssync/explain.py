"""Where everything a manifest says of its files came from: looked up when a person asks, and kept nowhere.

It reads documents again for their front matter, so it belongs to the shell.
"""

from __future__ import annotations

from vssync import sources
from vssync.manifest import Path
from vssync.plan import Options
from vssync.planner.scope import Scope
from vssync.render.manifest import Traced
from vssync.sources import Loaded

_FRONT_MATTER = "front matter of {}"


def explain(loaded: Loaded, targets: tuple[str, ...] = ()) -> tuple[Traced, ...]:
    """Every file of the manifest, or those with one of these addresses (globs), each part with its place.

    Raises UsageProblem for an address that nothing has.
    """
    scope = Scope.of(Options(targets=targets))
    scope.check({store.key: [file.key for file in store.files] for store in loaded.desired.stores})
    found = [
        (store.key, file, sources.provenance(loaded, store.key, file))
        for store in loaded.desired.stores
        for file in store.files
        if scope.holds(store.key, file.key)
    ]
    wanted: set[Path] = {path for _, _, parts in found for path in parts.values() if path is not None}
    places = sources.places(loaded, wanted)
    return tuple(
        Traced(
            store,
            file,
            {part: str(places[path]) if path else _FRONT_MATTER.format(file.path) for part, path in parts.items()},
        )
        for store, file, parts in found
    )
