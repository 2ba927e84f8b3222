"""What a mutant is, and whether it still fits the program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUICK = ("tests/applier/test_applying.py", "tests/guarantees/test_faults.py", "tests/guarantees/test_drift.py")
CRASH = ("tests/guarantees/test_crash.py",)
LOST = ("tests/applier/test_recover_upload.py",)
DELETIONS = ("tests/applier/test_deletions.py", "tests/guarantees/test_two_machines.py")
JOURNAL = ("tests/journal/test_writer.py",)
CI = ("tests/ci",)
PREVIEWS = ("tests/ci/test_previews.py",)
FLOWS = ("tests/ci/test_flows.py", "tests/ci/test_flow_limits.py")
ATTACKS = ("tests/review/test_attacker.py",)
INTERRUPTED = ("tests/applier/test_interrupted.py",)
EXPLAIN, CI_GUARDS = ("tests/ci/test_explain.py",), ("tests/ci/test_guards.py",)

_FORGES = "no forge is simulated"
_BLIND_SPOTS = {  # why a simulated history does not show what is wrong in these modules
    "vssync/ci/": _FORGES,
    "vssync/commands/ci/": _FORGES,
    "vssync/render/": "how a plan looks is not simulated",
    "vssync/commands/dump/": "dump is not simulated",
    "vssync/auth/": "the simulated service asks for no credential",
    "vssync/cli/process.py": "signals are not simulated",
    "vssync/threads.py": "signals are not simulated",
}


@dataclass(frozen=True)
class Mutant:
    """A bug: in `path` the only `right` becomes `wrong`; some of `tests` must fail.

    `history` is what a person does, and what goes wrong for them. `unseen` says why no simulated history can show it,
    where its module does not.
    """

    name: str
    path: str
    right: str
    wrong: str
    tests: tuple[str, ...] = QUICK
    history: str = ""
    unseen: str = ""

    @property
    def blind_spot(self) -> str:
        """Why no simulated history can show it; empty where one can."""
        return self.unseen or next((why for start, why in _BLIND_SPOTS.items() if self.path.startswith(start)), "")


def outdated(mutant: Mutant) -> str:
    """Why a mutant no longer fits the program, if it does not."""
    path = ROOT / mutant.path
    found = path.read_text().count(mutant.right) if path.is_file() else 0
    if found != 1:
        problem = f"is in {mutant.path} {found} times" if found else f"is no longer in {mutant.path}"
        return f"{mutant.name}: `{mutant.right}` {problem}; update the mutant"
    try:
        compile(path.read_text().replace(mutant.right, mutant.wrong), mutant.path, "exec", dont_inherit=True)
    except SyntaxError:
        return f"{mutant.name}: is no Python any more, so any test would catch it"
    missing = [test for test in mutant.tests if not (ROOT / test).exists()]
    return f"{mutant.name}: there is no {missing[0]}" if missing else ""
