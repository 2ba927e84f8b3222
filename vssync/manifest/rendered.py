"""A manifest in full as a manifest again: what a person reads to see what inheritance made of it.

Loading it gives the same stores and files; rendering it gives itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vssync.manifest.build import concerns
from vssync.manifest.spec import Manifest

CHOOSING = ("only", "not")


def rendered(manifest: Manifest) -> dict[str, Any]:
    """The manifest's tree without what its environment leaves out."""
    stores = {key: _store(store, manifest.env) for key, store in manifest.tree["stores"].items()}
    return {**manifest.tree, "stores": stores}


def _store(store: Mapping[str, Any], env: str) -> dict[str, Any]:
    entries = [
        {name: value for name, value in entry.items() if name not in CHOOSING}
        for entry in store.get("files") or ()
        if concerns(entry, env)
    ]
    return {**store, "files": entries} if entries else {name: value for name, value in store.items() if name != "files"}
