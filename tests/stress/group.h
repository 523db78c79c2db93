/* SPDX-License-Identifier: MIT */
#ifndef HAKT_GROUP_H
#define HAKT_GROUP_H

/*
 * Processes that exchange blocks: a test starts them, tells them what to do and
 * reads what they report. Each runs the program `exchange`, which knows its
 * descriptors by number. All calls fail the test on error.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HAKT_GROUP_MAX 8u

/* Descriptors of a member. */
#define HAKT_FD_CONTROL 3 /* to and from the test */
#define HAKT_FD_INBOX	4 /* messages of others */
#define HAKT_FD_OUTBOX	5 /* and following: to member 0, 1, ... */

/* Commands, a byte each; a member answers each but EXIT by a report. */
enum hakt_command {
	HAKT_STOP = 's',  /* make and pass on no more, only receive and free */
	HAKT_DRAIN = 'd', /* nobody sends any more: free everything, flush */
	HAKT_TRIM = 't',  /* flush again: others have freed meanwhile */
	HAKT_EXIT = 'x',  /* detach and end with 0 */
};

struct hakt_report {
	uint64_t n_ops;
	uint64_t superslabs;	/* granted to the member */
	uint64_t refused_frees; /* none is right */
};

struct hakt_member {
	pid_t pid; /* 0: none runs */
	int control;
};

struct hakt_group {
	unsigned n;
	int inbox_in[HAKT_GROUP_MAX];
	int inbox_out[HAKT_GROUP_MAX];
	struct hakt_member members[HAKT_GROUP_MAX];
};

void hakt_group_init(struct hakt_group *group, unsigned n);

/* Ends members that still run by SIGKILL. */
void hakt_group_deinit(struct hakt_group *group);

/*
 * Starts a member. It works for n_ops operations, then it reports and goes on
 * as after HAKT_STOP; 0: until it is told to. keeps_own: as of a party.
 */
void hakt_group_start(struct hakt_group *group, unsigned member, uint64_t seed, uint64_t n_ops,
		      bool keeps_own);

void hakt_group_tell(struct hakt_group *group, unsigned member, enum hakt_command command);

/* Waits for a member's next report; that it ends instead fails the test. */
struct hakt_report hakt_group_hear(struct hakt_group *group, unsigned member);

/* Tells the first n members the same; all must report. Adds up what they do. */
struct hakt_report hakt_group_tell_all(struct hakt_group *group, unsigned n,
				       enum hakt_command command);

/* HAKT_EXIT to the first n; all must end with 0. */
void hakt_group_exit(struct hakt_group *group, unsigned n);

/* SIGKILL; returns when it is dead. */
void hakt_group_kill(struct hakt_group *group, unsigned member);

#endif
