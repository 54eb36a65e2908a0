# SPDX-License-Identifier: Apache-2.0
# What the scripts share: packages, a copy of the source, free ports, the name of httpd.
# Sourced by bash with set -euo pipefail; needs packages.sh.
# shellcheck shell=bash

# Servers live in sbin, which the PATH of an ordinary user lacks.
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C.UTF-8

# configure and libtool are long programs of the shell: dash runs them in half the time that bash takes.
if command -v dash >/dev/null; then
    CONFIG_SHELL=$(command -v dash)
    export CONFIG_SHELL
fi

# The Python that packages bring modules for, whatever comes first in PATH.
python=/usr/bin/python3
[[ -x $python ]] || python=python3

die()
{
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# temporary_folder NAME MIB: an absolute path, on a file system with so much space on which programs
# may be run.
temporary_folder()
{
    local folder free
    folder=$(mktemp -d "${TMPDIR:-/tmp}/mdm-enroll-$1.XXXXXX") ||
        die "no folder can be made in ${TMPDIR:-/tmp}; set TMPDIR to another place"
    folder=$(cd "$folder" && pwd -P)
    free=$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1024) }')
    printf '#!/bin/sh\n' >"$folder/run" && chmod 755 "$folder/run"
    if ((free < $2)); then
        rm -rf "$folder"
        die "${TMPDIR:-/tmp} has $free MiB free, wanted are $2; set TMPDIR to another place"
    elif ! "$folder/run"; then
        rm -rf "$folder"
        die "no program can be run in ${TMPDIR:-/tmp}; set TMPDIR to another place"
    fi
    rm "$folder/run"
    printf '%s\n' "$folder"
}

# --- packages ---

is_debian()
{
    command -v apt-get >/dev/null && command -v dpkg-query >/dev/null
}

# is_there PROBE: what packages.sh says of a package, on a system without dpkg.
is_there()
{
    local one alternatives
    IFS='|' read -ra alternatives <<<"${1#*:}"
    for one in "${alternatives[@]}"; do
        case $1 in
        cmd:*) command -v "$one" >/dev/null && return ;;
        pc:*) pkg-config --exists "$one" 2>/dev/null && return ;;
        py:*) "$python" -c "import $one" 2>/dev/null && return ;;
        file:*) compgen -G "$one" >/dev/null && return ;;
        esac
    done
    return 1
}

# missing_packages LIST...: the names of this system, one a line.
missing_packages()
{
    local debian fedora probe
    while read -r debian fedora probe; do
        [[ -n $debian ]] || continue
        if is_debian; then
            [[ $(dpkg-query -W -f='${db:Status-Status}' "$debian" 2>/dev/null) == installed ]] ||
                printf '%s\n' "$debian"
        elif [[ $fedora != - ]] && ! is_there "$probe"; then
            printf '%s\n' "$fedora"
        fi
    done <<<"$(printf '%s\n' "$@")" | sort -u
}

# Debian starts a server as soon as its package is installed. Ours are started by hand, in their own
# folder, so the packages are kept from it: policy-rc.d is Debian's way, and gone right afterwards.
apt_install()
(
    policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q -o DPkg::Lock::Timeout=300 update
    apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
)

# need_packages LOG LIST...: install what is missing where that can be done, else name it and end.
need_packages()
{
    local log=$1 names
    shift
    mapfile -t names < <(missing_packages "$@")
    ((${#names[@]})) || return 0
    if ! is_debian; then
        die "please install what is missing, with Fedora's names:
    dnf install ${names[*]}"
    elif ((EUID != 0)); then
        die "please install what is missing, as root:
    apt-get install --no-install-recommends ${names[*]}"
    fi
    apt_install "${names[@]}" >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        die "apt-get could not install ${names[*]}"
    }
}

# --- the source ---

# copy_source TOP DEST: what git knows or would add; outside git everything that is not a product.
# Builds run on the copy, so that nothing is ever written into the checkout.
copy_source()
{
    mkdir -p "$2"
    if git -C "$1" -c safe.directory='*' rev-parse --git-dir >/dev/null 2>&1; then
        git -C "$1" -c safe.directory='*' ls-files -z --cached --others --exclude-standard |
            (cd "$1" && while IFS= read -r -d '' file; do
                if [[ -e $file ]]; then printf '%s\0' "$file"; fi
            done | tar --null -T - -cf -) | tar -C "$2" -xf -
    else
        tar -C "$1" --exclude=./.git --exclude=./build --exclude='*.o' --exclude='*.lo' \
            --exclude='*.la' --exclude=./config.status --exclude=./Makefile -cf - . |
            tar -C "$2" -xf -
    fi
}

# --- servers ---

# A TCP port of loopback on which nobody listens.
free_port()
{
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    printf '%s\n' "$port"
}

# The httpd that apxs belongs to.
find_httpd()
{
    local name
    name=$(apxs -q SBINDIR)/$(apxs -q PROGNAME)
    [[ -x $name ]] || name=$(command -v apache2 || command -v httpd) || die "no httpd found"
    printf '%s\n' "$name"
}

# load_modules HTTPD NAME...: LoadModule lines for those that are not built in.
load_modules()
{
    local built_in name folder
    built_in=$("$1" -l)
    folder=$(apxs -q LIBEXECDIR)
    shift
    for name in "$@"; do
        [[ $built_in == *"mod_$name.c"* ]] ||
            printf 'LoadModule %s_module "%s/mod_%s.so"\n' "$name" "$folder" "$name"
    done
}
