# SPDX-License-Identifier: MIT
# The headers as doxygen wants them (FILTER_PATTERNS in ../Doxyfile.in), so that they can stay as people want
# them: comments before a declaration, or behind one, are its documentation; one that stands alone
# is the file's; lines that are indented in a comment are a table, which keeps its shape.
# What a comment of several lines says is kept in `text` until the line behind it tells which it is.

function escaped(line)
{
	gsub(/[\\@<>#&%]/, "\\\\&", line)
	return line
}

# In a table nothing means anything but its end.
function add(line,    is_table)
{
	sub(/^[ \t]*(\/?\*+)? ?/, "", line)
	is_table = line ~ /^ +[^ ]/
	if (is_table != in_table)
		text = text (is_table ? "@verbatim\n" : "@endverbatim\n")
	in_table = is_table
	text = text (is_table ? line : escaped(line)) "\n"
}

function finish()
{
	if (in_table)
		text = text "@endverbatim\n"
	in_table = 0
}

function give(is_alone)
{
	if (text != "")
		print "/** " (is_alone ? "@file\n\n" : "") text "*/"
	text = ""
}

/SPDX-License-Identifier/ { print ""; next }

inside {
	is_end = sub(/[ \t]*\*\/[ \t]*$/, "")
	if (!is_end || $0 ~ /[^ \t*]/)
		add($0)
	if (is_end) {
		inside = 0
		finish()
	}
	next
}

/^[ \t]*\/\*.*\*\/[ \t]*$/ {
	give(1)
	sub(/[ \t]*\*\/[ \t]*$/, "")
	add($0)
	finish()
	next
}

/^[ \t]*\/\*/ {
	give(1)
	inside = 1
	if ($0 ~ /\/\*+ *[^ *]/)
		add($0)
	next
}

/^[ \t]*$/ || /^#/ { give(1); print; next }

# The calls of another pool are those of the first.
/^HAKMEM_API .*_in\(/ && text == "" {
	name = $0
	sub(/_in\(.*/, "", name)
	sub(/.*[ *]/, "", name)
	text = "As " name "(), in a pool.\n"
}

# Members that the standard asks an allocator, or a pointer, for.
/^[^\t].*(struct|class) (allocator|pool_allocator|offset_ptr)( |$)/ { is_standard = 1 }
/^};/ { is_standard = 0 }
is_standard && text == "" && /^\t([A-Za-z]|\tusing other)/ && before !~ /^\ttemplate.*>$/ {
	text = "As the standard's allocators, or pointers, have it.\n"
}

{
	give(0)
	before = $0
	# Behind a declaration.
	if (match($0, /\/\*.*\*\/$/) && $0 ~ /[;,{]/) {
		comment = substr($0, RSTART + 2, RLENGTH - 4)
		print substr($0, 1, RSTART - 1) "/**<" escaped(comment) "*/"
	} else {
		print
	}
}
