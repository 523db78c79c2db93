/* SPDX-License-Identifier: MIT */
/*
 * check and leaks of hakmemctl, against a real daemon: nothing is told of
 * processes at work, dying, or dead; what a client or the registry has wrong is.
 */
#include "tests/support/run.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "proto/shm/check.h"
#include "tests/stress/group.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"
#include "tests/support/random.h"

#define CAPACITY (UINT64_C(1) << 30)
#define LG	 21u
#define N_AUDITS 60u
#define WORKERS	 4u
#define BLOCKS	 1100u /* of a slot each; more than hakmemctl lists anomalies */
#define LISTED	 1024u
#define STRANGER 4000u /* a holder slot that is free */

static struct hakt_daemon hakd;
static struct hakt_group group;
static struct hak_segment segment; /* this process's own mapping, of libhakmem */

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd,
			  HAKT_LIST("--limit", "256M", "--capacity", "1G", "--log-level", "warn"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakd);
}

static long long number(json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	if (!json_is_integer(value))
		fail_msg("%s is no whole number", name);
	return json_integer_value(value);
}

static const char *string(json_t *object, const char *name)
{
	const char *value = json_string_value(json_object_get(object, name));

	if (!value)
		fail_msg("%s is no string", name);
	return value;
}

/* check, whose exit code must be that; to be released. */
static json_t *check(int expected)
{
	int exit_code;
	json_t *json = hakt_ctl_judge(hakd.socket, "check", &exit_code);

	if (exit_code != expected)
		fail_msg("exit code %d: %s", exit_code, json_dumps(json, 0));
	assert_int_equal(number(json, "schema_version"), 1);
	assert_int_equal(number(json, "anomaly_count"),
			 number(json, "unlisted_anomalies") +
				 (long long)json_array_size(json_object_get(json, "anomalies")));
	assert_int_equal(number(json, "anomaly_count") > 0, expected == 6);
	return json;
}

static void check_clean(void)
{
	json_decref(check(0));
}

/* The text that ends the output of check, or of leaks, for people. */
static void expect_line(const char *verb, int exit_code, const char *text)
{
	struct hakt_process ctl = {0};

	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "--socket", hakd.socket, verb));
	if (ctl.exit_code != exit_code || !strstr(hakt_process_output(&ctl, 1), text))
		fail_msg("exit code %d, stdout: %s", ctl.exit_code, hakt_process_output(&ctl, 1));
	hakt_process_end(&ctl);
}

static size_t random_size(uint64_t r)
{
	if (r % 100 < 75)
		return 1 + (r >> 8) % 4096;
	if (r % 100 < 96)
		return 1 + (r >> 8) % 400000;
	return (UINT64_C(1) << LG) + (r >> 8) % (6u << 20); /* huge */
}

/* Allocates, frees and resizes until it is killed. */
static int work(const void *context)
{
	uint64_t seed = *(const uint64_t *)context;
	void *blocks[48] = {0};

	for (uint64_t i = 0; i < UINT64_MAX; i++) {
		uint64_t r = hakt_random(&seed);
		void **block = &blocks[(r >> 32) % 48];

		if (*block && r & 1 << 30) {
			void *moved = hakmem_realloc(*block, random_size(hakt_random(&seed)));

			*block = moved ? moved : *block;
		} else {
			hakmem_free(*block);
			*block = hakmem_malloc(random_size(r));
		}
		if (i % 512 == 511)
			hakmem_trim();
		if (i == 1000)
			hakt_child_say("at work");
	}
	return 0;
}

static void start_workers(struct hakt_process workers[WORKERS])
{
	uint64_t seed = hakt_random_seed();

	for (unsigned i = 0; i < WORKERS; i++) {
		uint64_t own = hakt_random(&seed);

		workers[i] = (struct hakt_process){0};
		hakt_process_fork(&workers[i], work, &own);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		hakt_process_wait_output(&workers[i], 1, "at work");
}

static void kill_worker(struct hakt_process *worker)
{
	assert_int_equal(kill(worker->pid, SIGKILL), 0);
	hakt_process_wait(worker);
	assert_int_equal(worker->signal, SIGKILL); /* it was at work until now */
	hakt_process_end(worker);
}

static void test_processes_that_allocate_and_free_are_clean(void **state)
{
	struct hakt_process workers[WORKERS];
	long long n_slabs = 0;

	(void)state;
	start_workers(workers);
	for (unsigned i = 0; i < N_AUDITS; i++) {
		json_t *json = check(0);

		n_slabs += number(json, "slabs") + number(json, "spans");
		json_decref(json);
	}
	assert_true(n_slabs >= N_AUDITS * WORKERS);
	for (unsigned i = 0; i < WORKERS; i++)
		kill_worker(&workers[i]);
	hakt_daemon_wait_empty(&hakd);
	check_clean();
}

static void test_a_process_that_is_killed_at_work_is_clean(void **state)
{
	struct hakt_process workers[WORKERS];

	(void)state;
	start_workers(workers);
	for (unsigned i = 0; i < WORKERS; i++) {
		check_clean();
		kill_worker(&workers[i]);
		for (unsigned k = 0; k < 8; k++) /* while it is being collected, and after */
			check_clean();
	}
	hakt_daemon_wait_empty(&hakd);
	check_clean();
}

static void test_processes_that_exchange_blocks_and_die_are_clean(void **state)
{
	uint64_t seed = hakt_random_seed();

	(void)state;
	hakt_group_init(&group, WORKERS);
	for (unsigned i = 0; i < WORKERS; i++)
		hakt_group_start(&group, i, hakt_random(&seed), 0, i >= 2);
	for (unsigned round = 0; round < 10; round++) {
		check_clean();
		hakt_group_kill(&group, 2);
		check_clean();
		hakt_group_start(&group, 2, hakt_random(&seed), 0, true);
		check_clean();
	}
	hakt_group_kill(&group, 2);
	hakt_group_kill(&group, 3);
	hakt_group_tell_all(&group, 2, HAKT_STOP);
	hakt_group_tell_all(&group, 2, HAKT_DRAIN);
	check_clean();
	hakt_group_exit(&group, 2);
	hakt_group_deinit(&group);
	hakt_daemon_wait_empty(&hakd);
	check_clean();
}

/* Finds the heap that libhakmem has mapped. */
static void find_segment(void)
{
	json_t *status = hakt_ctl(hakd.socket, "status");
	json_t *pool = json_array_get(json_object_get(status, "pools"), 0);
	uintptr_t base = strtoull(string(pool, "base"), NULL, 16);
	static struct hak_registry no_registry;
	struct hak_geometry g;

	assert_int_equal(hak_geometry_init(&g, CAPACITY, LG), 0);
	hak_segment_init(&segment, &g, &no_registry, (void *)(base - g.data_at));
	json_decref(status);
}

static uint32_t slot_of(const void *block)
{
	uintptr_t offset = (uintptr_t)block - segment.base;

	assert_true(offset < CAPACITY);
	return (uint32_t)(offset >> HAK_SLOT_LG);
}

/* Names another owner in the slab word of a block; the word as it was. */
static uint64_t scribble(uint32_t slot)
{
	uint64_t w = hak_load_relaxed(&segment.slab_words[slot]);

	hak_store_relaxed(&segment.slab_words[slot],
			  (w & ~(UINT64_C(0xfff) << HAK_SLAB_OWNER_SHIFT)) |
				  (uint64_t)STRANGER << HAK_SLAB_OWNER_SHIFT);
	return w;
}

static void test_a_scribbled_slab_word_is_named_and_is_exit_code_6(void **state)
{
	char *block = hakmem_malloc(100000), place[64];
	uint32_t slot;
	json_t *json, *anomaly;
	uint64_t w;

	(void)state;
	assert_non_null(block);
	find_segment();
	slot = slot_of(block);
	check_clean();
	w = scribble(slot);
	json = check(6);
	anomaly = json_array_get(json_object_get(json, "anomalies"), 0);
	assert_int_equal(number(json, "anomaly_count"), 1);
	assert_string_equal(string(anomaly, "kind"), "owner");
	assert_int_equal(number(anomaly, "superslab"), slot / 32);
	assert_int_equal(number(anomaly, "slot"), slot % 32);
	assert_int_equal(number(anomaly, "offset"), (uint64_t)slot << HAK_SLOT_LG);
	assert_int_equal(number(anomaly, "owner"), hak_slab_owner(w));
	assert_non_null(strstr(string(anomaly, "text"), "holder 4000"));
	json_decref(json);
	snprintf(place, sizeof(place), "owner: SuperSlab %u, slot %u, offset 0x%llx", slot / 32,
		 slot % 32, (unsigned long long)slot << HAK_SLOT_LG);
	expect_line("check", 6, place);
	expect_line("check", 6, " blocks live: 1 anomalies\n");
	hak_store_relaxed(&segment.slab_words[slot], w);
	expect_line("check", 0, " blocks live: clean\n");
	hakmem_free(block);
}

static void test_more_anomalies_than_are_listed_are_counted(void **state)
{
	static void *blocks[BLOCKS];
	static uint64_t words[BLOCKS];
	char text[64];
	json_t *json;

	(void)state;
	for (unsigned i = 0; i < BLOCKS; i++) {
		blocks[i] = hakmem_malloc(HAK_SLOT_BYTES);
		assert_non_null(blocks[i]);
	}
	find_segment();
	for (unsigned i = 0; i < BLOCKS; i++)
		words[i] = scribble(slot_of(blocks[i]));
	json = check(6);
	assert_int_equal(number(json, "anomaly_count"), BLOCKS);
	assert_int_equal(number(json, "unlisted_anomalies"), BLOCKS - LISTED);
	json_decref(json);
	snprintf(text, sizeof(text), "and %u more\nchecked ", BLOCKS - LISTED);
	expect_line("check", 6, text);
	for (unsigned i = 0; i < BLOCKS; i++)
		hak_store_relaxed(&segment.slab_words[slot_of(blocks[i])], words[i]);
	check_clean();
	for (unsigned i = 0; i < BLOCKS; i++)
		hakmem_free(blocks[i]);
}

/* What the words of a grant under way look like, where the daemon has none under way. */
static void test_an_owner_in_a_superslab_that_is_free_is_named(void **state)
{
	uint32_t slot = (uint32_t)(CAPACITY >> HAK_SLOT_LG) - 3;
	char *block = hakmem_malloc(100000);
	json_t *json, *anomaly;
	unsigned own;

	(void)state;
	assert_non_null(block);
	find_segment();
	own = hak_slab_owner(hak_load_relaxed(&segment.slab_words[slot_of(block)]));
	hak_store_relaxed(&segment.slab_words[slot], hak_slab_pack(HAK_SLAB_UNUSED, 1, own, 0));
	json = check(6);
	anomaly = json_array_get(json_object_get(json, "anomalies"), 0);
	assert_int_equal(number(json, "anomaly_count"), 1);
	assert_string_equal(string(anomaly, "kind"), "freed");
	assert_int_equal(number(anomaly, "superslab"), slot / 32);
	assert_int_equal(number(anomaly, "slot"), slot % 32);
	json_decref(json);
	hak_store_relaxed(&segment.slab_words[slot], 0);
	check_clean();
	hakmem_free(block);
}

/* An audit looks only at what has been written: a check must not make a large pool resident. */
static void test_a_check_gives_no_memory_to_what_was_never_granted(void **state)
{
	static const char *const options[] = {"--limit",     "8M",   "--capacity", "256G",
					      "--log-level", "warn", NULL};
	struct hakt_daemon large;
	unsigned long long before, after = 0;

	(void)state;
	hakt_daemon_start(&large, options); /* its audit is of several pages */
	before = hakt_daemon_status(&large).resident_bytes;
	for (unsigned i = 0; i < 3; i++) {
		json_decref(hakt_ctl(large.socket, "check"));
		after = hakt_daemon_status(&large).resident_bytes;
	}
	/* Its reserve is as large as the limit at most; its slab words would be 32 MiB more. */
	assert_true(after <= before + (16u << 20));
	hakt_daemon_stop(&large);
	setenv("HAKMEM_SOCKET", hakd.socket, 1);
}

static int hold_blocks(const void *context)
{
	unsigned n = *(const unsigned *)context;

	for (unsigned i = 0; i < n; i++)
		HAKT_EXPECT(hakmem_malloc(100000));
	hakt_child_say("holds");
	hakt_child_wait();
	hakmem_detach();
	return 0;
}

static json_t *owner_of_pid(json_t *leaks, pid_t pid)
{
	json_t *owners = json_object_get(leaks, "owners");

	for (size_t i = 0; i < json_array_size(owners); i++)
		if (number(json_array_get(owners, i), "pid") == pid)
			return json_array_get(owners, i);
	fail_msg("no owner has pid %d", (int)pid);
	return NULL;
}

static void test_leaks_lists_owners_with_their_blocks(void **state)
{
	static const unsigned counts[2] = {7, 100};
	struct hakt_process children[2] = {{0}};
	json_t *leaks, *nobody;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		hakt_process_fork(&children[i], hold_blocks, &counts[i]);
		hakt_process_wait_output(&children[i], 1, "holds");
	}
	leaks = hakt_ctl(hakd.socket, "leaks");
	nobody = json_object_get(leaks, "nobody");
	assert_int_equal(number(leaks, "schema_version"), 1);
	for (unsigned i = 0; i < 2; i++) {
		json_t *owner = owner_of_pid(leaks, children[i].pid);

		assert_true(number(owner, "holder") >= HAK_HOLDER_FIRST);
		assert_string_equal(string(owner, "name"), "audit_test");
		assert_string_equal(string(owner, "state"), "attached");
		assert_true(number(owner, "age_seconds") >= 0);
		assert_int_equal(number(owner, "live_blocks"), counts[i]);
		assert_int_equal(number(owner, "live_bytes"), counts[i] * 2 * HAK_SLOT_BYTES);
	}
	assert_int_equal(number(nobody, "live_blocks"), 0);
	assert_int_equal(number(nobody, "live_bytes"), 0);
	json_decref(leaks);
	expect_line("leaks", 0, "nobody's: 0 blocks, 0 B\n");
	for (unsigned i = 0; i < 2; i++) {
		hakt_process_tell(&children[i]);
		hakt_process_wait_done(&children[i]);
		hakt_process_end(&children[i]);
	}
}

/* The daemon's registry, writable: as a daemon with a bug would have it. */
static struct hak_holder *map_holders(void **ret_registry, uint64_t *ret_bytes)
{
	char directory[64], path[384], target[64];
	struct hak_geometry g;
	struct dirent *entry;
	int fd = -1;
	DIR *dir;

	assert_int_equal(hak_geometry_init(&g, CAPACITY, LG), 0);
	snprintf(directory, sizeof(directory), "/proc/%d/fd", (int)hakd.pid);
	dir = opendir(directory);
	assert_non_null(dir);
	while (fd < 0 && (entry = readdir(dir))) {
		ssize_t n;

		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = 0;
		if (strncmp(target, "/memfd:hakmem-registry", 22) == 0 && chmod(path, 0644) == 0)
			fd = open(path, O_RDWR | O_CLOEXEC);
	}
	closedir(dir);
	assert_true(fd >= 0);
	*ret_bytes = g.registry_bytes;
	*ret_registry = mmap(NULL, g.registry_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(*ret_registry != MAP_FAILED);
	close(fd);
	return (void *)((char *)*ret_registry + HAK_REGISTRY_HOLDERS_AT);
}

static void test_blocks_whose_holder_is_not_there_are_a_leak(void **state)
{
	char *block = hakmem_malloc(100000);
	struct hak_holder *holders;
	uint64_t bytes, word;
	json_t *json, *nobody;
	void *registry;
	unsigned own;
	int exit_code;

	(void)state;
	assert_non_null(block);
	find_segment();
	holders = map_holders(&registry, &bytes);
	own = hak_slab_owner(hak_load_relaxed(&segment.slab_words[slot_of(block)]));
	word = hak_load_relaxed(&holders[own].word);
	hak_store_relaxed(&holders[own].word, hak_holder_pack(HAK_HOLDER_FREE, 1));
	json = hakt_ctl_judge(hakd.socket, "leaks", &exit_code);
	nobody = json_object_get(json, "nobody");
	assert_int_equal(exit_code, 6);
	assert_true(number(nobody, "live_blocks") >= 1);
	assert_true(number(nobody, "live_bytes") >= 100000);
	json_decref(json);
	json = check(6);
	assert_string_equal(string(json_array_get(json_object_get(json, "anomalies"), 0), "kind"),
			    "holder");
	json_decref(json);
	hak_store_relaxed(&holders[own].word,
			  hak_holder_pack(HAK_HOLDER_ATTACHED, hak_holder_generation(word) - 1));
	json = check(6);
	assert_string_equal(string(json_array_get(json_object_get(json, "anomalies"), 0), "kind"),
			    "generation");
	json_decref(json);
	hak_store_relaxed(&holders[own].word, word);
	check_clean();
	assert_int_equal(munmap(registry, bytes), 0);
	hakmem_free(block);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_processes_that_allocate_and_free_are_clean),
	cmocka_unit_test(test_a_process_that_is_killed_at_work_is_clean),
	cmocka_unit_test(test_processes_that_exchange_blocks_and_die_are_clean),
	cmocka_unit_test(test_a_scribbled_slab_word_is_named_and_is_exit_code_6),
	cmocka_unit_test(test_more_anomalies_than_are_listed_are_counted),
	cmocka_unit_test(test_an_owner_in_a_superslab_that_is_free_is_named),
	cmocka_unit_test(test_a_check_gives_no_memory_to_what_was_never_granted),
	cmocka_unit_test(test_leaks_lists_owners_with_their_blocks),
	cmocka_unit_test(test_blocks_whose_holder_is_not_there_are_a_leak),
};

HAKT_MAIN(tests, start, stop)
