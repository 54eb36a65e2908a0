# SPDX-License-Identifier: Apache-2.0
# docs/mod_mdm_enroll.md -> admin_advice.inc: the table below "## Messages" as initializers of
# admin_advice_t. Backquotes go; "none" and a dash are no remedy.
/^## / { on = ($0 == "## Messages") }
on && /^\| MDM[0-9][0-9][0-9][0-9] \|/ {
    gsub(/`/, ""); gsub(/\\/, "\\\\"); gsub(/"/, "\\\"")
    n = split($0, cell, / *\| */)
    if (n != 8) { print FILENAME ": a row of other than six cells: " $0 > "/dev/stderr"; exit 1 }
    remedy = cell[7] ~ /^(none|–)$/ ? "" : cell[7]
    printf "{\"%s\", \"%s\", \"%s\", \"%s\"},\n", cell[2], cell[3], cell[6], remedy
    rows++
}
END { if (rows == 0) { print "no messages found" > "/dev/stderr"; exit 1 } }
