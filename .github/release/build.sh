#!/usr/bin/env bash
# build.sh FOLDER: builds the wheel and the source archive into a folder that does not exist yet, and once more from a
# fresh clone elsewhere, with other times and permissions; fails unless both are the same bytes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

out=${1:?the folder is missing}
[ ! -e "$out" ] || {
    echo "$out: exists already. Name a new folder, so that nothing old is published." >&2
    exit 1
}
python=python3
[ ! -x .venv/bin/python ] || python=$PWD/.venv/bin/python # what the set-up installed
again=$(mktemp -d)
trap 'rm -rf "$again"' EXIT

"$python" -m hatchling build -d "$out"
(umask 077 && git -c advice.detachedHead=false clone --quiet . "$again/clone")
(cd "$again/clone" && "$python" -m hatchling build -d "$again/dist")

diff -r "$out" "$again/dist" || {
    echo "The two builds differ, so nobody could check what is published. Look for times, paths or an uncommitted file." >&2
    exit 1
}
"$python" - "$out" <<'END'
import hashlib, pathlib, sys

for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    print(hashlib.sha256(path.read_bytes()).hexdigest(), path.name, sep="  ")
END
