/* SPDX-License-Identifier: MIT */
/* Another layout: a pool that was handed over, and a client that asks. Both are told what is what. */
#include "tests/support/run.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/wire/wire.h"
#include "tests/support/holding.h"
#include "tests/support/keeper.h"
#include "tests/support/words.h"

#define OLD_VERSION	2
#define OLD_FINGERPRINT UINT64_C(0x80b5a1eb44af1e50)
#define HEAP_MARK	"a block of theirs"

static int prepare(void **state)
{
	(void)state;
	hakt_keeper = (struct hakt_keeper){.has_log = true};
	hakt_keeper_init(&hakt_keeper, hakt_keeper_options);
	return 0;
}

static int make_file(off_t bytes)
{
	int fd = memfd_create("old", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	return fd;
}

/* A daemon of layout 2 has died, and its keeper has what it kept. */
static void put_old_pool(void)
{
	FILE *file = fopen(HAKT_DATA "/registry-layout-2.txt", "re");
	unsigned long long at, word, registry_bytes = 0, heap_bytes = 0;
	int registry = -1, heap;
	char line[128];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "registry %llu heap %llu", &registry_bytes, &heap_bytes) == 2)
			registry = make_file((off_t)registry_bytes);
		else if (sscanf(line, "%llx %llx", &at, &word) == 2)
			assert_int_equal(pwrite(registry, &word, sizeof(word), (off_t)at),
					 sizeof(word));
	}
	fclose(file);
	heap = make_file((off_t)heap_bytes);
	assert_int_equal(pwrite(heap, HEAP_MARK, sizeof(HEAP_MARK), (off_t)heap_bytes - 4096),
			 sizeof(HEAP_MARK));
	hakt_keeper_put(&hakt_keeper, "registry", registry);
	hakt_keeper_put(&hakt_keeper, "heap", heap);
}

/*
 * What is in the old pool: the registry's bytes, and of the heap how much memory it has, which
 * any write elsewhere and any hole would change, and the page where something is.
 */
struct contents {
	char registry[400000], heap[4096];
	off_t heap_bytes;
	blkcnt_t heap_blocks;
};

static void read_contents(struct contents *c)
{
	int registry = hakt_keeper_find(&hakt_keeper, "registry");
	int heap = hakt_keeper_find(&hakt_keeper, "heap");
	struct stat st;

	assert_int_equal(fstat(registry, &st), 0);
	assert_true((size_t)st.st_size <= sizeof(c->registry));
	assert_int_equal(pread(registry, c->registry, sizeof(c->registry), 0), st.st_size);
	assert_int_equal(fstat(heap, &st), 0);
	c->heap_bytes = st.st_size;
	c->heap_blocks = st.st_blocks;
	assert_int_equal(pread(heap, c->heap, sizeof(c->heap), st.st_size - 4096), 4096);
}

/* The daemon names both, says what to do, and ends with exit code 2. */
static void expect_refused(unsigned version, uint64_t fingerprint)
{
	char theirs[64], ours[64], *log;

	snprintf(theirs, sizeof(theirs), "layout %u (%016llx)", version,
		 (unsigned long long)fingerprint);
	snprintf(ours, sizeof(ours), "has %u (%016llx)", HAK_LAYOUT_VERSION,
		 (unsigned long long)hak_layout_fingerprint());
	hakt_keeper_fork(&hakt_keeper, NULL, NULL);
	assert_int_equal(hakt_keeper_wait_end(&hakt_keeper), 2);
	assert_int_equal(hakt_keeper.n_ready, 0);
	log = hakt_keeper_log(&hakt_keeper);
	assert_non_null(strstr(log, theirs));
	assert_non_null(strstr(log, ours));
	assert_non_null(strstr(log, "start the version that made it"));
	assert_non_null(strstr(log, "systemctl stop"));
	free(log);
}

static void test_a_pool_of_layout_2_is_refused_and_stays_as_it_is(void **state)
{
	static struct contents before, after;

	(void)state;
	put_old_pool();
	read_contents(&before);
	assert_string_equal(before.heap, HEAP_MARK);
	expect_refused(OLD_VERSION, OLD_FINGERPRINT);
	assert_int_equal(hakt_keeper.n_kept, 2);
	read_contents(&after);
	assert_memory_equal(&after, &before, sizeof(before));
	/* What it says can be done: that pool has ended, and a new one is made. */
	hakt_keeper_remove(&hakt_keeper, "registry");
	hakt_keeper_remove(&hakt_keeper, "heap");
	hakt_keeper_start(&hakt_keeper);
	hakt_keeper_expect_clean(&hakt_keeper);
}

/* The same version, built with another struct. */
static void test_another_fingerprint_is_refused_like_another_version(void **state)
{
	struct hakt_process client;
	struct hakt_words words;

	(void)state;
	hakt_keeper_start(&hakt_keeper);
	hakt_holding_start(&client, "a");
	hakt_keeper_kill(&hakt_keeper);
	hakt_words_init(&words, hakt_keeper_find(&hakt_keeper, "registry"));
	words.header->fingerprint ^= 1;
	expect_refused(HAK_LAYOUT_VERSION, hak_layout_fingerprint() ^ 1);
	words.header->fingerprint ^= 1;
	hakt_words_deinit(&words);
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(hakt_daemon_status(&hakt_keeper.daemon).clients, 1);
	hakt_holding_expect_intact(&client);
	hakt_holding_kill(&client);
}

static void test_a_client_of_another_layout_gets_EPROTO_and_logs_both(void **state)
{
	struct hakt_process client = {0};
	const char *log;
	char ours[64];

	(void)state;
	hakt_keeper_start(&hakt_keeper);
	hakt_process_run(&client, HAKT_LIST(HAKT_HAKT_CLIENT_V99));
	assert_int_equal(client.exit_code, 0);
	assert_string_equal(hakt_process_output(&client, 1), "attach: EPROTO\nmalloc: EPROTO\n");
	log = hakt_process_output(&client, 2);
	snprintf(ours, sizeof(ours), "the daemon %u and %u (%016llx)", HAK_PROTOCOL_VERSION,
		 HAK_LAYOUT_VERSION, (unsigned long long)hak_layout_fingerprint());
	assert_non_null(strstr(log, "layout 99"));
	assert_non_null(strstr(log, ours));
	hakt_process_end(&client);
	assert_int_equal(hakt_daemon_status(&hakt_keeper.daemon).clients, 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_pool_of_layout_2_is_refused_and_stays_as_it_is,
					prepare, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_another_fingerprint_is_refused_like_another_version,
					prepare, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_client_of_another_layout_gets_EPROTO_and_logs_both,
					prepare, hakt_keeper_teardown),
};

HAKT_MAIN(tests, NULL, NULL)
