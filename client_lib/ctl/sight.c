/* SPDX-License-Identifier: MIT */
/*
 * slabs and map. The daemon says once who one is to the pool, and hands out the two files; after
 * that the pool is read without it, for as long as that takes.
 */
#include "client_lib/ctl/sight.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/ctl/json.h"
#include "client_lib/ctl/map.h"
#include "client_lib/ctl/map_json.h"
#include "client_lib/ctl/slabs.h"
#include "client_lib/ctl/style.h"
#include "client_lib/ctl/svg.h"
#include "client_lib/ctl/view.h"

int hakc_sight_look(struct hakc_query *query, bool as_json,
		    int (*show)(struct hakc_view *view, bool as_json))
{
	struct hakc_view view;
	int registry_fd, heap_fd;
	int r = hakc_query_read(query, &registry_fd, &heap_fd);

	if (r != 0)
		return r;
	r = hakc_view_init(&view, registry_fd, heap_fd);
	if (r == 0) {
		r = show(&view, as_json);
		hakc_view_deinit(&view);
	}
	if (r < 0)
		snprintf(query->reason, sizeof(query->reason), "the pool's files: %s",
			 strerror(-r));
	close(registry_fd);
	close(heap_fd);
	return r;
}

static int show_slabs(struct hakc_view *view, bool as_json)
{
	struct hakc_slabs slabs = {.view = view};
	int r = hakc_view_walk(view, hakc_slabs_row, &slabs);

	if (r < 0)
		return r;
	if (as_json)
		hakc_slabs_json(&slabs, stdout);
	else
		hakc_slabs_print(&slabs, stdout);
	return 0;
}

int hakc_verb_slabs(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	(void)ret_degraded;
	return hakc_sight_look(query, as_json, show_slabs);
}

static int draw_svg(struct hakc_view *view)
{
	struct hakc_svg svg = {.out = stdout, .view = view};
	int r = hakc_svg_begin(&svg), ended;

	if (r == 0)
		r = hakc_view_walk(view, hakc_svg_row, &svg);
	ended = hakc_svg_end(&svg);
	return r < 0 ? r : ended;
}

static int show_map(struct hakc_view *view, bool as_json)
{
	struct hakc_map map = {.out = stdout, .view = view, .style = &hakc_style};
	int r;

	if (as_json)
		return hakc_map_json(view, stdout);
	if (hakc_style.as_svg)
		return draw_svg(view);
	hakc_style_detect(&hakc_style);
	hakc_map_begin(&map);
	r = hakc_view_walk(view, hakc_map_row, &map);
	if (r == 0)
		hakc_map_end(&map);
	return r;
}

int hakc_verb_map(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	(void)ret_degraded;
	return hakc_sight_look(query, as_json, show_map);
}
