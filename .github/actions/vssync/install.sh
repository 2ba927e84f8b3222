#!/usr/bin/env bash
# Installs vssync from the very revision of this action, so that one pinned hash names all of it.
set -euo pipefail

python3 -m venv "$RUNNER_TEMP/vssync"
"$RUNNER_TEMP/vssync/bin/pip" install --quiet "$GITHUB_ACTION_PATH/../../.."
echo "$RUNNER_TEMP/vssync/bin" >>"$GITHUB_PATH"
