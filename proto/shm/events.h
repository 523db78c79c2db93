/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_EVENTS_H
#define HAK_SHM_EVENTS_H

/*
 * What has happened in a pool, the last HAK_EVENTS_MAX of it: a ring in a file beside the daemon's
 * socket, which is there while the daemon is down, and which the next daemon goes on with.
 *
 * An event is 64 bytes; its last word is a checksum of the others. Who reads one that is just being
 * written, or that a daemon was killed in, finds that it doesn't hold, and has not seen it (yet).
 *
 * | operation | who may                | killed half way                           |
 * |-----------|------------------------|-------------------------------------------|
 * | write     | the daemon             | the oldest is gone, the new one isn't seen |
 * | read      | who may read the pool  | -                                         |
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/shm/registry.h"

/*
 * X(NAME, name, LEVEL, text): in the text %a and %b are the event's values, %p is "pid 12 name
 * (holder 3)". LEVEL, as of the daemon's log: ERROR, WARN, INFO, DEBUG.
 * The numbers of kinds stay: new ones are added at the end.
 */
#define HAK_EVENTS(X)                                                                            \
	X(MADE, made, INFO, "the pool is made, with a capacity of %a MiB and a limit of %b MiB") \
	X(STARTED, started, INFO, "%p goes on with the pool, generation %a, and %b clients")     \
	X(ATTACHED, attached, DEBUG, "%p has attached")                                          \
	X(DETACHED, detached, DEBUG, "%p has detached")                                          \
	X(DIED, died, INFO, "%p has died or called exec")                                        \
	X(RECLAIMED, reclaimed, DEBUG,                                                           \
	  "what %p had is reclaimed: %a SuperSlabs, %b more are orphans")                        \
	X(HUNG_UP, hung_up, DEBUG, "%p has hung up, and lives")                                  \
	X(RESUMED, resumed, DEBUG, "%p has connected again")                                     \
	X(ADOPTED, adopted, DEBUG, "%p is the heir of orphan %a")                                \
	X(LIMIT, limit, WARN,                                                                    \
	  "%p was refused memory by its limit, or its user's: %a times by now")                  \
	X(FULL, full, WARN, "%p was refused memory for want of it: %a times by now")             \
	X(SHORT, short, DEBUG, "memory is short: what is warm goes, clients are asked")          \
	X(TRIMMED, trimmed, INFO, "all that was free went: %a MiB were resident, %b are now")    \
	X(DAMAGED, damaged, WARN, "an audit found %a anomalies")                                 \
	X(ENDED, ended, INFO, "the pool ends, with %a clients attached")

enum hak_event_kind {
#define X(NAME, name, level, text) HAK_EVENT_##NAME,
	HAK_EVENTS(X)
#undef X
		HAK_EVENT_COUNT
};

extern const char *const hak_event_names[HAK_EVENT_COUNT];
extern const char *const hak_event_texts[HAK_EVENT_COUNT];

#define HAK_EVENT_NAME_BYTES 16
#define HAK_EVENTS_MAX	     4096u
#define HAK_EVENTS_MAGIC     UINT64_C(0x746e6576656b6168) /* hakevent */

/* | 0 number | 8 at | 16 kind | 18 holder | 20 pid | 24 a | 32 b | 40 name | 56 check | */
struct hak_event {
	uint64_t number; /* from 1 on */
	uint64_t at;	 /* ms since 1970 */
	uint16_t kind;
	uint16_t holder; /* 0: it is about none */
	int32_t pid;
	uint64_t a, b;
	char name[HAK_EVENT_NAME_BYTES]; /* of the process, without a NUL if it is that long */
	uint64_t check;
};

/*
 * | 0..7 magic | 8..15 bytes | 16..31 - | 32..63 pool | 64.. ring |
 */
struct hak_events {
	uint64_t magic;
	uint64_t bytes;
	uint64_t unused[2];
	char pool[HAK_POOL_NAME_BYTES];
	struct hak_event ring[HAK_EVENTS_MAX]; /* number n is at n % HAK_EVENTS_MAX */
};

_Static_assert(sizeof(struct hak_event) == 64 && offsetof(struct hak_event, check) == 56,
	       "the map above");
_Static_assert(offsetof(struct hak_events, ring) == 64, "the map above");

void hak_events_init(struct hak_events *events, const char *pool);

/* Are these n bytes the beginning of such a file, of that pool? */
bool hak_events_are_known(const struct hak_events *events, size_t n, const char *pool);

/* Puts it where its number says, with its check. Its kind, holder and so on are set. */
void hak_events_write(struct hak_events *events, const struct hak_event *event);

/* Does it hold, as event number n? */
bool hak_event_holds(const struct hak_event *event, uint64_t n);

/* The number of the last one that holds; 0: there is none. */
uint64_t hak_events_last(const struct hak_events *events);

/* The text, for people; what isn't printable ASCII of the name is '?'. */
void hak_event_text(const struct hak_event *event, char *ret_text, size_t n);

#endif
