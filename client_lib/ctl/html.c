/* SPDX-License-Identifier: MIT */
/*
 * The style sheet names colours once, for both schemes. A policy in the head forbids scripts and
 * fetches, so that even a text that got through as markup could do neither. The map's picture has a
 * sheet of its own, which is for a white ground: its classes are given other colours here.
 */
#include "client_lib/ctl/html.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static const char sheet[] =
	":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--mute:#57606a;--line:#d0d7de;"
	"--soft:#f3f5f7;--live:#0969da;--granted:#8250df;--resident:#9a6700;--waste:#d1503f;"
	"--warn:#b3261e}\n"
	"@media (prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--mute:#9198a1;"
	"--line:#30363d;--soft:#161b22;--live:#4493f8;--granted:#ab7df8;--resident:#d29922;"
	"--waste:#f4796b;--warn:#ff7b72}}\n"
	"body{margin:0 auto;padding:18px 20px 40px;max-width:1080px;background:var(--bg);"
	"color:var(--fg);font:14px/1.45 'DejaVu Sans',Verdana,Arial,sans-serif}\n"
	"h1{font-size:23px;margin:0 0 2px}h2{font-size:17px;margin:30px 0 4px;padding-top:10px;"
	"border-top:1px solid var(--line)}\n"
	"p{margin:2px 0 8px}.mute{color:var(--mute)}.warn{color:var(--warn);font-weight:bold}\n"
	"nav a{color:var(--live);margin-right:14px;text-decoration:none}\n"
	".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(102px,1fr));gap:8px;"
	"margin:14px 0}\n"
	".tile{background:var(--soft);border:1px solid var(--line);border-radius:6px;"
	"padding:7px 11px}.tile b{display:block;font-size:16px;white-space:nowrap}.tile "
	"span{color:var(--mute);"
	"font-size:12px}\n"
	".wide{overflow-x:auto}table{border-collapse:collapse;font-size:12px;margin:4px 0}\n"
	"th,td{padding:2px 9px 2px 0;text-align:right;white-space:nowrap;"
	"font-variant-numeric:tabular-nums}\n"
	"th{color:var(--mute);font-weight:normal;border-bottom:1px solid var(--line)}"
	"th[title]{cursor:help}td{border-bottom:1px solid var(--soft)}\n"
	"th.t,td.t{text-align:left}td.l{white-space:normal;min-width:240px}\n"
	".chart{display:block;width:100%;height:auto;margin:6px 0}\n"
	".chart text{font:14px 'DejaVu Sans',Verdana,Arial,sans-serif;fill:var(--fg)}"
	".chart .soft{fill:var(--mute)}.chart .end{text-anchor:end}.chart "
	".mid{text-anchor:middle}\n"
	".chart .grid{stroke:var(--line);stroke-width:1}.chart .live{fill:var(--live)}"
	".chart .waste{fill:var(--waste);fill-opacity:.55}\n"
	".chart .curve{fill:none;stroke-width:2;stroke-linejoin:round}"
	".chart .c0{stroke:var(--live)}.chart .c1{stroke:var(--granted)}"
	".chart .c2{stroke:var(--resident)}.chart .area{fill:var(--live);fill-opacity:.14}\n"
	".map svg{max-width:100%;height:auto}\n"
	"@media (prefers-color-scheme:dark){.map svg text{fill:#e6edf3}.map svg .g{fill:#9198a1}"
	".map svg .w{fill:#ff7b72}.map svg>rect:first-of-type{fill:#0d1117}.map svg "
	"rect.n{fill:#161b22}"
	".map svg rect.b{fill:#0d1117;stroke:#545d68}.map svg rect.u{fill:none;stroke:#ff7b72}"
	".map svg g:hover rect{stroke:#fff}}\n"
	"summary{cursor:pointer;color:var(--live)}h3{font-size:14px;margin:14px 0 0}\n"
	"@media print{body{max-width:none}.wide{overflow:visible}}\n";

void hakc_html_text(FILE *out, const char *text)
{
	static const struct {
		char sign;
		const char *as;
	} escapes[] = {
		{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};

	for (; *text; text++) {
		const char *as = NULL;

		for (unsigned i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++)
			if (escapes[i].sign == *text)
				as = escapes[i].as;
		if (as)
			fputs(as, out);
		else
			fputc(*text >= 0x20 && *text < 0x7f ? *text : '?', out);
	}
}

void hakc_html_begin(FILE *out, const char *title)
{
	fputs("<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n"
	      "<meta charset=\"utf-8\"/>\n"
	      "<meta http-equiv=\"Content-Security-Policy\" "
	      "content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n"
	      "<meta name=\"viewport\" content=\"width=device-width\"/>\n<title>",
	      out);
	hakc_html_text(out, title);
	fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>", sheet);
	hakc_html_text(out, title);
	fputs("</h1>\n", out);
}

void hakc_html_end(FILE *out)
{
	fputs("</body>\n</html>\n", out);
}

void hakc_html_section(FILE *out, const char *id, const char *title, const char *about)
{
	fprintf(out, "<h2 id=\"%s\">", id);
	hakc_html_text(out, title);
	fputs("</h2>\n", out);
	if (!about)
		return;
	fputs("<p class=\"mute\">", out);
	hakc_html_text(out, about);
	fputs("</p>\n", out);
}

static bool is_hidden(const char *hidden, const char *title)
{
	size_t n = strlen(title);

	for (const char *at = hidden; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (strncmp(at, title, n) == 0 && at[n] == ',')
			return true;
	}
	return false;
}

/* Of a text column: to the left; a wide one may have several lines. */
static const char *class_of(const struct hakc_column *column)
{
	if (column->kind != HAKC_COLUMN_TEXT)
		return "";
	return column->width > 40 ? " class=\"t l\"" : " class=\"t\"";
}

static void write_headings(FILE *out, const struct hakc_table *table, const char *hidden)
{
	fputs("<tr>", out);
	for (unsigned i = 0; i < table->n_columns; i++) {
		const struct hakc_column *column = &table->columns[i];

		if (is_hidden(hidden, column->title))
			continue;
		fprintf(out, "<th%s", class_of(column));
		if (column->about) {
			fputs(" title=\"", out);
			hakc_html_text(out, column->about);
			fputs("\"", out);
		}
		fputs(">", out);
		hakc_html_text(out, column->title);
		fputs("</th>", out);
	}
	fputs("</tr>\n", out);
}

void hakc_html_table(FILE *out, const struct hakc_table *table, size_t most, const char *hidden)
{
	size_t n = table->n_rows < most ? table->n_rows : most;
	char text[HAKC_CELL_BYTES];

	if (table->n_rows == 0) {
		fputs("<p>none</p>\n", out);
		return;
	}
	fputs("<div class=\"wide\"><table>\n", out);
	write_headings(out, table, hidden);
	for (size_t i = 0; i < n; i++) {
		fputs("<tr>", out);
		for (unsigned k = 0; k < table->n_columns; k++) {
			if (is_hidden(hidden, table->columns[k].title))
				continue;
			fprintf(out, "<td%s>", class_of(&table->columns[k]));
			hakc_html_text(out, hakc_table_cell(table, table->order[i], k, text));
			fputs("</td>", out);
		}
		fputs("</tr>\n", out);
	}
	fputs("</table></div>\n", out);
	if (n < table->n_rows)
		fprintf(out, "<p class=\"mute\">and %zu more</p>\n", table->n_rows - n);
}
