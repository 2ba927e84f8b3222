#!/usr/bin/env bash
# One run of vssync: its output into files, the job summary, a comment or an issue; its exit code is this one's.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=SCRIPTDIR/labels.sh
. "$here/labels.sh"
# shellcheck source=SCRIPTDIR/github.sh
. "$here/github.sh"

OUT=$RUNNER_TEMP/vssync-plan
mkdir -p "$OUT"
arguments=(-f "$MANIFEST")
[ -z "${ENVIRONMENT:-}" ] || arguments+=(-e "$ENVIRONMENT")
while IFS= read -r line; do
    [ -z "$line" ] || arguments+=(--var "$line")
done <<<"${VARIABLES:-}"
for name in max-delete max-replace; do
    value=$(limit "$name")
    [ "$MODE" != plan ] || [ -z "$value" ] || arguments+=("--$name" "$value")
done

code=0
shown=plan.md
case "$MODE" in
    against)
        quietly vssync plan --against "${AGAINST:-HEAD^}" --format markdown --detailed-exitcode "${arguments[@]}" \
            >"$OUT/plan.md" || code=$?
        ;;
    plan)
        quietly vssync plan --format markdown --detailed-exitcode --out "$OUT/plan.json" "${arguments[@]}" \
            >"$OUT/plan.md" || code=$?
        ;;
    drift) quietly vssync plan --format markdown --detailed-exitcode "${arguments[@]}" >"$OUT/plan.md" || code=$? ;;
    apply)
        bash "$here/check.sh" "$OUT/plan.json"
        shown=report.md
        quietly vssync apply "$OUT/plan.json" --format markdown >"$OUT/report.md" || code=$?
        ;;
    *)
        echo "mode $MODE: must be plan, against, drift or apply" >&2
        exit 64
        ;;
esac

changes=false
[ "$code" -eq 0 ] || changes=true
echo "changes=$changes" >>"$GITHUB_OUTPUT"
summarize "$OUT/$shown"
[ -z "${COMMENT:-}" ] || comment "$COMMENT" "$OUT/$shown"
[ "$MODE" != drift ] || watch "$code" "$OUT/$shown"
# 2 says that there are changes, which is what a plan is for.
[ "$code" -ne 2 ] || code=0
exit "$code"
