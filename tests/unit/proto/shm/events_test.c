/* SPDX-License-Identifier: MIT */
/* The ring of events, and what a reader makes of it. */
#include "tests/support/run.h"

#include <string.h>

#include "proto/shm/events.h"

static struct hak_events events;

static void write_events(uint64_t first, uint64_t last)
{
	for (uint64_t i = first; i <= last; i++) {
		struct hak_event event = {.number = i,
					  .kind = HAK_EVENT_RECLAIMED,
					  .holder = 7,
					  .pid = 12,
					  .a = i,
					  .name = "worker"};

		hak_events_write(&events, &event);
	}
}

static int clear(void **state)
{
	(void)state;
	memset(&events, 0, sizeof(events));
	hak_events_init(&events, "lab");
	return 0;
}

static void test_the_last_ones_are_there(void **state)
{
	(void)state;
	assert_int_equal(hak_events_last(&events), 0);
	write_events(1, 3);
	assert_int_equal(hak_events_last(&events), 3);
	write_events(4, 3 * HAK_EVENTS_MAX + 5);
	assert_int_equal(hak_events_last(&events), 3 * HAK_EVENTS_MAX + 5);
	for (uint64_t i = 2 * HAK_EVENTS_MAX + 6; i <= 3 * HAK_EVENTS_MAX + 5; i++)
		assert_true(hak_event_holds(&events.ring[i % HAK_EVENTS_MAX], i));
}

/* As when a daemon is killed while it writes, whatever it had written by then. */
static void test_one_that_is_half_written_does_not_hold(void **state)
{
	struct hak_event before, after;

	(void)state;
	write_events(1, HAK_EVENTS_MAX);
	before = events.ring[1];
	write_events(HAK_EVENTS_MAX + 1, HAK_EVENTS_MAX + 1);
	after = events.ring[1];
	for (size_t n = 1; n < sizeof(before); n++) {
		struct hak_event *torn = &events.ring[1];

		*torn = before;
		memcpy(torn, &after, n);
		if (memcmp(torn, &before, sizeof(*torn)) == 0 ||
		    memcmp(torn, &after, sizeof(*torn)) == 0)
			continue;
		assert_false(hak_event_holds(torn, HAK_EVENTS_MAX + 1));
		assert_false(hak_event_holds(torn, 1));
		assert_int_equal(hak_events_last(&events), HAK_EVENTS_MAX);
	}
}

static void test_what_is_no_event_does_not_hold(void **state)
{
	(void)state;
	assert_false(hak_event_holds(&events.ring[0], 0));
	write_events(1, 1);
	assert_false(hak_event_holds(&events.ring[1], 2));
	events.ring[2] = events.ring[1]; /* not its place */
	assert_int_equal(hak_events_last(&events), 1);
	events.ring[1].kind = HAK_EVENT_COUNT;
	assert_false(hak_event_holds(&events.ring[1], 1));
}

static void test_a_file_is_known_by_what_it_begins_with(void **state)
{
	(void)state;
	assert_true(hak_events_are_known(&events, sizeof(events), "lab"));
	assert_false(hak_events_are_known(&events, sizeof(events), "la"));
	assert_false(hak_events_are_known(&events, sizeof(events) - 1, "lab"));
	events.magic++;
	assert_false(hak_events_are_known(&events, sizeof(events), "lab"));
}

static void expect_text(const struct hak_event *event, size_t n, const char *expected)
{
	char text[256];

	memset(text, 'x', sizeof(text));
	hak_event_text(event, text, n);
	assert_string_equal(text, expected);
}

static void test_the_text_says_who_and_how_much(void **state)
{
	struct hak_event event = {.kind = HAK_EVENT_RECLAIMED,
				  .holder = 7,
				  .pid = 12,
				  .a = UINT64_MAX,
				  .name = "a\033b"};

	(void)state;
	expect_text(&event, 256,
		    "what pid 12 a?b (holder 7) had is reclaimed: 18446744073709551615 "
		    "SuperSlabs, 0 more are orphans");
	expect_text(&event, 12, "what pid 12");
	memcpy(event.name, "sixteen letters!", sizeof(event.name)); /* without a NUL */
	event.kind = HAK_EVENT_DIED;
	event.holder = 0;
	expect_text(&event, 256, "pid 12 sixteen letters! has died or called exec");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup(test_the_last_ones_are_there, clear),
	cmocka_unit_test_setup(test_one_that_is_half_written_does_not_hold, clear),
	cmocka_unit_test_setup(test_what_is_no_event_does_not_hold, clear),
	cmocka_unit_test_setup(test_a_file_is_known_by_what_it_begins_with, clear),
	cmocka_unit_test_setup(test_the_text_says_who_and_how_much, clear),
};

HAKT_MAIN(tests, NULL, NULL)
