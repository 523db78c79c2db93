/* SPDX-License-Identifier: MIT */
/*
 * shrink [--keep SECONDS] [--mib N] [--trim] [--supervise]: a client grows to N MiB (default 2048), by threads
 * of which some have ended, in blocks of 16 to 512 bytes, spans and runs; frees all of it in no
 * order, and goes on allocating a little. By the kernel's count less than 64 MiB of the heap may be
 * left `keep` (default 10) and five seconds later; with --trim, so long after hakmemctl trim:
 * blocks of the little pin SuperSlabs until they have changed places.
 * Prints the count, and what is granted, over time. Last line:
 *   peak=N MiB left=N MiB idle=N MiB after=N.N s
 * left: at the end; idle: when everything was freed and nothing more had been called.
 */
#include "tests/support/run.h"

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "proto/shm/atomic.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/memfd.h"
#include "tests/support/process.h"
#include "tests/support/random.h"

#define MIB	   (UINT64_C(1) << 20)
#define MOST	   (64 * MIB)
#define PATIENCE_S 5
#define THREADS	   4u
#define LITTLE	   500u /* blocks that live while a client goes on */

struct options {
	unsigned keep;
	uint64_t mib;
	bool trims;
	bool is_supervised;
};

/* Blocks of a thread of the client. */
struct share {
	uint64_t bytes;
	uint64_t random;
	void **blocks;
	size_t n;
	bool frees; /* itself, before it ends */
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void pause_ms(long ms)
{
	const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&pause, NULL);
}

/* Half of the bytes in small blocks, a quarter in spans, a quarter in runs. */
static size_t next_size(struct share *s, uint64_t done)
{
	uint64_t quarter = s->bytes / 4;

	if (done < 2 * quarter)
		return 16 + hakt_random(&s->random) % 497;
	if (done < 3 * quarter)
		return 65536 * (1 + hakt_random(&s->random) % 4);
	return 3 * MIB + hakt_random(&s->random) % (16 * MIB);
}

static void free_all(struct share *s)
{
	for (size_t i = s->n; i > 0; i--) {
		size_t k = hakt_random(&s->random) % i;

		hakmem_free(s->blocks[k]);
		s->blocks[k] = s->blocks[i - 1];
	}
	s->n = 0;
}

static void *grow(void *argument)
{
	struct share *s = argument;
	uint64_t done = 0;

	while (done < s->bytes) {
		size_t size = next_size(s, done);
		char *block = hakmem_malloc(size);

		HAKT_EXPECT(block);
		memset(block, 1, size);
		s->blocks[s->n++] = block;
		done += size;
	}
	if (s->frees)
		free_all(s);
	return NULL;
}

static void go_on(uint64_t *random)
{
	static void *blocks[LITTLE];

	for (unsigned i = 0; i < 8; i++) {
		uint64_t k = hakt_random(random) % LITTLE;

		hakmem_free(blocks[k]);
		blocks[k] = hakmem_malloc(16 + hakt_random(random) % 497);
		HAKT_EXPECT(blocks[k]);
	}
	pause_ms(1);
}

/* Grows one thread after the other; the first blocks are freed by the last one's hand. */
static int run_client(const void *context)
{
	const struct options *o = context;
	struct share shares[THREADS] = {0};
	pthread_t thread;
	uint64_t random = 1;

	for (unsigned i = 0; i < THREADS; i++) {
		struct share *s = &shares[i];

		s->bytes = o->mib * MIB / THREADS;
		s->random = i;
		s->blocks = malloc((s->bytes / 16 + 1) * sizeof(void *));
		HAKT_EXPECT(s->blocks);
	}
	for (unsigned i = 0; i + 1 < THREADS; i++) {
		HAKT_EXPECT(pthread_create(&thread, NULL, grow, &shares[i]) == 0);
		HAKT_EXPECT(pthread_join(thread, NULL) == 0);
	}
	grow(&shares[THREADS - 1]);
	hakt_child_say("grown");
	hakt_child_wait();
	shares[0].frees = true;
	shares[0].bytes = 0;
	HAKT_EXPECT(pthread_create(&thread, NULL, grow, &shares[0]) == 0);
	HAKT_EXPECT(pthread_join(thread, NULL) == 0);
	for (unsigned i = 1; i < THREADS; i++)
		free_all(&shares[i]);
	hakt_child_say("freed");
	hakt_child_wait();
	while (true) /* until it is killed */
		go_on(&random);
	return 0;
}

static uint64_t look(const struct hakt_daemon *hakd, double since)
{
	struct hakt_status s = hakt_daemon_status(hakd);
	pid_t pid = (pid_t)hakt_ctl_status(hakd->socket, "pid"); /* not the supervisor's */
	int heap = hakt_memfd_open(pid, "hakmem-heap");
	uint64_t bytes = hakt_memfd_resident(heap); /* the kernel's count */

	close(heap);

	printf("%5.1f s  %5llu MiB resident  %4llu SuperSlabs granted, %llu kept, %llu in "
	       "reserve\n",
	       now_s() - since, (unsigned long long)(bytes / MIB), s.granted_superslabs,
	       s.kept_superslabs, s.reserve_superslabs);
	fflush(stdout);
	return bytes;
}

static void trim(const struct hakt_daemon *hakd)
{
	struct hakt_process ctl = {0};

	hakt_process_start(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "--socket", hakd->socket, "trim"));
	hakt_process_wait_done(&ctl);
	hakt_process_end(&ctl);
}

static int shrink(const struct options *o)
{
	char keep[16], limit[32];
	struct hakt_daemon hakd;
	struct hakt_process client = {0};
	uint64_t peak, idle, left;
	double since, end;

	snprintf(keep, sizeof(keep), "%u", o->keep);
	snprintf(limit, sizeof(limit), "%lluM", (unsigned long long)(o->mib * 3 / 2));
	hakt_daemon_start(&hakd, HAKT_LIST("--keep", keep, "--limit", limit, "--log-level", "warn",
					   o->is_supervised ? "--supervise" : NULL));
	hakt_process_fork(&client, run_client, o);
	hakt_process_wait_output(&client, 1, "grown");
	since = now_s();
	peak = look(&hakd, since);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "freed");
	since = now_s();
	idle = look(&hakd, since);
	hakt_process_tell(&client);
	if (o->trims) {
		pause_ms(1000);
		trim(&hakd);
		since = now_s();
	}
	end = since + o->keep + PATIENCE_S;
	do {
		pause_ms(250);
		left = look(&hakd, since);
	} while (left >= MOST && now_s() < end);
	printf("peak=%llu MiB left=%llu MiB idle=%llu MiB after=%.1f s\n",
	       (unsigned long long)(peak / MIB), (unsigned long long)(left / MIB),
	       (unsigned long long)(idle / MIB), now_s() - since);
	hakt_process_kill(&client);
	hakt_process_end(&client);
	hakt_daemon_stop_empty(&hakd);
	return left < MOST && peak >= o->mib * MIB ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{"keep", required_argument, NULL, 'k'},
		{"mib", required_argument, NULL, 'm'},
		{"trim", no_argument, NULL, 't'},
		{"supervise", no_argument, NULL, 's'},
		{0},
	};
	struct options o = {.keep = 10, .mib = 2048};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'k')
			o.keep = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'm')
			o.mib = strtoull(optarg, NULL, 10);
		else if (c == 't')
			o.trims = true;
		else if (c == 's')
			o.is_supervised = true;
		else
			return 2;
	}
	return shrink(&o);
}
