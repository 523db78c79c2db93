/* SPDX-License-Identifier: MIT */
#ifndef HAKMEM_HPP
#define HAKMEM_HPP

/*
 * hakmem.h for C++17: an allocator, a memory resource, a deleter.
 *
 * Who owns a block, and what becomes of it when a process dies, is as hakmem.h says: a
 * container's buffer is a block like any other, and its owner's. Errors: where hakmem_malloc
 * returns NULL, std::bad_alloc is thrown. Freeing throws nothing.
 */
#include "hakmem.h"

#include <cstddef>
#include <deque>
#include <forward_list>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <new>
#include <set>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace hakmem
{
/* A block of that many bytes, aligned to a power of two; throws std::bad_alloc. */
inline void *allocate_bytes(std::size_t bytes, std::size_t alignment)
{
	void *block = alignment <= 16 ? hakmem_malloc(bytes)
				      : hakmem_aligned_alloc(alignment, bytes);

	if (block == nullptr)
		throw std::bad_alloc();
	return block;
}

/*
 * For std::vector and std::deque. All of them are equal: any process that hakmem_free lets free
 * a block may. Pointers are raw, so what is made with it is read only by processes that have the
 * pool at its own address (hakmem_is_at_base).
 */
template <typename T> struct allocator {
	using value_type = T;
	using is_always_equal = std::true_type;
	using propagate_on_container_move_assignment = std::true_type;

	allocator() noexcept = default;
	template <typename U> allocator(const allocator<U> &) noexcept
	{
	}

	T *allocate(std::size_t n)
	{
		if (n > std::numeric_limits<std::size_t>::max() / sizeof(T))
			throw std::bad_alloc();
		return static_cast<T *>(allocate_bytes(n * sizeof(T), alignof(T)));
	}
	void deallocate(T *block, std::size_t) noexcept
	{
		hakmem_free(block);
	}
	template <typename U> bool operator==(const allocator<U> &) const noexcept
	{
		return true;
	}
	template <typename U> bool operator!=(const allocator<U> &) const noexcept
	{
		return false;
	}
};

/*
 * For std::pmr. A pmr container keeps a pointer to its resource, and the resource's table of
 * functions lies elsewhere in each process: its elements may be read by others, the container
 * itself is used by the process that made it.
 */
class memory_resource : public std::pmr::memory_resource
{
	void *do_allocate(std::size_t bytes, std::size_t alignment) override
	{
		return allocate_bytes(bytes, alignment);
	}
	void do_deallocate(void *block, std::size_t, std::size_t) override
	{
		hakmem_free(block);
	}
	bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
	{
		return dynamic_cast<const memory_resource *>(&other) != nullptr;
	}
};

/* Destroys, then frees. For one object whose address is its block's: T is what was made. */
template <typename T> struct deleter {
	void operator()(T *object) const noexcept
	{
		object->~T();
		hakmem_free(object);
	}
};

template <typename T> using unique_ptr = std::unique_ptr<T, deleter<T>>;

/*
 * May a T that lies in a pool be used by other processes? False for the node containers: in
 * libstdc++ 12 their links are raw pointers whatever the allocator's pointer is, and those of
 * list, map, set and the unordered ones lead into the container object too. False also for a
 * vector, deque or string whose memory isn't hakmem's. True of anything else says only that it
 * is none of these.
 */
template <typename T> struct is_shareable : std::true_type {
};
template <typename T, typename A> struct is_shareable<std::list<T, A>> : std::false_type {
};
template <typename T, typename A> struct is_shareable<std::forward_list<T, A>> : std::false_type {
};
template <typename K, typename V, typename C, typename A>
struct is_shareable<std::map<K, V, C, A>> : std::false_type {
};
template <typename K, typename V, typename C, typename A>
struct is_shareable<std::multimap<K, V, C, A>> : std::false_type {
};
template <typename K, typename C, typename A>
struct is_shareable<std::set<K, C, A>> : std::false_type {
};
template <typename K, typename C, typename A>
struct is_shareable<std::multiset<K, C, A>> : std::false_type {
};
template <typename K, typename V, typename H, typename P, typename A>
struct is_shareable<std::unordered_map<K, V, H, P, A>> : std::false_type {
};
template <typename K, typename V, typename H, typename P, typename A>
struct is_shareable<std::unordered_multimap<K, V, H, P, A>> : std::false_type {
};
template <typename K, typename H, typename P, typename A>
struct is_shareable<std::unordered_set<K, H, P, A>> : std::false_type {
};
template <typename K, typename H, typename P, typename A>
struct is_shareable<std::unordered_multiset<K, H, P, A>> : std::false_type {
};
template <typename T, typename A> struct is_shareable<std::vector<T, A>> : std::false_type {
};
template <typename T, typename A> struct is_shareable<std::deque<T, A>> : std::false_type {
};
template <typename C, typename R, typename A>
struct is_shareable<std::basic_string<C, R, A>> : std::false_type {
};
template <typename T> struct is_shareable<std::vector<T, allocator<T>>> : is_shareable<T> {
};
template <typename T> struct is_shareable<std::deque<T, allocator<T>>> : is_shareable<T> {
};
template <typename C, typename R>
struct is_shareable<std::basic_string<C, R, allocator<C>>> : std::true_type {
};

template <typename T> inline constexpr bool is_shareable_v = is_shareable<T>::value;

/* An object in a block of its own; throws std::bad_alloc, and what its constructor throws. */
template <typename T, typename... Args> unique_ptr<T> make_unique(Args &&...args)
{
	static_assert(is_shareable_v<T>, "hakmem: this container breaks between processes");
	void *block = allocate_bytes(sizeof(T), alignof(T));

	try {
		return unique_ptr<T>(::new (block) T(std::forward<Args>(args)...));
	} catch (...) {
		hakmem_free(block);
		throw;
	}
}
} // namespace hakmem

#endif
