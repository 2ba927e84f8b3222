"""Histories: what people do to some documents and to a service in some weeks; a seed decides all of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields, replace
from math import inf

from tests.guarantees.worlds.test_mixes import HIDDEN
from tests.guarantees.worlds.test_switches import ENDS, SETTINGS

FAULTS = (
    "status=503:*:*:10%",
    "lost-reply:POST:/files:1",
    "lost-reply:POST:/vector_stores/*/file_batches:1",
    "status-after=502:POST:*:20%",
    "status=500:DELETE:*:30%",
    "fails=server_error:*:*:1",
    "fails=invalid_file,file=*1.md",
    "refused-type,file=*2.md",
    "short-pages=2",
    "duplicates",
    "ties",
    "late-ingestion=3000",
    "status=403:DELETE:/vector_stores/*/files/*",
    "rate-limit=30",
    "reset-after:*:*:10%",
    "status=429,retry-after=2:*:*:5%",
    "truncated:GET:*:10%",
    "unseen=2",
)
OPTIONS = ("", "", "", "--adopt", "--replace docs/a.md", "--max-delete 1", "--retry-failed", "--target docs")
EDITS = (
    *("add_file", "add_file", "edit_file", "edit_file", "edit_file", "remove_file", "rename_file", "swap_files"),
    *("copy_file", "set_value", "set_value", "set_value", "toggle_store", "toggle_store"),
)
OTHERS = (
    "attach_foreign",
    "upload_our_name",
    "erase_mark",
    "change_attributes",
    "detach_file",
    "delete_upload",
    "change_store",
)
READS = ("plan --detailed-exitcode", "status --detailed-exitcode", "output", "gc", "gc --suspected")
WAITS = (60, 600, 86_400)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is done: a command of a machine, or what people do to the documents or at the service.

    `pick` says which of the things there are, `beside` that it begins together with the step before. A command runs
    under `faults`, and ends by `stop` when it has waited, locked, asked or written `at` times. What others do, and what
    is built, comes after `at` seconds.
    """

    what: str
    machine: int = 0
    pick: int = 0
    faults: tuple[str, ...] = ()
    stop: str = ""  # "killed", "interrupted" or "suspended"
    at: int = 0
    beside: bool = False

    @property
    def is_command(self) -> bool:
        return self.what.split()[0] in ("apply", "plan", "status", "output", "gc", "destroy")


@dataclass(frozen=True, slots=True)
class History:
    """All that a simulation is made from."""

    seed: int
    steps: tuple[Step, ...]
    dialect: str = "local"
    env: str = ""
    workers: int = 1
    skew: float = 0.0  # seconds that the second machine's clock is ahead
    restless: float = 0.5  # how often another goes on where several can
    habits: tuple[str, ...] = ()  # faults that the service always has
    copes: bool = False  # each run ends with 0 at once that is alone and meets no fault but those
    patience: float = inf  # the seconds that a run may take
    most_writes: float = inf  # that a run may send

    def __str__(self) -> str:
        """As it can be pasted into a test."""
        values = [f"    {name}={value!r},\n" for name, value in changed(self).items() if name != "steps"]
        steps = "".join(f"        {step_text(step)},\n" for step in self.steps)
        return f"History(\n{''.join(values)}    steps=(\n{steps}    ),\n)"


def changed(value: History | Step) -> dict[str, object]:
    """The fields that are not as by default."""
    return {field.name: is_ for field in fields(value) if (is_ := getattr(value, field.name)) != field.default}


def step_text(step: Step) -> str:
    """A step as it is written in Python."""
    values = changed(step)
    return f"Step({', '.join([repr(values.pop('what')), *(f'{name}={value!r}' for name, value in values.items())])})"


def weeks_of(seed: int) -> History:
    """Some weeks, by a seed."""
    rng = random.Random(f"history {seed}")
    machines = rng.choice((1, 1, 1, 2, 2, 3))
    steps = [Step("apply")]
    for _ in range(rng.randint(2, 4)):
        steps += _week(rng, machines)
    return History(
        seed,
        tuple(steps),
        dialect=_dialect(rng),
        env=rng.choice(("", "", "", "prod")),
        workers=rng.choice((1, 1, 2)),
        skew=rng.choice((0.0, 0.0, 0.0, 90.0, -3600.0)),
        restless=rng.choice((0.1, 0.5, 0.9)),
    )


def _week(rng: random.Random, machines: int) -> list[Step]:
    """Some changes; whoever applies them, mostly of the newest revision; a look, and some time."""
    steps = [Step(rng.choice(EDITS), pick=rng.randrange(100)) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.5:
        steps += [Step(rng.choice(OTHERS), pick=rng.randrange(100)) for _ in range(rng.randint(1, 2))]
    worker = rng.randrange(machines)
    if machines > 1 or rng.random() < 0.9:
        steps += [Step("pull", machine) for machine in range(machines) if rng.random() < 0.85]
    is_saved = rng.random() < 0.15
    if is_saved:
        steps += [Step("plan --out", worker)]
        steps += [Step(rng.choice((*EDITS, *OTHERS)), pick=rng.randrange(100))] if rng.random() < 0.5 else []
    steps.append(_apply(rng, worker, "apply PLAN" if is_saved else ""))
    if machines > 1 and rng.random() < 0.6:
        other = rng.choice([machine for machine in range(machines) if machine != worker])
        steps.append(replace(_apply(rng, other), beside=True))
    elif rng.random() < 0.15:
        steps.append(Step(rng.choice(OTHERS), pick=rng.randrange(100), beside=True))
    if rng.random() < 0.5:
        steps.append(Step(rng.choice(READS), rng.randrange(machines)))
    steps.append(Step("wait", pick=rng.choice(WAITS)))
    return [*steps, Step("restart")] if rng.random() < 0.1 else steps


def _apply(rng: random.Random, machine: int, what: str = "") -> Step:
    faults = (rng.choice(FAULTS),) if rng.random() < 0.3 else ()
    stop = rng.choice(("killed", "killed", "interrupted")) if rng.random() < 0.2 else ""
    what = what or f"apply {rng.choice(OPTIONS)}".strip()
    return Step(what, machine, faults=faults, stop=stop, at=int(10 ** rng.uniform(0.5, 2.8)) if stop else 0)


# Other addresses, other credentials, counts of nothing, files whose Files are gone, which `--verify` looks for, and
# listings of which even both ends together are too short; and stores that nobody may delete.
_STRANGE = (
    *("split", "stores-iam-only", "ghost-counts", "keeps-attached", "cut-after", "empty-after", "refuses-deleting"),
)
_TAME = [setting for setting in SETTINGS if setting not in ENDS and setting.partition("=")[0] not in _STRANGE]


def _dialect(rng: random.Random) -> str:
    """Mostly the plain one, else with up to three switches."""
    settings = rng.sample(_TAME, rng.choice((0, 0, 0, 1, 1, 2, 3)))
    chosen = {setting.partition("=")[0]: setting for setting in settings}
    for hiding, clue in HIDDEN:
        if hiding in chosen:
            chosen.pop(clue, None)
    return ",".join(["local", *chosen.values()])
