/* SPDX-License-Identifier: MIT */
/* Memory that processes share by fork: rings, results, and the pools of peers. */
#include "bench/support/shared_memory.h"

#include <sys/mman.h>

#include "bench/support/bench.h"

void *bench_shared_memory(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		bench_fail("mapping shared memory");
	return memory;
}
