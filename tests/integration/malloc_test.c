/* SPDX-License-Identifier: MIT */
/* malloc and its kin of libhakmem_malloc.so, call by call; this program is linked with it. */
#include "tests/support/run.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static void test_malloc_is_ours(void **state)
{
	static const char *const names[] = {"aligned_alloc", "calloc",	       "free",
					    "malloc",	     "malloc_trim",    "malloc_usable_size",
					    "memalign",	     "posix_memalign", "pvalloc",
					    "realloc",	     "reallocarray",   "valloc"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		Dl_info info;
		void *function = dlsym(RTLD_DEFAULT, names[i]);

		assert_true(function && dladdr(function, &info));
		assert_non_null(strstr(info.dli_fname, "libhakmem_malloc.so"));
	}
}

static void fill(unsigned char *block, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i += i < 4096 ? 1 : 509)
		block[i] = (unsigned char)(i * 7 + seed);
}

static bool is_filled(const unsigned char *block, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i += i < 4096 ? 1 : 509)
		if (block[i] != (unsigned char)(i * 7 + seed))
			return false;
	return true;
}

static bool is_zero(const unsigned char *block, size_t size)
{
	return size == 0 || (block[0] == 0 && memcmp(block, block + 1, size - 1) == 0);
}

static void test_blocks_of_0_to_hundreds_of_MiB_keep_their_contents(void **state)
{
	enum { N = 400 };
	unsigned char *blocks[N];
	size_t sizes[N], size = 0;

	(void)state;
	for (unsigned i = 0; i < N; i++, size = size < 1100 ? size + 5 : size * 16 / 15) {
		sizes[i] = size;
		blocks[i] = malloc(size);
		assert_non_null(blocks[i]);
		assert_int_equal((uintptr_t)blocks[i] % 16, 0);
		assert_true(malloc_usable_size(blocks[i]) >= size);
		fill(blocks[i], size, i);
		if (i >= 240 && size > 400 * MIB)
			size = 0;
	}
	for (unsigned i = 0; i < N; i++) {
		assert_true(is_filled(blocks[i], sizes[i], i));
		free(blocks[i]);
	}
	malloc_trim(0);
}

static void test_all_usable_bytes_can_be_used(void **state)
{
	unsigned char *blocks[64], *other;

	(void)state;
	for (size_t size = 1; size < 4 * MIB; size = size * 3 / 2 + 1) {
		for (unsigned i = 0; i < 64 && size * i < 16 * MIB; i++) {
			blocks[i] = malloc(size);
			memset(blocks[i], (int)i, malloc_usable_size(blocks[i]));
		}
		other = malloc(size);
		for (unsigned i = 0; i < 64 && size * i < 16 * MIB; i++) {
			size_t usable = malloc_usable_size(blocks[i]);

			assert_int_equal(blocks[i][0], i);
			assert_memory_equal(blocks[i], blocks[i] + 1, usable - 1);
			free(blocks[i]);
		}
		free(other);
	}
	assert_int_equal(malloc_usable_size(NULL), 0);
}

static void test_size_0_gives_different_blocks(void **state)
{
	void *first = malloc(0), *second = malloc(0), *third = calloc(0, 8), *fourth;

	(void)state;
	assert_true(first && second && third && first != second && second != third);
	fourth = realloc(NULL, 0);
	assert_non_null(fourth);
	free(first);
	free(second);
	free(third);
	free(fourth);
	free(NULL);
}

static void expect_ENOMEM(void *block)
{
	assert_null(block);
	assert_int_equal(errno, ENOMEM);
	errno = 0;
}

static void test_sizes_that_cannot_be_are_ENOMEM(void **state)
{
	volatile size_t sizes[] = {SIZE_MAX,	     SIZE_MAX - 15,    SIZE_MAX - 4096,
				   SIZE_MAX - 65535, SIZE_MAX - 65536, SIZE_MAX / 2 + 1,
				   SIZE_MAX / 2,     (size_t)1 << 50};
	char *block = malloc(10);
	void *untouched = block;

	(void)state;
	strcpy(block, "kept");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		errno = 0;
		expect_ENOMEM(malloc(sizes[i]));
		expect_ENOMEM(calloc(1, sizes[i]));
		expect_ENOMEM(calloc(sizes[i], 1));
		expect_ENOMEM(realloc(NULL, sizes[i]));
		expect_ENOMEM(realloc(block, sizes[i]));
		expect_ENOMEM(reallocarray(block, 1, sizes[i]));
		expect_ENOMEM(memalign(64, sizes[i]));
		expect_ENOMEM(aligned_alloc(4096, sizes[i]));
		expect_ENOMEM(aligned_alloc(GIB, sizes[i]));
		expect_ENOMEM(valloc(sizes[i]));
		expect_ENOMEM(pvalloc(sizes[i]));
		assert_int_equal(posix_memalign(&untouched, 64, sizes[i]), ENOMEM);
		assert_int_equal(errno, 0);
		assert_ptr_equal(untouched, block);
	}
	assert_string_equal(block, "kept");
	free(block);
}

static void test_products_that_overflow_are_ENOMEM(void **state)
{
	volatile size_t half = (size_t)1 << 32, odd = SIZE_MAX / 3 + 1;
	char *block = malloc(10);

	(void)state;
	strcpy(block, "kept");
	expect_ENOMEM(calloc(half, half));
	expect_ENOMEM(calloc(odd, 3));
	expect_ENOMEM(calloc(SIZE_MAX, 2));
	expect_ENOMEM(reallocarray(block, half, half));
	expect_ENOMEM(reallocarray(block, odd, 3));
	expect_ENOMEM(reallocarray(NULL, odd, 3));
	assert_string_equal(block, "kept");
	block = reallocarray(block, 100, 100);
	assert_string_equal(block, "kept");
	assert_true(malloc_usable_size(block) >= 10000);
	assert_null(reallocarray(block, 0, 100)); /* as realloc of size 0: freed */
}

static void test_huge_blocks_grow_and_shrink_where_they_are(void **state)
{
	enum { N = 200 };
	unsigned char *blocks[N], *block = malloc(300 * MIB), *moved;
	unsigned n = 0;

	(void)state;
	fill(block, 300 * MIB, 1);
	assert_ptr_equal(realloc(block, 8 * MIB), block);
	assert_int_equal(malloc_usable_size(block), 8 * MIB);
	assert_ptr_equal(realloc(block, 200 * MIB), block);
	assert_true(malloc_usable_size(block) >= 200 * MIB);
	assert_true(is_filled(block, 8 * MIB, 1));
	assert_true(is_zero(block + 8 * MIB, 192 * MIB)); /* its pages were given back */
	fill(block, 200 * MIB, 1);
	assert_ptr_equal(realloc(block, 8 * MIB), block);
	do { /* until what is behind is taken */
		blocks[n] = malloc(6 * MIB);
		fill(blocks[n], 6 * MIB, 2);
	} while (blocks[n++] != block + 8 * MIB && n < N);
	assert_ptr_equal(blocks[n - 1], block + 8 * MIB);
	moved = realloc(block, 16 * MIB);
	assert_ptr_not_equal(moved, block);
	fill(moved + 8 * MIB, 8 * MIB, 3);
	assert_true(is_filled(moved, 8 * MIB, 1));
	while (n-- > 0) {
		assert_true(is_filled(blocks[n], 6 * MIB, 2));
		free(blocks[n]);
	}
	free(moved);
}

static void check_aligned(void *block, size_t alignment, size_t size)
{
	assert_non_null(block);
	assert_int_equal((uintptr_t)block % alignment, 0);
	assert_true(malloc_usable_size(block) >= size);
	memset(block, 0x5a, size < 4096 ? size : 4096);
	if (size)
		((char *)block)[size - 1] = 1;
	free(block);
}

static void test_alignments_of_1_B_to_1_GiB_hold(void **state)
{
	(void)state;
	for (size_t alignment = 1; alignment <= GIB; alignment *= 2) {
		for (size_t size = 0; size < 20 * MIB; size = size * 9 + 7) {
			void *block = NULL;

			check_aligned(memalign(alignment, size), alignment, size);
			check_aligned(aligned_alloc(alignment, size), alignment, size);
			if (alignment < sizeof(void *)) {
				assert_int_equal(posix_memalign(&block, alignment, size), EINVAL);
				continue;
			}
			assert_int_equal(posix_memalign(&block, alignment, size), 0);
			check_aligned(block, alignment, size);
		}
	}
}

static void test_aligned_blocks_lie_beside_each_other(void **state)
{
	enum { N = 64 };
	unsigned char *blocks[N];

	(void)state;
	for (size_t alignment = 16; alignment <= 4 * MIB; alignment *= 4) {
		for (unsigned i = 0; i < N; i++) {
			blocks[i] = memalign(alignment, 100 + i);
			assert_int_equal((uintptr_t)blocks[i] % alignment, 0);
			memset(blocks[i], (int)i, 100 + i);
		}
		for (unsigned i = 0; i < N; i++) {
			blocks[i] = realloc(blocks[i], 3000); /* needn't stay aligned */
			assert_int_equal(blocks[i][0], i);
			assert_memory_equal(blocks[i], blocks[i] + 1, 99 + i);
			free(blocks[i]);
		}
	}
}

static void test_alignments_that_cannot_be_are_refused(void **state)
{
	volatile size_t zero = 0, odd = 48, most = SIZE_MAX, top = SIZE_MAX / 2 + 1;
	void *block = NULL;

	(void)state;
	errno = 0;
	assert_int_equal(posix_memalign(&block, zero, 8), EINVAL);
	assert_int_equal(posix_memalign(&block, odd, 8), EINVAL);
	assert_int_equal(posix_memalign(&block, 4, 8), EINVAL);
	assert_int_equal(posix_memalign(&block, top, 8), ENOMEM);
	assert_true(block == NULL && errno == 0);
	assert_null(aligned_alloc(odd, 96));
	assert_int_equal(errno, EINVAL);
	assert_null(aligned_alloc(zero, 96));
	assert_int_equal(errno, EINVAL);
	expect_ENOMEM(memalign(top, 8));
	assert_null(memalign(most, 8)); /* no power of two is that large */
	assert_int_equal(errno, EINVAL);
	block = memalign(odd, 8);
	assert_int_equal((uintptr_t)block % 64, 0);
	free(block);
	block = memalign(zero, 8);
	assert_non_null(block);
	free(block);
}

static void test_valloc_and_pvalloc_are_of_pages(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	(void)state;
	for (size_t size = 0; size < 3 * MIB; size = size * 5 + 1) {
		void *block = pvalloc(size);

		assert_true(malloc_usable_size(block) >= (size + page - 1) / page * page);
		assert_true(malloc_usable_size(block) >= page);
		check_aligned(block, page, size);
		check_aligned(valloc(size), page, size);
	}
}

static void test_realloc_keeps_what_fits(void **state)
{
	static const size_t sizes[] = {1,	24,	 17,	    300,       1024,	1025,
				       40000,	9,	 4000,	    70000,     64000,	200000,
				       3000000, 1000,	 90000,	    1,	       8,	500000,
				       66000,	2097152, 100000000, 250000000, 3000000, 5};
	unsigned char *block = malloc(3);
	size_t before = 3;

	(void)state;
	fill(block, 3, 0);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		block = realloc(block, sizes[i]);
		assert_non_null(block);
		assert_true(malloc_usable_size(block) >= sizes[i]);
		assert_true(is_filled(block, before < sizes[i] ? before : sizes[i], i));
		before = sizes[i];
		fill(block, before, i + 1);
	}
	free(block);
}

static void test_many_reallocs_at_random_keep_contents(void **state)
{
	enum { N = 200, STEPS = 40000 };
	static unsigned char *blocks[N];
	static size_t sizes[N];
	uint64_t random = 88172645463325252;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)random);
	for (unsigned step = 0; step < STEPS; step++) {
		random ^= random << 13, random ^= random >> 7, random ^= random << 17;

		unsigned i = random % N;
		size_t size = (random >> 20) % ((size_t)16 << (random >> 50) % 14) + 1;
		size_t kept = sizes[i] < size ? sizes[i] : size;

		blocks[i] = realloc(blocks[i], size);
		assert_non_null(blocks[i]);
		assert_true(is_filled(blocks[i], kept, i));
		sizes[i] = size;
		fill(blocks[i], size, i);
	}
	for (unsigned i = 0; i < N; i++)
		free(blocks[i]);
}

static void test_realloc_to_size_0_frees(void **state)
{
	size_t n = 0;

	(void)state;
	/* 40 GB, were they not freed. */
	for (; n < 40; n++) {
		char *block = malloc(GIB);

		assert_non_null(block);
		block[n] = 1;
		assert_null(realloc(block, 0));
	}
}

static void test_calloc_clears_what_was_used_before(void **state)
{
	static const size_t sizes[] = {1,	16,	 100,	   1000,    5000,
				       32000,	65536,	 100000,   300000,  900000,
				       2000000, 2100000, 10000000, 64000000};
	unsigned char *blocks[8];

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			for (unsigned k = 0; k < 8; k++) {
				blocks[k] = malloc(sizes[i]);
				memset(blocks[k], 0xff, malloc_usable_size(blocks[k]));
			}
			for (unsigned k = 0; k < 8; k++)
				free(blocks[k]);
			if (round == 1)
				malloc_trim(0);
			for (unsigned k = 0; k < 8; k++) {
				blocks[k] = calloc(round == 2 ? sizes[i] : 1,
						   round == 2 ? 1 : sizes[i]);
				assert_true(is_zero(blocks[k], sizes[i]));
			}
			for (unsigned k = 0; k < 8; k++)
				free(blocks[k]);
		}
	}
}

static void test_calloc_clears_what_was_locked_in_memory(void **state)
{
	enum { BYTES = 8000000, LOCKED = 16384 };
	unsigned char *block = malloc(BYTES);

	(void)state;
	memset(block, 0xff, BYTES);
	if (mlock(block, LOCKED) != 0) {
		free(block);
		skip();
	}
	free(block);
	malloc_trim(0);
	block = calloc(1, BYTES);
	assert_true(is_zero(block, BYTES));
	free(block);
}

static void test_free_keeps_errno(void **state)
{
	void *blocks[3000];
	int local;

	(void)state;
	for (size_t size = 8; size < 40 * MIB; size *= 11) {
		unsigned n = size > 100000 ? 8 : 3000;

		for (unsigned i = 0; i < n; i++)
			blocks[i] = malloc(size);
		errno = ECHILD;
		for (unsigned i = 0; i < n; i++)
			free(blocks[i]);
		assert_int_equal(errno, ECHILD);
	}
	*(void **)&blocks[0] = (char *)&local; /* refused, which is said */
	free(blocks[0]);
	assert_int_equal(errno, ECHILD);
}

static size_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	size_t total, resident;

	assert_int_equal(fscanf(file, "%zu %zu", &total, &resident), 2);
	fclose(file);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void test_malloc_trim_gives_memory_back(void **state)
{
	enum { N = 4000, BYTES = 50000 };
	static void *blocks[N];
	size_t before = resident_bytes();

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		blocks[i] = malloc(BYTES);
		memset(blocks[i], 1, BYTES);
	}
	assert_true(resident_bytes() - before > 190000000);
	for (unsigned i = 0; i < N; i++)
		free(blocks[i]);
	malloc_trim(0);
	assert_true(resident_bytes() < before + 20000000);
	assert_int_equal(malloc_trim(0), 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_malloc_is_ours),
	cmocka_unit_test(test_blocks_of_0_to_hundreds_of_MiB_keep_their_contents),
	cmocka_unit_test(test_all_usable_bytes_can_be_used),
	cmocka_unit_test(test_size_0_gives_different_blocks),
	cmocka_unit_test(test_sizes_that_cannot_be_are_ENOMEM),
	cmocka_unit_test(test_huge_blocks_grow_and_shrink_where_they_are),
	cmocka_unit_test(test_products_that_overflow_are_ENOMEM),
	cmocka_unit_test(test_alignments_of_1_B_to_1_GiB_hold),
	cmocka_unit_test(test_aligned_blocks_lie_beside_each_other),
	cmocka_unit_test(test_alignments_that_cannot_be_are_refused),
	cmocka_unit_test(test_valloc_and_pvalloc_are_of_pages),
	cmocka_unit_test(test_realloc_keeps_what_fits),
	cmocka_unit_test(test_many_reallocs_at_random_keep_contents),
	cmocka_unit_test(test_realloc_to_size_0_frees),
	cmocka_unit_test(test_calloc_clears_what_was_used_before),
	cmocka_unit_test(test_calloc_clears_what_was_locked_in_memory),
	cmocka_unit_test(test_free_keeps_errno),
	cmocka_unit_test(test_malloc_trim_gives_memory_back),
};

HAKT_MAIN(tests, NULL, NULL)
