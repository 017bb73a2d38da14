#!/bin/sh
# demo.sh FOLDER [ARGUMENT…]: runs the example `digits` from FOLDER (target/release) with the arguments.
#
# On a terminal the example loops in the background and the viewer stands in front, until q; elsewhere the example
# runs once and its memory map is printed. Both end with the example's lines: accuracy, arena peak, bound, waste.
set -eu

bin=$1
shift
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
log=$root/target/demo.log
mkdir -p "$root/target"
program=

# A background program that runs on, or a half-drawn line, must not outlive the demo.
stop() {
    [ -n "$program" ] || return 0
    kill -TERM "$program" 2>/dev/null || true
    tries=0
    while [ "$tries" -lt 50 ] && kill -0 "$program" 2>/dev/null; do
        tries=$((tries + 1))
        sleep 0.1
    done
    kill -KILL "$program" 2>/dev/null || true
    wait "$program" 2>/dev/null || true
    program=
}
trap stop EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

once() {
    status=0
    "$bin/examples/digits" "$@" >"$log" || status=$?
    cat "$log"
    recording=$(sed -n 's/^[[:space:]]*recording:\{0,1\}[[:space:]]*//p' "$log" | tail -n 1)
    if [ -n "$recording" ]; then
        "$bin/bayplan" report --map "$recording"
    elif [ "$status" = 0 ]; then
        echo "demo: the example named no recording" >&2
        status=1
    fi
    return "$status"
}

# Waits until the background program can be watched; fails when it ended before.
await_recording() {
    tries=0
    until "$bin/bayplan" report "$program" >/dev/null 2>&1; do
        tries=$((tries + 1))
        if ! kill -0 "$program" 2>/dev/null; then
            status=0
            wait "$program" || status=$?
            program=
            cat "$log" >&2
            exit "$status"
        fi
        if [ "$tries" -ge 300 ]; then
            cat "$log" >&2
            echo "demo: the example made no recording within a minute" >&2
            exit 1
        fi
        sleep 0.2
    done
}

watched() {
    "$bin/examples/digits" --loop "$@" >"$log" 2>&1 </dev/null &
    program=$!
    await_recording
    status=0
    "$bin/bayplan" top "$program" || status=$?
    stop
    # The lines stand once in the log; should the example have failed, its message is among them.
    tail -n 20 "$log"
    return "$status"
}

if [ -t 0 ] && [ -t 1 ]; then
    watched "$@"
else
    once "$@"
fi
