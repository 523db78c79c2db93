/* SPDX-License-Identifier: MIT */
/* Coordinates are units of a picture that is as wide as the page; what a mark means is its title. */
#include "client_lib/ctl/chart.h"

#include <inttypes.h>

#include "client_lib/ctl/text.h"

enum {
	WIDTH = 1000,
	LEFT = 86,   /* of the plot */
	RIGHT = 815, /* what is right of it names the curves */
	TOP = 12,
	BOTTOM = 212,
	HEIGHT = 244,
	TICKS = 5, /* at most, upwards */
	BAR = 22,  /* from one to the next */
	BARS_LEFT = 76,
	BARS_RIGHT = 620,
};

#define SERIES(X)                   \
	X(live, "live", "c0")       \
	X(granted, "granted", "c1") \
	X(resident, "resident", "c2")

static uint64_t most_of(const struct hakc_chart_point *points, size_t n)
{
	uint64_t most = 1;

	for (size_t i = 0; i < n; i++) {
#define X(member, name, class) most = points[i].member > most ? points[i].member : most;
		SERIES(X)
#undef X
	}
	return most;
}

/* A power of two, so that labels are round numbers. */
static uint64_t step_of(uint64_t most)
{
	uint64_t step = 1;

	while (step < UINT64_C(1) << 60 && (most + step - 1) / step > TICKS)
		step *= 2;
	return step;
}

static double x_of(const struct hakc_chart_point *points, size_t n, size_t i)
{
	double span = points[n - 1].at - points[0].at;

	return span > 0 ? LEFT + (points[i].at - points[0].at) * (RIGHT - LEFT) / span : LEFT;
}

static double y_of(uint64_t bytes, uint64_t top)
{
	return BOTTOM - (double)bytes * (BOTTOM - TOP) / (double)top;
}

static void write_grid(FILE *out, uint64_t top, uint64_t step, double seconds)
{
	char text[HAKC_TEXT_BYTES];

	for (uint64_t bytes = 0; bytes <= top; bytes += step)
		fprintf(out,
			"<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
			"<text class=\"soft end\" x=\"%d\" y=\"%.1f\">%s</text>\n",
			LEFT, RIGHT, y_of(bytes, top), y_of(bytes, top), LEFT - 7,
			y_of(bytes, top) + 4, hakc_bytes_text(bytes, text));
	for (int i = 0; i <= 4; i++)
		fprintf(out, "<text class=\"soft mid\" x=\"%d\" y=\"%d\">%.3g s</text>",
			LEFT + i * (RIGHT - LEFT) / 4, BOTTOM + 22, seconds * i / 4);
	fputs("\n", out);
}

/* Where the curves end, and how large that is; names that would lie on each other are moved apart. */
static void write_names(FILE *out, const struct hakc_chart_point *last, uint64_t top)
{
	struct {
		const char *name, *class;
		uint64_t bytes;
		double y;
	} names[] = {
#define X(member, label, colour) {label, colour, last->member, y_of(last->member, top)},
		SERIES(X)
#undef X
	};
	unsigned order[] = {0, 1, 2};
	char text[HAKC_TEXT_BYTES];
	double free_from = TOP;

	for (unsigned i = 0; i < 3; i++)
		for (unsigned k = i + 1; k < 3; k++)
			if (names[order[k]].y < names[order[i]].y) {
				unsigned other = order[i];

				order[i] = order[k];
				order[k] = other;
			}
	for (unsigned i = 0; i < 3; i++) {
		double y = names[order[i]].y;
		double lowest = BOTTOM - (2 - (int)i) * 18.0;

		y = y > lowest ? lowest : y;
		y = y < free_from ? free_from : y;
		free_from = y + 18;
		fprintf(out,
			"<path class=\"curve %s\" d=\"M%d %.1fh18\"/><text x=\"%d\" y=\"%.1f\">%s "
			"%s</text>\n",
			names[order[i]].class, RIGHT + 6, y, RIGHT + 30, y + 4,
			names[order[i]].name, hakc_bytes_text(names[order[i]].bytes, text));
	}
}

/* So wide that the pointer finds it: what the pool had then. */
static void write_titles(FILE *out, const struct hakc_chart_point *points, size_t n)
{
	char live[HAKC_TEXT_BYTES], granted[HAKC_TEXT_BYTES], resident[HAKC_TEXT_BYTES];

	for (size_t i = 0; i < n; i++) {
		double from = i ? (x_of(points, n, i - 1) + x_of(points, n, i)) / 2 : LEFT;
		double to = i + 1 < n ? (x_of(points, n, i) + x_of(points, n, i + 1)) / 2 : RIGHT;

		fprintf(out,
			"<rect fill=\"none\" pointer-events=\"all\" x=\"%.1f\" y=\"%d\" "
			"width=\"%.1f\" "
			"height=\"%d\"><title>%.1f s: %s live, %s granted, %s "
			"resident</title></rect>\n",
			from, TOP, to - from, BOTTOM - TOP, points[i].at - points[0].at,
			hakc_bytes_text(points[i].live, live),
			hakc_bytes_text(points[i].granted, granted),
			hakc_bytes_text(points[i].resident, resident));
	}
}

void hakc_chart_occupancy(FILE *out, const struct hakc_chart_point *points, size_t n)
{
	uint64_t most = most_of(points, n), step = step_of(most);
	uint64_t top = (most + step - 1) / step * step;

	fprintf(out,
		"<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
		"role=\"img\" aria-label=\"live, granted and resident bytes over time\">\n",
		WIDTH, HEIGHT);
	write_grid(out, top, step, points[n - 1].at - points[0].at);
	fprintf(out, "<path class=\"area\" d=\"M%.1f %d", x_of(points, n, 0), BOTTOM);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "L%.1f %.1f", x_of(points, n, i), y_of(points[i].live, top));
	fprintf(out, "L%.1f %dZ\"/>\n", x_of(points, n, n - 1), BOTTOM);
#define X(member, name, class)                                                 \
	fprintf(out, "<path class=\"curve " class "\" d=\"");                  \
	for (size_t i = 0; i < n; i++)                                         \
		fprintf(out, "%c%.1f %.1f", i ? 'L' : 'M', x_of(points, n, i), \
			y_of(points[i].member, top));                          \
	fputs("\"/>\n", out);
	SERIES(X)
#undef X
	write_names(out, &points[n - 1], top);
	write_titles(out, points, n);
	fputs("</svg>\n", out);
}

/* What is larger than all classes, as spans may be, has no bar: the others would be none. */
static void write_bar(FILE *out, const struct hakc_slabs_sum *sum, const char *name, int y,
		      uint64_t most)
{
	double unit = (double)(BARS_RIGHT - BARS_LEFT) / (double)most;
	double live = (double)sum->live_bytes * unit, all = (double)sum->slab_bytes * unit;
	char waste[HAKC_TEXT_BYTES], bytes[HAKC_TEXT_BYTES];

	fprintf(out, "<text class=\"end\" x=\"%d\" y=\"%d\">%s</text>", BARS_LEFT - 8, y + 12,
		name);
	if (sum->slab_bytes <= most)
		fprintf(out,
			"<rect class=\"live\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"15\"/>"
			"<rect class=\"waste\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"15\"/>",
			BARS_LEFT, y, live, BARS_LEFT + live, y, all - live);
	fprintf(out,
		"<text x=\"%d\" y=\"%d\">%s of %s wasted, %u %% live, %" PRIu64 " %s%s</text>\n",
		sum->slab_bytes <= most ? BARS_RIGHT + 12 : BARS_LEFT, y + 12,
		hakc_bytes_text(sum->slab_bytes - sum->live_bytes, waste),
		hakc_bytes_text(sum->slab_bytes, bytes),
		(unsigned)(sum->live_bytes * 100 / sum->slab_bytes), sum->slabs,
		*name != 's' ? "slab" : "span", sum->slabs == 1 ? "" : "s");
}

void hakc_chart_waste(FILE *out, const struct hakc_slabs *slabs)
{
	uint64_t most = 0;
	int n = slabs->spans.slabs > 0, y = 24;
	char name[16];

	for (unsigned i = 0; i < HAK_CLASS_COUNT; i++) {
		n += slabs->classes[i].slabs > 0;
		if (slabs->classes[i].slab_bytes > most)
			most = slabs->classes[i].slab_bytes;
	}
	most = most ? most : slabs->spans.slab_bytes;
	if (n == 0) {
		fputs("<p>There are no slabs and no spans.</p>\n", out);
		return;
	}
	fprintf(out,
		"<svg class=\"chart\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
		"role=\"img\" aria-label=\"live bytes and waste by size class\">\n"
		"<rect class=\"live\" x=\"%d\" y=\"2\" width=\"14\" height=\"12\"/>"
		"<text x=\"%d\" y=\"13\">live</text>"
		"<rect class=\"waste\" x=\"%d\" y=\"2\" width=\"14\" height=\"12\"/>"
		"<text x=\"%d\" y=\"13\">waste: free blocks, and tails of slabs</text>\n",
		WIDTH, y + n * BAR + 4, BARS_LEFT, BARS_LEFT + 20, BARS_LEFT + 76, BARS_LEFT + 96);
	for (unsigned i = 0; i < HAK_CLASS_COUNT; i++) {
		if (slabs->classes[i].slabs == 0)
			continue;
		snprintf(name, sizeof(name), "%" PRIu32, hak_classes[i].size);
		write_bar(out, &slabs->classes[i], name, y, most);
		y += BAR;
	}
	if (slabs->spans.slabs > 0)
		write_bar(out, &slabs->spans, "spans", y, most);
	fputs("</svg>\n", out);
}
