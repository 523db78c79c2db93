/* SPDX-License-Identifier: MIT */
/*
 * The reader: walks the folders, loads each file into one shared block, sends
 * the block's ref. The worker frees the block. Stays attached after its last
 * file, because its blocks go with it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client_lib/demo/channel.h"

struct reader {
	const struct hakc_channels *channels;
	struct hakc_reader_report report;
	uint64_t n_files;
};

static int note_unreadable(void *context, const char *path, int error)
{
	struct reader *reader = context;

	fprintf(stderr, "hakmem-demo: can't read %s (%s)\n", path, strerror(error));
	reader->report.n_unreadable++;
	return 0;
}

static void *get(void *context, size_t bytes)
{
	(void)context;
	return hakc_patient_malloc(bytes);
}

/* No memory for this file: it is named and left out. Any other failure ends the walk. */
static int note_lost(struct reader *reader, const char *path, int r)
{
	if (r != -ENOMEM) {
		fprintf(stderr, "hakmem-demo: the reader can't allocate (%s)\n", strerror(-r));
		return r;
	}
	fprintf(stderr,
		"hakmem-demo: no memory for %s, not even after 10 s; raise the pool's limit\n",
		path);
	reader->report.n_lost++;
	return 0;
}

static int load_and_send(void *context, const char *path)
{
	struct reader *reader = context;
	struct hakc_file file = {.number = reader->n_files};
	bool is_memory;
	void *block;
	size_t bytes;
	int r = hakc_files_load(path, get, hakmem_free, NULL, &block, &bytes, &is_memory);

	if (r == 1)
		return 0;
	if (r < 0)
		return is_memory ? note_lost(reader, path, r) : note_unreadable(reader, path, -r);
	reader->n_files++;
	reader->report.n_allocated++;
	file.block = hakmem_ref(block);
	file.bytes = bytes;
	r = hakc_channel_send(reader->channels->files_in, &file, sizeof(file));
	if (r < 0)
		fprintf(stderr, "hakmem-demo: the reader has no workers left (%s)\n", strerror(-r));
	return r;
}

int hakc_reader_run(const struct hakc_channels *channels, char *const *folders)
{
	static char name[] = "demo-reader";
	struct hakc_channels own = *channels;
	struct reader reader = {.channels = &own};
	struct hakc_files_visitor visitor = {load_and_send, note_unreadable, &reader};
	struct hakc_result done = {.kind = HAKC_RESULT_READER_DONE};
	int r;

	program_invocation_short_name = name;
	hakc_channels_close(&own.files_out);
	hakc_channels_close(&own.results_out);
	hakc_channels_close(&own.control_in);
	r = hakc_files_each(folders, &visitor);
	if (r < 0) {
		fprintf(stderr, "hakmem-demo: the reader stops (%s)\n", strerror(-r));
		return 1;
	}
	hakc_channels_close(&own.files_in); /* the workers see the end */
	done.number = reader.n_files;
	done.reader = reader.report;
	if (hakc_channel_send(own.results_in, &done, sizeof(done)) < 0)
		return 1;
	hakc_channel_wait_closed(own.control_out);
	hakmem_detach();
	return 0;
}
