/* SPDX-License-Identifier: MIT */
#ifndef BENCH_TWO_PROCESS_H
#define BENCH_TWO_PROCESS_H

/* What the two processes of a two-process workload have in common. */
#include "bench/support/allocator.h"
#include "bench/support/bench.h"
#include "bench/support/ring.h"

/* How a block is named to the other process while it is lent: ours by its address, see run_child. */
#if defined(BENCH_SHARED)
#define bench_ref(block) ((uint64_t)(uintptr_t)(block))
#define bench_ptr(ref)	 ((void *)(uintptr_t)(ref))
#else
#define bench_ref(block) bench_peer_ref(block)
#define bench_ptr(ref)	 bench_peer_ptr(ref)
#endif

#define BENCH_LATENCIES (1 << 20)

/* Shared by the parent and both children. */
struct bench_page {
	struct bench_ring ring;		     /* from child 0 to child 1 */
	_Alignas(64) hak_u32 n_ready;	     /* children that are about to start */
	_Alignas(64) hak_u32 n_done;	     /* children that have measured */
	_Alignas(64) uint64_t n[2];	     /* iterations, written by each child */
	double seconds[2];		     /* and their time */
	uint32_t n_latencies;		     /* written by child 1 */
	uint32_t latencies[BENCH_LATENCIES]; /* ns */
};

/* In a child: returns when all n_children are here. */
void bench_page_start_together(struct bench_page *page);

/* The work of child `i` of two, or of the only one. Results go to the page. */
void bench_work_messages(struct bench_page *page, int i, const struct bench_options *options);
#ifdef BENCH_SHARED
void bench_work_give(struct bench_page *page, int i, const struct bench_options *options);
#endif
void bench_work_latency(struct bench_page *page, int i, const struct bench_options *options);
void bench_work_pairs(struct bench_page *page, int i, const struct bench_options *options);
void bench_work_set(struct bench_page *page, int i, const struct bench_options *options);

#endif
