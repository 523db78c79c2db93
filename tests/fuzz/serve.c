/* SPDX-License-Identifier: MIT */
/*
 * Several peers talk to a daemon: a list of steps, each a byte and what it takes. After each step
 * the daemon comes to rest, unless the step says that the next one follows at once.
 *
 * What must hold then: each request is answered or its peer cut off, but for a refill, which may
 * wait; the pool's counts are the registry's; while nobody has scribbled the audit finds nothing.
 * In the end all have gone, and so has all that they had, and no descriptor is left open.
 */
#include <unistd.h>

#include "proto/error.h"
#include "proto/shm/check_roots.h"
#include "proto/shm/roots.h"
#include "tests/fuzz/acts.h"
#include "tests/fuzz/host.h"

enum { STEPS = 96, LIST_MAX = 6 };

static struct hakt_host host;
static bool is_sound;	/* nobody has scribbled */
static bool has_lost;	/* a daemon didn't get a lease */
static bool sends_fd;	/* with the next packet */
static bool is_pressed; /* the daemon does not come to rest after the next step */

static const struct hak_segment *segment(void)
{
	return &host.daemon.realms[0]->pool->segment;
}

static void expect_clean(void)
{
	struct hak_audit audit = {.stale_hints = 0};

	for (uint32_t i = 0; i < segment()->geometry.n_superslabs;)
		i += hak_audit_superslab(segment(), i, &audit);
	hak_audit_roots(segment(), &audit);
	HAKT_CLAIM(hak_check_anomalies(&audit.census) == 0);
}

static void rest(void)
{
	hakt_host_settle(&host);
	hakt_callers_listen(true);
	hakt_host_expect_books(&host, true);
	if (is_sound)
		expect_clean();
}

/* Names of programs, pools and roots: a few, and what the input says. */
static char *pick_name(struct hakt_input *input, char room[80])
{
	static const char *const names[] = {"", "default", "a", "b", "\x01", "a b"};
	unsigned n = hakt_input_pick(input, 16);

	if (n < sizeof(names) / sizeof(names[0])) {
		strcpy(room, names[n]);
	} else {
		memset(room, 0, 80);
		for (unsigned i = 0; i < (n - 5) * 7; i++)
			room[i] = (char)hakt_input_byte(input);
	}
	return room;
}

static void ask_hello(struct hakt_caller *caller, struct hakt_input *input)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Hello hello = HAK__HELLO__INIT;
	Hak__Resume resume = HAK__RESUME__INIT;
	uint8_t how = hakt_input_byte(input);
	char name[80], pool[80] = "";

	hello.protocol_version = HAK_PROTOCOL_VERSION + ((how & 15) == 15);
	hello.layout_version = HAK_LAYOUT_VERSION + ((how & 15) == 14);
	hello.layout_fingerprint = hak_layout_fingerprint() + ((how & 15) == 13);
	hello.kind = how & 16 ? HAK__PEER_KIND__PEER_TOOL : HAK__PEER_KIND__PEER_CLIENT;
	hello.name = pick_name(input, name);
	hello.pool = how & 32 ? pick_name(input, pool) : pool;
	if (how & 64) {
		resume.uuid.data = caller->uuid;
		resume.uuid.len = (how & 15) == 12 ? 3 : sizeof(caller->uuid);
		resume.generation = caller->pool_generation + ((how & 15) == 11);
		resume.holder = (how & 15) == 10 ? hakt_input_index(input, HAK_HOLDER_COUNT)
						 : caller->holder;
		resume.holder_generation = caller->generation + ((how & 15) == 9);
		hello.resume = &resume;
	}
	request.body_case = HAK__REQUEST__BODY_HELLO;
	request.hello = &hello;
	hakt_caller_ask(caller, &request, sends_fd);
}

/* Mostly one of the caller's own. */
static uint32_t pick_superslab(const struct hakt_caller *caller, struct hakt_input *input)
{
	uint32_t n = segment()->geometry.n_superslabs;
	uint32_t at = hakt_input_index(input, n);

	return at < n && hakt_act_granted(segment(), caller, at) < n
		       ? hakt_act_granted(segment(), caller, at)
		       : at;
}

static void ask_refill(struct hakt_caller *caller, struct hakt_input *input)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Refill refill = HAK__REFILL__INIT;
	uint8_t how = hakt_input_byte(input);

	refill.count = hakt_input_index(input, 20);
	refill.huge = how & 1;
	refill.alignment = how & 2 ? UINT64_C(1) << (how >> 4) << 10 : 0;
	if (how & 4)
		refill.extends = pick_superslab(caller, input) + 1;
	if (how & 8)
		refill.alignment = hakt_input_take(input, 8);
	request.body_case = HAK__REQUEST__BODY_REFILL;
	request.refill = &refill;
	hakt_caller_ask(caller, &request, sends_fd);
}

/* Of who gives back what it still uses the daemon takes it all the same. */
static void ask_giveback(struct hakt_caller *caller, struct hakt_input *input)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Giveback giveback = HAK__GIVEBACK__INIT;
	uint32_t list[HAK_WIRE_REFILL_MAX + 1];
	uint8_t how = hakt_input_byte(input);

	giveback.n_superslabs = how & 7;
	if (how >> 4 == 15)
		giveback.n_superslabs = HAK_WIRE_REFILL_MAX + (how & 1);
	giveback.superslabs = list;
	for (size_t i = 0; i < giveback.n_superslabs; i++) {
		list[i] = i < LIST_MAX ? pick_superslab(caller, input) : list[i - 1] + 1;
		if (list[i] < segment()->geometry.n_superslabs &&
		    !hakt_act_is_unused(segment(), list[i]))
			is_sound = false;
	}
	if (how & 8)
		giveback.shortens = pick_superslab(caller, input) + 1;
	request.body_case = HAK__REQUEST__BODY_GIVEBACK;
	request.giveback = &giveback;
	hakt_caller_ask(caller, &request, sends_fd);
}

static void ask_question(struct hakt_caller *caller, struct hakt_input *input)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__StatusQuery status = HAK__STATUS_QUERY__INIT;
	Hak__StatsQuery stats = HAK__STATS_QUERY__INIT;
	Hak__ClientsQuery clients = HAK__CLIENTS_QUERY__INIT;
	Hak__CheckQuery check = HAK__CHECK_QUERY__INIT;
	Hak__RootsQuery roots = HAK__ROOTS_QUERY__INIT;
	uint8_t which = hakt_input_byte(input);

	switch (which % 5) {
	case 0:
		request.body_case = HAK__REQUEST__BODY_STATUS;
		request.status = &status;
		break;
	case 1:
		request.body_case = HAK__REQUEST__BODY_STATS;
		request.stats = &stats;
		break;
	case 2:
		clients.from_holder = hakt_input_index(input, 8);
		request.body_case = HAK__REQUEST__BODY_CLIENTS;
		request.clients = &clients;
		break;
	case 3:
		check.from_superslab = hakt_input_index(input, 64);
		check.owners = which & 128;
		request.body_case = HAK__REQUEST__BODY_CHECK;
		request.check = &check;
		break;
	default:
		roots.from_entry = hakt_input_index(input, 16);
		request.body_case = HAK__REQUEST__BODY_ROOTS;
		request.roots = &roots;
	}
	hakt_caller_ask(caller, &request, sends_fd);
}

static void ask_publish(struct hakt_caller *caller, struct hakt_input *input)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Publish publish = HAK__PUBLISH__INIT;
	uint64_t refs[1000];
	uint8_t how = hakt_input_byte(input);
	char name[80];

	publish.name = pick_name(input, name);
	publish.n_refs = how == 255 ? sizeof(refs) / sizeof(refs[0]) : how % LIST_MAX;
	publish.refs = refs;
	for (size_t i = 0; i < publish.n_refs; i++)
		refs[i] = hakt_refs[how == 255 ? i % HAKT_REFS : hakt_input_pick(input, HAKT_REFS)];
	if (how & 64 && publish.n_refs > 0)
		refs[0] = hakt_input_take(input, 8);
	request.body_case = HAK__REQUEST__BODY_PUBLISH;
	request.publish = &publish;
	hakt_caller_ask(caller, &request, sends_fd);
}

static void ask_withdraw(struct hakt_caller *caller, struct hakt_input *input)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Withdraw withdraw = HAK__WITHDRAW__INIT;
	char name[80];

	withdraw.name = pick_name(input, name);
	request.body_case = HAK__REQUEST__BODY_WITHDRAW;
	request.withdraw = &withdraw;
	hakt_caller_ask(caller, &request, sends_fd);
}

static void ask_bye(struct hakt_caller *caller, struct hakt_input *input)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Bye bye = HAK__BYE__INIT;

	(void)input;
	request.body_case = HAK__REQUEST__BODY_BYE;
	request.bye = &bye;
	hakt_caller_ask(caller, &request, sends_fd);
}

static void ask_trim(struct hakt_caller *caller, struct hakt_input *input)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Trim trim = HAK__TRIM__INIT;

	trim.wait_ms = hakt_input_index(input, 250);
	request.body_case = HAK__REQUEST__BODY_TRIM;
	request.trim = &trim;
	hakt_caller_ask(caller, &request, sends_fd);
}

static void send_bytes(struct hakt_caller *caller, struct hakt_input *input)
{
	size_t n = hakt_input_byte(input);

	if (n > input->n)
		n = input->n;
	hakt_caller_send(caller, input->bytes, n, sends_fd);
	input->bytes += n;
	input->n -= n;
}

/*
 * It is killed, and the next one gets all that was kept, or not the pidfds and leases of some:
 * without a lease only the death of its process would tell, which is this one.
 */
static void restart(struct hakt_input *input)
{
	struct hakd_keeper keeper;
	uint8_t lost = hakt_input_byte(input);

	rest();
	hakt_host_keep(&host, &keeper);
	hakt_host_kill(&host);
	hakt_callers_listen(true);
	for (unsigned i = 0; i < keeper.n_kept && lost >= 128; i++)
		if (lost >> i % 7 & 1) {
			has_lost |= keeper.kept[i].kind == HAKD_KEPT_LEASE;
			close(keeper.kept[i].fd);
			keeper.kept[i].fd = -1;
		}
	HAKT_CLAIM(hakt_host_start(&host, &keeper) == 0);
}

static void pass(struct hakt_input *input)
{
	static const uint16_t times[] = {1, 10, 60, 250, 1100, 3000};

	hakt_host_pass(&host, times[hakt_input_pick(input, 6)]);
}

static void step_request(unsigned what, struct hakt_caller *caller, struct hakt_input *input)
{
	static void (*const asks[])(struct hakt_caller * caller, struct hakt_input * input) = {
		ask_hello,    ask_refill, ask_giveback, ask_question, ask_publish,
		ask_withdraw, ask_bye,	  ask_trim,	send_bytes,
	};

	asks[what % (sizeof(asks) / sizeof(asks[0]))](caller, input);
	sends_fd = false;
}

static void step_act(unsigned what, struct hakt_caller *caller, struct hakt_input *input)
{
	hakt_host_settle(&host);
	switch (what) {
	case 0:
		hakt_act_allocate(segment(), caller, input);
		break;
	case 1:
		hakt_act_ref(segment(), caller, input);
		break;
	case 2:
		hakt_act_take(segment(), caller, input);
		break;
	case 3:
		hakt_act_free(segment(), caller, input);
		break;
	case 4:
		hakt_act_cross(segment(), caller, input);
		break;
	default:
		is_sound = false;
		hakt_act_scribble(segment(), input);
	}
}

static void step(struct hakt_input *input)
{
	unsigned what = hakt_input_pick(input, 24);
	struct hakt_caller *caller = &hakt_callers[hakt_input_pick(input, HAKT_CALLERS)];

	is_pressed = false;
	if (what < 9) {
		step_request(what, caller, input);
	} else if (what < 15) {
		step_act(what - 9, caller, input);
	} else if (what == 15) {
		hakt_caller_hang_up(caller);
	} else if (what == 16) {
		hakt_caller_unmap(caller);
	} else if (what == 17) {
		pass(input);
	} else if (what == 18) {
		sends_fd = true;
	} else if (what == 19) {
		is_pressed = true;
	} else if (what == 20) {
		restart(input);
	} else {
		hakt_caller_connect(caller);
	}
}

/* Nobody is there any more: only what roots name may be left, or what scribblers have made so. */
static void leave(void)
{
	const struct hakd_pool *pool = host.daemon.realms[0]->pool;
	bool has_roots = false;

	hakt_callers_deinit();
	hakt_host_settle(&host);
	for (unsigned i = 0; i < 60 && (host.daemon.n_clients > 0 || pool->n_taken > 0); i++)
		hakt_host_pass(&host, 200);
	hakt_host_expect_books(&host, true);
	if (has_lost)
		return;
	HAKT_CLAIM(host.daemon.n_clients == 0);
	HAKT_CLAIM(pool->n_taken == pool->n_orphans);
	for (unsigned i = 0; i < HAK_ROOT_COUNT; i++) /* at rest */
		has_roots |= hak_root_state(hak_load_relaxed(&pool->roots[i].word)) !=
			     HAK_ROOT_FREE;
	HAKT_CLAIM(!is_sound || has_roots || pool->n_taken == 0);
	if (is_sound)
		expect_clean();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static bool has_run; /* the first one opens what stays open */
	unsigned n_fds = hakt_host_count_fds();
	struct hakt_input input = {bytes, n};

	hakt_callers_init();
	memset(hakt_refs, 0, sizeof(hakt_refs));
	is_sound = true;
	has_lost = sends_fd = is_pressed = false;
	HAKT_CLAIM(hakt_host_start(&host, NULL) == 0);
	for (unsigned i = 0; i < STEPS && input.n > 0; i++) {
		bool has_company = is_pressed;

		step(&input);
		if (!has_company && !is_pressed)
			rest();
	}
	leave();
	hakt_host_kill(&host);
	HAKT_CLAIM(!has_run || hakt_host_count_fds() == n_fds);
	has_run = true;
	return 0;
}
