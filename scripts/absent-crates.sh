#!/bin/sh
# absent-crates.sh PACKAGE CRATE…: fails if PACKAGE is built with one of the crates, and shows by which way.
set -eu

package=$1
shift
tree=$(cargo tree --locked -p "$package" -e no-dev --prefix none --format '{p}')
# An empty tree would make every check pass.
printf '%s\n' "$tree" | grep -q "^$package v"
status=0
for crate in "$@"; do
    if printf '%s\n' "$tree" | grep -q "^$crate v"; then
        echo "$package must not be built with $crate:" >&2
        cargo tree --locked -p "$package" -e no-dev -i "$crate" >&2
        status=1
    fi
done
[ "$status" = 0 ] && echo "$package is built without $*"
exit "$status"
