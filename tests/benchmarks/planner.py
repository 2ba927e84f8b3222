"""How fast planning is: `python -m tests.benchmarks.planner [files]`. Reports, asserts nothing.

One store of so many files, planned five times: as it should be, all to create, to update, to move, to delete. Each plan
is rendered, saved and loaded. The first is planned with the collector of cycles running as well.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from tests.planner.builders import OWNER, desired_file, live_copy, live_store
from vssync.model.plan import Options, Plan
from vssync.model.service import ServiceSpec
from vssync.model.state import Contents, Desired, DesiredFile, DesiredStore, LiveFile, Snapshot
from vssync.planfile import dump, load
from vssync.planner.assemble import make_plan
from vssync.render.comment import plan_markdown
from vssync.render.layout import View
from vssync.render.plan_text import plan_text

FILES = 100_000
Result = TypeVar("Result")


def print_measured(label: str, action: Callable[[], Result]) -> Result:
    begin = time.perf_counter()
    result = action()
    sys.stdout.write(f"{label:34} {time.perf_counter() - begin:8.2f} s\n")
    return result


def desired(count: int, **attributes: str) -> tuple[DesiredFile, ...]:
    """Files in folders; those of a folder share one map of attributes, as a manifest's do."""
    shared = [{"product": "phone", "section": f"s{n}", **attributes} for n in range(200)]
    return tuple(
        replace(desired_file(f"docs/section-{n % 200:03}/page-{n:06}.md", str(n)), attributes=shared[n % 200])
        for n in range(count)
    )


def planned(files: tuple[DesiredFile, ...], live: tuple[LiveFile, ...]) -> Callable[[], Plan]:
    store = DesiredStore("guide", "guide", files=files)
    snapshot = Snapshot(10_000, (live_store(store),), {"vs1": Contents(live)})
    return lambda: make_plan(Desired(OWNER, ServiceSpec(), (store,)), snapshot, Options())


def main() -> None:
    count = int(sys.argv[1]) if sys.argv[1:] else FILES
    files = desired(count)
    live = tuple(live_copy(file, id=f"file-{n:024x}") for n, file in enumerate(files))
    print_measured(f"{count:,} unchanged, gc running", planned(files, live))
    gc.disable()
    print_measured(f"{count:,} unchanged", planned(files, live))
    cases = {
        "to create": planned(files, ()),
        "to update": planned(desired(count, lang="en"), live),
        "to move": planned(tuple(replace(file, key=f"new/{file.key}") for file in files), live),
        "to delete": planned((), live),
    }
    for name, make in cases.items():
        plan = print_measured(f"{count:,} {name}", make)
        shown = print_measured("  as text", partial(plan_text, plan, View()))
        comment = print_measured("  as Markdown", partial(plan_markdown, plan, View()))
        text = print_measured("  saved", partial(dump, plan))
        print_measured("  loaded", partial(load, text))
        sizes = f"{len(shown.splitlines())} lines, {len(comment):,} characters, {len(text) // count} bytes a change"
        sys.stdout.write(f"  {sizes}\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{'peak memory':34} {peak:8.0f} MB\n")


if __name__ == "__main__":
    main()
