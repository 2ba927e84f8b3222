"""The switches that the write probes print are those that are turned on."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from tests.doctor.builders import client_for, service_of
from tests.support import Clock
from vssync.commands.doctor.evidence import Recorder
from vssync.commands.doctor.facts import dialect_of
from vssync.commands.doctor.scratch import ScratchStore, Trial
from vssync.commands.doctor.write_probes import run_write_probes
from vssync.local.dialects import DIALECTS, SWITCHES, Dialect

# What one run cannot see: what needs another credential, a restart, hundreds of files, or luck.
UNSEEN = {
    "split",
    "stores-iam-only",  # seen by the reading probes: tests/doctor/test_doctor.py
    "takes-api-key",
    "openai-path",
    "accepts",  # only as a change of a dialect that has it: elsewhere the others are refused
    "resets-after-errors",
    "most-files",
    "count-steps",
    "drops-batches",
    "outage-seconds",
}
# Of those that are neither on nor off: values that a service of no name may have.
VALUES = {
    "errors": ("oci", "detail", "bare"),
    "refuses-deleting": ("store-files", "files", "stores", "all"),
    "refuses-content": ("assistants",),
    "store-ids": ("vs_ord_",),
    "file-ids": ("file-kix-",),
    "batch-ids": ("batch_",),
    "refuses": (".md", ".docx+.py"),
    "unreadable": (".json",),
    "echoes": ("null", "auto"),
    "unreadable-batches": ("404", "500"),
    "unsettled": ("2",),
    "short-files": ("2",),
    "short-stores": ("2",),
    "cut-after": ("1", "5"),
    "empty-after": ("1", "5"),
}
LEAVING = ("refuses-deleting=files", "refuses-deleting=stores", "refuses-deleting=all", "denies-deletions=on")
# All of those that can be seen together; what is left out would hide another.
MIXES = (
    "local",
    "local,unsettled=2,late-stores=3,errors=bare,misses-with-400=on,refuses-content=assistants,store-ids=vs_ord_,lax=on,unreadable=.json,"
    "lists-batches=off,late-files=7,late-counts=9,restarts-unknown-cursor=on,reattaches=on,floats=on,plain-names=on",
    "local,propagating-seconds=20,creating-seconds=45,errors=oci,checks-ids=on,refuses=.docx+.py,"
    "ignores-order=on,late-uploads=4,sends-has-more=off,phantom-files=on,echoes=null,content-pages=off,"
    "searches-in=off,ghost-files=6,ghost-counts=8,ghost-stores=2,late-deletions=5,cancels-finished=off,garbles-names=on",
    "local,errors=detail,accepts-any-type=on,skips-same-second=on,short-files=2,short-stores=1,unreadable-batches=404,"
    "takes-files=off,ignores-chunking=on,attaches-at-once=on,settings-in-metadata=on,null-attributes=on,"
    "forgets-errors=on,own-hit-ids=on,stale-filters=on,keeps-attached=on,shares-chunks=on",
    "openai",
    "oci",
    "azure",
    "oci,unreadable-batches=500",
    "oci,accepts=.docx+.md+.pdf+.txt,queued-seconds=5,connector-files=2",
    "compatible",
    "compatible,ignores-files=off,echoes=static,lax=off",
)


def seen(folder: Path, spoken: str) -> tuple[str, bool]:
    """The dialect and switches that are printed, and whether everything was removed."""
    clock, base = Clock(), spoken.partition(",")[0]
    with service_of(folder, spoken, clock) as service:
        client = client_for(service, "compatible" if base == "local" else base, clock=clock)
        recorder = client.sender.on_answer = Recorder()
        trial = Trial(ScratchStore(client), lambda _finding: None)
        began, is_clean = clock.now, run_write_probes(trial)
    assert clock.now - began < 120  # whatever the service answers
    trial.facts |= recorder.error_style()
    return dialect_of(trial.facts, base), is_clean


def by_name(spoken: str) -> list[str]:
    return sorted(spoken.split(","))


@pytest.mark.wide(3)
@pytest.mark.parametrize("spoken", MIXES)
def test_switches_that_are_on_together_are_printed(tmp_path: Path, spoken: str) -> None:
    printed, is_clean = seen(tmp_path, spoken)
    assert by_name(printed) == by_name(spoken)
    assert is_clean


def singles() -> list[str]:
    """Each switch alone, with each value that it is not born with."""
    spoken = []
    for name, switch in SWITCHES.items():
        values = ("off" if switch.default else "on",) if isinstance(switch.default, bool) else VALUES.get(name, ("7",))
        spoken += [f"local,{name}={value}" for value in values if name not in UNSEEN]
    for base in ("openai", "azure", "oci", "compatible"):
        for field in fields(Dialect):
            name, value = field.name.replace("_", "-"), getattr(DIALECTS[base], field.name)
            if isinstance(value, bool) and value != SWITCHES[name].default and name not in UNSEEN:
                spoken.append(f"{base},{name}={'off' if value else 'on'}")
    return spoken


@pytest.mark.slow
@pytest.mark.parametrize("spoken", singles())
def test_a_switch_alone_is_printed(tmp_path: Path, spoken: str) -> None:
    printed, is_clean = seen(tmp_path, spoken)
    assert printed == spoken
    assert is_clean is (spoken.partition(",")[2] not in LEAVING)


def test_every_switch_is_looked_at_or_named_as_unseen() -> None:
    tried = {name.partition("=")[0] for spoken in singles() for name in spoken.split(",")[1:]}
    assert tried | UNSEEN == set(SWITCHES)
    assert not tried & UNSEEN
