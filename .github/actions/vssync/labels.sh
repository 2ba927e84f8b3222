# shellcheck shell=bash
# Which guards a pull request's labels raise. Only people who may triage can set labels; other text is ignored.

# limit NAME: the value of the first label `vssync/NAME=...` in $LABELS, a number or a share; nothing without one.
limit() {
    jq -r --arg name "$1" '[.[] | strings | capture("^vssync/" + $name + "=(?<limit>[0-9]{1,7}%?)$").limit] | first // empty' \
        <<<"${LABELS:-[]}"
}
