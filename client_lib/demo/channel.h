/* SPDX-License-Identifier: MIT */
#ifndef HAKC_DEMO_CHANNEL_H
#define HAKC_DEMO_CHANNEL_H

/*
 * How the processes of the demo speak: packets of a fixed size that carry refs,
 * never bytes of a file.
 *
 *   reader --files--> workers --results--> reporter
 *   reader -----------------results------> reporter
 *   reporter --control (its closing: detach and end)--> reader, workers
 *
 * A process keeps only the ends that it uses, so that an end closes when the
 * process does.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client_lib/demo/table.h"

struct hakc_channels {
	int files_in;	 /* the reader's */
	int files_out;	 /* the workers' */
	int results_in;	 /* the reader's and the workers' */
	int results_out; /* the reporter's */
	int control_in;	 /* the reporter's */
	int control_out; /* the reader's and the workers' */
};

/* A file that was loaded; who receives it frees the block. */
struct hakc_file {
	hakmem_ref_t block;
	uint64_t bytes;
	uint64_t number;
};

enum hakc_result_kind {
	HAKC_RESULT_FILE = 1,	 /* a file was counted */
	HAKC_RESULT_LOST,	 /* a file was not: no memory */
	HAKC_RESULT_READER_DONE, /* the last of the reader */
	HAKC_RESULT_WORKER_DONE, /* the last of a worker */
};

/* What the reader has to say at its end. */
struct hakc_reader_report {
	uint64_t n_allocated;
	uint64_t n_unreadable;
	uint64_t n_lost;
};

struct hakc_result {
	uint32_t kind;
	uint32_t is_binary;
	uint64_t bytes;
	uint64_t number;
	struct hakc_table table;	  /* the receiver frees it */
	struct hakc_reader_report reader; /* with READER_DONE */
};

int hakc_channels_init(struct hakc_channels *channels);
void hakc_channels_close(int *fd);

/* Waits until it is sent. 0; -EPIPE: nobody is there to receive. */
int hakc_channel_send(int fd, const void *packet, size_t bytes);

/* Waits for a packet. 1: it is there; 0: all senders have gone; -EBADMSG: another size. */
int hakc_channel_receive(int fd, void *packet, size_t bytes);

/* Waits until the reporter closes its end. */
void hakc_channel_wait_closed(int fd);

/* What a child does; each returns its process's exit code. */
int hakc_reader_run(const struct hakc_channels *channels, char *const *folders);
int hakc_worker_run(const struct hakc_channels *channels);

/* hakmem_malloc that waits for memory to come back, 10 s at most. NULL and errno. */
void *hakc_patient_malloc(size_t bytes);

#endif
