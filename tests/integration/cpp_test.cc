/* SPDX-License-Identifier: MIT */
/* hakmem.hpp with a real daemon, which has two pools, and real processes. */
#include "tests/support/run.hpp"

#include "client_lib/include/hakmem.hpp"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <map>

#include <sys/mman.h>

using numbers = std::vector<int, hakmem::allocator<int>>;
using queue = std::deque<int, hakmem::allocator<int>>;
using text = std::basic_string<char, std::char_traits<char>, hakmem::allocator<char>>;
using texts = std::vector<text, hakmem::allocator<text>>;
using everywhere = std::vector<int, hakmem::offset_allocator<int>>;
using pooled = std::vector<int, hakmem::pool_allocator<int>>;
using pooled_everywhere = std::deque<int, hakmem::offset_pool_allocator<int>>;

enum { MANY = 10000, KILLS = 12 };

static const char settings[] = "[pool default]\ncapacity = 1G\nlimit = 64M\n"
			       "[pool video]\ncapacity = 1G\nlimit = 64M\n";
static const char *const pools[] = {"default", "video"};
static const char long_text[] = "long enough to have a buffer of its own, in a block of its own";

static struct hakt_daemon hakd;

/* What processes tell each other. */
static struct shared {
	hakmem_ref_t ref;
	int n_destroyed;
	std::atomic<int> n_rounds;
} * shared;

static int start(void **)
{
	static char file[128];
	static const char *const options[] = {"--config", file, "--log-level", "error", nullptr};

	hakt_daemon_prepare(&hakd);
	hakt_directory_write(hakd.directory, "conf", settings, strlen(settings));
	snprintf(file, sizeof(file), "%s/conf", hakd.directory);
	hakt_daemon_fork(&hakd, options, nullptr, nullptr);
	hakt_daemon_wait_listening(&hakd);
	shared = static_cast<struct shared *>(mmap(nullptr, sizeof(*shared), PROT_READ | PROT_WRITE,
						   MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	return shared == MAP_FAILED;
}

/* Audits the pools, of which nobody is a client any more; nothing may be left in them. */
static void expect_nothing_is_left()
{
	int exit_code;

	for (const char *pool : pools) {
		hakt_ctl_wait_pool_of(hakd.socket, pool, "clients", 0);
		hakt_ctl_wait_pool_of(hakd.socket, pool, "granted_superslabs", 0);
		assert_int_equal(hakt_ctl_pool_of(hakd.socket, pool, "anomalies"), 0);
	}
	json_decref(hakt_ctl_judge(hakd.socket, "check", &exit_code));
	assert_int_equal(exit_code, 0);
}

static int stop(void **)
{
	munmap(shared, sizeof(*shared));
	hakmem_detach();
	expect_nothing_is_left();
	return hakt_daemon_stop_empty(&hakd);
}

/* Nothing is alive, wherever it lies, whose ever it is; nothing that we freed was refused. */
static void expect_nothing_lives(hakmem_pool *pool)
{
	struct hakmem_stats stats;

	assert_int_equal(hakmem_trim_in(pool), 0);
	hakt_ctl_wait_pool_of(hakd.socket, pools[pool != nullptr], "live_blocks", 0);
	assert_int_equal(hakmem_stats_in(pool, &stats, sizeof(stats)), 0);
	assert_int_equal(stats.live_blocks, 0);
	assert_int_equal(stats.refused_frees, 0);
}

template <typename C> static bool counts_from(const C &container, int first, size_t n)
{
	if (container.size() != n)
		return false;
	for (int number : container)
		if (number != first++)
			return false;
	return true;
}

static int make_numbers(const void *)
{
	hakmem::unique_ptr<numbers> made = hakmem::make_unique<numbers>();

	for (int i = 0; i < MANY; i++)
		made->push_back(i);
	hakmem::publish("numbers", std::move(made));
	return made != nullptr;
}

static int grow_numbers(const void *)
{
	hakmem::unique_ptr<numbers> mine = hakmem::withdraw<numbers>("numbers");

	HAKT_EXPECT(mine && (*mine)[0] == -1);
	(*mine)[0] = 0;
	for (int i = MANY; i < 5 * MANY; i++)
		mine->push_back(i);
	HAKT_EXPECT(!hakmem::lookup<numbers>("numbers") && !hakmem::withdraw<numbers>("numbers"));
	hakmem::publish("numbers", std::move(mine));
	return hakmem_trim();
}

static void test_a_vector_of_one_process_is_changed_and_grown_by_others(void **)
{
	hakt_process_run_child(make_numbers, nullptr);
	hakt_ctl_wait_pool_of(hakd.socket, "default", "clients", 0);

	numbers *found = hakmem::lookup<numbers>("numbers");
	assert_non_null(found);
	assert_true(counts_from(*found, 0, MANY));
	(*found)[0] = -1;

	hakt_process_run_child(grow_numbers, nullptr);
	assert_ptr_equal(hakmem::lookup<numbers>("numbers"), found);
	assert_true(counts_from(*found, 0, 5 * MANY));
	hakmem::unique_ptr<numbers> mine = hakmem::withdraw<numbers>("numbers");
	assert_ptr_equal(mine.get(), found);
	assert_int_equal(hakmem_owner(mine->data(), nullptr), HAKMEM_OWNER_SELF);
	mine.reset();
	expect_nothing_lives(nullptr);
}

static int make_texts(const void *)
{
	hakmem::unique_ptr<texts> made = hakmem::make_unique<texts>();

	made->push_back("short");
	made->push_back(long_text);
	made->push_back("");
	hakmem::publish("texts", std::move(made));
	made = hakmem::make_unique<texts>();
	made->reserve(100);
	hakmem::publish("none", std::move(made));
	return 0;
}

static void test_strings_in_a_vector_outlive_who_published_them(void **)
{
	hakt_process_run_child(make_texts, nullptr);
	hakt_ctl_wait_pool_of(hakd.socket, "default", "clients", 0);

	hakmem::unique_ptr<texts> mine = hakmem::withdraw<texts>("texts");
	assert_int_equal(mine->size(), 3);
	assert_string_equal((*mine)[0].c_str(), "short");
	assert_string_equal((*mine)[1].c_str(), long_text);
	assert_string_equal((*mine)[2].c_str(), "");
	mine = hakmem::withdraw<texts>("none");
	assert_true(mine->empty());
	mine.reset();
	expect_nothing_lives(nullptr);
}

/* Adds to one end and takes away from the other, so that the deque's map grows too. */
static int turn_queue(const void *)
{
	queue *found = hakmem::object_of<queue>(shared->ref);

	HAKT_EXPECT(found && counts_from(*found, 0, MANY));
	for (int i = 0; i < MANY; i++) {
		found->push_back(MANY + i);
		if (i % 2)
			found->pop_front();
	}
	HAKT_EXPECT(hakmem_trim() == 0);
	hakt_child_say("turned");
	hakt_child_wait();
	return 0;
}

static void test_a_deque_is_changed_by_two_processes(void **)
{
	struct hakt_process process = {};
	hakmem::unique_ptr<queue> mine = hakmem::make_unique<queue>();

	for (int i = 0; i < MANY; i++)
		mine->push_back(i);
	shared->ref = hakmem::ref_of(mine.get());
	hakt_process_fork(&process, turn_queue, nullptr);
	hakt_process_wait_output(&process, 1, "turned");
	assert_true(counts_from(*mine, MANY / 2, MANY + MANY / 2));
	while (!mine->empty())
		mine->pop_back();
	mine.reset();
	hakt_process_tell(&process);
	hakt_process_wait_done(&process);
	hakt_process_end(&process);
	expect_nothing_lives(nullptr);
}

template <typename E, typename F> static bool throws(F run)
{
	try {
		run();
	} catch (const E &) {
		return true;
	} catch (...) {
	}
	return false;
}

static void test_over_a_limit_is_bad_alloc_and_nothing_is_lost(void **)
{
	const size_t too_much = 128 << 20, far_too_much = SIZE_MAX / sizeof(int);
	hakmem::memory_resource resource;
	hakmem::allocator<int> allocator;
	numbers kept;
	struct wide {
		char bytes[128 << 20];
	};

	for (int i = 0; i < MANY; i++)
		kept.push_back(i);
	assert_true(throws<std::bad_alloc>([&] { kept.reserve(too_much / sizeof(int)); }));
	assert_true(throws<std::bad_alloc>([&] {
		for (;;)
			kept.resize(kept.size() * 2);
	}));
	assert_true(kept.size() > MANY);
	kept.resize(MANY);
	assert_true(counts_from(kept, 0, MANY));
	assert_true(throws<std::bad_alloc>([&] { (void)resource.allocate(too_much, 64); }));
	assert_true(throws<std::bad_alloc>([&] { hakmem::make_unique<wide>(); }));
	assert_true(throws<std::bad_array_new_length>(
		[&] { (void)allocator.allocate(far_too_much + 1); }));
	numbers().swap(kept);
	expect_nothing_lives(nullptr);
}

static void test_an_object_whose_constructor_throws_leaves_no_block(void **)
{
	struct fails {
		fails()
		{
			throw 7;
		}
	};

	assert_true(throws<int>([] { hakmem::make_unique<fails>(); }));
	expect_nothing_lives(nullptr);
}

static int read_pmr(const void *)
{
	const int *data = static_cast<const int *>(hakmem_ptr(shared->ref));

	for (int i = 0; i < MANY; i++)
		HAKT_EXPECT(data[i] == i);
	return 0;
}

static void use_pmr(hakmem_pool *pool)
{
	hakmem::memory_resource resource(pool), same(pool);
	std::pmr::vector<int> vector(&resource), other(&same);
	std::pmr::map<int, std::pmr::string> map(&resource);
	void *pages[2];

	for (int i = 0; i < MANY; i++) {
		vector.push_back(i);
		map[i] = long_text;
	}
	for (const auto &entry : map) {
		assert_true(hakmem_contains(&entry) && hakmem_contains(entry.second.data()));
		assert_ptr_equal(hakmem_pool_of(entry.second.data()), pool);
	}
	for (void *&page : pages) {
		page = resource.allocate(100, 4096);
		assert_ptr_equal(hakmem_pool_of(page), pool);
		assert_int_equal(reinterpret_cast<uintptr_t>(page) % 4096, 0);
	}
	for (void *page : pages)
		resource.deallocate(page, 100, 4096);
	assert_true(resource == same && resource != *std::pmr::new_delete_resource());
	const int *data = vector.data();
	other = std::move(vector);
	assert_ptr_equal(other.data(), data);
	if (!pool) {
		shared->ref = hakmem::ref_of(data);
		hakt_process_run_child(read_pmr, nullptr);
	}
}

static void test_pmr_containers_lie_in_their_pool(void **)
{
	hakmem_pool *video;

	assert_int_equal(hakmem_pool_open("video", nullptr, &video), 0);
	assert_true(hakmem::memory_resource() != hakmem::memory_resource(video));
	use_pmr(nullptr);
	use_pmr(video);
	expect_nothing_lives(nullptr);
	expect_nothing_lives(video);
	assert_int_equal(hakmem_pool_close(video), 0);
}

struct counted {
	numbers own = numbers(MANY);

	~counted()
	{
		shared->n_destroyed++;
	}
};

static int destroy_counted(const void *)
{
	hakmem::unique_ptr<counted> found(static_cast<counted *>(hakmem_ptr(shared->ref)));

	HAKT_EXPECT(found && shared->n_destroyed == 0);
	found.reset();
	HAKT_EXPECT(shared->n_destroyed == 1);
	return hakmem_trim();
}

static void test_a_deleter_in_another_process_destroys_and_frees(void **)
{
	hakmem::unique_ptr<counted> mine = hakmem::make_unique<counted>();

	shared->ref = hakmem::ref_of(mine.get());
	mine.release();
	hakt_process_run_child(destroy_counted, nullptr);
	assert_int_equal(shared->n_destroyed, 1);
	expect_nothing_lives(nullptr);
}

static int take_int(const void *)
{
	hakmem::unique_ptr<int> mine = hakmem::take<int>(shared->ref);

	HAKT_EXPECT(mine && *mine == 7 && !hakmem::take<int>(shared->ref));
	mine.reset();
	return hakmem_trim();
}

/* What publish shall take along. */
static void add_blocks(counted &object, hakmem::block_list &blocks)
{
	hakmem::add_blocks(object.own, blocks);
}

static int publish_counted(const void *)
{
	hakmem::publish("counted", hakmem::make_unique<counted>());
	return 0;
}

static void test_a_type_says_itself_what_is_published_with_it(void **)
{
	hakt_process_run_child(publish_counted, nullptr);
	hakt_ctl_wait_pool_of(hakd.socket, "default", "clients", 0);
	hakmem::unique_ptr<counted> mine = hakmem::withdraw<counted>("counted");
	assert_int_equal(hakmem_owner(mine->own.data(), nullptr), HAKMEM_OWNER_SELF);
	assert_true(mine->own == numbers(MANY));
	mine.reset();
	expect_nothing_lives(nullptr);
}

static void test_a_ticket_is_taken_once_or_its_object_is_freed(void **)
{
	{
		hakmem::ticket<int> taken(hakmem::make_unique<int>(7));
		hakmem::ticket<int> forgotten(hakmem::make_unique<int>(8));
		hakmem::ticket<int> revoked(hakmem::make_unique<int>(9));

		shared->ref = taken.ref();
		hakt_process_run_child(take_int, nullptr);
		assert_null(taken.revoke().get());
		assert_int_equal(*revoked.revoke(), 9);
		assert_null(revoked.revoke().get());
		forgotten = std::move(revoked);
	}
	expect_nothing_lives(nullptr);
	assert_true(throws<std::system_error>([] { hakmem::take<int>(1); }));
	assert_true(throws<std::system_error>(
		[] { hakmem::publish("a\nb", hakmem::make_unique<int>(1)); }));
	expect_nothing_lives(nullptr);
}

/* Makes a vector, or goes on with the one that is published, which counts from 0. */
static int grow_for_ever(const void *)
{
	for (;;) {
		hakmem::unique_ptr<numbers> mine = hakmem::withdraw<numbers>("numbers");

		if (!mine)
			mine = hakmem::make_unique<numbers>();
		HAKT_EXPECT(counts_from(*mine, 0, mine->size()));
		if (mine->size() > 20 * MANY)
			mine = hakmem::make_unique<numbers>();
		for (size_t n = mine->capacity() + 1; mine->size() <= n;)
			mine->push_back(static_cast<int>(mine->size()));
		hakmem::publish("numbers", std::move(mine));
		shared->n_rounds.fetch_add(1, std::memory_order_relaxed);
	}
}

static void test_a_process_killed_while_it_grows_a_vector_leaks_nothing(void **)
{
	for (int i = 0; i < KILLS; i++) {
		int rounds = shared->n_rounds.load(std::memory_order_relaxed);
		struct hakt_process process = {};

		hakt_process_fork(&process, grow_for_ever, nullptr);
		/* So that each is killed somewhere else. */
		while (shared->n_rounds.load(std::memory_order_relaxed) < rounds + 1 + i * 3)
			hakt_process_check_running(&process);
		hakt_process_kill(&process);
		hakt_process_end(&process);
		hakt_ctl_wait_pool_of(hakd.socket, "default", "clients", 0);

		hakmem::unique_ptr<numbers> left = hakmem::withdraw<numbers>("numbers");
		if (left)
			assert_true(counts_from(*left, 0, left->size()));
		left.reset();
		expect_nothing_lives(nullptr);
		assert_int_equal(hakmem_detach(), 0);
		expect_nothing_is_left();
	}
}

static int change_elsewhere(const void *)
{
	struct hakmem_options options = {};

	options.offsets_only = 1;
	hakt_child_wait();
	HAKT_EXPECT(hakmem_attach(&options) == 0 && hakmem_is_at_base() == 0);
	hakmem::unique_ptr<everywhere> mine = hakmem::withdraw<everywhere>("numbers");
	HAKT_EXPECT(mine && counts_from(*mine, 0, MANY));
	for (int i = MANY; i < 5 * MANY; i++)
		mine->push_back(i);
	hakmem::publish("numbers", std::move(mine));
	return hakmem_trim();
}

static void test_what_is_made_with_offset_pointers_is_used_where_the_pool_is_elsewhere(void **)
{
	struct hakt_process process = {};

	hakt_process_fork(&process, change_elsewhere, nullptr);
	assert_int_equal(hakmem_is_at_base(), 1);
	hakmem::unique_ptr<everywhere> mine = hakmem::make_unique<everywhere>();
	for (int i = 0; i < MANY; i++)
		mine->push_back(i);
	hakmem::publish("numbers", std::move(mine));
	hakt_process_tell(&process);
	hakt_process_wait_done(&process);
	hakt_process_end(&process);
	mine = hakmem::withdraw<everywhere>("numbers");
	assert_true(counts_from(*mine, 0, 5 * MANY));
	mine->clear();
	hakmem::publish("none", std::move(mine)); /* it has a buffer, which must not stay ours */
	mine = hakmem::withdraw<everywhere>("none");
	assert_int_equal(mine->capacity(), 0);
	mine.reset();
	expect_nothing_lives(nullptr);
}

/* Its first pool is the one that is not its parent's first. */
static int grow_where_it_is_first(const void *)
{
	struct hakmem_options options = {};

	options.pool = "video";
	hakt_child_wait();
	HAKT_EXPECT(hakmem_attach(&options) == 0);
	hakmem::unique_ptr<pooled> mine = hakmem::withdraw<pooled>("numbers");
	HAKT_EXPECT(mine && counts_from(*mine, 0, MANY));
	for (int i = MANY; i < 2 * MANY; i++)
		mine->push_back(i);
	HAKT_EXPECT(hakmem_contains(mine->data()));
	hakmem::publish("numbers", std::move(mine));
	return hakmem_trim();
}

static void test_a_container_stays_in_its_pool_whoever_grows_it(void **)
{
	struct hakt_process process = {};
	hakmem_pool *video;

	hakt_process_fork(&process, grow_where_it_is_first, nullptr);
	numbers others(1);
	assert_int_equal(hakmem_pool_open("video", nullptr, &video), 0);
	hakmem::pool_allocator<int> there(video);
	hakmem::unique_ptr<pooled> mine = hakmem::make_unique_in<pooled>(video, there);
	for (int i = 0; i < MANY; i++)
		mine->push_back(i);
	assert_ptr_equal(hakmem_pool_of(mine.get()), video);
	assert_ptr_equal(hakmem_pool_of(mine->data()), video);
	hakmem::publish("numbers", std::move(mine));
	assert_null(hakmem::lookup<pooled>("numbers"));
	hakt_process_tell(&process);
	hakt_process_wait_done(&process);
	hakt_process_end(&process);
	mine = hakmem::withdraw<pooled>("numbers", video);
	assert_true(counts_from(*mine, 0, 2 * MANY));
	mine->push_back(0);
	mine->resize(8 * MANY);
	assert_ptr_equal(hakmem_pool_of(mine->data()), video);

	/* Assigned to, it keeps its pool. */
	{
		pooled here(10, 3, hakmem::pool_allocator<int>(nullptr));

		assert_true(here.get_allocator() != mine->get_allocator());
		*mine = std::move(here);
	}
	assert_ptr_equal(hakmem_pool_of(mine->data()), video);
	assert_int_equal((*mine)[9], 3);
	mine.reset();
	numbers().swap(others);
	expect_nothing_lives(video);
	expect_nothing_lives(nullptr);
	assert_int_equal(hakmem_pool_close(video), 0);
}

static void test_a_deque_with_offset_pointers_lies_in_a_given_pool(void **)
{
	hakmem_pool *video;

	assert_int_equal(hakmem_pool_open("video", nullptr, &video), 0);
	hakmem::offset_pool_allocator<int> there(video);
	hakmem::unique_ptr<pooled_everywhere> mine = hakmem::make_unique_in<pooled_everywhere>(
		video, there);
	for (int i = 0; i < MANY; i++) {
		mine->push_front(i);
		mine->push_back(i);
	}
	for (int i = 0; i < MANY; i++) {
		assert_int_equal((*mine)[static_cast<size_t>(i)], MANY - 1 - i);
		assert_int_equal((*mine)[static_cast<size_t>(MANY + i)], i);
	}
	for (const int &number : *mine)
		assert_ptr_equal(hakmem_pool_of(&number), video);
	mine.reset();
	expect_nothing_lives(video);
	assert_int_equal(hakmem_pool_close(video), 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_vector_of_one_process_is_changed_and_grown_by_others,
					start, stop),
	cmocka_unit_test_setup_teardown(test_strings_in_a_vector_outlive_who_published_them, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_deque_is_changed_by_two_processes, start, stop),
	cmocka_unit_test_setup_teardown(test_over_a_limit_is_bad_alloc_and_nothing_is_lost, start,
					stop),
	cmocka_unit_test_setup_teardown(test_an_object_whose_constructor_throws_leaves_no_block,
					start, stop),
	cmocka_unit_test_setup_teardown(test_pmr_containers_lie_in_their_pool, start, stop),
	cmocka_unit_test_setup_teardown(test_a_deleter_in_another_process_destroys_and_frees, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_type_says_itself_what_is_published_with_it, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_ticket_is_taken_once_or_its_object_is_freed, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_process_killed_while_it_grows_a_vector_leaks_nothing,
					start, stop),
	cmocka_unit_test_setup_teardown(
		test_what_is_made_with_offset_pointers_is_used_where_the_pool_is_elsewhere, start,
		stop),
	cmocka_unit_test_setup_teardown(test_a_container_stays_in_its_pool_whoever_grows_it, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_deque_with_offset_pointers_lies_in_a_given_pool,
					start, stop),
};

HAKT_MAIN(tests, nullptr, nullptr)
