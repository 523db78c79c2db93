/* SPDX-License-Identifier: MIT */
#include "proto/shm/events.h"

#include <string.h>

#define X(NAME, name, level, text) #name,
const char *const hak_event_names[HAK_EVENT_COUNT] = {HAK_EVENTS(X)};
#undef X
#define X(NAME, name, level, text) text,
const char *const hak_event_texts[HAK_EVENT_COUNT] = {HAK_EVENTS(X)};
#undef X

/* FNV-1a (Fowler, Noll, Vo), of all but the check; never that of zeros. */
static uint64_t check_of(const struct hak_event *event)
{
	const unsigned char *bytes = (const unsigned char *)event;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < offsetof(struct hak_event, check); i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

void hak_events_init(struct hak_events *events, const char *pool)
{
	events->magic = HAK_EVENTS_MAGIC;
	events->bytes = sizeof(*events);
	strncpy(events->pool, pool, HAK_POOL_NAME_BYTES - 1);
}

bool hak_events_are_known(const struct hak_events *events, size_t n, const char *pool)
{
	return n == sizeof(*events) && events->magic == HAK_EVENTS_MAGIC && events->bytes == n &&
	       strncmp(events->pool, pool, HAK_POOL_NAME_BYTES) == 0;
}

void hak_events_write(struct hak_events *events, const struct hak_event *event)
{
	struct hak_event *at = &events->ring[event->number % HAK_EVENTS_MAX];

	*at = *event;
	at->check = check_of(event);
}

bool hak_event_holds(const struct hak_event *event, uint64_t n)
{
	return n > 0 && event->number == n && event->kind < HAK_EVENT_COUNT &&
	       event->check == check_of(event);
}

uint64_t hak_events_last(const struct hak_events *events)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < HAK_EVENTS_MAX; i++) {
		const struct hak_event *event = &events->ring[i];

		if (event->number > last && event->number % HAK_EVENTS_MAX == i &&
		    hak_event_holds(event, event->number))
			last = event->number;
	}
	return last;
}

/* Text that grows in a buffer; what has no room is left out. */
struct text {
	char *at, *end;
};

static void add(struct text *text, char c)
{
	if (text->at < text->end)
		*text->at++ = c;
}

static void add_words(struct text *text, const char *words)
{
	while (*words)
		add(text, *words++);
}

static void add_number(struct text *text, uint64_t number)
{
	char digits[20];
	unsigned n = 0;

	do
		digits[n++] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	while (n > 0)
		add(text, digits[--n]);
}

static void add_process(struct text *text, const struct hak_event *event)
{
	add_words(text, "pid ");
	add_number(text, event->pid > 0 ? (uint64_t)event->pid : 0);
	if (event->name[0])
		add(text, ' ');
	for (unsigned i = 0; i < sizeof(event->name) && event->name[i]; i++)
		add(text, event->name[i] >= ' ' && event->name[i] <= '~' ? event->name[i] : '?');
	if (event->holder == 0)
		return;
	add_words(text, " (holder ");
	add_number(text, event->holder);
	add(text, ')');
}

void hak_event_text(const struct hak_event *event, char *ret_text, size_t n)
{
	struct text text = {ret_text, ret_text + n - 1};

	for (const char *c = hak_event_texts[event->kind]; *c; c++) {
		if (*c != '%')
			add(&text, *c);
		else if (*++c == 'p')
			add_process(&text, event);
		else
			add_number(&text, *c == 'a' ? event->a : event->b);
	}
	*text.at = 0;
}
