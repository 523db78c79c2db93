/* SPDX-License-Identifier: MIT */
/*
 * Who owns a block: a model of the table in docs/recovery.md, for spin.
 *
 * One slab. Its owner A claims, frees, makes refs; B and E take refs, free, and make refs of what
 * they hold; C gets the slab after A's death. A and B may be killed between any two steps where
 * MORTAL says so. The daemon may be killed between any two of its own, as often as it likes, and
 * starts again with nothing but the facts. Each d_step is one access to one word, or several
 * where nobody can tell: a load and its CAS, which is tried until it wins; an access and the end of
 * its crossing; what a program decides and the loads that start carrying it out.
 *
 * run.sh searches each SCENARIO whole, and then each mutation (BREAK_...), which must be found.
 *
 * Ghosts decide nothing: h[b] says who may use block b, good[k] that ref k is a ticket that has not
 * been taken and whose block has not been freed. Shown in every state:
 *
 *   - a claimed block was nobody's; who frees or takes a block does so to its owner's knowledge
 *   - bit = 1 exactly where h[b] is nobody, and the tag names the holder that h[b] says
 *   - a take that succeeds had a good ticket; one that fails had none, or its owner is dead
 *   - the scan frees only what was the dead one's, and when it has ended nothing of it is left
 *
 * Bounded, and why nothing claimed is lost:
 *
 *   REFS   refs made in a run; each may be tried at any time, any number of times, by anybody.
 *          Two refs are an old and a new ticket, a third one that a taker makes of its own; what
 *          goes wrong between two tickets doesn't need a fourth.
 *   inc    is compared, never ordered. So it goes on only where a ref carries the value that would
 *          be left: any other step of it gives a state that differs in names alone.
 *   owners A, then C. Who would come after C meets what C meets.
 *   lives  B's slot is given out twice.
 *   blocks 1, or 2 where it needs two that differ. Words of different blocks meet only in W and
 *          in a fetch_or of several bits, which does to each bit what it would do alone.
 *
 * Not modelled: C11's orders (each access is seen by all at once), wrap of epoch and inc, the shape
 * of runs of slots, hostile clients.
 */
#define PASS	1 /* A passes, B and E take any ref again and again; A, B, daemon die; then C */
#define HAND_ON 2 /* B passes on what it took; A and B die, also both */
#define THREADS 3 /* two threads of A, W passes; an EMPTY slab is cut into another class */
#define ORPHANS 4 /* A dies while B holds a block; the slab gets a new owner */
#define ROOTS	5 /* names: publish, lookup, withdraw */
#define SLOTS	6 /* B's slot is given to another client */
#define PLAIN	7 /* B frees blocks of A that it has no ref of; buffered */

#define NONE 0
#define A    1
#define B    2
#define C    3
#define E    4
#define ROOT 5
/* h[b] only: */
#define B2     6  /* the second client in B's slot */
#define A2     7  /* the second thread of A */
#define CACHED 8  /* in a magazine or an outgoing buffer of the slab's owner */
#define GIVEN  9  /* by plain pointer to B, A's by rule */
#define QUEUED 10 /* GIVEN, and B has freed it: in B's outgoing buffer */
#define CUT    11 /* claimed by who takes the slab apart */
#define OUT(x) (16 + (x)) /* X is freeing it */

#define OWNED	1 /* states of a tag; 0 is NONE */
#define FREEING 2
#define FREED	3

#define UNUSED 0 /* states of W */
#define ACTIVE 1
#define RECLAIMING 2 /* of W here; in the code the SuperSlab's word says it, and W of an orphan has owner 0 */
#define ORPHAN 3

#if SCENARIO == PASS
#define NB 1
#define REFS 3
#define MORTAL (1 << A | 1 << B)
#define CLIENTS_B_E
#define REVOKES
#define GRANTS
#elif SCENARIO == HAND_ON
#define NB 2
#define REFS 3
#define MORTAL (1 << A | 1 << B)
#define CLIENTS_B_E
#define HANDS_ON
#elif SCENARIO == THREADS
#define NB 2
#define REFS 2
#define MORTAL (1 << A | 1 << B)
#define TWO_THREADS
#elif SCENARIO == ORPHANS
#define NB 2
#define REFS 2
#define MORTAL (1 << A | 1 << B)
#define CLIENTS_B_E
#define HANDS_ON
#define GRANTS
#elif SCENARIO == ROOTS
#define NB 1
#define REFS 3
#define MORTAL (1 << A | 1 << B)
#define NAMES
#define CLIENTS_B_E
#define HANDS_ON
#elif SCENARIO == SLOTS
#define NB 1
#define REFS 3
#define MORTAL (1 << A | 1 << B)
#define HANDS_ON
#define TWO_LIVES
#define GRANTS
#define CLIENTS_B_E
#elif SCENARIO == PLAIN
#define NB 2
#define REFS 2
#define MORTAL (1 << A | 1 << B)
#define CLIENTS_B_E
#define GIVES
#define GRANTS
#endif

/* W: changed by CAS, so what one step does to these is done at once. */
byte st = ACTIVE, own = A, thr = 1, ep = 0;
bool tagged = false, cls = 0;
/* Bits; tags: holder, state, inc, one word each. */
bit bt[NB];
byte th[NB], ts[NB], ti[NB];
/* Refs that were made: address, epoch, inc. */
byte n_refs, rb[REFS], re[REFS], ri[REFS];
/* The registry: who lives, whose scans have ended; a name, and which ref it was published with. */
bool alive[6], scanned[6];
byte lives = 1;
#define FREE	0
#define PENDING 1
#define LIVE	2
byte entry = FREE, named;
bool cross[6]; /* a crossing is under way */
bool granted;
#ifdef WITHOUT_CUT
bool recut = true;
#else
bool recut = false; /* cut once */
#endif
/* Ghosts. */
byte h[NB];
bool good[REFS];

/* An address is at another index in the other class. */
#define AT(x) (cls == 0 || NB == 1 -> (x) : 1 - (x))
#define INDEX(x, c) ((c) == 0 || NB == 1 -> (x) : 1 - (x))

#define mortal(x) ((MORTAL >> (x)) & 1)
#define carries(k, i) (n_refs > (k) && ri[(k) % REFS] == (i))
#define carried(i) (carries(0, i) || (REFS > 1 && carries(1, i)) || (REFS > 2 && carries(2, i)))
#define NEXT(i) (carried(i) -> (i) + 1 : (i))
#define TAG(x, holder, state, inc) th[x] = holder; ts[x] = state; ti[x] = inc

#define of(k, x) (n_refs > (k) && rb[(k) % REFS] == AT(x))
/* All tickets of the block are void. */
inline void_tickets(x)
{
	if :: of(0, x) -> good[0] = false :: else fi;
	if :: REFS > 1 && of(1, x) -> good[1 % REFS] = false :: else fi;
	if :: REFS > 2 && of(2, x) -> good[2 % REFS] = false :: else fi
}

inline make_ref(x)
{
	rb[n_refs] = AT(x);
	re[n_refs] = ep;
	ri[n_refs] = ti[x];
	good[n_refs] = true;
	n_refs++
}

/* A take of ref k of block b may fail: there is no ticket, or the owner is dead. */
#define no_ticket(k) (!good[k] || !alive[B] && (h[b] == B || h[b] == B2) || \
		      !alive[A] && (h[b] == A || h[b] == A2 || h[b] == CACHED || \
				    h[b] == GIVEN || h[b] == QUEUED))

/* Chooses a block, or a ref, for which it holds; waits if there is none. */
#define SOME(when, holds) if :: (when) && holds(0) -> b = 0 \
	:: NB > 1 && (when) && holds(NB - 1) -> b = NB - 1 fi
#define REF(when) if :: (when) && n_refs > 0 -> k = 0 \
	:: REFS > 1 && (when) && n_refs > 1 -> k = 1 % REFS \
	:: REFS > 2 && (when) && n_refs > 2 -> k = 2 % REFS fi

/* One step, or the process dies before it. */
#define STEP(x) if :: d_step { alive[me]; x } :: atomic { mortal(me) -> die() } fi
#define DIES :: atomic { mortal(me) -> die() }

#define me_now (me == B && lives == 2 -> B2 : me)

/* ---- the slab's owner: A, its second thread, or C ---- */

#define mine (st == ACTIVE && own == me && alive[me])
#define is_free(x) (bt[x] == 1)
#define is_held(x) (h[x] == self)
#ifdef TWO_THREADS /* taken, freed, claimed by the other thread and handed to this one meanwhile */
#define was_held(x) false
#else
#define was_held(x) is_held(x)
#endif
#define is_cached(x) (h[x] == CACHED)
#define is_foreign(x) (ts[x] == OWNED && th[x] != me || ts[x] > OWNED)
#define all_free (bt[0] == 1 && bt[NB - 1] == 1)

/* The tag of a free block says nothing from now on. */
inline clear_tag(x)
{
	if
	:: tg && ts[x] != NONE ->
#ifdef BREAK_CLAIM_WITHOUT_INC
		TAG(x, NONE, NONE, ti[x])
#elif !defined(BREAK_CLAIM_KEEPS_TAG)
		TAG(x, NONE, NONE, NEXT(ti[x]))
#endif
	:: else
	fi
}

inline claim_bit(x, user)
{
	if
	:: bt[x] == 1 -> assert(h[x] == NONE); h[x] = user
	:: else
	fi;
	bt[x] = 0
}

proctype owner(byte me; byte t; byte self)
{
	byte b, i, k;
	bool tg;
#define die() alive[me] = false; cross[me] = false; b = 0; i = 0; k = 0; tg = false; goto dead
	do
	DIES
	/* claim: see the bit, then W, then the tag, then the bit */
#if defined(BREAK_W_BEFORE_BIT)
	:: atomic { mine && thr == t -> tg = tagged };
		if
		:: atomic { SOME(true, is_free) }; STEP(clear_tag(b)); STEP(claim_bit(b, self); b = 0)
		:: skip
		fi;
		STEP(tg = false)
#elif defined(BREAK_TWO_CLAIMERS)
	:: atomic { SOME(mine, is_free) }; STEP(tg = tagged; clear_tag(b); tg = false);
		STEP(claim_bit(b, self); b = 0)
#elif defined(BREAK_BIT_BEFORE_TAG)
	:: atomic { SOME(mine && thr == t, is_free) }; STEP(claim_bit(b, self));
		STEP(tg = tagged; clear_tag(b); tg = false; b = 0)
#else
	/* W and the tag are one step: no ref is made of a block whose bit is 1. */
	:: atomic { SOME(mine && thr == t, is_free) }; STEP(tg = tagged; clear_tag(b); tg = false);
		STEP(claim_bit(b, self); b = 0)
#endif
	/* free: untagged, private memory only */
	:: atomic { SOME(mine && !tagged, is_held); h[b] = CACHED; b = 0 }
	/* free: tagged. Who frees knows that it owns the block; so a take comes after the look. */
	:: atomic { SOME(mine && tagged, is_held); i = ti[b] };
#ifdef BREAK_FREE_WITHOUT_INC
		STEP(if
		     :: !is_foreign(b) && ti[b] == i -> assert(is_held(b)); h[b] = CACHED;
			void_tickets(b); TAG(b, NONE, NONE, i)
		     :: else -> assert(!was_held(b))
		     fi; b = 0; i = 0)
#else
		STEP(if
		     :: !is_foreign(b) && ti[b] == i -> assert(is_held(b)); h[b] = CACHED;
			void_tickets(b); TAG(b, NONE, NONE, NEXT(i))
		     :: else -> assert(!was_held(b))
		     fi; b = 0; i = 0)
#endif
	/* malloc from the magazine; the magazine is flushed */
	:: atomic { SOME(mine, is_cached); h[b] = self; b = 0 }
	:: atomic { SOME(mine, is_cached); assert(bt[b] == 0); bt[b] = 1; h[b] = NONE; b = 0 }
	/* ref: TAGGED, then the tag's inc. One step: without TAGGED there is no other ref yet. */
	:: atomic { SOME(mine && n_refs < REFS, is_held);
#ifndef BREAK_REF_LEAVES_UNTAGGED
		tagged = true;
#endif
		make_ref(b); b = 0 }
#ifdef REVOKES
	/* takes its own ticket; no crossing, since its slab is its own as long as it lives */
	:: atomic { REF(mine && me == A); b = AT(rb[k]);
		if
		:: tagged && re[k] == ep && ti[b] == ri[k] && ts[b] <= OWNED ->
			assert(good[k] && bt[b] == 0);
			void_tickets(b); TAG(b, me, OWNED, NEXT(ti[b])); h[b] = self
		:: else -> assert(no_ticket(k))
		fi; b = 0; k = 0 }
#endif
#ifdef GIVES
	:: atomic { SOME(mine && me == A, is_held); h[b] = GIVEN; b = 0 }
#endif
#ifdef TWO_THREADS
	/* a block goes to the other thread; W does */
	:: atomic { SOME(alive[me], is_held); h[b] = (self == A -> A2 : A); b = 0 }
	:: d_step { mine && thr == t -> thr = 0 }
	:: d_step { mine && thr == 0 -> thr = t }
	/* EMPTY: claims all bits, W UNUSED; cut into the other class with epoch + 1 */
	:: atomic { mine && thr == t && !recut && all_free && tagged; recut = true; b = 0 };
		do
		:: b < NB ->
#ifndef BREAK_RETIRE_KEEPS_TAGS
			STEP(tg = tagged; clear_tag(b); tg = false);
#endif
			STEP(claim_bit(b, CUT); b++)
		:: else -> break
		od;
		STEP(st = UNUSED; thr = 0; b = 0);
		do
		:: b < NB -> STEP(assert(h[b] == CUT); bt[b] = 1; h[b] = NONE; b++)
		:: else -> break
		od;
#ifndef BREAK_CUT_WITHOUT_EPOCH
		STEP(b = 0; cls = 1 - cls; st = ACTIVE; thr = t; ep++)
#else
		STEP(b = 0; cls = 1 - cls; st = ACTIVE; thr = t)
#endif
#endif
	od;
dead:	skip
#undef die
}

/* ---- who takes, frees, and passes on: B and E ---- */

#ifdef BREAK_NO_CROSSING
#define CROSSING skip
#else
#define CROSSING cross[me] = true
#endif

#ifdef BREAK_REFUSED_WHILE_RECLAIMING
#define is_open (st == ACTIVE || st == ORPHAN)
#else
#define is_open (st != UNUSED)
#endif

#ifdef BREAK_NO_EPOCH
#define is_epoch(e) true
#else
#define is_epoch(e) (ep == (e))
#endif

#ifdef BREAK_TAKE_WITHOUT_INC
#define TAKEN(i) (i)
#else
#define TAKEN(i) NEXT(i)
#endif

#ifdef BREAK_TAKE_FROM_ROOT
#define is_root(x) false
#else
#define is_root(x) (th[x] == ROOT)
#endif

#define is_mine(x) (h[x] == me_now)
#define is_given(x) (h[x] == GIVEN)

proctype client(byte me)
{
	byte b, k, i;
	bool ok, q, tg;	 /* q: a block is in the outgoing buffer: qb, with its epoch */
	byte qb, qe;
#define die() alive[me] = false; cross[me] = false; b = 0; k = 0; i = 0; ok = false; q = false; \
	tg = false; qb = 0; qe = 0; goto dead
born:	do
	DIES
	/* take */
	:: atomic { REF(alive[me]);
#ifdef BREAK_W_BEFORE_CROSSING
		b = INDEX(rb[k], cls); ok = is_open && is_epoch(re[k]) && tagged };
		STEP(CROSSING);
#else
		CROSSING };
#ifdef BREAK_REF_LEAVES_UNTAGGED
		STEP(b = INDEX(rb[k], cls); ok = is_open && is_epoch(re[k]);
		     if :: ok -> tagged = true :: else fi);
#else
		STEP(b = INDEX(rb[k], cls); ok = is_open && is_epoch(re[k]) && tagged);
#endif
#endif
#if defined(WITH_BIT) || defined(BREAK_REF_LEAVES_UNTAGGED)
		STEP(ok = ok && bt[b] == 0);
#endif
		STEP(if
		     :: ok && ti[b] == ri[k] && ts[b] <= OWNED && !(ts[b] == OWNED && is_root(b)) ->
			assert(good[k] && bt[b] == 0);
			void_tickets(b); TAG(b, me, OWNED, TAKEN(ti[b])); h[b] = me_now
		     :: else -> assert(no_ticket(k))
		     fi; cross[me] = false; b = 0; k = 0; ok = false)
	/* free by the holder: tag, bit */
#ifdef BREAK_FREEING_AFTER_BIT
	:: atomic { SOME(alive[me], is_mine); bt[b] = 1; h[b] = NONE; void_tickets(b) };
		STEP(if :: th[b] == me && ts[b] == OWNED -> ts[b] = FREEING :: else fi; b = 0)
#else
	/* It frees what it owns; a take of a ref that it made may come before the CAS. */
	:: atomic { SOME(alive[me], is_mine) };
		STEP(ok = (th[b] == me && ts[b] == OWNED);
		     if :: ok -> assert(is_mine(b)); ts[b] = FREEING; h[b] = OUT(me_now); void_tickets(b)
			:: else -> assert(!is_mine(b)) fi);
		STEP(if :: ok -> assert(bt[b] == 0 && h[b] == OUT(me_now)); bt[b] = 1; h[b] = NONE
			:: else fi; ok = false; b = 0)
#endif
#ifdef HANDS_ON
	:: atomic { SOME(alive[me] && n_refs < REFS, is_mine); make_ref(b); b = 0 }
#endif
#ifdef NAMES
	/* Who has looked a name up makes a ref of what isn't its own: no ticket. */
	:: d_step { alive[me] && n_refs < REFS && entry == LIVE -> make_ref(rb[named]);
		good[n_refs - 1] = false }
#endif
#ifdef GIVES
	/* free(p) of a block of A. Untagged: into the buffer, with the epoch. Tagged: now. */
	:: atomic { SOME(alive[me] && me == B && !q && !tagged, is_given);
		h[b] = QUEUED; q = true; qb = b; qe = ep; b = 0 }
	:: atomic { SOME(alive[me] && me == B && tagged, is_given); i = ti[b]; k = ep; CROSSING };
		STEP(ok = (st != UNUSED) && ep == k);
		STEP(ok = ok && ts[b] == NONE && ti[b] == i;
		     if :: ok -> assert(is_given(b)); TAG(b, me, FREEING, NEXT(i)); h[b] = OUT(me);
				void_tickets(b)
			:: else /* taken by a ticket meanwhile; A may have claimed it again */
		     fi; cross[me] = false);
		STEP(if :: ok -> assert(bt[b] == 0 && h[b] == OUT(me)); bt[b] = 1; h[b] = NONE
			:: else fi; ok = false; b = 0; i = 0; k = 0)
	/* the buffer is flushed */
	:: atomic { alive[me] && q; CROSSING };
		STEP(ok = (st == ACTIVE || st == RECLAIMING) && ep == qe; tg = tagged);
		if
		:: ok && !tg ->
			/* The scan of A's slab may be freeing it too. */
			STEP(assert(bt[qb] == 0 && (h[qb] == QUEUED || h[qb] == OUT(A)) ||
				    bt[qb] == 1 && h[qb] == NONE);
			     bt[qb] = 1; h[qb] = NONE; cross[me] = false)
		:: ok && tg ->
#ifndef BREAK_FLUSH_WITHOUT_INC
			STEP(ok = (ts[qb] == NONE && ti[qb] == 0);
#else
			STEP(ok = (ts[qb] == NONE);
#endif
			     if :: ok -> assert(h[qb] == QUEUED); TAG(qb, me, FREEING, 1);
					h[qb] = OUT(me)
				:: else fi);
			STEP(if :: ok -> assert(bt[qb] == 0 && h[qb] == OUT(me)); bt[qb] = 1;
					h[qb] = NONE
				:: else fi; cross[me] = false)
		:: else -> STEP(assert(h[qb] != QUEUED); cross[me] = false)
		fi;
		STEP(ok = false; tg = false; q = false; qb = 0; qe = 0)
#endif
	od;
dead:
#ifdef TWO_LIVES
#ifdef BREAK_SLOT_TOO_EARLY
	if :: atomic { me == B && lives == 1 -> lives = 2; alive[B] = true; goto born } fi;
#else
	if :: atomic { me == B && lives == 1 && scanned[B] ->
		lives = 2; alive[B] = true; scanned[B] = false; goto born } fi;
#endif
#endif
	skip
#undef die
}

/* ---- the daemon ---- */

#define STEPD(x) if :: d_step { x } :: goto start fi
/* A crossing of x that was under way has ended. A bit is enough for the counter: who ends one and
   begins another lets the daemon see the even value in between, if it likes. */
#define ENDED(x) if :: !alive[x] || !cross[x] -> skip :: goto start fi
#if defined(BREAK_NO_GRACE) || defined(BREAK_GRACE_TOO_EARLY)
#define GRACE skip
#else
#define GRACE ENDED(B); ENDED(E)
#endif

#define gone_a(x) (h[x] == A || h[x] == A2 || h[x] == CUT || h[x] == CACHED || h[x] == GIVEN || \
		   h[x] == QUEUED || h[x] == OUT(A) || \
		   h[x] == NONE && bt[x] == 1)
#ifdef TWO_LIVES
#define gone_b(x) (lives == 1 && (h[x] == B || h[x] == OUT(B)) || \
		   lives == 2 && !alive[B] && (h[x] == B2 || h[x] == OUT(B2)))
#else
#define gone_b(x) (!alive[B] && (h[x] == B || h[x] == OUT(B)))
#endif
#ifdef BREAK_SLOT_TOO_EARLY
#define must_scan_b ((!alive[B] || lives == 2) && !scanned[B])
#else
#define must_scan_b (!alive[B] && !scanned[B])
#endif

proctype daemon()
{
	byte b, k;
	bool look, fin, surv;
start:	atomic { b = 0; k = 0; look = false; fin = false; surv = false };
#ifdef NAMES
	/* What was under way: the tag decides. */
#ifdef BREAK_NO_PENDING
	skip;
#else
	if
	:: d_step { entry == PENDING -> b = rb[named];
		if
		:: ts[b] == OWNED && th[b] == ROOT -> entry = LIVE
		:: else -> entry = FREE; named = 0
		fi;
		b = 0 }
	:: entry != PENDING
	fi;
#endif
#endif
	do
	/* A is dead: its own slab. */
	:: atomic { !alive[A] && !scanned[A] ->
		if :: own == A -> st = RECLAIMING :: else fi };
		do
		:: st == RECLAIMING && b < NB && !tagged ->
			STEPD(assert(gone_a(b)); void_tickets(b); bt[b] = 1; h[b] = NONE; b++)
		:: st == RECLAIMING && b < NB && tagged ->
			STEPD(if :: bt[b] == 0 -> look = true :: else -> b++ fi);
			if
			:: look -> STEPD(look = false;
				if
				:: ts[b] == NONE || th[b] == A || ts[b] == FREED ->
					assert(gone_a(b)); TAG(b, NONE, FREED, ti[b]);
					h[b] = (bt[b] == 0 -> OUT(A) : NONE);
					void_tickets(b); fin = true
				:: else -> surv = true; b++
				fi)
			:: else
			fi;
			if
			:: fin -> STEPD(fin = false; assert(h[b] == OUT(A) || bt[b] == 1); bt[b] = 1; h[b] = NONE; b++)
			:: else
			fi
		:: else -> break
		od;
#ifdef BREAK_GRACE_TOO_EARLY
		ENDED(B); ENDED(E);
#endif
#ifdef BREAK_UNUSED_WITH_SURVIVORS
		surv = false;
#endif
		STEPD(if :: st == RECLAIMING -> st = (surv -> ORPHAN : UNUSED); own = NONE; thr = 0
			 :: else fi; b = 0; surv = false);
		STEPD(scanned[A] = true)
	/* B is dead: all tagged slabs. */
	:: atomic { must_scan_b };
		do
		:: tagged && b < NB ->
#ifdef BREAK_TAG_BEFORE_BIT
			STEPD(k = ts[b]; look = (th[b] == B && (ts[b] == OWNED || ts[b] == FREEING));
			      if :: !look -> b++ :: else fi);
			if
			:: look -> STEPD(look = false;
				if
				:: bt[b] == 1 -> b++
				:: bt[b] == 0 && k == OWNED && ts[b] == OWNED && th[b] == B ->
					ts[b] = FREEING; h[b] = OUT(h[b]); void_tickets(b);
					fin = true
				:: bt[b] == 0 && k == FREEING -> fin = true
				:: else -> b++
				fi; k = 0)
			:: else
			fi;
#else
			STEPD(if :: bt[b] == 0 -> look = true :: else -> b++ fi);
			/* The look at the tag and its CAS are one step: tried until it wins. */
			if
			:: look -> STEPD(look = false;
				if
				:: ts[b] == OWNED && th[b] == B ->
					ts[b] = FREEING; h[b] = OUT(h[b]); void_tickets(b);
					fin = true
#ifndef BREAK_FREEING_LEFT
				:: ts[b] == FREEING && th[b] == B -> fin = true
#endif
				:: else -> b++
				fi)
			:: else
			fi;
#endif
			if
			:: fin -> STEPD(fin = false; assert(gone_b(b)); bt[b] = 1; h[b] = NONE; b++)
			:: else
			fi
		:: else -> break
		od;
		STEPD(scanned[B] = true; b = 0)
#ifdef NAMES
	/* publish: PENDING, the tag, LIVE; in whose name matters to nobody, the ref is the ticket */
	:: atomic { REF(entry == FREE);
#ifdef BREAK_NO_PENDING
		skip };
#elif defined(BREAK_LIVE_BEFORE_TAG)
		entry = LIVE; named = k };
#else
		entry = PENDING; named = k };
#endif
		STEPD(b = rb[k];
		      if
		      :: st != UNUSED && ep == re[k] && tagged && ti[b] == ri[k] &&
			 (ts[b] == NONE || ts[b] == OWNED && th[b] != ROOT) ->
			assert(good[k] && bt[b] == 0); void_tickets(b);
			TAG(b, ROOT, OWNED, NEXT(ti[b])); h[b] = ROOT; fin = true
		      :: else -> assert(no_ticket(k))
		      fi);
		STEPD(if :: fin -> entry = LIVE; named = k :: else -> entry = FREE; named = 0 fi;
		      fin = false; b = 0; k = 0)
	/* withdraw, for B: PENDING, the tag, FREE. Not for one whose death is being dealt with. */
#ifdef BREAK_WITHDRAW_FOR_THE_DEAD
	:: d_step { entry == LIVE -> entry = PENDING };
#else
	:: d_step { entry == LIVE && !scanned[B] -> entry = PENDING };
#endif
		STEPD(b = rb[named]; TAG(b, B, OWNED, NEXT(ti[b])); h[b] = B);
		STEPD(entry = FREE; named = 0; b = 0)
#endif
	/* The last block of an orphan has gone. For an orphan bits only go from 0 to 1. */
	:: d_step { st == ORPHAN && all_free -> st = UNUSED }
#ifdef GRANTS
	/* The grace, then a new owner. Tags are zeroed, with TAGGED, or stay, with TAGGED. */
	:: atomic { scanned[A] && !granted && own == NONE && st == UNUSED }; GRACE;
		if
		:: do
		   :: b < NB -> STEPD(TAG(b, NONE, NONE, 0); b++)
		   :: else -> break
		   od;
		   STEPD(tagged = false; st = ACTIVE; own = C; thr = 1; granted = true; b = 0;
#ifndef BREAK_GRANT_WITHOUT_EPOCH
			 ep++
#endif
			 )
#ifdef BREAK_GRANT_KEEPS_TAGS_UNTAGGED
		:: STEPD(tagged = false; st = ACTIVE; own = C; thr = 1; granted = true; ep++)
#else
		:: STEPD(st = ACTIVE; own = C; thr = 1; granted = true; ep++)
#endif
		fi
	:: atomic { scanned[A] && !granted && st == ORPHAN }; GRACE;
		STEPD(st = ACTIVE; own = C; thr = 1; granted = true;
#ifdef BREAK_ADOPT_WITH_EPOCH
		      ep++
#endif
		     )
#endif
	od
}

/* ---- what must hold in every state ---- */

#define is_owner(x) (h[x] == A || h[x] == A2 || h[x] == C || h[x] == CACHED || h[x] == GIVEN || \
		     h[x] == QUEUED || h[x] == CUT)
#define id(x, who) (h[x] == (who) || (who) == B && h[x] == B2 || (who) == A && h[x] == A2)
#define out(x, who) (h[x] == OUT(who) || (who) == B && h[x] == OUT(B2))
#define bad_bit(x) ((bt[x] == 1) != (h[x] == NONE))
#define bad_tag(x) (bt[x] == 0 && (ts[x] == NONE && !is_owner(x) || \
				   ts[x] == OWNED && !id(x, th[x]) || \
				   ts[x] == FREEING && !out(x, th[x])))
#define left_a(x) (scanned[A] && (h[x] == A || h[x] == A2 || h[x] == OUT(A) || h[x] == GIVEN || \
				  h[x] == QUEUED || \
				  h[x] == CACHED && own == NONE))
#define left_b(x) (scanned[B] && (h[x] == B || h[x] == OUT(B)) || \
		   lives == 2 && (h[x] == B || h[x] == OUT(B) || \
				  scanned[B] && (h[x] == B2 || h[x] == OUT(B2))))
#define bad_root(x) (rb[named] == (x) && entry == LIVE && h[x] != ROOT || \
		     entry == FREE && h[x] == ROOT)
#define bad(x) (bad_bit(x) || bad_tag(x) || left_a(x) || left_b(x) || bad_root(x))
#define lost (st == UNUSED && own == NONE && !all_free)

proctype always()
{
	atomic { bad(0) || bad(NB - 1) || lost -> assert(false) }
}

#ifdef REACHED
/* The far end of each scenario: with this it is found, so the search gets there. */
#if SCENARIO == PASS	  /* a ticket of the next owner was taken */
#define far (granted && h[0] == E)
#elif SCENARIO == HAND_ON /* what A claimed and B passed on is E's, both are dead and dealt with */
#define far (h[0] == E && st == ORPHAN && scanned[A] && scanned[B])
#elif SCENARIO == THREADS /* taken in the other class */
#define far (recut && cls == 1 && h[0] == B)
#elif SCENARIO == ORPHANS /* passed on within an orphan, beside a block of its new owner */
#define far (own == C && h[0] == E && h[1] == C)
#elif SCENARIO == ROOTS	  /* a name outlives all that held it */
#define far (entry == LIVE && scanned[A] && scanned[B])
#elif SCENARIO == SLOTS	  /* the second client in the slot holds a block of the next owner */
#define far (lives == 2 && own == C && h[0] == B2)
#elif SCENARIO == PLAIN	  /* a crossing under the next owner */
#define far (own == C && cross[B] && h[0] == C)
#endif
proctype reached()
{
	atomic { far -> assert(false) }
}
#endif

init
{
	byte i = 0;

	atomic {
		do
		:: i < NB -> bt[i] = 1; i++
		:: else -> break
		od;
		i = 0;
		alive[A] = true;
		alive[B] = true;
		run owner(A, 1, A);
#ifdef GRANTS
		alive[C] = true;
		run owner(C, 1, C);
#endif
#ifdef TWO_THREADS
		run owner(A, 2, A2);
#endif
		run client(B);
#ifdef CLIENTS_B_E
		alive[E] = true;
		run client(E);
#endif
#if SCENARIO == ORPHANS
		/* A has passed block 0 to B, and claimed block 1. */
		tagged = true;
		bt[0] = 0; h[0] = B; TAG(0, B, OWNED, 1);
		bt[1] = 0; h[1] = A;
#endif
		run daemon();
		run always();
#ifdef REACHED
		run reached();
#endif
	}
}
