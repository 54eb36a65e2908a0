#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every C file is as clang-format 14 or newer leaves it. Skipped (77) without clang-format.
# Usage: format.sh [SRCDIR]
set -eu

srcdir=${1:-${srcdir:-.}}
command -v clang-format >/dev/null || exit 77
[ -r "$srcdir/.clang-format" ] || { echo "no .clang-format in $srcdir" >&2; exit 1; }
find "$srcdir/mod_mdm_enroll" "$srcdir/tools" "$srcdir/tests" -name '*.[ch]' \
    -exec clang-format --dry-run -Werror {} +
