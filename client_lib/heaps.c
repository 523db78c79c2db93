/* SPDX-License-Identifier: MIT */
/* The heaps of a process: which one a call is about. */
#include "client_lib/session.h"

/* Not in wiped pages: what they point to is. */
static struct hakc_heap *heaps[HAKC_HEAPS_MAX];
static pthread_once_t heap_once = PTHREAD_ONCE_INIT;

static void make_first_heap(void)
{
	static struct hakc_heap fallback; /* a child of a fork then shares our fate */

	heaps[0] = hakc_private_map(sizeof(*heaps[0]));
	if (!heaps[0])
		heaps[0] = &fallback;
}

struct hakc_heap *hakc_heap_at(unsigned index)
{
	if (index == 0)
		pthread_once(&heap_once, make_first_heap);
	else if (!heaps[index])
		heaps[index] = hakc_private_map(sizeof(*heaps[index]));
	return heaps[index];
}

struct hakc_heap *hakc_heap(void)
{
	return hakc_heap_at(hakc_thread_at());
}
