/* SPDX-License-Identifier: MIT */
/*
 * A worker: takes a file, which is its own from then on, counts the words into a
 * table of many blocks, packs that into one and sends the ref of it. It may be
 * killed at any instruction. What it has at that moment dies with it; what
 * somebody else has taken doesn't. Without memory it drops what it has of the
 * table, waits for the reporter to free others, and begins the file again.
 */
#include "client_lib/demo/worker.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client_lib/demo/table.h"

#define TRIES 1000 /* of 10 ms */

static int add_word(void *context, const char *word, size_t length)
{
	return hakc_table_add(context, word, length);
}

/* 0 and the table's ref, 0 without words; a negative errno. */
static int try_count(const char *text, size_t bytes, struct hakc_result *result)
{
	struct hakc_table table = {0};
	struct hakc_packed *packed = NULL;
	int r = hakc_table_init(&table);

	if (r == 0)
		r = hakc_words_each(text, bytes, add_word, &table);
	if (r == 0 && table.n_words > 0) {
		packed = hakc_table_pack(&table);
		result->table = packed ? hakmem_ref(packed) : 0;
		if (result->table == 0) {
			r = -errno;
			hakmem_free(packed);
		}
	}
	if (r == 0)
		result->n_allocated += table.n_allocated + (packed != NULL);
	hakc_table_deinit(&table);
	return r;
}

static int count_words(const char *text, size_t bytes, struct hakc_result *result)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	int r = -ENOMEM;

	for (unsigned i = 0; i < TRIES && r == -ENOMEM; i++) {
		if (i > 0) {
			hakmem_trim(); /* others may need what we keep */
			nanosleep(&pause, NULL);
		}
		r = try_count(text, bytes, result);
	}
	return r;
}

/* 0 and a result; -ESTALE: somebody else has the file, or nobody needs it any more. */
static int count_file(const struct hakc_file *file, struct hakc_result *result)
{
	void *text;
	int r = hakmem_take(file->block, &text);

	if (r == -ESTALE)
		return r;
	if (r < 0) {
		fprintf(stderr, "hakmem-demo: a worker can't take file %llu (%s)\n",
			(unsigned long long)file->number, strerror(-r));
		return r;
	}
	*result = (struct hakc_result){.kind = HAKC_RESULT_FILE,
				       .bytes = file->bytes,
				       .number = file->number,
				       .n_allocated = 1};
	result->is_binary = hakc_words_is_binary(text, file->bytes);
	if (!result->is_binary)
		r = count_words(text, file->bytes, result);
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

int hakc_worker_run(int files, int results)
{
	static char name[] = "demo-worker";
	struct hakc_result result;
	struct hakc_file file;
	int r;

	program_invocation_short_name = name;
	while ((r = hakc_channel_receive(files, &file, sizeof(file))) > 0) {
		r = count_file(&file, &result);
		if (r == -ESTALE)
			continue;
		if (r == 0)
			r = hakc_channel_send(results, &result, sizeof(result));
		if (r < 0)
			break;
	}
	hakmem_detach(); /* -ENOTCONN if no file came here */
	/* Without a reporter nobody waits for the result: the end, as without a reader. */
	return r == 0 || r == -EPIPE ? 0 : 1;
}
