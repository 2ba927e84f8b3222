"""Builders of plans: every argument optional, so that a test names only what it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vssync.model.marks import parse_mark
from vssync.model.plan import Action, Copy, FieldChange, FileChange, Plan, Reason, StorePlan
from vssync.model.state import AUTO, Attributes, DesiredFile, DesiredStore, FileStatus, ServiceSpec

SHA = "9f2c41d07be3a655" * 4
MARK = f"v1;support-kb/prod;9f2c41d07be3a655;{SHA};44ff0a1b9c3d2e77;c0ffee0123456789;u;1"
OCI = ServiceSpec(provider="oci", region="us-chicago-1")


def desired(key: str = "docs/a.md", *, attributes: Attributes | None = None, **given: Any) -> DesiredFile:
    declared = bool(given.get("file_id"))
    usual = {"filename": key.replace("/", "__"), "chunking": AUTO, "path": "" if declared else key, "size": 1024}
    return DesiredFile(key=key, attributes=attributes or {}, **{"sha256": "" if declared else SHA, **usual, **given})


def copy(id: str = "file-1", *, status: FileStatus = FileStatus.COMPLETED, error: str = "", mark: str = MARK) -> Copy:
    return Copy(id, status, 1_760_000_000, parse_mark(mark) if mark else None, error)


def change(key: str, action: Action, *reasons: Reason, size: int = 1024, **given: Any) -> FileChange:
    wanted = None if action is Action.DELETE else desired(key, size=size)
    return FileChange("guide", key, action, reasons, **{"desired": wanted, **given})


def create(key: str = "docs/a.md", **given: Any) -> FileChange:
    return change(key, Action.CREATE, Reason.MISSING, **given)


def update(key: str = "docs/a.md", *fields: FieldChange, **given: Any) -> FileChange:
    changed = fields or (FieldChange("lang", "en", "de"),)
    made = change(key, Action.UPDATE, Reason.ATTRIBUTES_CHANGED, keep=copy(), fields=changed)
    return replace(made, **given)


def replaced(key: str = "docs/a.md", *reasons: Reason, **given: Any) -> FileChange:
    why = reasons or (Reason.CONTENT_CHANGED,)
    return change(key, Action.REPLACE, *why, **{"keep": copy(), "drop": (copy(),), **given})


def deleted(key: str = "docs/a.md", **given: Any) -> FileChange:
    return change(key, Action.DELETE, Reason.NOT_IN_MANIFEST, **{"drop": (copy(),), **given})


def store(*files: FileChange, key: str = "guide", **given: Any) -> StorePlan:
    usual = {"name": key, "id": "vs_1", "desired": DesiredStore(key, key), "live": 10, "owned": 10, "wanted": 10}
    return StorePlan(key, files=tuple(replace(file, store=key) for file in files), **{**usual, **given})


def plan(*stores: StorePlan, owner: str = "support-kb/prod", service: ServiceSpec = OCI, **given: Any) -> Plan:
    return Plan(owner, service, stores, **given)
