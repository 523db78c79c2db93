/* SPDX-License-Identifier: MIT */
/*
 * The table of roots; roots.h has the states and what a killed daemon leaves.
 *
 * Each change is of one word: the head's state, or a block's tag. All fields of an
 * entry are stores with release, behind the FREE of its last use and before its next
 * state: a reader that gets one of them sees by the word that the entry was in use
 * no more, and reads again.
 *
 * Whose an entry is, is compared by entry and generation of the head. A member
 * whose head has another one, or is FREE, is a leftover: all has been said about
 * its block.
 */
#include "proto/shm/roots.h"

#include <errno.h>
#include <string.h>

#define NAME_MAX (HAK_ROOT_NAME_BYTES - 1)

/* [order:root] Pairs with hak_root_load. Dead just before: it is as it was. */
static void store(hak_u64 *field, uint64_t value)
{
	hak_store_release(field, value);
}

static void set_state(struct hak_root *root, enum hak_root_state state)
{
	store(&root->word, hak_root_pack(state, hak_root_generation(hak_root_load(&root->word))));
}

static bool has_state(const struct hak_root *root, enum hak_root_state state)
{
	return hak_root_state(hak_root_load(&root->word)) == state;
}

/* The words of a name; false: it is none. */
static bool pack_name(const char *name, uint64_t words[HAK_ROOT_NAME_WORDS])
{
	char bytes[HAK_ROOT_NAME_BYTES] = {0};
	size_t n = 0;

	for (; name[n]; n++) {
		unsigned char c = (unsigned char)name[n];

		if (n == NAME_MAX || c < 0x20 || c == 0x7f)
			return false;
		bytes[n] = name[n];
	}
	memcpy(words, bytes, sizeof(bytes));
	return n > 0;
}

/* Of an entry that is in use, its head or itself: does the state say that its name is taken? */
static bool is_named(uint64_t word)
{
	return hak_root_state(word) == HAK_ROOT_LIVE || hak_root_state(word) == HAK_ROOT_LEAVING;
}

/* Reads name, ref and place of a head of one use of its entry; false: it has no name now. */
static bool read_head(const struct hak_root *root, uint64_t name[HAK_ROOT_NAME_WORDS],
		      uint64_t *ret_ref, uint64_t *ret_place)
{
	uint64_t word = hak_root_load(&root->word), before;

	do {
		before = word;
		if (!is_named(word))
			return false;
		for (unsigned i = 0; i < HAK_ROOT_NAME_WORDS; i++)
			name[i] = hak_root_load(&root->name[i]);
		*ret_ref = hak_root_load(&root->ref);
		*ret_place = hak_root_load(&root->place);
		word = hak_root_load(&root->word);
	} while (!is_named(word) || hak_root_generation(word) != hak_root_generation(before));
	return true;
}

/* The entry with that name, and the ref of its first block as it was published; HAK_ROOT_COUNT. */
static uint32_t find_name(const struct hak_root *roots, const uint64_t wanted[HAK_ROOT_NAME_WORDS],
			  uint64_t *ret_ref)
{
	uint64_t name[HAK_ROOT_NAME_WORDS], place;
	uint32_t i = 0;

	while (i < HAK_ROOT_COUNT && !(read_head(&roots[i], name, ret_ref, &place) &&
				       memcmp(name, wanted, sizeof(name)) == 0))
		i++;
	return i;
}

int hak_roots_lookup(const struct hak_segment *segment, const char *name, uint64_t *ret_ref)
{
	uint64_t wanted[HAK_ROOT_NAME_WORDS], ref;

	if (!pack_name(name, wanted))
		return -EINVAL;
	if (find_name(segment->roots, wanted, &ref) == HAK_ROOT_COUNT)
		return -ENOENT;
	*ret_ref = hak_root_taken(ref);
	return 0;
}

bool hak_roots_read(const struct hak_segment *segment, uint32_t entry,
		    char ret_name[HAK_ROOT_NAME_BYTES], uint64_t *ret_place)
{
	uint64_t name[HAK_ROOT_NAME_WORDS], ref;

	if (!read_head(&segment->roots[entry], name, &ref, ret_place))
		return false;
	memcpy(ret_name, name, sizeof(name));
	return true;
}

/* The tag of a ref's block; NULL: it isn't one, or has no tag. */
static hak_u32 *find_tag(const struct hak_segment *segment, uint64_t ref,
			 struct hak_location *ret_location)
{
	struct hak_location l = hak_segment_locate_offset(segment, hak_ref_offset(ref));

	if (l.place != HAK_PLACE_BLOCK || hak_slab_epoch(l.word) != hak_ref_epoch(ref) ||
	    !(l.word & HAK_SLAB_TAGGED))
		return NULL;
	*ret_location = l;
	return &hak_segment_tags(segment, l.slot)[l.index];
}

/* Has ROOT the block, by the ticket ref, in that state? */
static bool is_in_state(const hak_u32 *tag, uint64_t ref, enum hak_tag_state state)
{
	return hak_tag_load(tag) ==
	       hak_tag_pack(state, HAK_HOLDER_ROOT, hak_ref_inc(hak_root_taken(ref)));
}

static bool is_roots(const hak_u32 *tag, uint64_t ref)
{
	return tag && is_in_state(tag, ref, HAK_TAG_OWNED);
}

/* [order:claim] Is the block free? Who sees the bit 1 sees what moved the tag before it. */
static bool is_free(const struct hak_segment *segment, const struct hak_location *l)
{
	const hak_u64 *bits = &hak_segment_bits(segment, l->slot)[l->index / 64];

	return !(hak_slab_taken_bits(bits) >> l->index % 64 & 1);
}

static bool has_moved(const struct hak_segment *segment, const struct hak_root *root)
{
	uint64_t ref = hak_root_load(&root->ref);
	struct hak_location l;

	return is_roots(find_tag(segment, ref, &l), ref);
}

/* Is the slab at l the client's own? One in a SuperSlab that it gives back is no more. */
static bool is_slab_of(const struct hak_segment *segment, const struct hak_location *l,
		       unsigned holder)
{
	/* Relaxed: the daemon's own store. */
	uint64_t s = hak_load_relaxed(
		&segment->superslabs[hak_segment_superslab_of(segment, l->slot)]);

	return hak_slab_owner(l->word) == holder &&
	       hak_superslab_state(s) == HAK_SUPERSLAB_GRANTED && hak_superslab_owner(s) == holder;
}

static int check_ref(const struct hak_segment *segment, unsigned holder, uint64_t ref)
{
	struct hak_location l;
	const hak_u32 *tag;
	uint32_t t;
	bool is_own;

	if (hak_ref_epoch(ref) == 0 || hak_ref_offset(ref) >= segment->geometry.capacity)
		return -EINVAL;
	tag = find_tag(segment, ref, &l);
	if (!tag || is_free(segment, &l))
		return -ESTALE;
	t = hak_tag_load(tag);
	if (hak_tag_is_held(t, HAK_HOLDER_ROOT))
		return -EEXIST;
	is_own = hak_tag_is_held(t, holder);
	if (hak_tag_state(t) == HAK_TAG_NONE)
		is_own = is_slab_of(segment, &l, holder);
	else if (hak_tag_state(t) != HAK_TAG_OWNED)
		return -ESTALE;
	if (hak_tag_inc(t) != hak_ref_inc(ref))
		return -ESTALE;
	return is_own ? 0 : -EPERM;
}

static int check_refs(const struct hak_segment *segment, unsigned holder, const uint64_t *refs,
		      uint32_t n, uint32_t *ret_at)
{
	for (uint32_t i = 0; i < n; i++) {
		int r = check_ref(segment, holder, refs[i]);

		for (uint32_t k = 0; k < i && r == 0; k++)
			r = refs[k] == refs[i] ? -EEXIST : 0;
		if (r < 0) {
			*ret_at = i;
			return r;
		}
	}
	return 0;
}

static bool find_free(const struct hak_root *roots, uint32_t n, uint16_t at[HAK_ROOT_COUNT])
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < HAK_ROOT_COUNT && found < n; i++)
		if (has_state(&roots[i], HAK_ROOT_FREE))
			at[found++] = (uint16_t)i;
	return found == n;
}

static uint64_t next_generation(const struct hak_root *root)
{
	return hak_root_generation(hak_root_load(&root->word)) + 1;
}

/* An entry that is FREE gets its fields, then its state; nobody counts it before that. */
static void fill(struct hak_root *root, enum hak_root_state state, uint64_t place, uint64_t head,
		 const struct hak_root_client *by, uint64_t ref)
{
	store(&root->ref, ref);
	store(&root->place, place);
	store(&root->head, head);
	store(&root->publisher, by->holder | (uint64_t)by->generation << 32);
	store(&root->taker, 0);
	store(&root->pid, (uint32_t)by->pid);
	store(&root->since, (uint64_t)by->now);
	store(&root->word, hak_root_pack(state, next_generation(root)));
}

/* Members, then the head, which is PENDING: from then on tags may move. */
static void begin(struct hak_root *roots, const uint16_t *at, const struct hak_root_client *by,
		  const uint64_t name[HAK_ROOT_NAME_WORDS], const uint64_t *refs, uint32_t n)
{
	struct hak_root *head = &roots[at[0]];
	uint64_t generation = next_generation(head);

	for (uint32_t i = 1; i < n; i++)
		fill(&roots[at[i]], HAK_ROOT_MEMBER, hak_root_place(at[0], i, n), generation, by,
		     refs[i]);
	for (unsigned i = 0; i < HAK_ROOT_NAME_WORDS; i++)
		store(&head->name[i], name[i]);
	fill(head, HAK_ROOT_PENDING, hak_root_place(at[0], 0, n), generation, by, refs[0]);
}

/* The next entry, from one on, of the list of head, itself included; HAK_ROOT_COUNT: none. */
static uint32_t next_of(const struct hak_root *roots, uint32_t head, uint32_t from)
{
	uint64_t generation = hak_root_generation(hak_root_load(&roots[head].word));
	uint32_t i = from;

	for (; i < HAK_ROOT_COUNT && i != head; i++)
		if (has_state(&roots[i], HAK_ROOT_MEMBER) &&
		    hak_root_place_head(hak_root_load(&roots[i].place)) == head &&
		    hak_root_load(&roots[i].head) == generation)
			break;
	return i;
}

/* The entry is free, then its members; nothing of it is ROOT's any more. */
static void end(struct hak_root *roots, uint32_t head)
{
	set_state(&roots[head], HAK_ROOT_FREE);
	for (uint32_t i = next_of(roots, head, 0); i < HAK_ROOT_COUNT;
	     i = next_of(roots, head, i + 1))
		if (i != head)
			set_state(&roots[i], HAK_ROOT_FREE);
}

/* A block that ROOT has, or is freeing, for a client that has gone. */
static void free_block(const struct hak_segment *segment, const struct hak_location *l,
		       hak_u32 *tag)
{
	hak_u64 *bits = &hak_segment_bits(segment, l->slot)[l->index / 64];

	/* The bit before the tag, as in every scan for a dead holder. */
	if (!is_free(segment, l) && hak_tag_scan_held(tag, HAK_HOLDER_ROOT)) {
		hak_slab_free(bits, UINT64_C(1) << l->index % 64);
		hak_segment_raise_pending(segment, l->slot);
	}
}

/* May the client still own blocks? Its scan, if there is one, comes after us. */
static bool is_there(const struct hak_segment *segment, unsigned holder, uint32_t generation)
{
	uint64_t word;

	if (holder < HAK_HOLDER_FIRST || holder >= HAK_HOLDER_COUNT)
		return false;
	word = hak_root_load(&segment->holders[holder].word); /* [order:registry], our own store */
	return hak_holder_state(word) != HAK_HOLDER_FREE &&
	       hak_holder_generation(word) == generation;
}

/* The entry's block, if ROOT has it, is the client's from now on, or free if that has gone. */
static bool give(const struct hak_segment *segment, const struct hak_root *root, uint64_t to)
{
	uint64_t ref = hak_root_load(&root->ref);
	unsigned holder = (unsigned)(to & 0xffffffff);
	struct hak_location l;
	hak_u32 *tag = find_tag(segment, ref, &l);

	if (!tag)
		return false;
	if (is_there(segment, holder, (uint32_t)(to >> 32)))
		return is_roots(tag, ref) && hak_tag_withdraw(tag, holder);
	if (is_roots(tag, ref) || is_in_state(tag, ref, HAK_TAG_FREEING))
		free_block(segment, &l, tag);
	return false;
}

/* What ROOT has of a list is the client's; the first block before the others, it decides. */
static bool give_all(const struct hak_segment *segment, const struct hak_root *roots, uint32_t head,
		     uint64_t to)
{
	bool given = give(segment, &roots[head], to);

	for (uint32_t i = next_of(roots, head, 0); i < HAK_ROOT_COUNT;
	     i = next_of(roots, head, i + 1))
		if (i != head)
			give(segment, &roots[i], to);
	return given;
}

/* All blocks are ROOT's: it is done. Otherwise they go back. */
static bool settle(const struct hak_segment *segment, struct hak_root *roots, uint32_t head)
{
	bool have_all = true;

	for (uint32_t i = next_of(roots, head, 0); i < HAK_ROOT_COUNT;
	     i = next_of(roots, head, i + 1))
		have_all = have_all && has_moved(segment, &roots[i]);
	if (have_all) {
		set_state(&roots[head], HAK_ROOT_LIVE);
		return true;
	}
	give_all(segment, roots, head, hak_root_load(&roots[head].publisher));
	end(roots, head);
	return false;
}

static bool take(const struct hak_segment *segment, uint64_t ref)
{
	struct hak_location l;
	hak_u32 *tag = find_tag(segment, ref, &l);

	return tag && hak_tag_take(tag, HAK_HOLDER_ROOT, hak_ref_inc(ref));
}

int hak_roots_publish(const struct hak_segment *segment, struct hak_root *roots,
		      const struct hak_root_client *by, const char *name, const uint64_t *refs,
		      uint32_t n, uint32_t *ret_at)
{
	uint64_t words[HAK_ROOT_NAME_WORDS], other;
	uint16_t at[HAK_ROOT_COUNT];
	uint32_t n_taken = 0;
	int r;

	*ret_at = n;
	if (!pack_name(name, words) || n == 0)
		return -EINVAL;
	if (find_name(roots, words, &other) < HAK_ROOT_COUNT)
		return -EEXIST;
	if (n > HAK_ROOT_COUNT)
		return -ENOSPC;
	r = check_refs(segment, by->holder, refs, n, ret_at);
	if (r < 0)
		return r;
	if (!find_free(roots, n, at))
		return -ENOSPC;
	begin(roots, at, by, words, refs, n);
	while (n_taken < n && take(segment, refs[n_taken]))
		n_taken++;
	if (settle(segment, roots, at[0]))
		return 0;
	*ret_at = n_taken;
	return -ESTALE;
}

int hak_roots_withdraw(const struct hak_segment *segment, struct hak_root *roots,
		       const struct hak_root_client *to, const char *name, uint64_t *ret_ref,
		       uint32_t *ret_n)
{
	uint64_t taker = to->holder | (uint64_t)to->generation << 32;
	uint64_t words[HAK_ROOT_NAME_WORDS], ref;
	uint32_t head, n;
	bool given;

	if (!pack_name(name, words))
		return -EINVAL;
	head = find_name(roots, words, &ref);
	if (head == HAK_ROOT_COUNT)
		return -ENOENT;
	n = hak_root_place_n(hak_root_load(&roots[head].place));
	store(&roots[head].taker, taker);
	set_state(&roots[head], HAK_ROOT_LEAVING);
	given = give_all(segment, roots, head, taker);
	end(roots, head);
	if (!given)
		return -ESTALE;
	*ret_ref = hak_root_taken(hak_root_taken(ref));
	*ret_n = n;
	return 0;
}

/* Has an entry's list a head that counts? */
static bool has_head(const struct hak_root *roots, const struct hak_root *member)
{
	uint32_t head = hak_root_place_head(hak_root_load(&member->place));
	uint64_t word;

	if (head >= HAK_ROOT_COUNT)
		return false;
	word = hak_root_load(&roots[head].word);
	return hak_root_state(word) != HAK_ROOT_FREE && hak_root_state(word) != HAK_ROOT_MEMBER &&
	       hak_root_generation(word) == hak_root_load(&member->head);
}

void hak_roots_resume(const struct hak_segment *segment, struct hak_root *roots)
{
	for (uint32_t i = 0; i < HAK_ROOT_COUNT; i++) {
		if (has_state(&roots[i], HAK_ROOT_PENDING)) {
			settle(segment, roots, i);
		} else if (has_state(&roots[i], HAK_ROOT_LEAVING)) {
			if (has_moved(segment, &roots[i])) {
				set_state(&roots[i], HAK_ROOT_LIVE);
				continue;
			}
			give_all(segment, roots, i, hak_root_load(&roots[i].taker));
			end(roots, i);
		}
	}
	for (uint32_t i = 0; i < HAK_ROOT_COUNT; i++)
		if (has_state(&roots[i], HAK_ROOT_MEMBER) && !has_head(roots, &roots[i]))
			set_state(&roots[i], HAK_ROOT_FREE);
}

/*
 * The daemon stores LEAVING before it moves a tag, and moves the tags before it stores
 * LIVE: who sees the same LIVE before and after saw the tag in between.
 */
enum hak_root_flaw hak_roots_examine(const struct hak_segment *segment, uint32_t entry,
				     uint64_t *ret_ref)
{
	const struct hak_root *root = &segment->roots[entry], *head = root;
	uint64_t word = hak_root_load(&root->word), place, ref, head_word, generation;
	enum hak_root_flaw flaw = HAK_ROOT_FLAW_NONE;
	struct hak_location l;

	if (hak_root_state(word) == HAK_ROOT_FREE)
		return HAK_ROOT_FLAW_NONE;
	place = hak_root_load(&root->place);
	ref = hak_root_load(&root->ref);
	generation = hak_root_load(&root->head);
	if (hak_root_place_head(place) < HAK_ROOT_COUNT)
		head = &segment->roots[hak_root_place_head(place)];
	head_word = hak_root_load(&head->word);
	if (hak_root_state(word) > HAK_ROOT_MEMBER ||
	    hak_root_place_head(place) >= HAK_ROOT_COUNT ||
	    (head == root) != (hak_root_state(word) != HAK_ROOT_MEMBER))
		flaw = HAK_ROOT_FLAW_STATE;
	else if (hak_root_state(head_word) == HAK_ROOT_LIVE &&
		 hak_root_generation(head_word) == generation &&
		 (!is_roots(find_tag(segment, ref, &l), ref) || is_free(segment, &l)))
		flaw = HAK_ROOT_FLAW_BLOCK;
	if (flaw == HAK_ROOT_FLAW_NONE || hak_root_load(&head->word) != head_word ||
	    hak_root_load(&root->word) != word)
		return HAK_ROOT_FLAW_NONE;
	*ret_ref = hak_root_taken(ref);
	return flaw;
}

/* Is an entry in use for the block at an offset, as a head or as a member that has one? */
static bool has_block(const struct hak_root *roots, const struct hak_root *root, uint64_t offset)
{
	enum hak_root_state state = hak_root_state(hak_root_load(&root->word));

	return state != HAK_ROOT_FREE && hak_ref_offset(hak_root_load(&root->ref)) == offset &&
	       (state != HAK_ROOT_MEMBER || has_head(roots, root));
}

/*
 * The entry, and its head, are in use before the tag is ROOT's, and until it isn't any more. If
 * the block leaves one entry for another meanwhile, its tag has another inc.
 */
bool hak_roots_is_nameless(const struct hak_segment *segment, uint64_t offset, const hak_u32 *tag)
{
	uint32_t t = hak_tag_load(tag);

	if (!hak_tag_is_held(t, HAK_HOLDER_ROOT))
		return false;
	for (uint32_t i = 0; i < HAK_ROOT_COUNT; i++)
		if (has_block(segment->roots, &segment->roots[i], offset))
			return false;
	return hak_tag_load(tag) == t;
}
