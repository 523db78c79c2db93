/* SPDX-License-Identifier: MIT */
/*
 * C++ new and delete with libhakmem_malloc.so, in all their forms. Each claim that doesn't hold
 * is named on stderr.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <dlfcn.h>
#include <malloc.h>

static int n_failed;

#define CLAIM(claim)                                                                        \
	do {                                                                                \
		if (!(claim)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #claim); \
			n_failed++;                                                         \
		}                                                                           \
	} while (0)

static bool is_ours(const char *name)
{
	Dl_info info;
	void *function = dlsym(RTLD_DEFAULT, name);

	return function && dladdr(function, &info) && strstr(info.dli_fname, "libhakmem_malloc.so");
}

static void names_are_ours()
{
	static const char *const names[] = {"_Znwm",
					    "_Znam",
					    "_ZnwmRKSt9nothrow_t",
					    "_ZnamRKSt9nothrow_t",
					    "_ZnwmSt11align_val_t",
					    "_ZnamSt11align_val_t",
					    "_ZnwmSt11align_val_tRKSt9nothrow_t",
					    "_ZnamSt11align_val_tRKSt9nothrow_t",
					    "_ZdlPv",
					    "_ZdaPv",
					    "_ZdlPvm",
					    "_ZdaPvm",
					    "_ZdlPvRKSt9nothrow_t",
					    "_ZdaPvRKSt9nothrow_t",
					    "_ZdlPvSt11align_val_t",
					    "_ZdaPvSt11align_val_t",
					    "_ZdlPvmSt11align_val_t",
					    "_ZdaPvmSt11align_val_t",
					    "_ZdlPvSt11align_val_tRKSt9nothrow_t",
					    "_ZdaPvSt11align_val_tRKSt9nothrow_t"};

	for (const char *name : names)
		CLAIM(is_ours(name));
}

/* A block that is good for size bytes at the alignment. */
static void *good(void *block, size_t size, size_t alignment = 16)
{
	CLAIM(block && reinterpret_cast<uintptr_t>(block) % alignment == 0);
	CLAIM(malloc_usable_size(block) >= size);
	memset(block, 0x5a, size);
	return block;
}

static void each_form_serves(size_t size)
{
	const std::align_val_t page{4096};

	operator delete(good(operator new(size), size));
	operator delete(good(operator new(size), size), size);
	operator delete(good(operator new(size, std::nothrow), size), std::nothrow);
	operator delete[](good(operator new[](size), size));
	operator delete[](good(operator new[](size), size), size);
	operator delete[](good(operator new[](size, std::nothrow), size), std::nothrow);
	operator delete(good(operator new(size, page), size, 4096), page);
	operator delete(good(operator new(size, page), size, 4096), size, page);
	operator delete(good(operator new(size, page, std::nothrow), size, 4096), page,
			std::nothrow);
	operator delete[](good(operator new[](size, page), size, 4096), page);
	operator delete[](good(operator new[](size, page), size, 4096), size, page);
	operator delete[](good(operator new[](size, page, std::nothrow), size, 4096), page,
			  std::nothrow);
}

template <typename F> static bool throws_bad_alloc(F allocate)
{
	try {
		allocate();
	} catch (const std::bad_alloc &) {
		return true;
	}
	return false;
}

static void impossible_sizes_throw()
{
	/* SIZE_MAX itself, aligned: the C++ library's own rounding wraps to 0. */
	static const size_t sizes[] = {SIZE_MAX - 4096, SIZE_MAX / 2, static_cast<size_t>(1) << 50};
	const std::align_val_t line{64};

	for (volatile size_t size : sizes) {
		CLAIM(throws_bad_alloc([&] { operator delete(operator new(size)); }));
		CLAIM(throws_bad_alloc([&] { operator delete[](operator new[](size)); }));
		CLAIM(throws_bad_alloc([&] { operator delete(operator new(size, line), line); }));
		CLAIM(throws_bad_alloc(
			[&] { operator delete[](operator new[](size, line), line); }));
		CLAIM(!operator new(size, std::nothrow));
		CLAIM(!operator new[](size, std::nothrow));
		CLAIM(!operator new(size, line, std::nothrow));
		CLAIM(!operator new[](size, line, std::nothrow));
	}
	volatile size_t n = SIZE_MAX / 4;
	CLAIM(throws_bad_alloc([&] { delete[] new uint64_t[n]; }));
	CLAIM(throws_bad_alloc([&] { std::vector<char>(static_cast<size_t>(1) << 50); }));
}

static int n_handled;

static void give_up_at_third()
{
	if (++n_handled == 3)
		std::set_new_handler(nullptr);
}

static void handler_is_called()
{
	volatile size_t size = static_cast<size_t>(1) << 50;

	std::set_new_handler(give_up_at_third);
	CLAIM(throws_bad_alloc([&] { operator delete(operator new(size)); }));
	CLAIM(n_handled == 3);
	n_handled = 0;
	std::set_new_handler(give_up_at_third);
	CLAIM(!operator new[](size, std::nothrow));
	CLAIM(n_handled == 3);
}

static void placement_allocates_nothing()
{
	alignas(std::string) char room[sizeof(std::string)];
	std::string *text = new (room) std::string("placed");

	CLAIM(static_cast<void *>(text) == static_cast<void *>(room) && *text == "placed");
	text->~basic_string();
}

struct alignas(256) Wide {
	virtual ~Wide()
	{
		n_alive--;
	}
	Wide()
	{
		n_alive++;
	}
	static int n_alive;
	char data[300];
};
int Wide::n_alive;

struct Fails {
	Fails()
	{
		throw 7;
	}
	char data[100];
};

static void objects_live()
{
	std::map<int, std::string> map;
	std::vector<std::unique_ptr<Wide>> wides;
	std::thread thread;
	Wide *array = new Wide[5];

	for (int i = 0; i < 20000; i++)
		map[i * 7919 % 20011] = std::string(static_cast<size_t>(i % 100), 'x');
	for (int i = 0; i < 100; i++) {
		wides.push_back(std::make_unique<Wide>());
		CLAIM(reinterpret_cast<uintptr_t>(wides.back().get()) % 256 == 0);
	}
	CLAIM(Wide::n_alive == 105 && map.size() == 20000);
	thread = std::thread([&] { wides.clear(); }); /* freed by another thread */
	thread.join();
	delete[] array;
	CLAIM(Wide::n_alive == 0);
	try {
		delete new Fails;
		CLAIM(!"reached");
	} catch (int number) {
		CLAIM(number == 7);
	}
}

int main()
{
	names_are_ours();
	for (size_t size = 0; size < 30000000; size = size * 5 + 1)
		each_form_serves(size);
	for (size_t alignment = 1; alignment <= static_cast<size_t>(1) << 30; alignment *= 2) {
		const std::align_val_t wanted{alignment};

		operator delete(good(operator new(100, wanted), 100, alignment), wanted);
	}
	operator delete(nullptr);
	impossible_sizes_throw();
	handler_is_called();
	placement_allocates_nothing();
	objects_live();
	return n_failed != 0;
}
