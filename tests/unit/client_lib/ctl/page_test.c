/* SPDX-License-Identifier: MIT */
/* A report's page, of a pool that there needn't be; how it looks people see. */
#include "client_lib/ctl/page.h"

#include "tests/support/run.h"

#include <inttypes.h>
#include <string.h>

#include "client_lib/ctl/html.h"
#include "client_lib/ctl/style.h"
#include "tests/support/drawing.h"

#define HOSTILE	 "<script>alert('&\"1\")</script>"
#define HARMLESS "&lt;script&gt;alert(&#39;&amp;&quot;1&quot;)&lt;/script&gt;"

static struct hakc_look now, before;
static struct hakc_look_client clients[1];
static struct hakc_chart_point points[3];
static struct hakc_page page;

static int start(void **state)
{
	hakt_drawing_start(state);
	hakc_style = (struct hakc_style){.columns = 80};
	clients[0] = (struct hakc_look_client){
		.holder = 5, .pid = 1005, .bytes = 4096, .name = HOSTILE, .state = "attached"};
	now = (struct hakc_look){.at = 12, .version = "1", .clients = clients, .n_clients = 1};
	now.view = hakt_drawn;
	now.slabs.view = &now.view;
	before = now;
	before.at = 10;
	memset(points, 0, sizeof(points));
	page = (struct hakc_page){.host = "host",
				  .time = "today",
				  .now = &now,
				  .before = &before,
				  .points = points,
				  .n_points = 3,
				  .map = "<svg/>"};
	return 0;
}

static int stop(void **state)
{
	free(now.superslabs);
	now.superslabs = NULL;
	return hakt_drawing_stop(state);
}

static const char *write_page(void)
{
	assert_int_equal(hakc_page_write(&page, hakt_page.out), 0);
	return hakt_page_text();
}

static void test_a_name_is_text_whatever_is_in_it(void **state)
{
	static Hak__Root root = HAK__ROOT__INIT;
	static Hak__Root *roots[] = {&root};
	static Hak__PoolStatus pool = HAK__POOL_STATUS__INIT;
	static Hak__PoolStatus *pools[] = {&pool};
	struct hak_event event = {.kind = HAK_EVENT_ATTACHED, .pid = 1005, .holder = 5};

	(void)state;
	root.name = (char *)(uintptr_t)HOSTILE;
	pool.name = (char *)(uintptr_t)HOSTILE;
	page.roots = roots;
	page.pools = pools;
	page.events = &event;
	page.n_roots = page.n_pools = page.n_events = 1;
	memcpy(event.name, "<b onclick='x'>&", HAK_EVENT_NAME_BYTES);
	memcpy(now.view.pool, "<i>\"pool\"", 10);
	page.host = "<host>";
	write_page();
	assert_int_equal(hakt_count(hakt_page.text, HARMLESS), 3); /* client, root, pool */
	assert_int_equal(hakt_count(hakt_page.text, "<script"), 0);
	assert_int_equal(hakt_count(hakt_page.text, "<b onclick"), 0);
	assert_int_equal(hakt_count(hakt_page.text, "&lt;b onclick=&#39;x&#39;&gt;&amp;"), 1);
	assert_int_equal(hakt_count(hakt_page.text, "<i>"), 0);
	assert_int_equal(hakt_count(hakt_page.text, "&lt;i&gt;&quot;pool&quot;"), 2);
	assert_int_equal(hakt_count(hakt_page.text, "on &lt;host&gt;; hakmemd 1"), 1);
}

static void test_control_characters_and_utf_8_are_no_part_of_it(void **state)
{
	(void)state;
	hakc_html_text(hakt_page.out, "a\033[31m\xc3\xa9\n");
	assert_string_equal(hakt_page_text(), "a?[31m???");
}

/* What browsers would fetch; an XML namespace is none of it. */
static void test_nothing_is_fetched_and_nothing_runs(void **state)
{
	static const char *const words[] = {"<script", "<link", "<img",	   "<iframe",	 "@import",
					    "url(",    "src=",	"<object", "javascript:"};
	const char *text = write_page();

	(void)state;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_int_equal(hakt_count(text, words[i]), 0);
	assert_int_equal(hakt_count(text, "https://"), 0);
	assert_int_equal(hakt_count(text, "http://"),
			 hakt_count(text, "xmlns=\"http://www.w3.org/"));
	assert_int_equal(hakt_count(text, "content=\"default-src 'none'; "), 1);
}

static void test_bars_are_as_long_as_what_they_stand_for(void **state)
{
	struct hakc_row row = hakt_drawing_row(0, 5);
	const char *text;

	(void)state;
	hakt_drawing_add_slab(&row, 0, hak_class_of(4096), 4);
	hakt_drawing_add_slab(&row, 1, hak_class_of(4096), 4);
	hakt_drawing_add_slab(&row, 2, 0, 4096);
	hakt_drawing_add_span(&row, 8, 4, true);
	assert_int_equal(hakc_look_row(&now, &row), 0);
	hakc_chart_waste(hakt_page.out, &now.slabs);
	text = hakt_page_text();
	/* Of 128 KiB, which is 544 units, a quarter lives; 64 KiB of 16 bytes all do. */
	assert_non_null(strstr(text, "<rect class=\"live\" x=\"76\" y=\"46\" width=\"136.0\" "));
	assert_non_null(
		strstr(text, "<rect class=\"waste\" x=\"212.0\" y=\"46\" width=\"408.0\" "));
	assert_non_null(strstr(text, "<rect class=\"live\" x=\"76\" y=\"24\" width=\"272.0\" "));
	assert_non_null(strstr(text, ">96.0 KiB of 128.0 KiB wasted, 25 % live, 2 slabs<"));
	assert_non_null(strstr(text, ">0 B of 64.0 KiB wasted, 100 % live, 1 slab<"));
	assert_non_null(strstr(text, ">0 B of 256.0 KiB wasted, 100 % live, 1 span<"));
}

static void test_a_curve_goes_from_the_first_point_to_the_last(void **state)
{
	const char *text;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		points[i] = (struct hakc_chart_point){.at = 50 + i,
						      .live = (uint64_t)i << 20,
						      .granted = UINT64_C(4) << 20,
						      .resident = UINT64_C(2) << 20};
	hakc_chart_occupancy(hakt_page.out, points, 3);
	text = hakt_page_text();
	/* 200 units are 4 MiB; 0 is at 212. */
	assert_non_null(
		strstr(text, "class=\"curve c0\" d=\"M86.0 212.0L450.5 162.0L815.0 112.0\""));
	assert_non_null(strstr(text, "class=\"curve c1\" d=\"M86.0 12.0L450.5 12.0L815.0 12.0\""));
	assert_non_null(strstr(text, ">4.0 MiB</text>"));
	assert_non_null(
		strstr(text, "<title>1.0 s: 1.0 MiB live, 4.0 MiB granted, 2.0 MiB resident<"));
}

static void test_one_point_of_an_empty_pool_is_a_chart_too(void **state)
{
	(void)state;
	page.n_points = 1;
	write_page();
	assert_int_equal(hakt_count(hakt_page.text, "nan"), 0);
	assert_int_equal(hakt_count(hakt_page.text, "inf\""), 0);
	assert_non_null(strstr(hakt_page.text, "There are no slabs and no spans."));
}

static void test_a_list_is_cut_and_says_how_many_more_there_are(void **state)
{
	static struct hakc_look_client many[1000];

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		many[i] = (struct hakc_look_client){.holder = i, .pid = (int)i, .bytes = i};
	now.clients = many;
	now.n_clients = 1000;
	write_page();
	assert_non_null(strstr(hakt_page.text, "and 800 more"));
	assert_non_null(strstr(hakt_page.text, "<td>999</td>")); /* the largest is among them */
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_name_is_text_whatever_is_in_it, start, stop),
	cmocka_unit_test_setup_teardown(test_control_characters_and_utf_8_are_no_part_of_it, start,
					stop),
	cmocka_unit_test_setup_teardown(test_nothing_is_fetched_and_nothing_runs, start, stop),
	cmocka_unit_test_setup_teardown(test_bars_are_as_long_as_what_they_stand_for, start, stop),
	cmocka_unit_test_setup_teardown(test_a_curve_goes_from_the_first_point_to_the_last, start,
					stop),
	cmocka_unit_test_setup_teardown(test_one_point_of_an_empty_pool_is_a_chart_too, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_list_is_cut_and_says_how_many_more_there_are, start,
					stop),
};

HAKT_MAIN(tests, NULL, NULL)
