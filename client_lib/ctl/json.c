/* SPDX-License-Identifier: MIT */
/*
 * The JSON writer: keeps only whether a comma is due at each depth. Strings may
 * be anything that another process calls itself, so what isn't UTF-8 becomes
 * U+FFFD and control characters are escaped. Errors of the stream stay in it,
 * for ferror at the end.
 */
#include "client_lib/ctl/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>

void hakc_json_init(struct hakc_json *json, FILE *file)
{
	*json = (struct hakc_json){.file = file};
}

/* Bytes of the UTF-8 sequence that text begins with; 0: it is none. */
static unsigned utf8_length(const unsigned char *text)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t code;
	unsigned n;

	if (text[0] < 0x80)
		return 1;
	if (text[0] >= 0xc0 && text[0] < 0xe0)
		n = 2;
	else if (text[0] >= 0xe0 && text[0] < 0xf0)
		n = 3;
	else if (text[0] >= 0xf0 && text[0] < 0xf8)
		n = 4;
	else
		return 0;
	code = text[0] & (0x7fu >> n);
	for (unsigned i = 1; i < n; i++) { /* the final NUL ends it too */
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if (code < smallest[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return n;
}

static void write_string(FILE *file, const char *value)
{
	const unsigned char *text = (const unsigned char *)value;

	fputc('"', file);
	while (*text) {
		unsigned n = utf8_length(text);

		if (n == 0)
			fputs("\\ufffd", file);
		else if (*text == '"' || *text == '\\')
			fprintf(file, "\\%c", *text);
		else if (*text == '\n')
			fputs("\\n", file);
		else if (*text == '\t')
			fputs("\\t", file);
		else if (*text < 0x20 || *text == 0x7f)
			fprintf(file, "\\u%04x", *text);
		else
			fwrite(text, 1, n, file);
		text += n ? n : 1;
	}
	fputc('"', file);
}

void hakc_json_init_line(struct hakc_json *json, FILE *file)
{
	*json = (struct hakc_json){.file = file, .is_line = true};
}

static void begin_line(const struct hakc_json *json)
{
	if (json->is_line)
		return;
	fputc('\n', json->file);
	for (unsigned i = 0; i < json->depth; i++)
		fputs("  ", json->file);
}

/* What stands before a value: comma, line, name. */
static void begin_value(struct hakc_json *json, const char *name)
{
	if (json->depth > 0) {
		bool *has_members = &json->has_members[json->depth - 1];

		if (*has_members)
			fputs(json->is_line ? ", " : ",", json->file);
		*has_members = true;
		begin_line(json);
	}
	if (name) {
		write_string(json->file, name);
		fputs(": ", json->file);
	}
}

static void begin(struct hakc_json *json, const char *name, char bracket)
{
	assert(json->depth < HAKC_JSON_DEPTH_MAX);
	begin_value(json, name);
	fputc(bracket, json->file);
	json->has_members[json->depth++] = false;
}

static void end(struct hakc_json *json, char bracket)
{
	assert(json->depth > 0);
	json->depth--;
	if (json->has_members[json->depth])
		begin_line(json);
	fputc(bracket, json->file);
	if (json->depth == 0)
		fputc('\n', json->file);
}

void hakc_json_begin_object(struct hakc_json *json, const char *name)
{
	begin(json, name, '{');
}

void hakc_json_end_object(struct hakc_json *json)
{
	end(json, '}');
}

void hakc_json_begin_array(struct hakc_json *json, const char *name)
{
	begin(json, name, '[');
}

void hakc_json_end_array(struct hakc_json *json)
{
	end(json, ']');
}

void hakc_json_string(struct hakc_json *json, const char *name, const char *value)
{
	begin_value(json, name);
	write_string(json->file, value ? value : "");
}

void hakc_json_unsigned(struct hakc_json *json, const char *name, uint64_t value)
{
	begin_value(json, name);
	fprintf(json->file, "%" PRIu64, value);
}

void hakc_json_signed(struct hakc_json *json, const char *name, int64_t value)
{
	begin_value(json, name);
	fprintf(json->file, "%" PRId64, value);
}

void hakc_json_boolean(struct hakc_json *json, const char *name, bool value)
{
	begin_value(json, name);
	fputs(value ? "true" : "false", json->file);
}

void hakc_json_hex(struct hakc_json *json, const char *name, uint64_t value)
{
	begin_value(json, name);
	fprintf(json->file, "\"0x%" PRIx64 "\"", value);
}

void hakc_json_begin_answer(struct hakc_json *json, FILE *file)
{
	hakc_json_init(json, file);
	hakc_json_begin_object(json, NULL);
	hakc_json_unsigned(json, "schema_version", HAKC_SCHEMA_VERSION);
}
