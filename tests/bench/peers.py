"""What peers take for the same: comparing as many things as there are files, where nothing differs.

They are used where they are on the PATH, and installed by nobody: `pip install octodns` in an environment of its own,
and a system's package `rclone`. Each is measured at what it does: octodns compares records of two YAML files, and asks
no service; rclone reads and hashes the files of two folders.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.bench.process import Cost, run_timed

_OCTODNS = """\
providers:
  config: {{class: octodns.provider.yaml.YamlProvider, directory: {root}/config}}
  live: {{class: octodns.provider.yaml.YamlProvider, directory: {root}/live}}
zones:
  bench.example.: {{sources: [config], targets: [live]}}
"""


PEERS = {"octodns-sync": "octodns-sync", "rclone check": "rclone"}  # programs by case


def missing_peers() -> list[str]:
    return [program for program in PEERS.values() if not shutil.which(program)]


def compare_with_peers(documents: Path, root: Path, count: int) -> Iterator[tuple[str, Cost]]:
    """A comparison without differences by each peer that is there; `root` is a folder for what they compare."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    if program := shutil.which("octodns-sync"):
        records = "".join(f"page-{number:06}:\n  type: TXT\n  value: digest-{number}\n" for number in range(count))
        for side in ("config", "live"):
            (root / side).mkdir()
            (root / side / "bench.example.yaml").write_text(f"---\n{records}")
        (root / "octodns.yaml").write_text(_OCTODNS.format(root=root))
        yield "octodns-sync", run_timed([program, "--config-file", str(root / "octodns.yaml")], {})
    if program := shutil.which("rclone"):
        shutil.copytree(documents, root / "copies")
        yield "rclone check", run_timed([program, "check", str(documents), str(root / "copies")], {})
