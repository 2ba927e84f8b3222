"""vssync makes vector stores declarative: a manifest in git, a plan to review, an apply that converges.

These names are the library. It is provisional: until 1.0 they may change between versions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vssync.commands.library import Event, load_plan
    from vssync.commands.library import PublicPlan as Plan
    from vssync.commands.library import PublicSession as Session
    from vssync.commands.library import open_manifest as open
    from vssync.errors import (
        AccessDenied,
        LostReply,
        ManifestError,
        NotFound,
        Problem,
        Refused,
        ServiceError,
        UsageProblem,
        VssyncError,
    )
    from vssync.model.plan import Options
    from vssync.model.report import Report

__version__ = "0.2.0"
__all__ = [
    "AccessDenied",
    "Event",
    "LostReply",
    "ManifestError",
    "NotFound",
    "Options",
    "Plan",
    "Problem",
    "Refused",
    "Report",
    "ServiceError",
    "Session",
    "UsageProblem",
    "VssyncError",
    "load_plan",
    "open",
]
_HOMES = {
    "Event": "commands.library.Event",
    "Options": "model.plan.Options",
    "Plan": "commands.library.PublicPlan",
    "Report": "model.report.Report",
    "Session": "commands.library.PublicSession",
    "load_plan": "commands.library.load_plan",
    "open": "commands.library.open_manifest",
}  # the other names are errors


if not TYPE_CHECKING:  # which would take every name for one that exists

    def __getattr__(name: str) -> object:
        """Imports a name when it is first used: `vssync --help` needs none, and should not wait for them."""
        if name not in __all__:
            raise AttributeError(f"module 'vssync' has no attribute {name!r}")
        module, _, symbol = _HOMES.get(name, f"errors.{name}").rpartition(".")
        return globals().setdefault(name, getattr(import_module(f"vssync.{module}"), symbol))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
