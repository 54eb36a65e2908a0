#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# docs/mod_mdm_enroll.md tells of every directive, message id, endpoint and variable, and of none
# that is not there; its directives are in alphabetical order, each with its table and an example.
# Links between documents lead somewhere. An input that cannot be found is an error, never a skip.
# Usage: docs.sh [SRCDIR]
set -eu
LC_ALL=C
export LC_ALL

srcdir=${1:-${srcdir:-.}}
manual=$srcdir/docs/mod_mdm_enroll.md
httpd=$srcdir/mod_mdm_enroll/httpd
messages=$srcdir/mod_mdm_enroll/core/mdm_messages.def
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
status=0

for input in "$manual" "$messages" "$httpd/conf_directives.c"; do
    [ -r "$input" ] || { echo "cannot read $input" >&2; exit 1; }
done

# compare WHAT: $tmp/code against $tmp/manual
compare()
{
    sort -u "$tmp/code" >"$tmp/code.sorted"
    sort -u "$tmp/manual" >"$tmp/manual.sorted"
    for side in code manual; do
        [ -s "$tmp/$side" ] || { echo "no $1 found in the $side" >&2; exit 1; }
    done
    if ! cmp -s "$tmp/code.sorted" "$tmp/manual.sorted"; then
        echo "$1 (< in the code only, > in the manual only):" >&2
        diff "$tmp/code.sorted" "$tmp/manual.sorted" | grep '^[<>]' >&2
        status=1
    fi
}

# section TITLE: the part of the manual below "## TITLE"
section()
{
    awk -v title="## $1" '/^## / { on = ($0 == title) } on' "$manual"
}

# Directives: the first string of each AP_INIT_ macro; in the manual the headings.
tr -d '\n' <"$httpd/conf_directives.c" | grep -oE 'AP_INIT_[A-Z0-9_]+\( *"MDMEnroll[A-Za-z]+"' |
    grep -oE 'MDMEnroll[A-Za-z]+' >"$tmp/code" || :
section 'Directives' | sed -n 's/^### \(MDMEnroll[A-Za-z]*\)$/\1/p' >"$tmp/manual"
compare directives
sort -f -c "$tmp/manual" || status=1
for field in Description Syntax Default Context; do
    section 'Directives' | sed -n "s/^| $field | \(.*\) |\$/\1/p" >"$tmp/field"
    [ "$(wc -l <"$tmp/field")" -eq "$(wc -l <"$tmp/manual")" ] ||
        { echo "not every directive has one \"$field\"" >&2; status=1; }
done
section 'Directives' | awk '/^### / { if (name) print name; name = $2 }
    /^\| Example \| |^```apache/ { name = "" } END { if (name) print name }' >"$tmp/field"
[ ! -s "$tmp/field" ] || { echo "no example of: $(tr '\n' ' ' <"$tmp/field")" >&2; status=1; }

# Message ids, each with its name, kind as HTTP status aside: | MDM0100 | CMS_DECODE |
tr -d '\n' <"$messages" | grep -oE 'MDM_MESSAGE\( *[0-9]+, *[A-Z0-9_]+,' |
    sed 's/[^0-9]*\([0-9]*\), *\([A-Z0-9_]*\),/\1 \2/' |
    while read -r number name; do printf 'MDM%04d %s\n' "$number" "$name"; done >"$tmp/code"
section 'Messages' | sed -n 's/^| \(MDM[0-9]\{4\}\) | \([A-Z0-9_]*\) |.*/\1 \2/p' >"$tmp/manual"
compare messages

# Endpoints: the words behind MDM_ENDPOINT_; in the manual the headings "### profile".
grep -ohE 'MDM_ENDPOINT_[A-Z]+' "$httpd/conf.h" | sed 's/MDM_ENDPOINT_//' |
    grep -vxE 'NONE|COUNT' | tr '[:upper:]' '[:lower:]' >"$tmp/code" || :
section 'Endpoints' | sed -n 's/^### \([a-z]*\)$/\1/p' >"$tmp/manual"
compare endpoints

# Variables: every string "MDM_..." of the glue; in the manual the first column of the table.
grep -ohE '"MDM_[A-Z_]+"' "$httpd"/*.c | tr -d '"' >"$tmp/code" || :
# shellcheck disable=SC2016 # the backquotes are Markdown
section 'Variables' | sed -n 's/^| `\(MDM_[A-Z_]*\)` |.*/\1/p' >"$tmp/manual"
compare variables

# Links: the file is there, and the heading in it. GitHub's names: lower case, blanks as "-", and
# nothing else but letters, digits, "-" and "_".
anchors()
{
    awk '/^```/ { code = !code } !code && sub(/^#+ /, "")' "$1" | tr '[:upper:] ' '[:lower:]-' |
        sed 's/[^-a-z0-9_]//g'
}
for document in "$srcdir"/*.md "$srcdir"/docs/*.md; do
    tr '\n' ' ' <"$document" | grep -oE '\]\([^) ]+\)' | sed 's/^](//; s/)$//' |
        grep -vE '^[a-z]+:' | sort -u >"$tmp/links" || :
    while IFS= read -r link; do
        file=${link%%#*} anchor=
        case $link in *'#'*) anchor=${link#*#} ;; esac
        target=$document
        [ -z "$file" ] || target=$(dirname "$document")/$file
        if [ ! -e "$target" ]; then
            echo "$document: no such file: $link" >&2
            status=1
        elif [ -n "$anchor" ] && ! anchors "$target" | grep -qxF -- "$anchor"; then
            echo "$document: no such heading: $link" >&2
            status=1
        fi
    done <"$tmp/links"
done

exit $status
