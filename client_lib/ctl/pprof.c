/* SPDX-License-Identifier: MIT */
/*
 * The messages of https://github.com/google/pprof/blob/main/proto/profile.proto, field by field as
 * they come: a message is made in a buffer, since its length stands before it, and goes out then.
 * Strings are told by number; each goes out when it is needed first, which their order allows.
 *
 * A frame is its own address in the profile, one less, as pprof wants what called and not where
 * it comes back to: files lie 2^48 apart then, at their numbers.
 */
#include "client_lib/ctl/pprof.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/shm/sample.h"

#define PAGE UINT64_C(4096)

/* Fields, by message. */
enum {
	PROFILE_SAMPLE_TYPE = 1,
	PROFILE_SAMPLE = 2,
	PROFILE_MAPPING = 3,
	PROFILE_LOCATION = 4,
	PROFILE_FUNCTION = 5,
	PROFILE_STRING = 6,
	PROFILE_TIME = 9,
	PROFILE_PERIOD_TYPE = 11,
	PROFILE_PERIOD = 12,
	PROFILE_DEFAULT_TYPE = 14,
	TYPE_TYPE = 1,
	TYPE_UNIT = 2,
	SAMPLE_LOCATION = 1,
	SAMPLE_VALUE = 2,
	SAMPLE_LABEL = 3,
	LABEL_KEY = 1,
	LABEL_TEXT = 2,
	LABEL_NUMBER = 3,
	MAPPING_ID = 1,
	MAPPING_START = 2,
	MAPPING_LIMIT = 3,
	MAPPING_FILE = 5,
	MAPPING_BUILD_ID = 6,
	MAPPING_HAS_FUNCTIONS = 7,
	LOCATION_ID = 1,
	LOCATION_MAPPING = 2,
	LOCATION_ADDRESS = 3,
	LOCATION_LINE = 4,
	LINE_FUNCTION = 1,
	LINE_LINE = 2,
	FUNCTION_ID = 1,
	FUNCTION_NAME = 2,
	FUNCTION_SYSTEM_NAME = 3,
	FUNCTION_FILE = 4,
};

enum wire_type { VARINT = 0, BYTES = 2 };

/* A message that is being made. */
struct message {
	unsigned char *bytes;
	size_t n, room;
};

struct string {
	uint64_t number;
	char text[];
};

struct writer {
	FILE *out;
	const struct hakc_profile *profile;
	uint64_t *frames; /* all, each once, ascending: location n is the one at n - 1 */
	size_t n_frames;
	void *strings; /* a tree by text */
	uint64_t n_strings;
	bool has_failed; /* there was no memory */
};

static void put_byte(struct writer *w, struct message *m, unsigned byte)
{
	if (m->n == m->room) {
		size_t room = m->room ? m->room * 2 : 256;
		unsigned char *bytes = realloc(m->bytes, room);

		if (!bytes) {
			w->has_failed = true;
			return;
		}
		m->bytes = bytes;
		m->room = room;
	}
	m->bytes[m->n++] = (unsigned char)byte;
}

static void put_varint(struct writer *w, struct message *m, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		put_byte(w, m, (unsigned)(value & 0x7f) | 0x80);
	put_byte(w, m, (unsigned)value);
}

static void put_number(struct writer *w, struct message *m, unsigned field, uint64_t value)
{
	if (value == 0)
		return; /* that is what it is when nothing is said */
	put_varint(w, m, field << 3 | VARINT);
	put_varint(w, m, value);
}

static void put_bytes(struct writer *w, struct message *m, unsigned field, const void *bytes,
		      size_t n)
{
	put_varint(w, m, field << 3 | BYTES);
	put_varint(w, m, n);
	for (size_t i = 0; i < n; i++)
		put_byte(w, m, ((const unsigned char *)bytes)[i]);
}

/* Puts one message into another, and ends it. */
static void put_message(struct writer *w, struct message *m, unsigned field, struct message *inner)
{
	put_bytes(w, m, field, inner->bytes, inner->n);
	free(inner->bytes);
	*inner = (struct message){.n = 0};
}

/* Fields of the profile itself, if there are some, go out. */
static void send_fields(struct writer *w, struct message *m)
{
	if (m->n)
		fwrite(m->bytes, 1, m->n, w->out);
	free(m->bytes);
}

static void write_message(struct writer *w, unsigned field, struct message *inner)
{
	struct message m = {.n = 0};

	put_message(w, &m, field, inner);
	send_fields(w, &m);
}

static void write_number(struct writer *w, unsigned field, uint64_t value)
{
	struct message m = {.n = 0};

	put_number(w, &m, field, value);
	send_fields(w, &m);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(((const struct string *)a)->text, ((const struct string *)b)->text);
}

/* The number of a text, which goes out if it is new. What isn't ASCII is '?': it must be UTF-8. */
static uint64_t string_of(struct writer *w, const char *text)
{
	size_t n = strlen(text);
	struct string *string = malloc(sizeof(*string) + n + 1), **found;
	struct message m = {.n = 0};

	if (!string) {
		w->has_failed = true;
		return 0;
	}
	for (size_t i = 0; i <= n; i++)
		string->text[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
	string->number = w->n_strings;
	found = tsearch(string, &w->strings, compare_strings);
	if (!found || *found != string) {
		uint64_t number = found ? (*found)->number : 0;

		w->has_failed |= !found;
		free(string);
		return number;
	}
	w->n_strings++;
	put_bytes(w, &m, PROFILE_STRING, string->text, n);
	send_fields(w, &m);
	return string->number;
}

static void write_type(struct writer *w, unsigned field, const char *type, const char *unit)
{
	struct message m = {.n = 0};

	put_number(w, &m, TYPE_TYPE, string_of(w, type));
	put_number(w, &m, TYPE_UNIT, string_of(w, unit));
	write_message(w, field, &m);
}

static int compare_frames(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Each frame once. 0 or -ENOMEM. */
static int gather_frames(struct writer *w)
{
	const struct hakc_stacks *stacks = &w->profile->stacks;
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < stacks->n; i++)
		n += stacks->of[i].n_frames;
	w->frames = calloc(n + 1, sizeof(*w->frames));
	if (!w->frames)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < stacks->n; i++)
		for (unsigned k = 0; k < stacks->of[i].n_frames; k++)
			w->frames[n++] = stacks->of[i].frames[k];
	qsort(w->frames, n, sizeof(*w->frames), compare_frames);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || w->frames[kept - 1] != w->frames[i])
			w->frames[kept++] = w->frames[i];
	w->n_frames = kept;
	return 0;
}

static uint64_t location_of(const struct writer *w, uint64_t frame)
{
	const uint64_t *found = bsearch(&frame, w->frames, w->n_frames, sizeof(frame),
					compare_frames);

	return (uint64_t)(found - w->frames) + 1;
}

static void put_label(struct writer *w, struct message *m, const char *key, const char *text,
		      int64_t number)
{
	struct message label = {.n = 0};

	put_number(w, &label, LABEL_KEY, string_of(w, key));
	put_number(w, &label, LABEL_TEXT, text ? string_of(w, text) : 0);
	put_number(w, &label, LABEL_NUMBER, (uint64_t)number);
	put_message(w, m, SAMPLE_LABEL, &label);
}

static void write_stack(struct writer *w, const struct hakc_stack *stack)
{
	const uint64_t values[] = {stack->objects, stack->bytes};
	struct message m = {.n = 0}, list = {.n = 0};

	for (unsigned i = 0; i < stack->n_frames; i++)
		put_varint(w, &list, location_of(w, stack->frames[i]));
	put_message(w, &m, SAMPLE_LOCATION, &list);
	for (unsigned i = 0; i < 2; i++)
		put_varint(w, &list, values[i] > INT64_MAX ? INT64_MAX : values[i]);
	put_message(w, &m, SAMPLE_VALUE, &list);
	put_label(w, &m, "process", *stack->name ? stack->name : "?", 0);
	if (w->profile->per_process)
		put_label(w, &m, "pid", NULL, stack->pid);
	write_message(w, PROFILE_SAMPLE, &m);
}

static unsigned module_of(uint64_t frame)
{
	return (unsigned)(frame >> HAK_SAMPLE_MODULE_SHIFT) % HAK_MODULE_COUNT;
}

/* The file that frames up to `last` are in. */
static void write_mapping(struct writer *w, uint64_t last)
{
	const struct hak_module *module;
	unsigned number = module_of(last);
	enum hakc_module_state state = hakc_symbols_module(w->profile->symbols, number, &module);
	char id[2 * HAK_MODULE_ID_BYTES + 1] = "";
	struct message m = {.n = 0};

	if (state == HAKC_MODULE_UNKNOWN)
		return;
	for (uint32_t i = 0; i < module->n_id; i++)
		snprintf(&id[2 * i], 3, "%02x", module->id[i]);
	put_number(w, &m, MAPPING_ID, number);
	put_number(w, &m, MAPPING_START, (uint64_t)number << HAK_SAMPLE_MODULE_SHIFT);
	put_number(w, &m, MAPPING_LIMIT, (last | (PAGE - 1)) + 1);
	put_number(w, &m, MAPPING_FILE, string_of(w, module->path));
	put_number(w, &m, MAPPING_BUILD_ID, string_of(w, id));
	put_number(w, &m, MAPPING_HAS_FUNCTIONS, state == HAKC_MODULE_NAMED);
	write_message(w, PROFILE_MAPPING, &m);
}

static void write_function(struct writer *w, uint64_t number, const char *name, const char *source)
{
	struct message m = {.n = 0};

	put_number(w, &m, FUNCTION_ID, number);
	put_number(w, &m, FUNCTION_NAME, string_of(w, name));
	put_number(w, &m, FUNCTION_SYSTEM_NAME, string_of(w, name));
	put_number(w, &m, FUNCTION_FILE, string_of(w, source));
	write_message(w, PROFILE_FUNCTION, &m);
}

/* Frames ascend, so those of a function are together, and those of a file. */
static void write_locations(struct writer *w)
{
	struct hakc_symbols *symbols = w->profile->symbols;
	uint64_t n_functions = 0, last_function = 0;

	for (size_t i = 0; i < w->n_frames; i++) {
		uint64_t frame = w->frames[i], function = hakc_symbols_function(symbols, frame);
		struct hakc_symbol symbol = hakc_symbols_find(symbols, frame);
		struct message m = {.n = 0}, line = {.n = 0};
		const char *source;
		unsigned number = hakc_symbols_line(symbols, frame, &source);

		if (symbol.function && function != last_function)
			write_function(w, ++n_functions, symbol.function, source);
		last_function = function;
		put_number(w, &m, LOCATION_ID, i + 1);
		put_number(w, &m, LOCATION_MAPPING, *symbol.path ? module_of(frame) : 0);
		put_number(w, &m, LOCATION_ADDRESS, frame - 1);
		put_number(w, &line, LINE_FUNCTION, n_functions);
		put_number(w, &line, LINE_LINE, number);
		if (symbol.function)
			put_message(w, &m, LOCATION_LINE, &line);
		free(line.bytes);
		write_message(w, PROFILE_LOCATION, &m);
		if (i + 1 == w->n_frames || module_of(w->frames[i + 1]) != module_of(frame))
			write_mapping(w, frame);
	}
}

int hakc_pprof_write(const struct hakc_profile *profile, FILE *out)
{
	struct writer w = {.out = out, .profile = profile};
	struct timespec now;
	int r = gather_frames(&w);

	if (r < 0)
		return r;
	clock_gettime(CLOCK_REALTIME, &now);
	string_of(&w, ""); /* number 0 must be that */
	write_type(&w, PROFILE_SAMPLE_TYPE, "objects", "count");
	write_type(&w, PROFILE_SAMPLE_TYPE, "space", "bytes");
	for (size_t i = 0; i < profile->stacks.n; i++)
		write_stack(&w, &profile->stacks.of[i]);
	write_locations(&w);
	write_number(&w, PROFILE_TIME, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
	write_type(&w, PROFILE_PERIOD_TYPE, "space", "bytes");
	write_number(&w, PROFILE_PERIOD, profile->view->profile);
	write_number(&w, PROFILE_DEFAULT_TYPE, string_of(&w, "space"));
	tdestroy(w.strings, free);
	free(w.frames);
	if (w.has_failed)
		return -ENOMEM;
	return ferror(out) ? -EIO : 0;
}
