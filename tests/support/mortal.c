/* SPDX-License-Identifier: MIT */
/* A daemon, memory that the test and its children share, and children that make blocks. */
#include "tests/support/mortal.h"

#include <string.h>
#include <sys/mman.h>

#include "client_lib/thread.h"
#include "tests/support/run.h"

const size_t hakt_mortal_sizes[HAKT_MORTAL_SIZES] = {16,    64,	     1000,    30000,
						     70000, 1000000, 1500000, 5000000};

struct hakt_daemon hakt_mortal_daemon;
struct hakt_mortal_shared *hakt_mortal_shared;

int hakt_mortal_start(const char *const *options)
{
	hakt_daemon_start(&hakt_mortal_daemon, options);
	hakt_mortal_shared = mmap(NULL, sizeof(*hakt_mortal_shared), PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return hakt_mortal_shared == MAP_FAILED;
}

int hakt_mortal_setup(void **state)
{
	(void)state;
	return hakt_mortal_start(HAKT_LIST("--limit", "256M", "--log-level", "warn"));
}

int hakt_mortal_stop(void **state)
{
	(void)state;
	munmap(hakt_mortal_shared, sizeof(*hakt_mortal_shared));
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakt_mortal_daemon);
}

void hakt_mortal_fill(char *block, size_t size, unsigned seed)
{
	memset(block, 'a' + (int)(seed % 26), size);
}

bool hakt_mortal_is_as_made(const char *block, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i++)
		if (block[i] != 'a' + (char)(seed % 26))
			return false;
	return true;
}

void hakt_mortal_start_child(struct hakt_process *process, int (*run)(const void *),
			     const char *says)
{
	hakt_process_fork(process, run, NULL);
	hakt_process_wait_output(process, 1, says);
}

void hakt_mortal_kill(struct hakt_process *process)
{
	hakt_process_kill(process);
	hakt_process_end(process);
}

int hakt_mortal_make_blocks(const void *context)
{
	struct hakt_mortal_shared *shared = hakt_mortal_shared;

	(void)context;
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		char *block = hakmem_malloc(hakt_mortal_sizes[i]);

		HAKT_EXPECT(block && hakmem_malloc(hakt_mortal_sizes[i]));
		hakt_mortal_fill(block, hakt_mortal_sizes[i], i);
		shared->refs[i] = hakmem_ref(block);
		HAKT_EXPECT(shared->refs[i]);
	}
	shared->other = hakmem_ref(hakmem_malloc(64));
	hakt_child_say("made");
	hakt_child_wait();
	return 0;
}

int hakt_mortal_make_run(const void *context)
{
	char *block = hakmem_malloc(5000000);

	(void)context;
	HAKT_EXPECT(block);
	hakt_mortal_shared->other = hakmem_ref(block);
	hakt_mortal_shared->holder = hakc_self->heap->holder;
	hakt_child_say("made");
	hakt_child_wait();
	return 0;
}
