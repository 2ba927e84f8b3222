"""The command line in this process, on a folder with its local service, in virtual time: every command is judged."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from unittest import mock

from tests.simulation.judge import JUDGED, Run
from tests.simulation.judged import FalseClaimError, JudgedSession, assert_true
from tests.simulation.truth import State
from tests.support import Clock, open_test_session
from vssync import planfile
from vssync.cli import process
from vssync.cli.main import cli
from vssync.commands import apply, session
from vssync.commands.session import Session, Settings
from vssync.model.plan import Options, Plan
from vssync.model.report import Report
from vssync.sources.load import LoadedManifest

_FLAGS = {"targets": "--target", "excludes": "--exclude"}


@dataclass
class Shell:
    """A person at a prompt in a folder; `dialect` is the service's, with its switches."""

    folder: Path
    dialect: str = "local"
    clock: Clock = field(default_factory=Clock)

    def run(self, verb: str, *arguments: str, options: Options | None = None, faults: Sequence[str] = ()) -> Run:
        """Runs a command that prints a document, and judges what it said."""
        options = options or Options()
        argv = [verb, *arguments, "-f", str(self.folder), *flags_of(options), "--format", "json"]
        seen = _Seen()
        stdout, stderr = io.StringIO(), io.StringIO()
        with self._service(faults, seen), redirect_stdout(stdout), redirect_stderr(stderr):
            code = process.run_command(lambda: cli.main(argv, prog_name="vssync", standalone_mode=False))
        document = json.loads(stdout.getvalue()) if stdout.getvalue() else None
        if seen.session is None or seen.session.witness is None:
            raise FalseClaimError(f"{argv} opened no session: {stderr.getvalue()}")
        witness = seen.session.witness
        kind = str(document["kind"]) if document else {"apply": "report"}.get(verb, verb)
        run = Run(
            kind=kind,
            wanted=seen.session.wanted,
            before=seen.before,
            after=witness.state(),
            document=document if kind in JUDGED else None,
            code=code,
            exchanges=tuple(witness.log.exchanges),
            options=options,
            plan=seen.plan,
            detailed="--detailed-exitcode" in arguments,
            dialect=self.dialect,
        )
        assert_true(run)
        return run

    @contextmanager
    def others(self) -> Iterator[Session]:
        """Somebody else at work on the same service."""
        with open_test_session(self.folder, self.clock, provider=self.dialect) as (opened, _):
            yield opened

    @contextmanager
    def _service(self, faults: Sequence[str], seen: _Seen) -> Iterator[None]:
        """The local service of the folder, for whatever command opens a session."""

        @contextmanager
        def open_session(settings: Settings, loaded: LoadedManifest, **_: Any) -> Iterator[Session]:
            opening = open_test_session(self.folder, self.clock, faults=faults, provider=self.dialect, loaded=loaded)
            with opening as (opened, _recorder):
                assert opened.witness
                seen.session, seen.before = replace(opened, settings=settings), opened.witness.state()
                yield seen.session

        with (
            mock.patch.object(session, "open_session", open_session),
            mock.patch.object(apply, "apply_plan", seen.watched(apply.apply_plan)),
        ):
            yield


class _Seen:
    """What a command did not print: its session, and the plan that it applied."""

    def __init__(self) -> None:
        self.session: JudgedSession | None = None
        self.before = State()
        self.plan: Mapping[str, Any] | None = None

    def watched(self, apply_plan: Callable[..., Report]) -> Callable[..., Report]:
        def watch(session: Session, plan: Plan, *arguments: Any, **named: Any) -> Report:
            self.plan = json.loads(planfile.dump(plan))
            return apply_plan(session, plan, *arguments, **named)

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
