#!/bin/sh
# Draws the README's pictures, one per view: runs MODEL, records it, and draws frames of the viewer as SVG.
#
#     assets/pictures/views.sh FOLDER_OF_PROGRAMS MODEL.onnx [ARGUMENTS OF bayplan run …]
set -eu
here="$(cd "$(dirname "$0")" && pwd)"
programs="$1" model="$2"
shift 2
python="${BAYPLAN_TEST_PYTHON:-python3}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# The viewer's own settings are not to show in the pictures.
export XDG_CONFIG_HOME="$work/config"
picture() {
    name="$1" size="$2"
    shift 2
    "$programs/bayplan-tui" "$work/run.bptrace" --snapshot "$size" --color true "$@" | "$python" "$here/render.py" >"$here/$name.svg"
    echo "$here/$name.svg"
}

run() {
    "$programs/bayplan" run "$model" "$@" --trace-level op --quiet >/dev/null
}
run "$@" --runs 12 --trace "$work/run.bptrace"
# What the diff shows: the same model in the order that needs least.
run "$@" --runs 3 --order search --trace "$work/other.bptrace"
picture overview 120x34 --view overview
picture bay-plan 120x38 --view 'bay plan'
picture lifetimes 120x30 --view lifetimes
picture fragmentation 120x34 --view fragmentation
picture operators 120x30 --view operators
picture events 120x24 --view events
picture why-not-smaller 120x38 --view 'bay plan' --key w
picture diff 120x34 --diff "$work/other.bptrace" --view diff
