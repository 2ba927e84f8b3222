"""The picture of a plan for the README, from what is really printed: `python -m tests.screenshots`.

Ids and times, which differ from run to run, are masked, so that the picture changes only when the output does.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.support import masked

ROOT = Path(__file__).parent.parent
SCENARIO = ROOT / "tests/guarantees/scenarios/support-kb"
PICTURES = ROOT / "examples/screenshots"
COLUMNS = 84


def printed(folder: Path, *arguments: str) -> str:
    """What a command prints in colour."""
    words = [sys.executable, "-m", "vssync", *arguments, "--color", "always", "-f", str(folder)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout


def outputs() -> dict[str, str]:
    """By picture: a changed manifest planned."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "kb"
        shutil.copytree(SCENARIO / "1", folder)
        printed(folder, "apply", "--yes", "--quiet")
        for old in folder.iterdir():
            if old.name != ".vssync":
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        shutil.copytree(SCENARIO / "2", folder, dirs_exist_ok=True)
        return {"plan": printed(folder, "plan")}


def picture(name: str, text: str) -> str:
    """A terminal window as SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="256")
    console.print(Text.from_ansi(f"$ vssync {name}\n\n{masked(text).rstrip()}"))
    svg = console.export_svg(title=f"vssync {name}", unique_id=f"vssync-{name}")
    svg = re.sub(r"@font-face \{.*?\n    \}\n", "", svg, flags=re.DOTALL)  # fetched from elsewhere, where anything is
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def main() -> None:
    """Writes the pictures."""
    for name, text in outputs().items():
        (PICTURES / f"{name}.svg").write_text(picture(name, text))


if __name__ == "__main__":
    main()
