/* SPDX-License-Identifier: MIT */
/* The smallest program that uses everything of hakmem.h; alone.sh links it in each way. */
#include <hakmem.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
	struct hakmem_options options = {0};
	struct hakmem_stats stats;
	char *text, *zeros, *aligned;
	hakmem_ref_t ref;
	int fails = 0;

	fails += hakmem_attach(&options) != 0;
	text = hakmem_malloc(100);
	zeros = hakmem_calloc(10, 10);
	aligned = hakmem_aligned_alloc(4096, 100);
	if (fails || !text || !zeros || !aligned)
		return 1;
	strcpy(text, "hakmem");
	fails += hakmem_ptr(hakmem_ref(text)) != text;
	text = hakmem_realloc(text, 100000);
	fails += !text || strcmp(text, "hakmem") != 0;
	fails += hakmem_usable_size(text) < 100000;
	fails += zeros[99] != 0;
	fails += hakmem_is_at_base() != 1;
	fails += hakmem_root_publish("text", hakmem_ref(text)) != 0;
	fails += hakmem_root_lookup("text", &ref) != 0 || hakmem_ptr(ref) != text;
	fails += hakmem_root_withdraw("text", &ref) != 0 || hakmem_ptr(ref) != text;
	ref = hakmem_ref(zeros);
	fails += hakmem_root_publish_list("zeros", &ref, 1) != 0;
	fails += hakmem_root_withdraw("zeros", &ref) != 0;
	hakmem_free(text);
	hakmem_free(zeros);
	hakmem_free(aligned);
	fails += hakmem_trim() != 0;
	fails += hakmem_stats(&stats, sizeof(stats)) != 0 || stats.live_blocks != 0;
	fails += hakmem_detach() != 0;
	printf("hakmem %s: %d wrong\n", hakmem_version(), fails);
	return fails != 0;
}
