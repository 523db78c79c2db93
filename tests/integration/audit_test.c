/* SPDX-License-Identifier: MIT */
/*
 * check of hakmemctl, and leaks of what is planted, against a real daemon: nothing is told of
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
#include "tests/support/audit.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"
#include "tests/support/random.h"

#define N_AUDITS 60u
#define WORKERS	 4u
#define BLOCKS	 1100u /* of a slot each; more than hakmemctl lists anomalies */
#define LISTED	 1024u
#define PAGES	 400u /* of a slot each; anomalies of three pages */

static struct hakt_group group;

static size_t random_size(uint64_t r)
{
	if (r % 100 < 75)
		return 1 + (r >> 8) % 4096;
	if (r % 100 < 96)
		return 1 + (r >> 8) % 400000;
	return (UINT64_C(1) << HAKT_AUDIT_LG) + (r >> 8) % (6u << 20); /* huge */
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
		json_t *json = hakt_audit_check(0);

		n_slabs += hakt_json_number(json, "slabs") + hakt_json_number(json, "spans");
		json_decref(json);
	}
	assert_true(n_slabs >= N_AUDITS * WORKERS);
	for (unsigned i = 0; i < WORKERS; i++)
		kill_worker(&workers[i]);
	hakt_daemon_wait_empty(&hakt_audited);
	hakt_audit_check_clean();
}

static void test_a_process_that_is_killed_at_work_is_clean(void **state)
{
	struct hakt_process workers[WORKERS];

	(void)state;
	start_workers(workers);
	for (unsigned i = 0; i < WORKERS; i++) {
		hakt_audit_check_clean();
		kill_worker(&workers[i]);
		for (unsigned k = 0; k < 8; k++) /* while it is being collected, and after */
			hakt_audit_check_clean();
	}
	hakt_daemon_wait_empty(&hakt_audited);
	hakt_audit_check_clean();
}

static void test_processes_that_exchange_blocks_and_die_are_clean(void **state)
{
	uint64_t seed = hakt_random_seed();

	(void)state;
	hakt_group_init(&group, WORKERS);
	for (unsigned i = 0; i < WORKERS; i++)
		hakt_group_start(&group, i, hakt_random(&seed), 0, i >= 2);
	for (unsigned round = 0; round < 10; round++) {
		hakt_audit_check_clean();
		hakt_group_kill(&group, 2);
		hakt_audit_check_clean();
		hakt_group_start(&group, 2, hakt_random(&seed), 0, true);
		hakt_audit_check_clean();
	}
	hakt_group_kill(&group, 2);
	hakt_group_kill(&group, 3);
	hakt_group_tell_all(&group, 2, HAKT_STOP);
	hakt_group_tell_all(&group, 2, HAKT_DRAIN);
	hakt_audit_check_clean();
	hakt_group_exit(&group, 2);
	hakt_group_deinit(&group);
	hakt_daemon_wait_empty(&hakt_audited);
	hakt_audit_check_clean();
}

#define MAILBOX 64u
#define KILLS	40u

static hak_u64 *mailbox; /* refs on their way, shared by all */

/* Passes blocks on by refs and takes those of others, until it is killed. */
static int pass_on(const void *context)
{
	uint64_t seed = *(const uint64_t *)context;
	void *held[24] = {0};

	for (uint64_t i = 0; i < UINT64_MAX; i++) {
		uint64_t r = hakt_random(&seed);
		hak_u64 *letter = &mailbox[r % MAILBOX];
		uint64_t ref = hak_load_acquire(letter);
		void **at = &held[(r >> 32) % 24], *block;

		if (ref && hak_cas_acq_rel(letter, &ref, 0) && hakmem_take(ref, &block) == 0) {
			hakmem_free(*at);
			*at = block;
		} else if (!ref) {
			/* What was taken is passed on by the next one too. */
			block = *at && r >> 60 ? *at : hakmem_malloc(random_size(r >> 8));
			*at = block == *at ? NULL : *at;
			if (block && !hak_cas_acq_rel(letter, &ref, hakmem_ref(block)))
				hakmem_free(block);
		}
		if (i % 512 == 511)
			hakmem_trim();
		if (i == 1000)
			hakt_child_say("at work");
	}
	return 0;
}

static void check_no_leak(void)
{
	json_t *json = hakt_ctl(hakt_audited.socket, "leaks"); /* exit code 0 */

	assert_int_equal(hakt_json_number(json_object_get(json, "nobody"), "live_blocks"), 0);
	json_decref(json);
}

static void test_processes_that_pass_blocks_on_and_die_are_clean(void **state)
{
	struct hakt_process workers[WORKERS];
	uint64_t seed = hakt_random_seed();

	(void)state;
	mailbox = mmap(NULL, MAILBOX * sizeof(*mailbox), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(mailbox != MAP_FAILED);
	for (unsigned i = 0; i < KILLS + WORKERS; i++) {
		struct hakt_process *worker = &workers[i % WORKERS];
		uint64_t own = hakt_random(&seed);

		if (i >= WORKERS)
			kill_worker(worker);
		hakt_audit_check_clean();
		check_no_leak();
		*worker = (struct hakt_process){0};
		hakt_process_fork(worker, pass_on, &own);
		hakt_process_wait_output(worker, 1, "at work");
		hakt_audit_check_clean();
	}
	for (unsigned i = 0; i < WORKERS; i++)
		kill_worker(&workers[i]);
	check_no_leak();
	hakt_daemon_wait_empty(&hakt_audited);
	hakt_audit_check_clean();
	assert_int_equal(munmap(mailbox, MAILBOX * sizeof(*mailbox)), 0);
}

static void test_a_scribbled_slab_word_is_named_and_is_exit_code_6(void **state)
{
	char *block = hakmem_malloc(100000), place[64];
	uint32_t slot;
	json_t *json, *anomaly;
	uint64_t w;

	(void)state;
	assert_non_null(block);
	hakt_audit_find_segment();
	slot = hakt_audit_slot_of(block);
	hakt_audit_check_clean();
	w = hakt_audit_scribble(slot);
	json = hakt_audit_check(6);
	anomaly = json_array_get(json_object_get(json, "anomalies"), 0);
	assert_int_equal(hakt_json_number(json, "anomaly_count"), 1);
	assert_string_equal(hakt_json_string(anomaly, "kind"), "owner");
	assert_int_equal(hakt_json_number(anomaly, "superslab"), slot / 32);
	assert_int_equal(hakt_json_number(anomaly, "slot"), slot % 32);
	assert_int_equal(hakt_json_number(anomaly, "offset"), (uint64_t)slot << HAK_SLOT_LG);
	assert_int_equal(hakt_json_number(anomaly, "owner"), hak_slab_owner(w));
	assert_non_null(strstr(hakt_json_string(anomaly, "text"), "holder 4000"));
	json_decref(json);
	snprintf(place, sizeof(place), "owner: SuperSlab %u, slot %u, offset 0x%llx", slot / 32,
		 slot % 32, (unsigned long long)slot << HAK_SLOT_LG);
	hakt_audit_expect_line("check", 6, place);
	hakt_audit_expect_line("check", 6, " blocks live: 1 anomalies\n");
	hak_store_relaxed(&hakt_audit_segment.slab_words[slot], w);
	hakt_audit_expect_line("check", 0, " blocks live: clean\n");
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
	hakt_audit_find_segment();
	for (unsigned i = 0; i < BLOCKS; i++)
		words[i] = hakt_audit_scribble(hakt_audit_slot_of(blocks[i]));
	json = hakt_audit_check(6);
	assert_int_equal(hakt_json_number(json, "anomaly_count"), BLOCKS);
	assert_int_equal(hakt_json_number(json, "unlisted_anomalies"), BLOCKS - LISTED);
	json_decref(json);
	snprintf(text, sizeof(text), "and %u more\nchecked ", BLOCKS - LISTED);
	hakt_audit_expect_line("check", 6, text);
	for (unsigned i = 0; i < BLOCKS; i++)
		hak_store_relaxed(&hakt_audit_segment.slab_words[hakt_audit_slot_of(blocks[i])],
				  words[i]);
	hakt_audit_check_clean();
	for (unsigned i = 0; i < BLOCKS; i++)
		hakmem_free(blocks[i]);
}

/* check finds one thing, of that kind, at that block; and leaks so many blocks of nobody. */
static void expect_block(const char *kind, const char *block, const char *text, long long n_lost)
{
	json_t *json = hakt_audit_check(6),
	       *anomaly = json_array_get(json_object_get(json, "anomalies"), 0);
	int exit_code;

	assert_int_equal(hakt_json_number(json, "anomaly_count"), 1);
	assert_string_equal(hakt_json_string(anomaly, "kind"), kind);
	assert_int_equal(hakt_json_number(anomaly, "slot"), hakt_audit_slot_of(block) % 32);
	assert_int_equal(hakt_json_number(anomaly, "offset"),
			 (uintptr_t)block - hakt_audit_segment.base);
	assert_non_null(strstr(hakt_json_string(anomaly, "text"), text));
	json_decref(json);
	json = hakt_ctl_judge(hakt_audited.socket, "leaks", &exit_code);
	assert_int_equal(exit_code, n_lost ? 6 : 0);
	assert_int_equal(hakt_json_number(json_object_get(json, "nobody"), "live_blocks"), n_lost);
	json_decref(json);
}

static void test_a_scribbled_tag_is_named_and_a_leak_if_it_names_nobody(void **state)
{
	char *block = hakmem_malloc(100), *next = hakmem_malloc(100);
	struct hak_location l;
	json_t *json;
	hak_u32 *tag;
	uint32_t was;

	(void)state;
	assert_true(hakmem_ref(next) != 0); /* its slab has tags now */
	hakt_audit_find_segment();
	l = hak_segment_locate(&hakt_audit_segment, (uintptr_t)block);
	tag = &hak_segment_tags(&hakt_audit_segment, l.slot)[l.index];
	was = hak_load_relaxed(tag);
	hakt_audit_check_clean();
	hak_store_relaxed(tag, hak_tag_pack(HAK_TAG_OWNED, HAKT_AUDIT_STRANGER, 1));
	expect_block("leaked", block, "holder 4000's, which is not there", 1);
	hak_store_relaxed(tag, hak_tag_pack(HAK_TAG_FREEING, HAKT_AUDIT_STRANGER, 1));
	expect_block("leaked", block, "holder 4000's, which is not there", 1);
	hak_store_relaxed(tag, hak_tag_pack(HAK_TAG_FREED, 0, 1));
	expect_block("nobody", block, "nobody's and not free", 1);
	hak_store_relaxed(tag, hak_tag_pack(HAK_TAG_NONE, HAKT_AUDIT_STRANGER, 1));
	expect_block("tag", block, "which no block can have", 1);
	hak_slab_free(&hak_segment_bits(&hakt_audit_segment, l.slot)[l.index / 64],
		      UINT64_C(1) << l.index % 64);
	hak_store_relaxed(tag, hak_tag_pack(HAK_TAG_OWNED, HAKT_AUDIT_STRANGER, 1));
	expect_block("held", block, "is free, and holder 4000 owns it", 0);
	hak_and_acquire(&hak_segment_bits(&hakt_audit_segment, l.slot)[l.index / 64],
			~(UINT64_C(1) << l.index % 64));
	hak_store_relaxed(tag, hak_tag_pack(HAK_TAG_OWNED, HAK_HOLDER_ROOT, 1));
	expect_block("nameless", block, "is the roots', and no root names it", 0);
	json = hakt_ctl(hakt_audited.socket, "leaks");
	assert_int_equal(hakt_json_number(json_object_get(json, "root"), "live_blocks"), 1);
	assert_int_equal(hakt_json_number(json_object_get(json, "root"), "live_bytes"),
			 hak_classes[hak_slab_class(l.word)].size);
	json_decref(json);
	hak_store_relaxed(tag, was);
	hakt_audit_check_clean();
	hakmem_free(block);
	hakmem_free(next);
}

/* What the words of a grant under way look like, where the daemon has none under way. */
static void test_an_owner_in_a_superslab_that_is_free_is_named(void **state)
{
	uint32_t slot = (uint32_t)(HAKT_AUDIT_CAPACITY >> HAK_SLOT_LG) - 3;
	char *block = hakmem_malloc(100000);
	json_t *json, *anomaly;
	unsigned own;

	(void)state;
	assert_non_null(block);
	hakt_audit_find_segment();
	own = hak_slab_owner(
		hak_load_relaxed(&hakt_audit_segment.slab_words[hakt_audit_slot_of(block)]));
	hak_store_relaxed(&hakt_audit_segment.slab_words[slot],
			  hak_slab_pack(HAK_SLAB_UNUSED, 1, own, 0));
	json = hakt_audit_check(6);
	anomaly = json_array_get(json_object_get(json, "anomalies"), 0);
	assert_int_equal(hakt_json_number(json, "anomaly_count"), 1);
	assert_string_equal(hakt_json_string(anomaly, "kind"), "freed");
	assert_int_equal(hakt_json_number(anomaly, "superslab"), slot / 32);
	assert_int_equal(hakt_json_number(anomaly, "slot"), slot % 32);
	json_decref(json);
	hak_store_relaxed(&hakt_audit_segment.slab_words[slot], 0);
	hakt_audit_check_clean();
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
	setenv("HAKMEM_SOCKET", hakt_audited.socket, 1);
}

/* The daemon's registry, writable: as a daemon with a bug would have it. */
static struct hak_holder *map_holders(void **ret_registry, uint64_t *ret_bytes)
{
	char directory[64], path[384], target[64];
	struct hak_geometry g;
	struct dirent *entry;
	int fd = -1;
	DIR *dir;

	assert_int_equal(hak_geometry_init(&g, HAKT_AUDIT_CAPACITY, HAKT_AUDIT_LG), 0);
	snprintf(directory, sizeof(directory), "/proc/%d/fd", (int)hakt_audited.pid);
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
	hakt_audit_find_segment();
	holders = map_holders(&registry, &bytes);
	own = hak_slab_owner(
		hak_load_relaxed(&hakt_audit_segment.slab_words[hakt_audit_slot_of(block)]));
	word = hak_load_relaxed(&holders[own].word);
	hak_store_relaxed(&holders[own].word, hak_holder_pack(HAK_HOLDER_FREE, 1));
	json = hakt_ctl_judge(hakt_audited.socket, "leaks", &exit_code);
	nobody = json_object_get(json, "nobody");
	assert_int_equal(exit_code, 6);
	assert_true(hakt_json_number(nobody, "live_blocks") >= 1);
	assert_true(hakt_json_number(nobody, "live_bytes") >= 100000);
	json_decref(json);
	json = hakt_audit_check(6);
	assert_string_equal(
		hakt_json_string(json_array_get(json_object_get(json, "anomalies"), 0), "kind"),
		"holder");
	json_decref(json);
	hak_store_relaxed(&holders[own].word,
			  hak_holder_pack(HAK_HOLDER_ATTACHED, hak_holder_generation(word) - 1));
	json = hakt_audit_check(6);
	assert_string_equal(
		hakt_json_string(json_array_get(json_object_get(json, "anomalies"), 0), "kind"),
		"generation");
	json_decref(json);
	hak_store_relaxed(&holders[own].word, word);
	hakt_audit_check_clean();
	assert_int_equal(munmap(registry, bytes), 0);
	hakmem_free(block);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_processes_that_allocate_and_free_are_clean),
	cmocka_unit_test(test_a_process_that_is_killed_at_work_is_clean),
	cmocka_unit_test(test_processes_that_exchange_blocks_and_die_are_clean),
	cmocka_unit_test(test_processes_that_pass_blocks_on_and_die_are_clean),
	cmocka_unit_test(test_a_scribbled_slab_word_is_named_and_is_exit_code_6),
	cmocka_unit_test(test_more_anomalies_than_are_listed_are_counted),
	cmocka_unit_test(test_a_scribbled_tag_is_named_and_a_leak_if_it_names_nobody),
	cmocka_unit_test(test_an_owner_in_a_superslab_that_is_free_is_named),
	cmocka_unit_test(test_a_check_gives_no_memory_to_what_was_never_granted),
	cmocka_unit_test(test_blocks_whose_holder_is_not_there_are_a_leak),
};

HAKT_MAIN(tests, hakt_audit_start, hakt_audit_stop)
