/* SPDX-License-Identifier: MIT */
/*
 * The size follows demand. It doubles when somebody found too little there and
 * as much as it holds has been asked for since it grew: so it is never larger
 * than twice what was asked for, and one burst does not blow it up. It goes down
 * to what a while's demand was, and to no less than a quarter at a time. Kept
 * SuperSlabs stand in for all but the first few, which are for who wants zeros.
 */
#include "daemon/mem/reserve.h"

static uint32_t smaller(uint64_t a, uint64_t b)
{
	return (uint32_t)(a < b ? a : b);
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

uint32_t hakd_reserve_first(const struct hakd_reserve *reserve)
{
	return smaller(HAKD_RESERVE_FIRST, reserve->most);
}

void hakd_reserve_init(struct hakd_reserve *reserve, uint64_t limit)
{
	*reserve = (struct hakd_reserve){.target = 0};
	hakd_reserve_set_limit(reserve, limit);
}

void hakd_reserve_set_limit(struct hakd_reserve *reserve, uint64_t limit)
{
	reserve->most = smaller(HAKD_WARM_MAX, limit / 8);
	reserve->target = larger(hakd_reserve_first(reserve),
				 smaller(reserve->target, reserve->most));
}

void hakd_reserve_note(struct hakd_reserve *reserve, uint32_t wanted, uint32_t had)
{
	uint64_t asked = (uint64_t)reserve->asked + wanted;
	uint64_t lately = (uint64_t)reserve->asked_lately + wanted;

	reserve->asked = smaller(asked, UINT32_MAX);
	reserve->asked_lately = smaller(lately, UINT32_MAX);
	if (had >= wanted || reserve->asked < reserve->target)
		return;
	reserve->target = smaller(2 * (uint64_t)reserve->target, reserve->most);
	reserve->asked = 0;
}

void hakd_reserve_decay(struct hakd_reserve *reserve)
{
	if (reserve->asked_lately < reserve->target / 2)
		reserve->target = larger(hakd_reserve_first(reserve),
					 larger(reserve->asked_lately, reserve->target / 4));
	reserve->asked_lately = 0;
}

void hakd_reserve_unwanted(struct hakd_reserve *reserve, uint32_t n)
{
	reserve->target = larger(hakd_reserve_first(reserve),
				 reserve->target > n ? reserve->target - n : 0);
}

uint32_t hakd_reserve_wanted(const struct hakd_reserve *reserve, uint32_t n_kept)
{
	uint32_t rest = reserve->target > n_kept ? reserve->target - n_kept : 0;

	return larger(hakd_reserve_first(reserve), rest);
}

uint32_t hakd_reserve_excess(const struct hakd_reserve *reserve, uint32_t n_kept)
{
	uint32_t wanted = hakd_reserve_wanted(reserve, n_kept);

	return reserve->warm.n > wanted ? reserve->warm.n - wanted : 0;
}
