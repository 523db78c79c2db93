/* SPDX-License-Identifier: MIT */
#include "tests/support/run.h"

#include "tests/support/audit.h"

#include <string.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/process.h"

struct hakt_daemon hakt_audited;
struct hak_segment hakt_audit_segment;

int hakt_audit_start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakt_audited,
			  HAKT_LIST("--limit", "256M", "--capacity", "1G", "--log-level", "warn"));
	return 0;
}

int hakt_audit_stop(void **state)
{
	(void)state;
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakt_audited);
}

json_t *hakt_audit_check(int expected)
{
	int exit_code;
	json_t *json = hakt_ctl_judge(hakt_audited.socket, "check", &exit_code);

	if (exit_code != expected)
		fail_msg("exit code %d: %s", exit_code, json_dumps(json, 0));
	assert_int_equal(hakt_json_number(json, "schema_version"), 1);
	assert_int_equal(hakt_json_number(json, "anomaly_count"),
			 hakt_json_number(json, "unlisted_anomalies") +
				 (long long)json_array_size(json_object_get(json, "anomalies")));
	assert_int_equal(hakt_json_number(json, "anomaly_count") > 0, expected == 6);
	return json;
}

void hakt_audit_check_clean(void)
{
	json_decref(hakt_audit_check(0));
}

void hakt_audit_expect_line(const char *verb, int exit_code, const char *text)
{
	struct hakt_process ctl = {0};

	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "--socket", hakt_audited.socket, verb));
	if (ctl.exit_code != exit_code || !strstr(hakt_process_output(&ctl, 1), text))
		fail_msg("exit code %d, stdout: %s", ctl.exit_code, hakt_process_output(&ctl, 1));
	hakt_process_end(&ctl);
}

void hakt_audit_find_segment(void)
{
	json_t *status = hakt_ctl(hakt_audited.socket, "status");
	json_t *pool = json_array_get(json_object_get(status, "pools"), 0);
	uintptr_t base = strtoull(hakt_json_string(pool, "base"), NULL, 16);
	static struct hak_registry no_registry;
	struct hak_geometry g;

	assert_int_equal(hak_geometry_init(&g, HAKT_AUDIT_CAPACITY, HAKT_AUDIT_LG), 0);
	hak_segment_init(&hakt_audit_segment, &g, &no_registry, (void *)(base - g.data_at));
	json_decref(status);
}

uint32_t hakt_audit_slot_of(const void *block)
{
	uintptr_t offset = (uintptr_t)block - hakt_audit_segment.base;

	assert_true(offset < HAKT_AUDIT_CAPACITY);
	return (uint32_t)(offset >> HAK_SLOT_LG);
}

uint64_t hakt_audit_scribble(uint32_t slot)
{
	uint64_t w = hak_load_relaxed(&hakt_audit_segment.slab_words[slot]);

	hak_store_relaxed(&hakt_audit_segment.slab_words[slot],
			  (w & ~(UINT64_C(0xfff) << HAK_SLAB_OWNER_SHIFT)) |
				  (uint64_t)HAKT_AUDIT_STRANGER << HAK_SLAB_OWNER_SHIFT);
	return w;
}
