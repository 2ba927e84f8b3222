"""The command line in this process, on a folder with its local service, in virtual time: every command is judged."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

from tests.simulation.judge import JUDGED, Run
from tests.simulation.judged import FalseClaimError, JudgedSession, assert_true
from tests.simulation.scheduler import Exited
from tests.simulation.truth import State
from tests.support import Clock, open_test_session
from vssync import planfile
from vssync.cli import process
from vssync.cli.main import cli
from vssync.commands import apply, session
from vssync.commands.session import Session, Settings
from vssync.model.plan import Options, Plan
from vssync.model.report import Report
from vssync.model.state import Limit
from vssync.sources.load import LoadedManifest

INTERRUPTED = 130
_FLAGS = {"targets": "--target", "excludes": "--exclude"}


@dataclass
class Shell:
    """A person at a prompt in a folder; `dialect` is the service's, with its switches."""

    folder: Path
    dialect: str = "local"
    clock: Clock = field(default_factory=Clock)
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        verb: str,
        *arguments: str,
        options: Options | None = None,
        faults: Sequence[str] = (),
        saved: bool = False,
    ) -> Run:
        """Runs a command that prints a document, and judges what it said; `saved` is one of a saved plan."""
        options = options or Options()
        where = [] if saved else ["-f", str(self.folder), *flags_of(options)]
        argv = [verb, *arguments, *where, "--format", "json"]
        command = Command(self, options, faults)
        with command.running():
            try:
                code = process.run_command(lambda: cli.main(argv, prog_name="vssync", standalone_mode=False))
            except Exited as end:
                code = end.code
        if command.session is None or command.session.witness is None:
            raise FalseClaimError(f"{argv} opened no session: {command.stderr.getvalue()}")
        document = json.loads(command.stdout.getvalue()) if command.stdout.getvalue() else None
        witness = command.session.witness
        kind = str(document["kind"]) if document else {"apply": "report"}.get(verb, verb)
        run = Run(
            kind=kind,
            wanted=command.session.wanted,
            before=command.before,
            after=witness.state(),
            document=document if kind in JUDGED else None,
            code=None if code == INTERRUPTED else code,
            exchanges=tuple(witness.log.exchanges),
            options=options,
            plan=command.plan,
            detailed="--detailed-exitcode" in arguments,
            since=command.since,
            interrupted=code == INTERRUPTED,
            dialect=self.dialect,
            told=command.stderr.getvalue(),
        )
        self.judge(run)
        return run

    def judge(self, run: Run) -> None:
        """Raises FalseClaimError for what a command said and is not so."""
        assert_true(run)

    @contextmanager
    def others(self) -> Iterator[Session]:
        """Somebody else at work on the same service."""
        with open_test_session(self.folder, self.clock, provider=self.dialect) as (opened, _):
            yield opened

    @contextmanager
    def open(self, loaded: LoadedManifest, faults: Sequence[str]) -> Iterator[JudgedSession]:
        """The session of a command."""
        opening = open_test_session(self.folder, self.clock, faults=faults, provider=self.dialect, loaded=loaded)
        with opening as (opened, _recorder):
            yield opened


class Command:
    """What a command prints, and what it does not: its session, and the plan that it applied."""

    def __init__(self, shell: Shell, options: Options, faults: Sequence[str]) -> None:
        self.shell, self.options, self.faults = shell, options, faults
        self.settings = Settings()
        self.stdout, self.stderr = io.StringIO(), io.StringIO()
        self.session: JudgedSession | None = None
        self.before = State()
        self.plan: Mapping[str, Any] | None = None
        self.since = 0  # how many requests were made before the plan was applied

    @contextmanager
    def running(self) -> Iterator[None]:
        """This command is the one that this thread, and those which it starts, are at work on."""
        token = _COMMAND.set(self)
        try:
            with _SEAMS:
                yield
        finally:
            _COMMAND.reset(token)


_COMMAND: ContextVar[Command] = ContextVar("command")
running_command = _COMMAND.get


class _Seams(AbstractContextManager[None]):
    """Where commands meet the world, turned to the simulated one while any command runs."""

    def __init__(self) -> None:
        self._count, self._stack = 0, ExitStack()

    def __enter__(self) -> None:
        self._count += 1
        if self._count == 1:
            for place, name, instead in (
                (session, "open_session", _open_session),
                (apply, "apply_plan", _watch_plan(apply.apply_plan)),
                (sys, "stdout", _Stream("stdout")),
                (sys, "stderr", _Stream("stderr")),
            ):
                self._stack.enter_context(mock.patch.object(place, name, instead))

    def __exit__(self, *_: object) -> None:
        self._count -= 1
        if not self._count:
            self._stack.close()


_SEAMS = _Seams()


class _Stream(io.TextIOBase):
    """A stream of whatever command prints to it; what no command prints goes where it went before."""

    def __init__(self, name: str) -> None:
        self._name, self._other = name, getattr(sys, name)

    def write(self, text: str) -> int:
        command = _COMMAND.get(None)
        return int((getattr(command, self._name) if command else self._other).write(text))


@contextmanager
def _open_session(settings: Settings, loaded: LoadedManifest, **_: Any) -> Iterator[Session]:
    command = _COMMAND.get()
    command.settings = replace(settings, environment={**settings.environment, **command.shell.environment})
    with command.shell.open(loaded, command.faults) as opened:
        assert opened.witness
        command.session, command.before = replace(opened, settings=command.settings), opened.witness.state()
        yield command.session


def _watch_plan(apply_plan: Callable[..., Report]) -> Callable[..., Report]:
    def watch(session: Session, plan: Plan, *arguments: Any, saved: Plan | None = None, **named: Any) -> Report:
        command, checksum = _COMMAND.get(), planfile.checksum(saved or plan)
        assert command.session
        assert command.session.witness
        command.since = len(command.session.witness.log.exchanges)
        command.plan = {**json.loads(planfile.dump(plan)), "checksum": checksum}
        return apply_plan(session, plan, *arguments, saved=saved, **named)

    return watch


def flags_of(options: Options) -> list[str]:
    """The options as they are typed."""
    flags: list[str] = []
    for option in fields(Options):
        name, value = option.name, getattr(options, option.name)
        flag = _FLAGS.get(name, f"--{name.replace('_', '-')}")
        if value is True:
            flags.append(flag)
        elif isinstance(value, tuple):
            flags += [part for each in value for part in (flag, each)]
        elif value not in (False, None, ""):
            flags += [flag, str(value)]
    return flags


def as_options(words: Sequence[str], env: str = "") -> Options:
    """The options that these words are."""
    pairs = pairwise((*words, ""))
    typed = {flag.removeprefix("--").replace("-", "_"): value for flag, value in pairs if flag.startswith("--")}
    read: dict[str, Callable[[str], Any]] = {
        "adopt": lambda _: True,
        "retry_failed": lambda _: True,
        "allow_store_replace": lambda _: True,
        "replace": lambda value: (value,),
        "target": lambda value: (value,),
        "max_delete": lambda value: Limit(count=int(value)),
    }
    names = {"target": "targets"}
    return Options(
        env=env, **{names.get(name, name): read[name](value) for name, value in typed.items() if name in read}
    )
