#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Core knows nothing of httpd: none of its files includes a header of httpd or of the glue, and none
# of its objects asks for a symbol of httpd. Usage: no-httpd-in-core.sh [SRCDIR [BUILDDIR]]
set -eu

core=${1:-${srcdir:-.}}/mod_mdm_enroll/core
build=${2:-.}
status=0

set -- "$core"/*.c "$core"/*.h
[ -r "$1" ] || { echo "no sources in $core" >&2; exit 1; }
headers='(httpd|http_[a-z]+|ap_[a-z_]+|mod_[a-z_]+|util_[a-z_]+|mpm_common|scoreboard|unixd)\.h'
if grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*([<\"]$headers|\"[^\"]*httpd/)" "$@"; then
    echo "core must not include these" >&2
    status=1
fi

symbols=$(find "$build" -path '*/core/*' -name '*.o' -exec nm -A -u {} +)
case $symbols in
*' U apr_palloc'*) ;;
*) echo "no objects of core below $build: run make first" >&2; exit 1 ;;
esac
if printf '%s\n' "$symbols" | grep -E ' U (ap|ssl|ldap|apr_dbd|apr_dso)_'; then
    echo "core must not need these" >&2
    status=1
fi
exit $status
