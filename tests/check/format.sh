#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every C file is as clang-format 14, Debian 12's, leaves it. Skipped (77) with any other version: no
# two agree. Usage: format.sh [SRCDIR]
set -eu

srcdir=${1:-${srcdir:-.}}
case $(clang-format --version 2>/dev/null) in
*' version 14.'*) ;;
*) exit 77 ;;
esac
[ -r "$srcdir/.clang-format" ] || { echo "no .clang-format in $srcdir" >&2; exit 1; }
find "$srcdir/mod_mdm_enroll" "$srcdir/tools" "$srcdir/tests" -name '*.[ch]' \
    -exec clang-format --dry-run -Werror {} +
