/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_JSON_H
#define HAKC_CTL_JSON_H

/*
 * Writes one JSON text to a stream as it is told. Every call names the member
 * that it writes; in an array and for the text itself name is NULL.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define HAKC_JSON_DEPTH_MAX 8

#define HAKC_SCHEMA_VERSION 1 /* of all that hakmemctl answers */

struct hakc_json {
	FILE *file;
	unsigned depth;
	bool is_line; /* all of it on one */
	bool has_members[HAKC_JSON_DEPTH_MAX];
};

void hakc_json_init(struct hakc_json *json, FILE *file);
void hakc_json_init_line(struct hakc_json *json, FILE *file);

/* The object that is a verb's answer, its schema_version first; hakc_json_end_object ends it. */
void hakc_json_begin_answer(struct hakc_json *json, FILE *file);

void hakc_json_begin_object(struct hakc_json *json, const char *name);
void hakc_json_end_object(struct hakc_json *json);
void hakc_json_begin_array(struct hakc_json *json, const char *name);
void hakc_json_end_array(struct hakc_json *json);

void hakc_json_string(struct hakc_json *json, const char *name, const char *value);
void hakc_json_unsigned(struct hakc_json *json, const char *name, uint64_t value);
void hakc_json_signed(struct hakc_json *json, const char *name, int64_t value);
void hakc_json_boolean(struct hakc_json *json, const char *name, bool value);
void hakc_json_hex(struct hakc_json *json, const char *name, uint64_t value);

#endif
