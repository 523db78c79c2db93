/* SPDX-License-Identifier: MIT */
#ifndef HAKC_DEMO_CHANNEL_H
#define HAKC_DEMO_CHANNEL_H

/*
 * How the processes of the demo speak: packets of a fixed size that carry refs,
 * never bytes of a file.
 *
 *   main ------crew------> reader      a new worker's channel, as a descriptor
 *   reader ----crew------> main        notes: the work goes on, see crew.c
 *   reader --its channel-> a worker    files; each worker has a channel of its own
 *   workers --results----> reporter
 *   reader ---results----> reporter
 *   reporter --done------> reader      this file has been counted
 *
 * A process keeps only the ends that it uses, so that an end closes when the
 * process does. That is how the reader learns that a worker has died, the reader
 * that the reporter has finished, and the workers that the reader has.
 *
 * A packet is sent by one system call and is in the channel or is not: a process
 * killed at any instruction leaves no half packet, and there is no lock.
 *
 * How a file is counted once, whoever is killed (only workers are, by SIGKILL):
 *
 *   who       step              the worker is killed before it    behind it
 *   reader    sends the ref     channel closed: to another one    the ref is in the channel
 *   worker    receives          the packet goes with the channel  the ref is lost
 *   worker    takes the file    the block is the reader's         it dies with the worker
 *   worker    counts, packs     its blocks die with it            likewise
 *   worker    sends its table   likewise                          the table is the worker's
 *   reporter  takes the table   ESTALE: ignored; or it was in     counted
 *                               time: counted
 *   reporter  says done         -                                 the reader forgets the file
 *
 * The daemon gives back what died. The reader does the rest: it hands out again
 * all files that were with a worker whose channel has closed. It takes its own
 * ref of such a file: 0, nobody had taken it, and another ref of the same block
 * is sent; ESTALE, a worker took it, and the file is loaded again.
 *
 * That may happen to a file whose table is still on its way. So one process alone
 * decides what has been counted: the reporter, which counts each number once and
 * frees a second table of it. The reader then revokes what it had handed out again:
 * the worker that comes to it finds ESTALE, and goes on with the next file.
 */

#include <stddef.h>
#include <stdint.h>

#include "client_lib/include/hakmem.h"

#define HAKC_WORKERS_MAX 256

struct hakc_channels {
	int crew_in;	 /* main's */
	int crew_out;	 /* the reader's */
	int results_in;	 /* the reader's and the workers' */
	int results_out; /* the reporter's */
	int done_in;	 /* the reporter's */
	int done_out;	 /* the reader's */
};

/* A file that was loaded; who receives it takes the block. */
struct hakc_file {
	hakmem_ref_t block;
	uint64_t bytes;
	uint64_t number;
};

enum hakc_result_kind {
	HAKC_RESULT_FILE = 1, /* a file was counted */
	HAKC_RESULT_LOST,     /* a file was not: no memory */
	HAKC_RESULT_GONE,     /* it had to be loaded again and can't be read any more */
	HAKC_RESULT_ALL_SENT, /* the reader has been through the folders */
};

/* What the reader says when it has been through the folders. */
struct hakc_reader_report {
	uint64_t n_files; /* their numbers are smaller */
	uint64_t n_unreadable;
	uint64_t n_lost; /* without a number */
};

struct hakc_result {
	uint32_t kind;
	uint32_t is_binary;
	uint64_t bytes;
	uint64_t number;
	hakmem_ref_t table;		  /* who receives it takes it; 0: the file has no words */
	uint64_t n_allocated;		  /* blocks, for this file and its table */
	struct hakc_reader_report reader; /* with ALL_SENT */
};

int hakc_channels_init(struct hakc_channels *channels);

/* A channel alone: ends[0] sends, ends[1] receives. */
int hakc_channel_init(int ends[2]);

void hakc_channel_close(int *fd);

/* Waits until it is sent. 0; -EPIPE: nobody is there to receive. */
int hakc_channel_send(int fd, const void *packet, size_t bytes);

/* Does not wait: -EAGAIN: the channel is full. */
int hakc_channel_try_send(int fd, const void *packet, size_t bytes);

/* Waits for a packet. 1: it is there; 0: all senders have gone; -EBADMSG: another size. */
int hakc_channel_receive(int fd, void *packet, size_t bytes);

/* Does not wait: -EAGAIN: none is there. */
int hakc_channel_try_receive(int fd, void *packet, size_t bytes);

/* Sends a descriptor, which stays open here. Waits; 0, -EPIPE. */
int hakc_channel_send_fd(int over, int fd);

/* Does not wait. 1: *ret_fd is there; 0, -EAGAIN, -EBADMSG as above. */
int hakc_channel_try_receive_fd(int over, int *ret_fd);

#endif
