/* SPDX-License-Identifier: MIT */
#ifndef HAKD_JOB_H
#define HAKD_JOB_H

/*
 * Work that takes long. The peer and the client of a job stay until it ends:
 * a busy peer isn't closed, a busy client isn't collected.
 */

#include "daemon/net/peer.h"
#include "proto/shm/check.h"

struct hakd_run {
	uint32_t head;
	uint32_t n;
	bool keep;
	/* Of one that is on its way back, see reclaim/: */
	bool has_tags; /* that are to be zeroed */
	bool survives; /* others hold blocks in it */
	bool has_room; /* an orphan: slots are in no slab */
	bool has_changed;
};

/* What a client asked for. */
struct hakd_refill {
	uint32_t count;
	bool huge;
	uint64_t alignment;
	uint32_t extends;    /* head of the run that is to be count long, + 1; 0: a new one */
	bool is_ahead;	     /* nobody waits for it yet */
	uint64_t since;	     /* ms of the loop's clock: when it came */
	bool is_short;	     /* the machine had too little memory for it */
	bool has_given_warm; /* all that was warm was punched for it */
	bool has_waited;     /* for what other clients give back: pressure.h */
};

/* What somebody waits for who wants memory given back, see trim.h. */
struct hakd_trimming {
	uint64_t resident; /* bytes, before it */
	uint64_t until;	   /* ms of the loop's clock */
};

struct hakd_audit;

struct hakd_job {
	uv_work_t work;
	/* Of those that wait: questions, upkeep.h, reclaim/grace.h, reclaim/scan.h. */
	struct hakd_job *next;
	void (*passed)(struct hakd_job *job); /* of the last two: what it waits for has come */
	struct hakd_realm *realm;
	struct hakd_peer *peer;	    /* who waits for the reply; NULL: nobody */
	struct hakd_client *client; /* NULL: of nobody */
	uint64_t request_id;
	void (*run)(struct hakd_job *job); /* on a worker */
	void (*end)(
		struct hakd_job *job); /* on the loop; then the job is freed, unless it goes on */
	bool goes_on;		       /* started again, or waiting */
	bool is_question;	       /* set before it starts: see questions below */
	int result;
	struct hakd_refill refill;
	struct hakd_trimming trim;
	struct hakd_realm **realms;  /* of a status, n_runs of them; it has a reference to each */
	struct hak_census *censuses; /* of a query: of pools, or of holders from first_holder on */
	struct hakd_audit *audit;    /* of a check */
	struct hak_scan found;	     /* of a client that has left, in its own runs */
	uint32_t next_run;	     /* likewise: which is scanned next */
	uint32_t first_holder;
	uint32_t n_holders;
	uint32_t n_runs;
	uint32_t n_idle;	/* warm SuperSlabs behind the runs that are to be punched first */
	struct hakd_run runs[]; /* SuperSlabs that are taken */
};

/* A job with room for so many runs; NULL: no memory, or the realm is going. */
struct hakd_job *hakd_job_new(struct hakd_realm *realm, struct hakd_peer *peer,
			      struct hakd_client *client, uint32_t n_runs);

/*
 * Gives it to a worker. Questions, which anybody may ask, of which each may walk over the whole pool,
 * take turns where many are asked at once: some workers are always left for memory and for
 * the dead.
 */
void hakd_job_start(struct hakd_job *job);

/* Of one that came to nothing. */
void hakd_job_free(struct hakd_job *job);

/* Frees a job that is over; its client as below. */
void hakd_job_finish(struct hakd_job *job);

/* The next step of a job that waited, on the loop; then it is freed, unless it goes on. */
void hakd_job_go_on(struct hakd_job *job, void (*step)(struct hakd_job *job));

/* No job of this client is under way any more: if it left meanwhile, it is collected. */
void hakd_job_release_client(struct hakd_client *client);

#endif
