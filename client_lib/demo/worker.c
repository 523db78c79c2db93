/* SPDX-License-Identifier: MIT */
/*
 * A worker: takes a file, counts its words into a shared table of its own,
 * frees the file's block, which is the reader's, and sends the table. Without
 * memory it drops what it has of the table, waits for the reporter to free
 * others, and begins the file again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client_lib/demo/channel.h"

#define TRIES 1000 /* of 10 ms */

static int add_word(void *context, const char *word, size_t length)
{
	return hakc_table_add(context, word, length);
}

/* 0 and a table; a negative errno and none. */
static int count_words(const char *text, size_t bytes, struct hakc_table *ret_table)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	struct hakc_table table = {0};
	int r;

	for (unsigned i = 0; i < TRIES; i++) {
		r = hakc_table_init(&table);
		if (r == 0)
			r = hakc_words_each(text, bytes, add_word, &table);
		if (r == 0) {
			*ret_table = table;
			return 0;
		}
		hakc_table_deinit(&table);
		if (r != -ENOMEM)
			return r;
		hakmem_trim(); /* others may need what we keep */
		nanosleep(&pause, NULL);
	}
	return r;
}

static int count_file(const struct hakc_file *file, struct hakc_result *result)
{
	char *text = hakmem_ptr(file->block);
	int r = 0;

	if (!text) {
		fprintf(stderr, "hakmem-demo: a worker can't reach file %llu (%s)\n",
			(unsigned long long)file->number, strerror(errno));
		return -EBADMSG;
	}
	*result = (struct hakc_result){
		.kind = HAKC_RESULT_FILE, .bytes = file->bytes, .number = file->number};
	result->is_binary = hakc_words_is_binary(text, file->bytes);
	if (!result->is_binary)
		r = count_words(text, file->bytes, &result->table);
	hakmem_free(text);
	if (r == -ENOMEM) {
		fprintf(stderr,
			"hakmem-demo: no memory for the words of file %llu, not even after 10 s; "
			"raise the pool's limit\n",
			(unsigned long long)file->number);
		result->kind = HAKC_RESULT_LOST;
		return 0;
	}
	if (r < 0)
		fprintf(stderr, "hakmem-demo: a worker can't allocate (%s)\n", strerror(-r));
	return r;
}

int hakc_worker_run(const struct hakc_channels *channels)
{
	static char name[] = "demo-worker";
	struct hakc_channels own = *channels;
	struct hakc_result result;
	struct hakc_file file;
	bool is_attached = false;
	int r;

	program_invocation_short_name = name;
	hakc_channels_close(&own.files_in);
	hakc_channels_close(&own.results_out);
	hakc_channels_close(&own.control_in);
	while ((r = hakc_channel_receive(own.files_out, &file, sizeof(file))) > 0) {
		is_attached = true;
		r = count_file(&file, &result);
		if (r == 0)
			r = hakc_channel_send(own.results_in, &result, sizeof(result));
		if (r < 0)
			return 1;
	}
	if (r < 0)
		return 1;
	hakc_channels_close(&own.files_out);
	if (is_attached)
		hakmem_trim(); /* the reader's blocks reach it while it lives */
	result = (struct hakc_result){.kind = HAKC_RESULT_WORKER_DONE};
	if (hakc_channel_send(own.results_in, &result, sizeof(result)) < 0)
		return 1;
	hakc_channel_wait_closed(own.control_out);
	hakmem_detach(); /* -ENOTCONN if no file came here */
	return 0;
}
