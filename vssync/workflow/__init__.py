"""Each verb as a function: it calls the layers below in order and returns a value for somebody else to show.

text -> sources -> Desired --+
                             +-> planner -> Plan -> guard -> (a person) -> steps -> applier -> Report
service -> observe -> Snapshot
"""

from vssync.planfile import already
from vssync.workflow.applying import apply
from vssync.workflow.batches import batches, cancel
from vssync.workflow.destroying import destruction
from vssync.workflow.inspecting import inspect
from vssync.workflow.planning import load_plan, look, plan, renew, save_plan, settings_of
from vssync.workflow.searching import search
from vssync.workflow.work import Work, begin, load, prepare

__all__ = [
    "Work",
    "already",
    "apply",
    "batches",
    "begin",
    "cancel",
    "destruction",
    "inspect",
    "load",
    "load_plan",
    "look",
    "plan",
    "prepare",
    "renew",
    "save_plan",
    "search",
    "settings_of",
]
