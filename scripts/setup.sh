#!/bin/sh
# Sets up what bayplan needs beside cargo, make and a C compiler. Safe to repeat; quick when nothing is missing.
#
#   scripts/setup.sh run     a Vulkan loader and a driver that works without a GPU (lavapipe)
#   scripts/setup.sh test    also a second driver (SwiftShader), the validation layers, a Python with onnxruntime, tmux, Prometheus
#
# Packages come from apt: installed where root or passwordless sudo is at hand, else unpacked under target/deps/
# without any privilege. SwiftShader comes from npm's registry (scripts/swiftshader.py), for x86-64 alone. Writes
#
#   target/env.sh        for programs: every driver of the machine, lavapipe among them
#   target/env-test.sh   for tests: lavapipe and SwiftShader, the validation layers, BAYPLAN_TEST_PYTHON
#
# Environment: BAYPLAN_SETUP_PRIVILEGE=none unpacks under target/deps/ even where packages could be installed;
# BAYPLAN_PYTHON names the Python to use; MESA_SHADER_CACHE_DIR moves the cache of shaders, XDG_CACHE_HOME also that of
# drivers; npm_config_registry names a mirror of npm's registry.

set -eu
umask 022

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
target=$root/target
deps=$target/deps
venv=$target/venv
swiftshader=$target/swiftshader
requirements=$root/tests/python/requirements.txt

say() { printf 'setup: %s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

case ${1-} in
run | test) purpose=$1 ;;
*)
    echo "usage: scripts/setup.sh run|test" >&2
    exit 2
    ;;
esac

[ "$(uname -s)" = Linux ] || fail "this script sets up Linux; on $(uname -s) install a Vulkan loader and driver by hand"
mkdir -p "$target" || fail "cannot write to $target"

# ---- What is there -------------------------------------------------------------------------------------------------

# Prints the first existing file among the arguments (patterns were expanded by the caller).
first_file() {
    for file in "$@"; do
        if [ -e "$file" ]; then
            printf '%s\n' "$file"
            return 0
        fi
    done
    return 1
}

system_library() {
    first_file /usr/lib/*/"$1" /usr/lib/"$1" /usr/lib64/"$1" /lib/*/"$1" /usr/local/lib/*/"$1" /usr/local/lib/"$1"
}

find_library() { system_library "$1" || first_file "$deps"/usr/lib/*/"$1" "$deps"/lib/*/"$1"; }

# Prints the manifest FOLDER/PATTERN whose library is there, from the places the Vulkan loader looks in.
find_manifest() {
    for directory in /etc/vulkan /usr/local/share/vulkan /usr/share/vulkan "$deps/usr/share/vulkan"; do
        for manifest in "$directory/$1"/$2; do
            [ -e "$manifest" ] || continue
            library=$(sed -n 's/.*"library_path"[^"]*"\([^"]*\)".*/\1/p' "$manifest" | head -n 1)
            case $library in
            /*) [ -e "$library" ] || continue ;;
            *) find_library "${library##*/}" >/dev/null || continue ;;
            esac
            printf '%s\n' "$manifest"
            return 0
        done
    done
    return 1
}

# The private library folders, if any.
library_path() {
    path=
    for directory in "$deps"/usr/lib/*-linux-gnu* "$deps"/lib/*-linux-gnu* "$deps"/usr/lib/*-linux-gnu*/blas; do
        [ -d "$directory" ] && path=$path${path:+:}$directory
    done
    printf '%s' "$path"
}

# Unpacked programs need their libraries in this script as well.
inherited_library_path=${LD_LIBRARY_PATH:-}
use_private_libraries() {
    path=$(library_path)
    [ -z "$path" ] || export LD_LIBRARY_PATH="$path${inherited_library_path:+:$inherited_library_path}"
}

find_loader() { find_library libvulkan.so.1; }
find_lavapipe() { find_manifest icd.d 'lvp_icd*.json'; }
find_layers() { find_manifest explicit_layer.d 'VkLayer_khronos_validation.json'; }
find_prometheus() { command -v prometheus || first_file "$deps/usr/bin/prometheus"; }
find_tmux() { command -v tmux || first_file "$deps/usr/bin/tmux"; }

# Prints a Python of version 3.10 or later.
find_python() {
    for python in ${BAYPLAN_PYTHON:-} python3 /usr/bin/python3 python3.14 python3.13 python3.12 python3.11 python3.10 \
        "$deps"/usr/bin/python3; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; then
            printf '%s\n' "$python"
            return 0
        fi
    done
    return 1
}

venv_is_current() {
    [ -x "$venv/bin/python" ] && [ -e "$venv/requirements.txt" ] && cmp -s "$requirements" "$venv/requirements.txt" &&
        "$venv/bin/python" -c '' 2>/dev/null
}

# Prints the Debian packages that are missing, one per line.
missing_packages() {
    find_loader >/dev/null || echo libvulkan1
    find_lavapipe >/dev/null || echo mesa-vulkan-drivers
    [ "$purpose" = test ] || return 0
    find_layers >/dev/null || echo vulkan-validationlayers
    find_tmux >/dev/null || echo tmux
    venv_is_current || find_python >/dev/null || printf '%s\n' python3 python3-venv
}

# ---- Bringing packages ---------------------------------------------------------------------------------------------

# How commands gain root: "" (already root), "sudo -n", or "none".
privilege() {
    if [ "${BAYPLAN_SETUP_PRIVILEGE:-}" = none ]; then
        echo none
    elif [ "$(id -u)" = 0 ]; then
        echo
    elif sudo -n true 2>/dev/null; then
        echo 'sudo -n'
    else
        echo none
    fi
}

log=$target/setup.log

# Runs a command up to three times, its output in the log.
retry() {
    attempt=1
    until "$@" >>"$log" 2>&1 </dev/null; do
        [ "$attempt" -lt 3 ] || return 1
        attempt=$((attempt + 1))
        sleep "$attempt"
    done
}

install_with_root() {
    elevate=$1
    shift
    # Word splitting of $elevate is wanted: it is empty or "sudo -n".
    # shellcheck disable=SC2086
    set -- $elevate env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 \
        install --no-install-recommends "$@"
    "$@" >>"$log" 2>&1 </dev/null && return 0
    # Package lists are absent on fresh images, or stale.
    # shellcheck disable=SC2086
    retry $elevate apt-get -q -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 update || return 1
    retry "$@"
}

# apt-get with its own lists and cache under target/, on the system's sources and installed packages.
private_apt() {
    apt-get -q -o Dir::State="$deps/apt/state" -o Dir::State::status=/var/lib/dpkg/status -o Dir::Cache="$deps/apt/cache" \
        -o Acquire::Retries=3 -o APT::Sandbox::User= "$@"
}

fetch_archives() (
    cd "$deps/apt/archives" && private_apt download "$@"
)

# Lists of packages under target/deps/, not older than a day.
update_private_lists() {
    mkdir -p "$deps/apt/state/lists/partial" "$deps/apt/cache/archives/partial" "$deps/apt/archives"
    [ -n "$(find "$deps/apt/state/lists" -maxdepth 1 -name '*Packages*' -mmin -1440 | head -n 1)" ] ||
        retry private_apt update
}

# Fetches packages and unpacks them under target/deps/.
unpack_alone() {
    retry fetch_archives "$@" || return 1
    for archive in "$deps"/apt/archives/*.deb; do
        dpkg -x "$archive" "$deps" >>"$log" 2>&1 || return 1
        rm -f "$archive"
    done
}

# Unpacks packages, and what they depend on and the machine lacks, under target/deps/.
unpack_without_root() {
    update_private_lists || return 1
    # A simulated installation lists the packages with their missing dependencies: "Inst NAME (VERSION …)".
    private_apt -s install --no-install-recommends "$@" >"$deps/apt/simulation" 2>>"$log" || return 1
    # A dry run may also upgrade what is installed ("Inst NAME [OLD] (NEW"); the installed version serves.
    packages=$(sed -n 's/^Inst \([^ ]*\) (.*/\1/p' "$deps/apt/simulation")
    # Present already, though not as packages (a Python built from source): take what was asked for.
    [ -n "$packages" ] || packages=$*
    # shellcheck disable=SC2086
    unpack_alone $packages || return 1
    correct_manifests
    use_private_libraries
}

# Points unpacked Vulkan manifests at the libraries beside them.
correct_manifests() {
    for manifest in "$deps"/usr/share/vulkan/*/*.json; do
        [ -e "$manifest" ] || continue
        library=$(sed -n 's/.*"library_path"[^"]*"\([^"]*\)".*/\1/p' "$manifest" | head -n 1)
        [ -n "$library" ] || continue
        real=$(first_file "$deps"/usr/lib/*/"${library##*/}" "$deps"/usr/lib/"${library##*/}") || continue
        sed "s|\"library_path\"\\([^\"]*\\)\"[^\"]*\"|\"library_path\"\\1\"$real\"|" "$manifest" >"$manifest.new"
        mv "$manifest.new" "$manifest"
    done
}

by_hand() { printf 'sudo apt-get update && sudo apt-get install %s' "$*"; }

bring_packages() {
    missing=$(missing_packages | tr '\n' ' ')
    missing=${missing% }
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || fail "missing: $missing (names of Debian's packages)" \
        "this system has no apt-get: install your distribution's Vulkan loader, Mesa's lavapipe driver, Vulkan validation layers, python3 and tmux, then run this again"
    elevate=$(privilege)
    # shellcheck disable=SC2086
    if [ "$elevate" = none ]; then
        say "unpacking $missing under target/deps (no root: nothing is installed)"
        unpack_without_root $missing || refuse "could not fetch or unpack: $missing" $missing
    else
        say "installing $missing"
        install_with_root "$elevate" $missing || refuse "could not install: $missing" $missing
    fi
    still=$(missing_packages | tr '\n' ' ')
    # shellcheck disable=SC2086
    [ -z "$still" ] || refuse "still missing after the packages were brought: ${still% }" $still
    check_libraries
}

# refuse MESSAGE PACKAGE…: fails with the end of the log and the command to type.
refuse() {
    message=$1
    shift
    tail -n 5 "$log" >&2
    fail "$message (log: target/setup.log)" "by hand: $(by_hand "$@")"
}

# A driver whose own libraries are missing would only show as "no device".
check_libraries() {
    for manifest in "$(find_lavapipe)" $([ "$purpose" = run ] || find_layers); do
        library=$(sed -n 's/.*"library_path"[^"]*"\([^"]*\)".*/\1/p' "$manifest" | head -n 1)
        case $library in
        /*) ;;
        *) library=$(find_library "${library##*/}") ;;
        esac
        absent=$(ldd "$library" 2>/dev/null | sed -n 's/^[[:space:]]*\([^ ]*\) => not found/\1/p' | tr '\n' ' ')
        [ -z "$absent" ] || fail "$library lacks the libraries ${absent% }" \
            "remove target/deps and run this again, or: $(by_hand libvulkan1 mesa-vulkan-drivers vulkan-validationlayers)"
    done
}

# ---- Python --------------------------------------------------------------------------------------------------------

# Makes the virtual environment $1 with Python $2; pip comes from the Python, or else from Debian's wheel.
make_venv() {
    rm -rf "$1"
    if "$2" -m venv "$1" >>"$log" 2>&1 && "$1/bin/python" -m pip --version >>"$log" 2>&1; then
        return 0
    fi
    rm -rf "$1"
    # Debian ships Python without ensurepip until python3-venv is installed.
    elevate=$(privilege)
    if [ "$elevate" != none ] && command -v apt-get >/dev/null; then
        say "installing python3-venv"
        install_with_root "$elevate" python3-venv || true
        for python in "$2" /usr/bin/python3; do
            if "$python" -m venv "$1" >>"$log" 2>&1 && "$1/bin/python" -m pip --version >>"$log" 2>&1; then
                return 0
            fi
            rm -rf "$1"
        done
    fi
    "$2" -m venv --without-pip "$1" >>"$log" 2>&1 || return 1
    wheel=$(first_file /usr/share/python-wheels/pip-*.whl "$deps"/usr/share/python-wheels/pip-*.whl) || {
        command -v apt-get >/dev/null || return 1
        say "unpacking pip under target/deps"
        unpack_without_root python3-pip-whl || return 1
        wheel=$(first_file "$deps"/usr/share/python-wheels/pip-*.whl) || return 1
    }
    # A wheel is a zip archive: Python runs pip from inside it, and pip then installs itself.
    retry "$1/bin/python" "$wheel/pip" install --quiet "$wheel" || retry "$1/bin/python" "$wheel/pip" install --quiet pip
}

bring_python() {
    [ -e "$requirements" ] || fail "$requirements is missing: the checkout is incomplete"
    venv_is_current && return 0
    python=$(find_python) || fail "no Python of version 3.10 or later" "by hand: $(by_hand python3 python3-venv)"
    say "making target/venv with $("$python" --version) and the packages of tests/python/requirements.txt"
    make_venv "$venv" "$python" || refuse "could not make a virtual environment with $python" python3 python3-venv
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
    retry "$venv/bin/python" -m pip install --quiet --only-binary :all: -r "$requirements" || {
        tail -n 5 "$log" >&2
        fail "pip could not install tests/python/requirements.txt (log: target/setup.log)" \
            "by hand: $venv/bin/python -m pip install -r tests/python/requirements.txt"
    }
    # Last: its presence says that the environment is whole.
    cp "$requirements" "$venv/requirements.txt"
}

# ---- What is kept between runs -------------------------------------------------------------------------------------

# cache_directory NAME: a folder for it, under target/ where the home folder is no place to write.
cache_directory() {
    base=${XDG_CACHE_HOME:-}
    [ -n "$base" ] || [ -z "${HOME:-}" ] || base=$HOME/.cache
    if [ -n "$base" ] && mkdir -p "$base/bayplan/$1" 2>/dev/null && [ -w "$base/bayplan/$1" ]; then
        printf '%s' "$base/bayplan/$1"
    else
        mkdir -p "$target/cache/$1"
        printf '%s' "$target/cache/$1"
    fi
}

# ---- SwiftShader ---------------------------------------------------------------------------------------------------

# The only builds that are published are for x86-64; elsewhere the tests have no rows for it.
bring_swiftshader() {
    case $(uname -m) in
    x86_64 | amd64) ;;
    *)
        rm -rf "$swiftshader"
        return 0
        ;;
    esac
    "$venv/bin/python" "$root/scripts/swiftshader.py" "$swiftshader" "$(cache_directory drivers)" >>"$log" 2>&1 </dev/null || {
        tail -n 1 "$log" >&2
        fail "could not bring SwiftShader (log: target/setup.log)" "by hand: scripts/swiftshader.py target/swiftshader"
    }
    absent=$(ldd "$swiftshader/libvk_swiftshader.so" | sed -n 's/^[[:space:]]*\([^ ]*\) => not found/\1/p' | tr '\n' ' ')
    [ -z "$absent" ] || fail "SwiftShader lacks the libraries ${absent% }" "by hand: $(by_hand libgcc-s1)"
}

# ---- Prometheus ----------------------------------------------------------------------------------------------------

# The package starts a service where it is installed, and brings what a browser shows: it is only ever unpacked.
bring_prometheus() {
    find_prometheus >/dev/null && return 0
    command -v apt-get >/dev/null || fail "missing: prometheus" \
        "this system has no apt-get: put Prometheus' own programs (prometheus, promtool) on the path, then run this again"
    say "unpacking prometheus under target/deps"
    { update_private_lists && unpack_alone prometheus && find_prometheus >/dev/null; } || {
        tail -n 5 "$log" >&2
        fail "could not bring Prometheus (log: target/setup.log)" "put its programs (prometheus, promtool) on the path"
    }
}

# ---- The environment files -----------------------------------------------------------------------------------------

# Quotes its argument for the shell.
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# Replaces file $1 by standard input in one step.
write_file() {
    cat >"$1.new.$$"
    mv "$1.new.$$" "$1"
}

write_environment() {
    {
        echo "# Written by scripts/setup.sh."
        echo "export MESA_SHADER_CACHE_DIR=\${MESA_SHADER_CACHE_DIR:-$(quoted "$(cache_directory mesa)")}"
        libraries=$(library_path)
        if [ -n "$libraries" ]; then
            echo "export LD_LIBRARY_PATH=$(quoted "$libraries")\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
        fi
        if [ -d "$deps/usr/share/vulkan" ]; then
            # The loader adds these folders to the system's: a real GPU's driver stays visible.
            echo "export XDG_DATA_DIRS=$(quoted "$deps/usr/share"):\${XDG_DATA_DIRS:-/usr/local/share:/usr/share}"
        fi
        if [ -d "$deps/usr/bin" ]; then
            echo "export PATH=\$PATH:$(quoted "$deps/usr/bin")"
        fi
    } | write_file "$target/env.sh"
    [ "$purpose" = test ] || return 0
    drivers=$(find_lavapipe)
    manifest=$swiftshader/vk_swiftshader_icd.json
    [ ! -e "$manifest" ] || drivers=$drivers:$manifest
    layers=$(find_layers)
    {
        echo "# Written by scripts/setup.sh."
        echo ". $(quoted "$target/env.sh")"
        # The older name serves loaders before 1.3.207.
        echo "export VK_DRIVER_FILES=$(quoted "$drivers") VK_ICD_FILENAMES=$(quoted "$drivers")"
        echo "export VK_LAYER_PATH=$(quoted "${layers%/*}")"
        # onnxruntime reports its sessions over the network unless this is set.
        echo "export ORT_DISABLE_TELEMETRY=1"
        echo "export BAYPLAN_TEST_PYTHON=$(quoted "$venv/bin/python")"
    } | write_file "$target/env-test.sh"
}

: >"$log"
use_private_libraries
bring_packages
if [ "$purpose" = test ]; then
    bring_python
    bring_swiftshader
    bring_prometheus
fi
write_environment
