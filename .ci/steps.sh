# shellcheck shell=bash
# How .ci/run does its steps, and what it says when one fails. Written for bash 3.2, which is what macOS has.

log=$(mktemp)
environment="" # of --newest and --lowest
trap 'rm -rf "$log" "$environment"' EXIT

usage() {
    sed -n 's/^#   //p' .ci/run >&2
    exit 64
}

step() { # NAME COMMAND...
    echo "== $1"
    "${@:2}" 2>&1 | tee "$log" || failed "$1" "$(advice "${*:2}")"
}

failed() { # NAME WHAT-TO-DO
    printf '.ci/run: failed at: %s\n    %s\n' "$1" "$2" >&2
    exit 1
}

advice() { # COMMAND
    if grep -qE 'connection broken|[Ff]ailed to fetch|from versions: none' "$log"; then
        echo "the package index was not reached: look at the network, or name an index in PIP_INDEX_URL and UV_DEFAULT_INDEX"
    elif grep -qE '^ERROR: (ResolutionImpossible|No matching)|No solution found' "$log"; then
        echo "no set of versions fits: correct pyproject.toml, or make .ci/constraints.txt anew (its first lines say how)"
    else
        echo "what is wrong is printed above; this step alone: $1"
    fi
}

suitable_python() {
    local name="A suitable python3"
    echo "== $name"
    command -v python3 >/dev/null ||
        failed "$name" "there is no python3 on the PATH: install Python 3.11 or newer"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        failed "$name" "$(python3 --version) is too old: put Python 3.11 or newer first on the PATH, as python3"
    python3 -c 'import ensurepip, venv' 2>/dev/null ||
        failed "$name" "python3 has no venv module: install it, on Debian and Ubuntu with: apt install python3-venv"
}

readme_command() { # 1 or 2
    grep '^python3 -m venv' README.md | sed -n "$1p"
}

readme_commands() {
    local name="The README's two commands"
    echo "== $name"
    [ "$(grep -c '^python3 -m venv' README.md)" -eq 2 ] ||
        failed "$name" "README.md must hold two commands that begin with python3 -m venv"
}
