/* SPDX-License-Identifier: MIT */
/*
 * The larson benchmark, a server's pattern, written anew: each lane owns an
 * array of blocks and keeps replacing a random one by a new one of random size.
 * After chunks * rounds replacements the lane's thread hands its array to a
 * new thread and ends, so blocks are freed by threads that did not allocate
 * them. A thread joins its predecessor before it starts its successor; the last
 * one of a lane is joined by main.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/support/allocator.h"
#include "bench/support/bench.h"
#include "bench/support/clock.h"
#include "bench/support/random.h"

#define LOOK_EVERY 256 /* replacements between two looks at the clock */

enum { SECONDS, MIN, MAX, CHUNKS, ROUNDS, SEED, THREADS, N_PARAMETERS };

struct larson {
	uint64_t parameters[N_PARAMETERS];
	double end;
	bool as_json;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t ended;
	uint64_t n_running; /* lanes */
};

/* Used by one thread at a time. */
struct lane {
	struct larson *larson;
	void **blocks;
	uint64_t random;
	uint64_t n_operations;
	uint64_t n_threads;
	int error;
	pthread_t thread; /* the present one, or the last */
	pthread_t predecessor;
	bool has_predecessor;
};

static void *run_lane(void *argument);

static void *allocate(struct lane *lane)
{
	const uint64_t *p = lane->larson->parameters;
	uint64_t range = p[MAX] > p[MIN] ? p[MAX] - p[MIN] : p[MIN] - p[MAX];
	uint64_t bytes = p[MIN] + (range ? bench_random(&lane->random) % range : 0);
	volatile char *block = bench_malloc(bytes);

	if (!block) {
		lane->error = errno;
	} else if (bytes) {
		block[0] = 1;
		block[bytes - 1] = 2;
	}
	return (void *)block;
}

/* true: the lane's time is over, or it failed. */
static bool replace_blocks(struct lane *lane)
{
	const uint64_t *p = lane->larson->parameters;
	uint64_t n = p[CHUNKS] * p[ROUNDS];

	for (uint64_t i = 0; i < n; i++) {
		void **block = &lane->blocks[bench_random(&lane->random) % p[CHUNKS]];

		bench_free(*block);
		*block = allocate(lane);
		if (!*block)
			return true;
		lane->n_operations++;
		if (i % LOOK_EVERY == 0 && bench_now() >= lane->larson->end)
			return true;
	}
	return false;
}

static int start_thread(struct lane *lane)
{
	pthread_t thread;
	int r;

	/* Under the lock, so that who is started sees itself in lane->thread. */
	pthread_mutex_lock(&lane->larson->lock);
	r = pthread_create(&thread, NULL, run_lane, lane);
	if (r == 0) {
		lane->thread = thread;
		lane->n_threads++;
	}
	pthread_mutex_unlock(&lane->larson->lock);
	return -r;
}

static void end_lane(struct larson *larson)
{
	pthread_mutex_lock(&larson->lock);
	larson->n_running--;
	pthread_cond_signal(&larson->ended);
	pthread_mutex_unlock(&larson->lock);
}

static void *run_lane(void *argument)
{
	struct lane *lane = argument;
	struct larson *larson = lane->larson;
	bool is_over;
	int r;

	pthread_mutex_lock(&larson->lock); /* until our starter has written our id */
	pthread_mutex_unlock(&larson->lock);
	is_over = replace_blocks(lane);
	if (lane->has_predecessor)
		pthread_join(lane->predecessor, NULL);
	lane->predecessor = pthread_self();
	lane->has_predecessor = true;
	if (!is_over) {
		r = start_thread(lane); /* from here on the lane is the successor's */
		if (r == 0)
			return NULL;
		lane->error = -r;
	}
	end_lane(larson);
	return NULL;
}

static int init_lane(struct larson *larson, struct lane *lane, uint64_t i)
{
	uint64_t n = larson->parameters[CHUNKS];

	*lane = (struct lane){.larson = larson};
	lane->random = bench_random_seed(larson->parameters[SEED] + i);
	lane->blocks = calloc(n, sizeof(*lane->blocks));
	if (!lane->blocks)
		return -ENOMEM;
	for (uint64_t j = 0; j < n; j++) {
		lane->blocks[j] = allocate(lane);
		if (!lane->blocks[j])
			return -lane->error;
	}
	return 0;
}

static void deinit_lane(struct lane *lane)
{
	for (uint64_t j = 0; lane->blocks && j < lane->larson->parameters[CHUNKS]; j++)
		bench_free(lane->blocks[j]);
	free(lane->blocks);
}

static void wait_for_lanes(struct larson *larson, struct lane *lanes, uint64_t n)
{
	pthread_mutex_lock(&larson->lock);
	while (larson->n_running > 0)
		pthread_cond_wait(&larson->ended, &larson->lock);
	pthread_mutex_unlock(&larson->lock);
	for (uint64_t i = 0; i < n; i++)
		if (lanes[i].n_threads > 0)
			pthread_join(lanes[i].thread, NULL);
}

static void print_result(const struct larson *larson, const struct lane *lanes, double seconds)
{
	const uint64_t *p = larson->parameters;
	uint64_t n_operations = 0, n_threads = 0;

	for (uint64_t i = 0; i < p[THREADS]; i++) {
		n_operations += lanes[i].n_operations;
		n_threads += lanes[i].n_threads;
	}
	if (larson->as_json)
		printf("{\"benchmark\": \"larson\", \"threads\": %" PRIu64
		       ", \"seconds\": %.3f, \"min_bytes\": %" PRIu64 ", \"max_bytes\": %" PRIu64
		       ", \"chunks\": %" PRIu64 ", \"rounds\": %" PRIu64 ", \"seed\": %" PRIu64
		       ", \"operations\": %" PRIu64 ", \"threads_started\": %" PRIu64
		       ", \"ops_per_second\": %.0f}\n",
		       p[THREADS], seconds, p[MIN], p[MAX], p[CHUNKS], p[ROUNDS], p[SEED],
		       n_operations, n_threads, (double)n_operations / seconds);
	else
		printf("larson: threads %" PRIu64 ", %.0f ops/s\n", p[THREADS],
		       (double)n_operations / seconds);
}

static int run(struct larson *larson)
{
	uint64_t n = larson->parameters[THREADS];
	struct lane *lanes = calloc(n, sizeof(*lanes));
	double start;
	int r = lanes ? 0 : -ENOMEM;

	for (uint64_t i = 0; r == 0 && i < n; i++)
		r = init_lane(larson, &lanes[i], i);
	start = bench_now();
	larson->end = start + (double)larson->parameters[SECONDS];
	for (uint64_t i = 0; r == 0 && i < n; i++) {
		pthread_mutex_lock(&larson->lock);
		larson->n_running++;
		pthread_mutex_unlock(&larson->lock);
		r = start_thread(&lanes[i]);
		if (r < 0)
			end_lane(larson);
	}
	if (lanes)
		wait_for_lanes(larson, lanes, n);
	for (uint64_t i = 0; r == 0 && i < n; i++)
		r = -lanes[i].error;
	if (r == 0)
		print_result(larson, lanes, bench_now() - start);
	for (uint64_t i = 0; lanes && i < n; i++)
		if (lanes[i].larson)
			deinit_lane(&lanes[i]);
	free(lanes);
	bench_detach();
	return r;
}

static int parse(int argc, char **argv, struct larson *larson)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
						{"socket", required_argument, NULL, 's'},
						{NULL, 0, NULL, 0}};
	uint64_t *p = larson->parameters;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'j')
			larson->as_json = true;
		else if (option != 's' || setenv("HAKMEM_SOCKET", optarg, 1) != 0)
			return -EINVAL;
	}
	if (argc - optind != N_PARAMETERS)
		return -EINVAL;
	for (int i = 0; i < N_PARAMETERS; i++) {
		const char *text = argv[optind + i];
		char *end;

		errno = 0;
		p[i] = strtoull(text, &end, 10);
		if (*text < '0' || *text > '9' || *end || errno)
			return -EINVAL;
	}
	if (p[SECONDS] == 0 || p[CHUNKS] == 0 || p[ROUNDS] == 0 || p[THREADS] == 0)
		return -EINVAL;
	return p[THREADS] > 4096 || p[ROUNDS] > UINT64_MAX / p[CHUNKS] ? -EINVAL : 0;
}

int main(int argc, char **argv)
{
	struct larson larson = {.lock = PTHREAD_MUTEX_INITIALIZER,
				.ended = PTHREAD_COND_INITIALIZER};
	int r;

	if (parse(argc, argv, &larson) < 0) {
		fputs("usage: larson [--json] [--socket PATH] SECONDS MIN MAX CHUNKS ROUNDS SEED "
		      "THREADS\n",
		      stderr);
		return 2;
	}
	bench_expect(BENCH_SYMBOL);
	r = run(&larson);
	if (r < 0)
		fprintf(stderr, "larson: failed (%s); is a daemon running, is its limit reached?\n",
			strerror(-r));
	return r < 0;
}
