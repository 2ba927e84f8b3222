#!/usr/bin/env bash
# check.sh TAG: checks that the tag is the version and that the changelog has it; prints what the changelog says of it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() {
    echo "$*" >&2
    exit 1
}

tag=${1:?the tag is missing}
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' vssync/__init__.py)
[ "$tag" = "v$version" ] ||
    fail "$tag: vssync/__init__.py says version $version. Delete the tag; change the version first, or tag v$version."

# From the version's heading to the next heading or to the links at the end.
notes=$(awk -v heading="## [$version] - " '
    /^## / || /^\[.*\]: / { inside = 0 }
    inside
    index($0, heading) == 1 { inside = 1 }' .github/CHANGELOG.md)
[[ "$notes" == *[![:space:]]* ]] ||
    fail "$tag: .github/CHANGELOG.md has nothing under '## [$version] - YYYY-MM-DD'. Delete the tag, write it, tag again."
echo "$notes"
