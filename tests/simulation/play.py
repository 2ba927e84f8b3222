"""Plays a history: each step in turn, those beside each other at once, and then what must be so at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.guarantees.worlds.test_switches import ENDS
from tests.simulation.commands import as_options
from tests.simulation.histories import History, Step, step_text
from tests.simulation.judge import Run
from tests.simulation.others import ACTS, Others
from tests.simulation.rest import problems_of_company, problems_of_resend, problems_of_review, problems_of_search
from tests.simulation.scheduler import Group, Killed, Task
from tests.simulation.world import Machine, World
from vssync.model.plan import Options
from vssync.model.state import Limit

STOPS = {"killed": Killed, "interrupted": KeyboardInterrupt, "suspended": None}
TIDY = Options(
    adopt=True, retry_failed=True, allow_store_deletes=True, allow_store_replace=True, max_delete=Limit(share=1.0)
)
PLAIN = Options()
DAY = 86_400
THEM = ("them", "namesakes", "guests")  # other owners: of stores of other names, of the same, and of files in ours


@dataclass
class Played:
    """What became of a history; `error` is what should not have been, and `told` says what happened until then."""

    history: History
    error: BaseException | None = None
    told: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    choices: bytes = b""


def play(history: History, folder: Path | None = None) -> Played:
    """Plays it in a folder, or in one that is gone afterwards."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="simulation-") as temporary:
            return play(history, Path(temporary))
    world = World(history, folder)
    director = Director(world)
    played = Played(history, told=director.told, log=world.log)
    try:
        world.at.spawn(Group("director"), director.direct)
        world.at.run()
    except BaseException as error:
        played.error = error
    finally:
        world.close()
    played.choices = bytes(world.at.choices)
    return played


class Director:
    """The one thread that begins all others."""

    def __init__(self, world: World) -> None:
        self.world, self.at = world, world.at
        self.told: list[str] = []
        self.others = Others(world.watch.around(world.serve, None), lambda: world.watch.state)
        self.others.texts, self.others.values = world.documents.files, world.documents.values
        self.others.declared = world.documents.values["declared"]

    def direct(self) -> None:
        """All of the history. What should not be ends it."""
        try:
            for machine in self.world.machines:
                machine.lay(self.world.tree())
            for steps in _together(self.world.history.steps):
                self._do(steps)
            if not any(setting in ENDS for setting in self.world.history.dialect.split(",")):  # it may never converge
                self._finish()
        except BaseException as error:
            self.at.fail(error)

    def _do(self, steps: Sequence[Step]) -> None:
        runs: list[Run] = []
        tasks = [self._begin(step, runs, has_company=len(steps) > 1) for step in steps]
        for step, task in zip(steps, tasks, strict=True):
            if task:
                self._wait_for(task, step)
        self.world.watch.refresh()
        if len(runs) == len(steps) > 1:
            _raise_first(problems_of_company(runs, self.world.watch.state, self.world.watch.crossed))

    def _wait_for(self, task: Task, step: Step) -> None:
        self.at.pause(lambda: task.is_done)
        if isinstance(task.error, Killed):
            self.world.machines[step.machine].restart(step.what)
        elif task.error:
            raise task.error

    def _begin(self, step: Step, runs: list[Run], *, has_company: bool) -> Task | None:
        self.told.append(step_text(step))
        world, machine = self.world, self.world.machines[step.machine]
        if step.is_command:
            group = Group(machine.name, world.history.skew * (step.machine == 1), at=step.at)
            group.stop, group.on_kill = STOPS.get(step.stop, Killed), machine.freeze
            machine.has_company, machine.at_work_on = has_company, step.what
            return self.at.spawn(group, lambda: runs.extend(self._run_step(machine, step)), is_first=True)
        if step.what in ACTS or step.what == "build":
            delay = step.at or has_company * step.pick / 20
            return self.at.spawn(Group("others"), lambda: self._act(machine, step, delay))
        if step.what == "pull":
            machine.lay(world.tree(machine.owner))
        elif step.what == "pull theirs":
            machine.owner = THEM[step.pick % len(THEM)]
            machine.lay(world.tree(machine.owner))
        elif step.what == "wait":
            self.at.pause(lambda: False, step.pick)
        elif step.what == "restart":
            world.restart()
        else:
            getattr(world.documents, step.what)(step.pick)
        return None

    def _act(self, machine: Machine, step: Step, delay: float) -> None:
        """What others do, or a build that writes a page while its machine may be at work."""
        if delay:
            self.at.pause(lambda: False, delay)
        if step.what == "build":
            self.world.documents.edit_file(step.pick)
            machine.lay(self.world.tree())
        else:
            self.others.do(step.what, step.pick)

    def _run_step(self, machine: Machine, step: Step) -> Iterator[Run]:
        """A command, which must end as the history says that all do, and do no more than a reviewed plan."""
        began, saved = self.at.now, Path(f"{machine.folder}.plan.json")
        reviewed = saved.read_text() if step.what == "apply PLAN" and saved.exists() else ""
        for run in self._command(machine, step):
            if (seconds := self.at.now - began) > self.world.history.patience:
                raise AssertionError(f"{step.what} took {seconds:,.0f} s")
            is_calm = not (machine.has_company or step.faults or step.stop in ("killed", "interrupted"))
            if self.world.history.copes and is_calm and run.code != 0:
                raise AssertionError(f"{step.what} does not cope with what the service does: {_why(run)}")
            writes = sum(exchange.is_write for exchange in run.exchanges)
            if writes > self.world.history.most_writes:
                raise AssertionError(f"{step.what} sends {writes} writes")
            if not machine.has_company:
                _raise_first(problems_of_review(run, reviewed) if reviewed else iter(()))
                _raise_first(problems_of_resend(run, self.world, machine.name))
                _raise_first(self._unlisted(run))
            yield run

    def _unlisted(self, run: Run) -> Iterator[str]:
        """New stores that no other machine can find, though the run ended well."""
        made = run.after.stores.keys() - run.before.stores.keys() if run.kind == "report" and run.code == 0 else ()
        if made and self.world.dialect.late_stores:
            listed = {store["id"] for store in self.others.ask("GET", "/vector_stores", params={"limit": 100})["data"]}
            yield from (f"{store_id} is not listed" for store_id in sorted({*made} - listed))

    def _command(self, machine: Machine, step: Step) -> Iterator[Run]:
        verb, *words = step.what.split()
        owner = "/".join(filter(None, (machine.owner, self.world.history.env)))
        saved, faults = f"{machine.folder}.plan.json", (*self.world.history.habits, *step.faults)
        plain = [word for word in words if word in ("--detailed-exitcode", "--suspected", "--yes")]
        plain += {"apply": ["--yes"], "destroy": ["--confirm", owner]}.get(verb, [])
        options = as_options(words, self.world.history.env)
        if "--out" in words:
            yield machine.run(verb, "--out", saved, options=options)
        elif "PLAN" not in words:
            yield machine.run(verb, *plain, options=options, faults=faults)
        elif Path(saved).exists():
            yield machine.run(verb, saved, faults=faults, saved=True)

    # The end

    def _finish(self) -> None:
        """After some rest, and what a person is told to do, the newest revision is applied, and all is as it says."""
        world, machine = self.world, self.world.machines[0]
        self.at.pause(lambda: False, DAY)
        machine.lay(world.tree())
        machine.has_company = False
        faults = [fault for step in world.history.steps for fault in step.faults]
        is_rejected = any(name in fault for fault in faults for name in ("invalid_file", "refused-type"))
        options = replace(TIDY, retry_failed=is_rejected)  # what failed otherwise is tried again without a word
        run = self._run(machine, "apply", "--yes", options=options)
        for _ in range(2):  # the first may do no more than restore a mark
            if run.code != 0:
                self._tidy(run)
                theirs = world.dialect.connector_files or None  # which only a connector can take out
                options = replace(options, allow_gap=world.dialect.shares_chunks, delete_unmanaged=theirs)  # as it says
                run = self._run(machine, "apply", "--yes", options=options)
        if run.code != 0:
            raise AssertionError(f"the end does not converge: {_why(run)}")
        if len(world.machines) > 1:  # a listing that lacks what another machine made cannot be told from a whole one
            for _ in range(world.dialect.short_stores):
                self.others.ask("GET", "/vector_stores")
        if (run := self._run(machine, "plan", "--detailed-exitcode")).code != 0:
            raise AssertionError(f"the second plan is not empty: {_why(run)}")
        run = self._run(machine, "apply", "--yes")
        if run.code != 0 or any(exchange.is_write for exchange in run.exchanges):
            raise AssertionError("the next apply writes")
        self._run(machine, "status")
        run = self._run(machine, "output")
        _raise_first(problems_of_search(run, self.others, self.world.documents.files))
        for guest in world.machines[1:]:
            if guest.owner != machine.owner:
                self._converge(guest)
        self._collect()

    def _converge(self, guest: Machine) -> None:
        """The same of a machine of another owner, whose documents nobody changed."""
        guest.has_company = False
        for verb, *arguments in (("apply", "--yes"), ("plan", "--detailed-exitcode")):
            expected = 3 if guest.owner == "namesakes" else 0  # a name in use is refused
            if (run := self._run(guest, verb, *arguments, options=TIDY)).code != expected:
                raise AssertionError(f"{verb} of {guest.owner} does not end well: {_why(run)}")

    def _collect(self) -> None:
        """Nothing that runs uploaded is left, but for what somebody else took out of a store or attached."""
        watch, known, proven = self.world.watch, set[str](), set[str]()
        self.at.pause(lambda: False, 60)  # some services list for a while what is gone
        for machine in self.world.machines:
            machine.has_company = False
            run = self._run(machine, "gc", "--suspected", "--yes")
            orphans = (run.document or {}).get("orphans", ())
            known |= {orphan["file_id"] for orphan in orphans}  # may not be deleted
            proven |= {orphan["file_id"] for orphan in orphans if not orphan.get("suspected")}
        if len(self.world.machines) == 1 and (lost := sorted((watch.detached - watch.taken) & (known - proven))):
            raise AssertionError(f"{lost[0]} was detached by a run, and `gc` only suspects it")
        watch.refresh()
        loose = (watch.senders.keys() & watch.state.uploads.keys()) - watch.state.attached
        if left := loose - watch.taken - known:
            raise AssertionError(f"{sorted(left)[0]} was uploaded, no store holds it, and `gc` does not know it")

    def _tidy(self, run: Run) -> None:
        """A person takes out of the way what has our names and no mark, and what keeps a store that is to go."""
        names = {file.filename for store in run.wanted.stores.values() for file in store.files.values()}
        kept = {store.name for store in run.wanted.stores.values()}
        marks = [store.mark for store in sorted(run.after.stores.values(), key=lambda store: store.created_at)]
        for number, store in enumerate(sorted(run.after.stores.values(), key=lambda store: store.created_at)):
            if store.mark[0] == run.wanted.owner and store.mark in marks[:number]:  # a copy
                self.others.ask("DELETE", f"/vector_stores/{store.id}")
            if "vssync_owner" in store.metadata and not store.mark[0]:
                plain = {name: text for name, text in store.metadata.items() if name != "vssync_owner"}
                self.others.ask("POST", f"/vector_stores/{store.id}", json={"metadata": plain})
            for file in store.files:
                if file.has_odd_mark:
                    self.others.set_attributes(store, file, file.plain_attributes)
                if file.owner != run.wanted.owner and (file.filename in names or store.name not in kept):
                    self.others.ask("DELETE", f"/vector_stores/{store.id}/files/{file.id}")

    def _run(self, machine: Machine, verb: str, *arguments: str, options: Options = PLAIN) -> Run:
        self.told.append(f"at the end: {verb}")
        results: list[Run] = []
        options = replace(options, env=self.world.history.env)
        habits, machine.at_work_on = self.world.history.habits, " ".join((verb, *arguments))

        def run() -> None:
            results.append(machine.run(verb, *arguments, options=options, faults=habits))

        task = self.at.spawn(Group(machine.name), run, is_first=True)
        self.at.pause(lambda: task.is_done)
        if task.error:
            raise task.error
        return results[0]


def _raise_first(problems: Iterator[str]) -> None:
    for problem in problems:
        raise AssertionError(problem)


def _why(run: Run) -> str:
    """What a run that did not end well says."""
    document = run.document or {}
    outcomes = [
        f"{each['store']}/{each['key']} {each['status']}: {each['detail']}"
        for each in document.get("outcomes", ())
        if each["status"] != "done"
    ]
    held = [
        f"{store['key']}: {store.get('unlisted', 0)} unlisted, {[change['reasons'] for change in store['changes']]}"
        for store in document.get("stores", ())
        if isinstance(store, dict) and "changes" in store
    ]
    refusals = [refusal["message"] for refusal in document.get("refusals", ())]
    return f"exit {run.code}; {'; '.join(outcomes + held + refusals)}"


def _together(steps: Sequence[Step]) -> Iterator[list[Step]]:
    group: list[Step] = []
    for step in steps:
        if group and not step.beside:
            yield group
            group = []
        group.append(step)
    if group:
        yield group
