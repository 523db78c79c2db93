/* SPDX-License-Identifier: MIT */
/* Runs hakmemctl and reads its JSON. */
#include "tests/support/ctl.h"

#include <string.h>
#include <unistd.h>

#include "tests/support/process.h"
#include "tests/support/run.h"

long long hakt_json_number(json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	if (!json_is_integer(value))
		fail_msg("%s is no whole number", name);
	return json_integer_value(value);
}

const char *hakt_json_string(json_t *object, const char *name)
{
	const char *value = json_string_value(json_object_get(object, name));

	if (!value)
		fail_msg("%s is no string", name);
	return value;
}

json_t *hakt_ctl_judge(const char *socket, const char *verb, int *ret_exit_code)
{
	struct hakt_process ctl = {0};
	json_error_t error;
	json_t *json;

	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "--json", "--socket", socket, verb));
	*ret_exit_code = ctl.exit_code;
	json = json_loads(hakt_process_output(&ctl, 1), 0, &error);
	if (!json)
		fail_msg("hakmemctl %s: exit code %d, no JSON: %s; stderr: %s", verb, ctl.exit_code,
			 error.text, hakt_process_output(&ctl, 2));
	hakt_process_end(&ctl);
	return json;
}

json_t *hakt_ctl(const char *socket, const char *verb)
{
	int exit_code;
	json_t *json = hakt_ctl_judge(socket, verb, &exit_code);

	assert_int_equal(exit_code, 0);
	return json;
}

long long hakt_ctl_status(const char *socket, const char *name)
{
	json_t *status = hakt_ctl(socket, "status");
	json_t *value = json_object_get(status, name);
	long long number = json_integer_value(value);

	assert_true(json_is_integer(value));
	json_decref(status);
	return number;
}

long long hakt_ctl_pool(const char *socket, const char *name)
{
	json_t *status = hakt_ctl(socket, "status");
	json_t *pools = json_object_get(status, "pools");
	json_t *value = json_object_get(json_array_get(pools, 0), name);
	long long number = json_integer_value(value);

	assert_true(json_array_size(pools) >= 1);
	assert_true(json_is_integer(value));
	json_decref(status);
	return number;
}

long long hakt_ctl_pool_of(const char *socket, const char *pool, const char *name)
{
	json_t *status = hakt_ctl(socket, "status"), *p;
	long long number = -1;
	size_t i;

	json_array_foreach(json_object_get(status, "pools"), i,
			   p) if (strcmp(hakt_json_string(p, "name"), pool) == 0)
		number = hakt_json_number(p, name);
	json_decref(status);
	return number;
}

void hakt_ctl_wait_pool_of(const char *socket, const char *pool, const char *name, long long number)
{
	for (unsigned i = 0; i < 600 && hakt_ctl_pool_of(socket, pool, name) != number; i++)
		usleep(20000);
	assert_int_equal(hakt_ctl_pool_of(socket, pool, name), number);
}

void hakt_ctl_client_state(const char *socket, pid_t pid, char state[HAKT_CTL_STATE_BYTES])
{
	json_t *json = hakt_ctl(socket, "clients");
	json_t *client;
	size_t i;

	*state = 0;
	json_array_foreach(json_object_get(json, "clients"), i,
			   client) if (json_integer_value(json_object_get(client, "pid")) == pid)
		snprintf(state, HAKT_CTL_STATE_BYTES, "%s",
			 json_string_value(json_object_get(client, "state")));
	json_decref(json);
}
