# SPDX-License-Identifier: MIT
# awk -f counters.awk counters.h PAGE: the page, with a list of counters in place of each line
# "@MACRO kind@", from the macro of that name in counters.h.
FNR == NR {
	if (/^#define HAK_[A-Z_]+\(X\)/) {
		macro = $2
		sub(/\(X\)/, "", macro)
	} else if (!/^\t/) {
		macro = ""
	}
	if (macro) {
		sub(/[ \t]*\\$/, "")
		sub(/^[ \t]+/, " ")
		sub(/^#define HAK_[A-Z_]+\(X\)/, "")
		rows[macro] = rows[macro] $0
	}
	next
}
/^@[A-Z_]+ [a-z]+@$/ {
	gsub(/@/, "")
	kind = $2
	text = rows[$1]
	while (match(text, /X\([A-Z0-9_]+, [a-z0-9_]+, [a-z]+, "[^"]*"\)/)) {
		row = substr(text, RSTART, RLENGTH)
		text = substr(text, RSTART + RLENGTH)
		split(row, part, ", ")
		gsub(/_/, "\\_", part[2])
		match(row, /"[^"]*"/)
		printf "%s*%s* (%s, %s)\n\t%s\n", n++ ? "\n" : "", part[2], kind, part[3],
			substr(row, RSTART + 1, RLENGTH - 2)
	}
	n = 0
	next
}
{ print }
