/* SPDX-License-Identifier: MIT */
/*
 * libhakmem_malloc.so: malloc and its kin for programs that know nothing of
 * hakmem, by LD_PRELOAD or linked. The engine of libhakmem over private memory
 * (source.c); no daemon, nothing shared.
 *
 * operator new and delete are here too, so that they need no second call. One
 * that can't be served is the C++ library's to answer, by the new handler or
 * bad_alloc: its own operator is looked up then.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "client_lib/alloc.h"
#include "client_lib/free.h"
#include "client_lib/malloc/foreign.h"
#include "client_lib/resize.h"

#define API __attribute__((visibility("default")))

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

API void *malloc(size_t size)
{
	return hakc_alloc(size);
}

API void free(void *block)
{
	hakc_free(block);
}

API void *calloc(size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return hakc_alloc_zeroed(bytes);
}

API void *realloc(void *block, size_t size)
{
	struct hak_location l;

	if (!block)
		return hakc_alloc(size);
	if (size == 0) { /* as the C library does */
		hakc_free(block);
		return NULL;
	}
	l = hakc_locate(block);
	if (l.place == HAK_PLACE_BLOCK)
		return hakc_resize(&l, block, size);
	return hakc_foreign_realloc(block, size);
}

API void *reallocarray(void *block, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(block, bytes);
}

static bool is_power_of_2(size_t value)
{
	return value && (value & (value - 1)) == 0;
}

API int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
	int saved = errno;
	void *block;

	if (!is_power_of_2(alignment) || alignment % sizeof(void *) != 0)
		return EINVAL;
	block = hakc_alloc_aligned(alignment, size);
	errno = saved;
	if (!block)
		return ENOMEM;
	*ret_block = block;
	return 0;
}

API void *aligned_alloc(size_t alignment, size_t size)
{
	if (!is_power_of_2(alignment)) {
		errno = EINVAL;
		return NULL;
	}
	return hakc_alloc_aligned(alignment, size);
}

API void *memalign(size_t alignment, size_t size)
{
	if (alignment > SIZE_MAX / 2 + 1) {
		errno = EINVAL;
		return NULL;
	}
	while (alignment & (alignment - 1)) /* the C library rounds up */
		alignment = (alignment | (alignment - 1)) + 1;
	return hakc_alloc_aligned(alignment ? alignment : 1, size);
}

API void *valloc(size_t size)
{
	return hakc_alloc_aligned(page_bytes(), size);
}

API void *pvalloc(size_t size)
{
	size_t page = page_bytes();

	if (size > SIZE_MAX - page) {
		errno = ENOMEM;
		return NULL;
	}
	return hakc_alloc_aligned(page, size ? (size + page - 1) & ~(page - 1) : page);
}

API size_t malloc_usable_size(void *block)
{
	struct hak_location l;

	if (!block)
		return 0;
	l = hakc_locate(block);
	return l.place == HAK_PLACE_BLOCK ? hakc_usable(&l) : hakc_foreign_usable_size(block);
}

/* Gives back what is held without need; 1: there was something. */
API int malloc_trim(size_t keep)
{
	int error;
	struct hakc_thread *t = hakc_thread_get(&error);
	uint32_t before;

	(void)keep;
	if (!t)
		return 0;
	before = t->heap->n_granted;
	hakc_alloc_scrape(t);
	return t->heap->n_granted < before;
}

/* The names of operator new and delete, as the C++ ABI spells them (Itanium, section 5.1). */
#define NEW(name, parameters, arguments, pointer, allocate)              \
	API void *name parameters;                                       \
	API void *name parameters                                        \
	{                                                                \
		void *block = allocate;                                  \
		void *(*next)pointer;                                    \
                                                                         \
		if (__builtin_expect(block != NULL, 1))                  \
			return block;                                    \
		*(void **)&next = dlsym(RTLD_NEXT, #name);               \
		if (!next)                                               \
			abort(); /* a C++ program without its library */ \
		return next arguments;                                   \
	}
#define DELETE(name, parameters)  \
	API void name parameters; \
	API void name parameters  \
	{                         \
		hakc_free(block); \
	}

NEW(_Znwm, (size_t size), (size), (size_t), hakc_alloc(size))
NEW(_Znam, (size_t size), (size), (size_t), hakc_alloc(size))
NEW(_ZnwmRKSt9nothrow_t, (size_t size, const void *tag), (size, tag), (size_t, const void *),
    hakc_alloc(size))
NEW(_ZnamRKSt9nothrow_t, (size_t size, const void *tag), (size, tag), (size_t, const void *),
    hakc_alloc(size))
NEW(_ZnwmSt11align_val_t, (size_t size, size_t alignment), (size, alignment), (size_t, size_t),
    hakc_alloc_aligned(alignment, size))
NEW(_ZnamSt11align_val_t, (size_t size, size_t alignment), (size, alignment), (size_t, size_t),
    hakc_alloc_aligned(alignment, size))
NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void *tag),
    (size, alignment, tag), (size_t, size_t, const void *), hakc_alloc_aligned(alignment, size))
NEW(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void *tag),
    (size, alignment, tag), (size_t, size_t, const void *), hakc_alloc_aligned(alignment, size))

DELETE(_ZdlPv, (void *block))
DELETE(_ZdaPv, (void *block))
DELETE(_ZdlPvm, (void *block, size_t size __attribute__((unused))))
DELETE(_ZdaPvm, (void *block, size_t size __attribute__((unused))))
DELETE(_ZdlPvRKSt9nothrow_t, (void *block, const void *tag __attribute__((unused))))
DELETE(_ZdaPvRKSt9nothrow_t, (void *block, const void *tag __attribute__((unused))))
DELETE(_ZdlPvSt11align_val_t, (void *block, size_t alignment __attribute__((unused))))
DELETE(_ZdaPvSt11align_val_t, (void *block, size_t alignment __attribute__((unused))))
DELETE(_ZdlPvmSt11align_val_t,
       (void *block, size_t size __attribute__((unused)), size_t alignment __attribute__((unused))))
DELETE(_ZdaPvmSt11align_val_t,
       (void *block, size_t size __attribute__((unused)), size_t alignment __attribute__((unused))))
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, (void *block, size_t alignment __attribute__((unused)),
					     const void *tag __attribute__((unused))))
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, (void *block, size_t alignment __attribute__((unused)),
					     const void *tag __attribute__((unused))))
