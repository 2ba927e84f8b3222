"""A Dask cluster of two worker processes on this machine, and what vssync makes of a folder with it; prints JSON.

Run as `python -m tests.sources.cluster FOLDER`: Dask waits in ways that tests may not.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from vssync.sources.convert import Converter


def _work_done() -> tuple[int, int]:
    """On a worker: its process id, and how many documents it converted."""
    from vssync.sources.engine import CONVERTERS_OF_WORKER

    return os.getpid(), CONVERTERS_OF_WORKER.count


def main(folder: Path) -> dict[str, Any]:
    """What a plan prints, who did the work, and digests of a conversion in which one worker is killed."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        engine = cluster.scheduler_address.replace("tcp://", "dask://")
        command = [sys.executable, "-m", "vssync", "plan", "-f", str(folder), "--engine", engine]
        plan = subprocess.run(command, capture_output=True, text=True, check=False)
        work = dict(client.run(_work_done).values())
        files = ((path, path.suffix) for path in sorted((folder / "guide").iterdir()))
        digests = []
        for number, converted in enumerate(Converter(engine).convert_files(files)):
            digests.append(hashlib.sha256(converted.conversion.markdown).hexdigest())
            if number == 2:
                os.kill(min(work), signal.SIGKILL)
        left = dict(client.run(_work_done).values())
    return {"plan": [plan.returncode, plan.stdout, plan.stderr], "work": work, "digests": digests, "left": left}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]))))
