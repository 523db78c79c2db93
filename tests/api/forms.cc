/* SPDX-License-Identifier: MIT */
/* Everything that hakmem.hpp has, and what the standard's containers make of it, compiled only. */
#include "hakmem.hpp"

#include <set>

template class hakmem::offset_ptr<int>;
template class hakmem::offset_ptr<const char>;
template struct hakmem::allocator<int>;
template struct hakmem::allocator<int, hakmem::offset_ptr<int>>;
template struct hakmem::pool_allocator<int>;
template struct hakmem::pool_allocator<int, hakmem::offset_ptr<int>>;
template class hakmem::ticket<int>;

template class std::vector<int, hakmem::allocator<int>>;
template class std::vector<int, hakmem::offset_allocator<int>>;
template class std::vector<int, hakmem::pool_allocator<int>>;
template class std::vector<int, hakmem::offset_pool_allocator<int>>;
template class std::deque<int, hakmem::allocator<int>>;
template class std::deque<int, hakmem::offset_allocator<int>>;
template class std::deque<int, hakmem::pool_allocator<int>>;
template class std::deque<int, hakmem::offset_pool_allocator<int>>;
template class std::basic_string<char, std::char_traits<char>, hakmem::allocator<char>>;

/* Where the links are private all the same, one process may use them. */
template class std::set<int, std::less<int>, hakmem::allocator<int>>;

using numbers = std::vector<int, hakmem::offset_allocator<int>>;

void use(hakmem_pool *pool);

/* What is instantiated by its use alone. */
void use(hakmem_pool *pool)
{
	hakmem::unique_ptr<numbers> mine = hakmem::make_unique<numbers>(3u, 7);
	hakmem::memory_resource resource(pool);
	std::pmr::vector<int> vector(&resource);
	hakmem::offset_ptr<int> p, q = nullptr;
	hakmem::offset_ptr<const int> constant = p;
	hakmem::offset_ptr<void> any = p;

	numbers copy(*mine);
	copy.insert(copy.begin(), mine->begin(), mine->end());
	copy.swap(*mine);
	hakmem::publish("numbers", std::move(mine));
	mine = hakmem::withdraw<numbers>("numbers", pool);
	static_cast<void>(hakmem::lookup<numbers>("numbers", pool));
	hakmem::ticket<int> ticket(hakmem::make_unique_in<int>(pool, 7)), other(std::move(ticket));
	ticket = std::move(other);
	mine.reset();
	vector.push_back(*hakmem::take<int>(ticket.ref(), pool));

	p = hakmem::offset_ptr<int>(any);
	p = q + 1 - 1;
	p = 1 + q;
	vector[0] = constant == p && p != nullptr && p <= q && p > q && p - q == 0;
}
