/* SPDX-License-Identifier: MIT */
/*
 * A machine for C11's memory orders: what each thread may still see, and which stores there are.
 *
 * A word is the list of its stores, in modification order; each carries a view, what its release
 * makes visible. A thread's view has, for each word, the oldest store that it may still read, and
 * a clock for each thread, how much of it happens before. A load takes any store that its view
 * allows; an acquire adds the store's view to the thread's. A read-modify-write reads the latest
 * store and hands its view on (C++20's release sequence: shorter than C11's). A seq_cst fence
 * exchanges the words' part of the view with all seq_cst fences before it, not the clocks: fences
 * alone make no data visible. That is RC11 (Lahav et al., 2017) of relaxed, acquire, release and
 * fences, with two limits:
 *
 * - A load never sees a store that comes later. (RC11 has that too; C11 allows it, and ARM does it
 *   for accesses of two words.) So where code relies on nobody touching a word any more, model_own
 *   asks for happens-before, which doesn't depend on it.
 * - A word's stores are ordered as they were run. That loses nothing where all stores that race
 *   are read-modify-writes, each of which follows the one that it read: as here, model_own apart.
 *
 * Little-endian.
 */
#include "tests/model/orders/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES 24

struct view {
	uint8_t at[MODEL_LOCATIONS];
	uint16_t clock[MODEL_THREADS];
};

struct message {
	uint64_t value;
	struct view view;
};

/* An object that was accessed in this run; without messages: no atomic word. */
struct location {
	const void *p;
	unsigned n_messages;
	struct message messages[MESSAGES];
	/* For races: the last write, and each thread's last read. */
	unsigned writer;
	uint16_t written, read[MODEL_THREADS];
};

struct seer {
	struct view view;
	struct view acquired; /* what an acquire fence would add */
	struct view released; /* of the last fence: what a relaxed store carries */
};

static struct location locations[MODEL_LOCATIONS];
static unsigned n_locations;
static struct seer seers[MODEL_THREADS];
static struct view fences; /* of all seq_cst ones so far */

static void die(const char *why)
{
	fprintf(stderr, "machine: %s\n", why);
	exit(2);
}

void machine_reset(void)
{
	n_locations = 0;
	memset(&fences, 0, sizeof(fences));
	memset(seers, 0, sizeof(seers));
	for (unsigned i = 0; i < MODEL_THREADS; i++)
		seers[i].view.clock[i] = 1;
}

uint64_t machine_value(const void *p, size_t size)
{
	uint64_t v = 0;

	memcpy(&v, p, size);
	return v;
}

uint64_t machine_combine(enum model_rmw kind, uint64_t a, uint64_t b)
{
	return kind == MODEL_OR ? a | b : kind == MODEL_AND ? a & b : a + b;
}

unsigned machine_location_of(const void *p)
{
	unsigned i;

	for (i = 0; i < n_locations; i++)
		if (locations[i].p == p)
			return i;
	if (n_locations == MODEL_LOCATIONS)
		die("too many locations");
	memset(&locations[i], 0, sizeof(locations[i]));
	locations[i].p = p;
	n_locations++;
	return i;
}

unsigned machine_word_of(const void *p, size_t size)
{
	unsigned at = machine_location_of(p);
	struct location *l = &locations[at];

	if (l->n_messages == 0) {
		l->messages[0].value = machine_value(p, size);
		l->n_messages = 1;
	}
	return at;
}

static void words_join(struct view *to, const struct view *from)
{
	for (unsigned i = 0; i < n_locations; i++)
		if (to->at[i] < from->at[i])
			to->at[i] = from->at[i];
}

static void view_join(struct view *to, const struct view *from)
{
	words_join(to, from);
	for (unsigned i = 0; i < MODEL_THREADS; i++)
		if (to->clock[i] < from->clock[i])
			to->clock[i] = from->clock[i];
}

const char *machine_access(unsigned at, unsigned thread, bool is_write)
{
	struct location *l = &locations[at];
	const uint16_t *clock = seers[thread].view.clock;

	if (l->written > clock[l->writer])
		return "an access that nothing orders behind a write";
	if (!is_write) {
		l->read[thread] = clock[thread];
		return NULL;
	}
	for (unsigned i = 0; i < MODEL_THREADS; i++)
		if (l->read[i] > clock[i])
			return "a write that nothing orders behind an access";
	l->writer = thread;
	l->written = clock[thread];
	return NULL;
}

static void load(struct seer *s, struct model_op *op, unsigned message, enum model_order order)
{
	const struct message *m = &locations[op->at].messages[message];

	if (s->view.at[op->at] < message)
		s->view.at[op->at] = (uint8_t)message;
	view_join(&s->acquired, &m->view);
	if (order & MODEL_ACQUIRE)
		view_join(&s->view, &m->view);
	op->result = m->value;
}

/* is_rmw: the store before, which was read, hands its view on. */
static void store(struct seer *s, const struct model_op *op, uint64_t v, bool is_rmw)
{
	struct location *l = &locations[op->at];
	struct message *m = &l->messages[l->n_messages];

	if (l->n_messages == MESSAGES)
		die("too many stores of a word");
	s->view.at[op->at] = (uint8_t)l->n_messages++;
	m->value = v;
	m->view = op->order & MODEL_RELEASE ? s->view : s->released;
	if (is_rmw)
		view_join(&m->view, &m[-1].view);
	m->view.at[op->at] = s->view.at[op->at];
	memcpy(op->p, &v, op->size);
}

static void fence(struct seer *s, bool is_seq_cst)
{
	view_join(&s->view, &s->acquired);
	if (is_seq_cst) {
		words_join(&s->view, &fences);
		words_join(&fences, &s->view);
	}
	s->released = s->view;
}

/* A load, or a CAS, which fails by any store that it may see and doesn't expect. Relaxed then. */
static unsigned load_or_swap(struct seer *s, struct model_op *op, unsigned choice)
{
	const struct location *l = &locations[op->at];
	unsigned latest = l->n_messages - 1, able[MESSAGES], n = 0;
	bool is_swap = op->kind == MODEL_SWAP;
	bool may_succeed = is_swap && l->messages[latest].value == op->expected;

	for (unsigned i = latest + 1; i-- > s->view.at[op->at];)
		if (!is_swap || l->messages[i].value != op->expected)
			able[n++] = i;
	if (choice < n) {
		load(s, op, able[choice], is_swap ? MODEL_RELAXED : op->order);
	} else {
		load(s, op, latest, op->order);
		store(s, op, op->value, true);
	}
	return n + may_succeed;
}

const char *machine_step(unsigned thread, struct model_op *op, unsigned choice, unsigned *ret_n)
{
	struct seer *s = &seers[thread];
	const char *wrong = NULL;

	if (op->kind <= MODEL_SWAP)
		wrong = machine_access(op->at, thread, false);
	*ret_n = 1;
	switch (op->kind) {
	case MODEL_LOAD:
	case MODEL_SWAP:
		*ret_n = load_or_swap(s, op, choice);
		break;
	case MODEL_STORE:
		store(s, op, op->value, false);
		break;
	case MODEL_CHANGE:
		load(s, op, locations[op->at].n_messages - 1, op->order);
		store(s, op, machine_combine(op->rmw, op->result, op->value), true);
		break;
	case MODEL_FENCE:
		fence(s, op->is_seq_cst);
		break;
	case MODEL_CHOICE:
		op->result = choice;
		*ret_n = (unsigned)op->value;
		break;
	case MODEL_JOIN:
		view_join(&s->view, &seers[op->value].view);
		break;
	case MODEL_END:
		break;
	}
	s->view.clock[thread]++;
	return wrong;
}
