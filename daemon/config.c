/* SPDX-License-Identifier: MIT */
/* Defaults, the file, the flags above it, and the file once more at a reload. */
#include "daemon/config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "daemon/setting.h"
#include "daemon/util/log.h"
#include "proto/shm/registry.h"
#include "proto/shm/sample.h"

#define DEFAULT_FILE "/etc/hakmem/hakmemd.conf"

static const char help[] =
	"usage: hakmemd [OPTION]...\n"
	"Owns a heap that processes share, and grants them memory of it.\n\n"
	"  --socket PATH         listen there; default: HAKMEM_SOCKET, else the user's\n"
	"                        ($XDG_RUNTIME_DIR/hakmem/hakmemd.sock) unless root starts it\n"
	"                        and it isn't there, else " HAK_SOCKET_SYSTEM "\n"
	"  --capacity SIZE       address space of the pool (64G)\n"
	"  --limit SIZE          memory that it may use (half of the machine's)\n"
	"  --superslab-lg 20|21  SuperSlabs of 1 or 2 MiB (21)\n"
	"  --keep SECONDS        free memory is kept for so long: half of it by the process that "
	"had\n"
	"                        it, half by the daemon (10)\n"
	"  --retain SIZE         of that the daemon keeps no more than this, and the reserve "
	"(128M)\n"
	"  --client-limit SIZE, --user-limit SIZE, --user-clients N\n"
	"                        memory that a client may have, and all clients of a user, and "
	"how\n"
	"                        many clients (0: no limit of its own)\n"
	"  --hardened yes|no     processes that attach find misuse of the heap at the call (no)\n"
	"  --profile SIZE        one in so many bytes that are allocated is sampled, 0: none (0)\n"
	"  --owner USER, --group GROUP, --mode MODE\n"
	"                        who may do what with the pool, as with a file; of MODE's digits 4 "
	"is\n"
	"                        to read, 2 to attach for writing, 1 to administer (the daemon's, "
	"766)\n"
	"  --socket-mode MODE    permissions of the socket, octal (660)\n"
	"  --admin-group GROUP   a group that may all that root may (none)\n"
	"  --idle-exit SECONDS   end when nobody was attached for so long (0: never)\n"
	"  --hello-timeout SECONDS, --requests-per-second N\n"
	"                        a connection says hello in that time (10), and is paused when it\n"
	"                        asks more often (50000); 0: no such limit\n"
	"  --log-level LEVEL     error, warn, info or debug (HAKMEM_LOG, else info)\n"
	"  --config FILE         settings ([daemon] and [pool NAME]; default " DEFAULT_FILE ")\n"
	"  --foreground          don't go into the background\n"
	"  --supervise           be the keeper: a parent that has the socket and the pool's\n"
	"                        descriptors, and starts the next daemon when one has ended\n"
	"  --help, --version\n"
	"SIZE is a number of bytes, or one with K, M, G or T behind it.\n\n"
	"SIGHUP   reads the file again, all but capacity, superslab_lg, socket, socket_mode and\n"
	"         idle_exit; the flags stay above it\n"
	"SIGTERM  stops; with a keeper (NOTIFY_SOCKET, with --foreground) the pool is left for\n"
	"         the next hakmemd, without one it ends\n"
	"SIGINT   stops, and the pool ends\n"
	"To a --supervise: SIGHUP is passed on, SIGTERM and SIGINT stop both, and the pool ends;\n"
	"SIGUSR1  starts the daemon anew, from the same path: an upgrade\n\n"
	"exit codes: 0 stopped, 1 failed, 2 wrong usage, or the pool of an earlier daemon that\n"
	"was handed over is of another version, 3 another daemon serves the socket\n";

struct file {
	struct hakd_config *config;
	const char *path;
	bool failed;
};

bool hakd_config_is_pool_name(const char *name)
{
	static const char others[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_.";
	size_t n = strlen(name);

	return n > 0 && n < HAK_POOL_NAME_BYTES && isalnum((unsigned char)name[0]) &&
	       strspn(name, others) == n;
}

const struct hakd_pool_config *hakd_config_pool(const struct hakd_config *config, const char *name)
{
	for (unsigned i = 0; i < config->n_pools; i++)
		if (strcmp(config->pools[i].name, name) == 0)
			return &config->pools[i];
	return NULL;
}

static const struct hakd_pool_config usual = {.capacity = UINT64_C(64) << 30,
					      .superslab_lg = HAK_SUPERSLAB_LG_MAX,
					      .keep = 10,
					      .mode = 0766,
					      .retain = HAKD_RETAIN_MAX};

void hakd_config_usual_pool(struct hakd_pool_config *ret_pool)
{
	*ret_pool = usual;
	ret_pool->owner = geteuid();
	ret_pool->group = getegid();
}

/* That of a section [pool NAME], which may be new; NULL: it is none, or there are too many. */
static struct hakd_pool_config *pool_of(struct hakd_config *config, const char *section)
{
	const char *name = strncmp(section, "pool ", 5) == 0 ? section + 5 : "";
	struct hakd_pool_config *pool = (void *)(uintptr_t)hakd_config_pool(config, name);

	if (pool || !hakd_config_is_pool_name(name) || config->n_pools == HAKD_POOLS_MAX)
		return pool;
	pool = &config->pools[config->n_pools++];
	hakd_config_usual_pool(pool);
	strcpy(pool->name, name);
	return pool;
}

static int on_line(void *context, const char *section, const char *name, const char *value)
{
	struct file *file = context;
	struct hakd_pool_config *pool = pool_of(file->config, section);

	for (unsigned i = 0; i < HAKD_SETTING_COUNT; i++) {
		bool is_pools = strcmp(hakd_settings[i].section, HAKD_POOL_SECTION) == 0;

		if ((is_pools ? !pool : strcmp(section, hakd_settings[i].section) != 0) ||
		    strcmp(name, hakd_settings[i].name) != 0)
			continue;
		if (hakd_setting_apply(file->config, pool, (enum hakd_setting_number)i, value) == 0)
			return 1;
		fprintf(stderr, "hakmemd: %s: [%s] %s = %s: must be %s\n", file->path, section,
			name, value, hakd_settings[i].allowed);
		file->failed = true;
		return 0;
	}
	fprintf(stderr, "hakmemd: %s: there is no setting %s in [%s]\n", file->path, name, section);
	file->failed = true;
	return 0;
}

static int read_file(struct hakd_config *config, const char *path, bool must_exist)
{
	struct file file = {config, path, false};
	FILE *stream;
	int r;

	if (!must_exist && access(path, F_OK) != 0)
		return 0;
	stream = fopen(path, "re");
	r = stream ? ini_parse_file(stream, on_line, &file) : -1;
	if (r == 0 && ferror(stream)) /* inih takes it for the end, errno is still fgets's */
		r = -1;
	if (stream) {
		int saved = errno;

		fclose(stream);
		errno = saved;
	}
	if (r == 0)
		return 0;
	if (r < 0)
		fprintf(stderr, "hakmemd: cannot read %s: %s\n", path, strerror(errno));
	else
		fprintf(stderr, "hakmemd: %s:%d: %s\n", path, r,
			file.failed ? "not accepted" : "neither [section] nor name = value");
	return -EINVAL;
}

static int tell_flaw(const struct hakd_pool_config *pool, enum hakd_setting_number setting,
		     char ret_flaw[HAKD_FLAW_BYTES])
{
	char value[HAKD_SETTING_BYTES];

	(void)hakd_setting_print(NULL, pool, setting, value); /* what a pool has is always set */
	snprintf(ret_flaw, HAKD_FLAW_BYTES, "%s %s: must be %s", hakd_settings[setting].name, value,
		 hakd_settings[setting].allowed);
	return -EINVAL;
}

int hakd_config_check_pool(struct hakd_pool_config *pool, char ret_flaw[HAKD_FLAW_BYTES])
{
	struct hak_geometry geometry;
	struct sysinfo machine;

	if (pool->superslab_lg < HAK_SUPERSLAB_LG_MIN || pool->superslab_lg > HAK_SUPERSLAB_LG_MAX)
		return tell_flaw(pool, HAKD_SETTING_SUPERSLAB_LG, ret_flaw);
	if (hak_geometry_init(&geometry, pool->capacity, pool->superslab_lg) < 0)
		return tell_flaw(pool, HAKD_SETTING_CAPACITY, ret_flaw);
	if (pool->limit == 0) { /* as tmpfs does */
		pool->limit = pool->capacity;
		if (sysinfo(&machine) == 0 &&
		    (uint64_t)machine.totalram * machine.mem_unit / 2 < pool->limit)
			pool->limit = (uint64_t)machine.totalram * machine.mem_unit / 2;
	}
	if (pool->limit > pool->capacity || pool->limit < HAKD_LIMIT_MIN)
		return tell_flaw(pool, HAKD_SETTING_LIMIT, ret_flaw);
	if (pool->keep > HAKD_KEEP_MAX)
		return tell_flaw(pool, HAKD_SETTING_KEEP, ret_flaw);
	if (pool->retain > HAKD_RETAIN_MAX)
		return tell_flaw(pool, HAKD_SETTING_RETAIN, ret_flaw);
	if (pool->user_clients > HAK_HOLDER_COUNT)
		return tell_flaw(pool, HAKD_SETTING_USER_CLIENTS, ret_flaw);
	if (pool->mode > 0777)
		return tell_flaw(pool, HAKD_SETTING_MODE, ret_flaw);
	if (!hak_sample_is_interval(pool->profile))
		return tell_flaw(pool, HAKD_SETTING_PROFILE, ret_flaw);
	return 0;
}

static int check(struct hakd_config *config)
{
	char flaw[HAKD_FLAW_BYTES];

	for (unsigned i = 0; i < config->n_pools; i++) {
		if (hakd_config_check_pool(&config->pools[i], flaw) == 0)
			continue;
		fprintf(stderr, "hakmemd: pool %s: %s\n", config->pools[i].name, flaw);
		return -EINVAL;
	}
	return 0;
}

enum {
	OPTION_CONFIG = HAKD_SETTING_COUNT + 1,
	OPTION_FOREGROUND,
	OPTION_SUPERVISE,
	OPTION_HELP,
	OPTION_VERSION
};

static const struct option own_flags[] = {
	{"config", required_argument, NULL, OPTION_CONFIG},
	{"foreground", no_argument, NULL, OPTION_FOREGROUND},
	{"supervise", no_argument, NULL, OPTION_SUPERVISE},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0},
};

enum { N_OWN_FLAGS = sizeof(own_flags) / sizeof(own_flags[0]) };

static int read_flags(struct hakd_config *config, int argc, char **argv, const char **given)
{
	static char foreground[] = "--foreground";
	struct option flags[HAKD_SETTING_COUNT + N_OWN_FLAGS];
	int option;

	for (int i = 0; i < HAKD_SETTING_COUNT; i++)
		flags[i] = (struct option){hakd_settings[i].flag, required_argument, NULL, i + 256};
	memcpy(flags + HAKD_SETTING_COUNT, own_flags, sizeof(own_flags));

	while ((option = getopt_long(argc, argv, "", flags, NULL)) != -1) {
		switch (option) {
		case OPTION_CONFIG:
			given[HAKD_SETTING_COUNT] = optarg;
			break;
		case OPTION_FOREGROUND:
			config->foreground = true;
			break;
		case OPTION_SUPERVISE:
			config->supervise = true;
			argv[optind - 1] = foreground;
			break;
		case OPTION_HELP:
			fputs(help, stdout);
			return 1;
		case OPTION_VERSION:
			puts("hakmemd " HAKMEM_VERSION);
			return 1;
		default:
			if (option < 256) {
				fputs("hakmemd: see hakmemd --help\n", stderr);
				return -EINVAL;
			}
			given[option - 256] = optarg;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "hakmemd: what is %s? See hakmemd --help\n", argv[optind]);
		return -EINVAL;
	}
	return 0;
}

int hakd_config_init(struct hakd_config *config, int argc, char **argv)
{
	const char *given[HAKD_SETTING_COUNT + 1] = {NULL};
	const char *level = getenv("HAKMEM_LOG");
	int r;

	*config = (struct hakd_config){.socket_mode = 0660,
				       .log_level = HAKD_LOG_INFO,
				       .n_pools = 1,
				       .hello_timeout = 10,
				       .requests_per_second = 50000,
				       .admin_group = (gid_t)-1,
				       .argc = argc,
				       .argv = argv};
	hakd_config_usual_pool(&config->pools[0]);
	strcpy(config->pools[0].name, HAK_POOL_FIRST);
	if (level && hakd_log_level_of(level) >= 0)
		config->log_level = hakd_log_level_of(level);
	r = read_flags(config, argc, argv, given);
	if (r != 0)
		return r;
	config->file = given[HAKD_SETTING_COUNT];
	r = read_file(config, config->file ? config->file : DEFAULT_FILE, config->file != NULL);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < HAKD_SETTING_COUNT; i++) {
		if (!given[i] || hakd_setting_apply(config, &config->pools[0],
						    (enum hakd_setting_number)i, given[i]) == 0)
			continue;
		fprintf(stderr, "hakmemd: --%s %s: must be %s\n", hakd_settings[i].flag, given[i],
			hakd_settings[i].allowed);
		return -EINVAL;
	}
	/* Who isn't root can seldom write where the system's daemon listens. */
	if (!*config->socket && hak_socket_path(NULL, geteuid() != 0, config->socket) < 0) {
		fputs("hakmemd: the path of HAKMEM_SOCKET or XDG_RUNTIME_DIR is too long\n",
		      stderr);
		return -EINVAL;
	}
	return check(config);
}

/* Is it one that only a start can change, and another one now? */
static bool has_changed(enum hakd_setting_number setting, const struct hakd_config *now,
			const struct hakd_config *then)
{
	switch (setting) {
	case HAKD_SETTING_SOCKET:
		return strcmp(now->socket, then->socket) != 0;
	case HAKD_SETTING_SOCKET_MODE:
		return now->socket_mode != then->socket_mode;
	case HAKD_SETTING_IDLE_EXIT:
		return now->idle_exit != then->idle_exit;
	default:
		return false;
	}
}

/* What a pool that is there can't take. */
static void warn_of_pool(const struct hakd_pool_config *now, const struct hakd_pool_config *then)
{
	if (!now)
		hakd_log(HAKD_LOG_WARN, "pool %s has gone from the configuration: it stays",
			 then->name);
	else if (now->capacity != then->capacity || now->superslab_lg != then->superslab_lg)
		hakd_log(
			HAKD_LOG_WARN,
			"%s of pool %s is another one in the configuration: that needs a new start",
			now->capacity != then->capacity ? "capacity" : "superslab_lg", now->name);
}

void hakd_config_take_pool(struct hakd_pool_config *to, const struct hakd_pool_config *from)
{
	struct hakd_pool_config taken = *from;

	memcpy(taken.name, to->name, sizeof(taken.name));
	taken.capacity = to->capacity;
	taken.superslab_lg = to->superslab_lg;
	*to = taken;
}

/* Sections that are new, and what a pool can take; those that have gone stay as they are. */
static void take_pools(struct hakd_config *config, const struct hakd_config *now)
{
	for (unsigned i = 0; i < config->n_pools; i++) {
		struct hakd_pool_config *then = &config->pools[i];
		const struct hakd_pool_config *pool = hakd_config_pool(now, then->name);

		warn_of_pool(pool, then);
		if (!pool)
			continue;
		hakd_config_take_pool(then, pool);
	}
	for (unsigned i = 0; i < now->n_pools && config->n_pools < HAKD_POOLS_MAX; i++)
		if (!hakd_config_pool(config, now->pools[i].name))
			config->pools[config->n_pools++] = now->pools[i];
}

int hakd_config_reload(struct hakd_config *config)
{
	struct hakd_config now;

	optind = 0; /* glibc: begin anew */
	if (hakd_config_init(&now, config->argc, config->argv) != 0)
		return -EINVAL;
	for (unsigned i = 0; i < HAKD_SETTING_COUNT; i++)
		if (has_changed((enum hakd_setting_number)i, &now, config))
			hakd_log(HAKD_LOG_WARN,
				 "%s is another one in the configuration: that needs a new start",
				 hakd_settings[i].name);
	config->log_level = now.log_level;
	config->hello_timeout = now.hello_timeout;
	config->requests_per_second = now.requests_per_second;
	config->admin_group = now.admin_group;
	take_pools(config, &now);
	return 0;
}
