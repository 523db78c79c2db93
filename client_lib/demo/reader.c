/* SPDX-License-Identifier: MIT */
/*
 * The reader: walks the folders, loads each file into one shared block and sends
 * its ref to a worker, who takes it. A file is with a worker until the reporter
 * says that it is done; files of a worker that has gone are handed out again, see
 * the table in channel.h. The reader waits in poll and nowhere else, neither for
 * room in a channel nor for memory: there it hears of the dead, of new workers
 * and of what is done, so nobody can wait for it who it waits for.
 */
#include "client_lib/demo/reader.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "client_lib/demo/ledger.h"
#include "client_lib/demo/words.h"

#define PAUSE_MS       10
#define PATIENCE_TRIES 1000 /* of PAUSE_MS */
#define FOREVER	       (-1)

struct reader {
	struct hakc_channels channels;
	struct hakc_ledger ledger;
	struct hakc_reader_report report;
	bool is_all_sent; /* it has been through the folders */
	bool is_ending;	  /* the reporter has finished */
};

/* Tells main that the work goes on. A note that finds no room isn't missed. */
static void note_progress(const struct reader *reader)
{
	const char note = 1;

	hakc_channel_try_send(reader->channels.crew_out, &note, sizeof(note));
}

/*
 * Of a file that was handed out again, and whose first table was taken after all:
 * what of it nobody has taken is ours and goes; the worker it waits for finds ESTALE.
 */
static void revoke(const struct hakc_entry *entry)
{
	void *block;

	if (entry->n_out == 1 && entry->state == HAKC_ENTRY_OUT)
		return; /* only one worker ever had it */
	if (entry->ref && hakmem_take(entry->ref, &block) == 0)
		hakmem_free(block);
}

static int hear_done(struct reader *reader)
{
	struct hakc_ledger *ledger = &reader->ledger;
	uint64_t number;
	int r;

	while ((r = hakc_channel_try_receive(reader->channels.done_out, &number, sizeof(number))) >
	       0) {
		if (number < ledger->n_entries)
			revoke(&ledger->entries[number]);
		if (hakc_ledger_done(ledger, number))
			note_progress(reader);
	}
	reader->is_ending = r == 0;
	return r == -EAGAIN ? 0 : r;
}

/* While nothing is left to do, a new worker is all the progress there can be. */
static void hear_of_new(struct reader *reader)
{
	struct hakc_ledger *ledger = &reader->ledger;
	int channel;

	while (ledger->n_colleagues < HAKC_WORKERS_MAX &&
	       hakc_channel_try_receive_fd(reader->channels.crew_out, &channel) > 0) {
		hakc_ledger_hire(ledger, channel);
		if (reader->is_all_sent && ledger->n_done == ledger->n_entries)
			note_progress(reader);
	}
}

/* Waits until something happens, and hears what; 0 or a negative errno. */
static int listen_to_all(struct reader *reader, int timeout_ms)
{
	struct hakc_ledger *ledger = &reader->ledger;
	struct pollfd ears[2 + HAKC_WORKERS_MAX];
	unsigned workers[HAKC_WORKERS_MAX];
	nfds_t n = 2;

	ears[0] = (struct pollfd){.fd = reader->channels.done_out, .events = POLLIN};
	ears[1] = (struct pollfd){.fd = -1, .events = POLLIN};
	if (ledger->n_colleagues < HAKC_WORKERS_MAX)
		ears[1].fd = reader->channels.crew_out;
	for (unsigned i = 0; i < HAKC_WORKERS_MAX; i++) {
		if (ledger->colleagues[i].channel < 0)
			continue;
		workers[n - 2] = i;
		ears[n++] = (struct pollfd){.fd = ledger->colleagues[i].channel};
	}
	if (poll(ears, n, timeout_ms) < 0)
		return errno == EINTR ? 0 : -errno;
	for (nfds_t i = 2; i < n; i++)
		if (ears[i].revents)
			hakc_ledger_lose(ledger, workers[i - 2]);
	if (ears[1].revents)
		hear_of_new(reader);
	return ears[0].revents ? hear_done(reader) : 0;
}

static int tell_reporter(struct reader *reader, const struct hakc_result *result)
{
	int r;

	while ((r = hakc_channel_try_send(reader->channels.results_in, result, sizeof(*result))) ==
	       -EAGAIN) {
		r = listen_to_all(reader, PAUSE_MS);
		if (r < 0)
			return r;
	}
	if (r == -EPIPE)
		reader->is_ending = true;
	return r == -EPIPE ? 0 : r;
}

/* Memory for a file, waiting for what workers and the reporter free. */
static void *get(void *context, size_t bytes)
{
	struct reader *reader = context;
	void *block = hakmem_malloc(bytes);

	for (unsigned i = 0; !block && errno == ENOMEM && i < PATIENCE_TRIES; i++) {
		if (reader->is_ending || listen_to_all(reader, PAUSE_MS) < 0) {
			errno = ENOMEM;
			break;
		}
		block = hakmem_malloc(bytes);
	}
	return block;
}

/*
 * Loads a file. 0; 1: it is no regular file any more; -ENOMEM: no memory, which
 * is told; -EIO and others of reading, told as well; or hakmem's and *ret_is_fatal.
 */
static int load(struct reader *reader, const char *path, hakmem_ref_t *ret_ref, uint64_t *ret_bytes,
		bool *ret_is_fatal)
{
	bool is_memory;
	void *block;
	size_t bytes;
	int r = hakc_files_load(path, get, hakmem_free, reader, &block, &bytes, &is_memory);

	*ret_is_fatal = false;
	if (r == 0) {
		*ret_ref = hakmem_ref(block);
		*ret_bytes = bytes;
		if (*ret_ref)
			return 0;
		r = -errno;
		is_memory = true;
		hakmem_free(block);
	}
	if (r == 1)
		return 1;
	if (reader->is_ending) {
		*ret_is_fatal = true;
		return -EPIPE;
	}
	if (!is_memory) {
		fprintf(stderr, "hakmem-demo: can't read %s (%s)\n", path, strerror(-r));
		return r == -ENOMEM ? -EIO : r;
	}
	if (r == -ENOMEM) {
		fprintf(stderr,
			"hakmem-demo: no memory for %s, not even after 10 s; raise the pool's "
			"limit\n",
			path);
		return r;
	}
	fprintf(stderr, "hakmem-demo: the reader can't allocate (%s)\n", strerror(-r));
	*ret_is_fatal = true;
	return r;
}

/* The file can't be loaded again: the reporter will say that it is done. */
static int give_up(struct reader *reader, uint64_t number, bool is_memory)
{
	struct hakc_result result = {.kind = is_memory ? HAKC_RESULT_LOST : HAKC_RESULT_GONE,
				     .bytes = reader->ledger.entries[number].bytes,
				     .number = number};

	hakc_ledger_done(&reader->ledger, number);
	return tell_reporter(reader, &result);
}

/* Its block, if nobody has taken it: with another ref, since the first may still be read. */
static hakmem_ref_t take_back(const struct hakc_entry *entry)
{
	hakmem_ref_t ref;
	void *block;

	if (!entry->ref || hakmem_take(entry->ref, &block) < 0)
		return 0;
	ref = hakmem_ref(block);
	if (!ref)
		hakmem_free(block);
	return ref;
}

/*
 * Gives a file that was out before a ref which nobody has seen. 0; 1: nobody
 * needs the file any more; a negative errno ends all.
 */
static int renew(struct reader *reader, uint64_t number)
{
	struct hakc_entry *entry = &reader->ledger.entries[number];
	uint64_t bytes = entry->bytes;
	bool is_fatal = false;
	hakmem_ref_t ref = take_back(entry);
	void *block;
	int r = 0;

	entry->ref = 0;
	if (!ref)
		r = load(reader, entry->path, &ref, &bytes, &is_fatal);
	if (is_fatal)
		return r;
	if (entry->state == HAKC_ENTRY_DONE) { /* we heard of it waiting for memory */
		if (r == 0 && hakmem_take(ref, &block) == 0)
			hakmem_free(block);
		return 1;
	}
	if (r != 0) {
		r = give_up(reader, number, r == -ENOMEM);
		return r < 0 ? r : 1;
	}
	entry->ref = ref;
	entry->bytes = bytes;
	return 0;
}

/* Sends a file to the worker that has the fewest, waiting for one that has room. */
static int hand_out_one(struct reader *reader, uint64_t number)
{
	struct hakc_ledger *ledger = &reader->ledger;
	const struct hakc_entry *entry = &ledger->entries[number];
	int r = entry->n_out > 0 ? renew(reader, number) : 0;

	if (r != 0)
		return r < 0 ? r : 0;
	while (r == 0 && !reader->is_ending && entry->state == HAKC_ENTRY_WAITING) {
		const struct hakc_file file = {
			.block = entry->ref, .bytes = entry->bytes, .number = number};
		int worker = hakc_ledger_choose(ledger);

		if (worker < 0) {
			r = listen_to_all(reader, FOREVER);
			continue;
		}
		r = hakc_channel_try_send(ledger->colleagues[worker].channel, &file, sizeof(file));
		if (r == 0) {
			hakc_ledger_out(ledger, number, (unsigned)worker);
		} else if (r == -EPIPE) {
			hakc_ledger_lose(ledger, (unsigned)worker);
			r = 0;
		} else if (r == -EAGAIN) {
			r = listen_to_all(reader, PAUSE_MS);
		}
	}
	return r;
}

static int hand_out_all(struct reader *reader)
{
	uint64_t number;
	int r = listen_to_all(reader, 0);

	while (r == 0 && !reader->is_ending && hakc_ledger_pop(&reader->ledger, &number))
		r = hand_out_one(reader, number);
	return r;
}

static int note_unreadable(void *context, const char *path, int error)
{
	struct reader *reader = context;

	fprintf(stderr, "hakmem-demo: can't read %s (%s)\n", path, strerror(error));
	reader->report.n_unreadable++;
	return 0;
}

static int load_and_send(void *context, const char *path)
{
	struct reader *reader = context;
	hakmem_ref_t ref = 0;
	uint64_t bytes = 0, number;
	bool is_fatal;
	int r = load(reader, path, &ref, &bytes, &is_fatal);

	if (r < 0 && is_fatal)
		return r;
	reader->report.n_lost += r == -ENOMEM;
	reader->report.n_unreadable += r < 0 && r != -ENOMEM;
	if (r == 0)
		r = hakc_ledger_add(&reader->ledger, path, ref, bytes, &number);
	else
		r = 0;
	if (r == 0)
		r = hand_out_all(reader);
	/* Without a reporter the walk ends: not the reader's fault, main says whose. */
	return r == 0 && reader->is_ending ? -EPIPE : r;
}

static int read_all(struct reader *reader, char *const *folders)
{
	struct hakc_files_visitor visitor = {load_and_send, note_unreadable, reader};
	struct hakc_result all = {.kind = HAKC_RESULT_ALL_SENT};
	int r = hakc_files_each(folders, &visitor);

	if (r < 0)
		return reader->is_ending ? 0 : r;
	reader->is_all_sent = true;
	reader->report.n_files = reader->ledger.n_entries;
	all.reader = reader->report;
	r = tell_reporter(reader, &all);
	while (r == 0 && !reader->is_ending) {
		r = hand_out_all(reader);
		if (r == 0 && !reader->is_ending)
			r = listen_to_all(reader, FOREVER);
	}
	return r;
}

int hakc_reader_run(const struct hakc_channels *channels, char *const *folders)
{
	static char name[] = "demo-reader";
	static struct reader reader;
	int r;

	program_invocation_short_name = name;
	reader.channels = *channels;
	hakc_channel_close(&reader.channels.crew_in);
	hakc_channel_close(&reader.channels.results_out);
	hakc_channel_close(&reader.channels.done_in);
	hakc_ledger_init(&reader.ledger);
	r = read_all(&reader, folders);
	if (r < 0)
		fprintf(stderr, "hakmem-demo: the reader stops (%s)\n", strerror(-r));
	else
		printf("files handed out again: %llu\n", (unsigned long long)reader.ledger.n_again);
	hakc_ledger_deinit(&reader.ledger); /* the workers see the end */
	hakmem_detach();
	return r < 0 ? 1 : 0;
}
