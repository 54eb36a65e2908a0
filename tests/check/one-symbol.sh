#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The module exports its record and nothing else: it shares a process with every other module.
# Usage: one-symbol.sh [MODULE.so]
set -eu

module=${1:-.libs/mod_mdm_enroll.so}
[ -r "$module" ] || { echo "no module at $module: run make first" >&2; exit 1; }
symbols=$(nm -D --defined-only "$module" | awk '{ print $NF }')
[ "$symbols" = mdm_enroll_module ] || {
    printf 'exported, and should be mdm_enroll_module alone:\n%s\n' "$symbols" >&2
    exit 1
}
