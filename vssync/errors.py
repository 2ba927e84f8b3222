"""Every error a user can meet, as one tree; each branch knows its exit code.

    VssyncError                    1   an error before anything was written
    |-- ManifestError              1   all problems of the manifest and its files, each with its place
    |-- ServiceError               1   the service answered with an error, or could not be reached
    |   |-- NotFound               1   404, or what a dialect says instead
    |   |-- AccessDenied           1   401 and 403: the credential is wrong or may not do this
    |   |-- NotDeleted             1   a deletion was answered with `"deleted": false`
    |   `-- LostReply              1   sent, and no answer that tells of success or failure: it may have taken effect
    |-- ForgeError                 1   GitHub or GitLab answered with an error, or could not be reached
    |   `-- ForgeDenied            1   the job's token may not do this
    |-- Refused                    3   nothing was written, and a person must decide
    `-- UsageProblem              64   the command line or the environment is invalid

Messages name the object first, then what is wrong, then the way out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


class VssyncError(Exception):
    """An error that a user can understand and act on; shown as one message without a traceback."""

    exit_code = 1
    attempts = 1  # how often the request was sent, where it is about one
    is_ambiguous = False  # whether it was a write that may have taken effect


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong with the manifest or a file it names. Lines and columns count from 1; 0 is unknown."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = self.file + (f":{self.line}:{self.column}" if self.line else "")
        hint = f"\n    {self.hint}" if self.hint else ""
        return f"{place}: {self.message}{hint}"


class ManifestError(VssyncError):
    """Everything wrong with a manifest and its files, in order of place; at least one problem."""

    MAX_SHOWN = 20

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = tuple(sorted(set(problems)))
        alike: dict[tuple[object, ...], list[Problem]] = {}  # of files that have the same problem the first is shown
        for problem in self.problems:
            place = (problem.file, problem.line, problem.column) if problem.line else ()
            alike.setdefault((*place, problem.message, problem.hint), []).append(problem)
        shown = [*alike.values()][: self.MAX_SHOWN]
        lines = [_describe_alike(first, len(others)) for first, *others in shown]
        if (more := len(self.problems) - sum(map(len, shown))) > 0:
            lines.append(f"and {more:,} more problems ({len(self.problems):,} in all)")
        super().__init__("\n".join(lines))


def _describe_alike(problem: Problem, others: int) -> str:
    more = f"; the same for {others:,} more {'file' if others == 1 else 'files'}" if others else ""
    return str(replace(problem, message=problem.message + more))


@dataclass(frozen=True, slots=True)
class Answer:
    """A service's answer to a request that failed; never a header that could hold a secret."""

    method: str
    path: str
    status: int = 0
    code: str = ""
    message: str = ""
    request_id: str = ""
    param: str = ""
    retry_after: float | None = None


class ServiceError(VssyncError):
    """The service refused a request or could not be reached."""

    def __init__(self, message: str, answer: Answer) -> None:
        super().__init__(message)
        self.answer = answer


class NotFound(ServiceError):
    """The object does not exist, is not visible yet, or the caller may not see it, as OCI answers.

    A 404 alone proves nothing. Deletions look again (`api/client.py`), a store is missing only where no listing has it
    (`applier/deletions.py`), what was just made gets time (`applier/wait.py`), and `doctor` tells the cases apart.
    """


class AccessDenied(ServiceError):
    """The credential was not accepted, or has no permission."""


class NotDeleted(ServiceError):
    """The service answered a deletion, and says that the object was not deleted."""


class LostReply(ServiceError):
    """A write was sent and no reply came that can be read: check before you send it again."""

    is_ambiguous = True

    @property
    def is_service_error(self) -> bool:
        """Whether a reply did come, an error of the service itself: 502 and 504 come from a gateway before it."""
        return self.answer.status in range(500, 600) and self.answer.status not in (502, 504)


class ForgeError(VssyncError):
    """The forge refused a request or could not be reached; `status` is 0 if nothing was answered."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class ForgeDenied(ForgeError):
    """The job's token may not do this; the message names the permission or the scope it needs."""


class Interrupted(Exception):
    """The run was asked to stop, and no request was sent any more.

    `is_ambiguous`: an earlier attempt of the same request may have taken effect.
    """

    is_ambiguous = False


class Refused(VssyncError):
    """Nothing was written because a person must decide: a guard, a stale plan, a lock, no confirmation."""

    exit_code = 3


class UsageProblem(VssyncError):
    """The command line or the environment is invalid."""

    exit_code = 64
