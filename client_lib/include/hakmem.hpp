/* SPDX-License-Identifier: MIT */
#ifndef HAKMEM_HPP
#define HAKMEM_HPP

/*
 * hakmem.h for C++17: allocators, a memory resource, an offset pointer, owners of blocks, and
 * roots and tickets of them. docs/cpp.md has an example.
 *
 * Who owns a block, and what becomes of it when a process dies, is as hakmem.h says: a
 * container's buffer is a block like any other, of the process that made it. So who grows a
 * container that is another one's has its buffer from then on, and takes it along when it dies;
 * and nobody can grow one that is published. withdraw it, change it, publish it again: one process
 * at a time can, and if it dies meanwhile, all of it goes. Nothing here locks.
 *
 * Errors: std::bad_alloc where a call of hakmem.h says ENOMEM, and wherever an allocation fails;
 * std::system_error with the error of hakmem.h from publish, lookup, withdraw, take and ticket, but
 * for those that they say they return. Freeing throws nothing.
 *
 * A forked child that runs its parent's destructors frees its parent's blocks: leave by _exit.
 */
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* hakmem_stats is a struct and a function */
#endif
#include "hakmem.h"
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
#include "hakmem_offset_ptr.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <deque>
#include <forward_list>
#include <functional>
#include <limits>
#include <list>
#include <memory>
#include <memory_resource>
#include <new>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace hakmem
{
/* Throws what a positive errno of `call` stands for. */
[[noreturn]] inline void throw_error(int error, const char *call)
{
	if (error == ENOMEM)
		throw std::bad_alloc();
	throw std::system_error(error, std::generic_category(), call);
}

/* A block of that many bytes, aligned to a power of two; pool as for the "_in" calls. */
inline void *allocate_bytes(std::size_t bytes, std::size_t alignment, hakmem_pool *pool = nullptr)
{
	void *block;

	if (alignment > 16)
		block = hakmem_aligned_alloc_in(pool, alignment, bytes);
	else
		block = pool ? hakmem_malloc_in(pool, bytes) : hakmem_malloc(bytes);
	if (block == nullptr)
		throw std::bad_alloc();
	return block;
}

/* The same for n objects. */
template <typename T> T *allocate_objects(std::size_t n, hakmem_pool *pool)
{
	if (n > std::numeric_limits<std::size_t>::max() / sizeof(T))
		throw std::bad_array_new_length();
	return static_cast<T *>(allocate_bytes(n * sizeof(T), alignof(T), pool));
}

/* The address, of whichever kind of pointer. */
template <typename T> T *to_raw(T *p) noexcept
{
	return p;
}
/* The same. */
template <typename T> T *to_raw(const offset_ptr<T> &p) noexcept
{
	return p.get();
}

/*
 * For std::vector, std::deque and, with raw pointers, std::basic_string, in the process's first
 * pool: a process whose first pool is another one must not grow what was made with it; see
 * pool_allocator. All of them are equal: any process that hakmem_free lets free a block may. With
 * raw pointers, what is made with it is for processes that have the pool at its own address; with
 * offset_ptr (offset_allocator), for all.
 */
template <typename T, typename Pointer = T *> struct allocator {
	using value_type = T;
	using pointer = Pointer;
	using is_always_equal = std::true_type;
	using propagate_on_container_move_assignment = std::true_type;
	template <typename U> struct rebind {
		using other =
			allocator<U, typename std::pointer_traits<Pointer>::template rebind<U>>;
	};

	allocator() noexcept = default;
	template <typename U, typename P> allocator(const allocator<U, P> &) noexcept
	{
	}

	Pointer allocate(std::size_t n)
	{
		return Pointer(allocate_objects<T>(n, nullptr));
	}
	void deallocate(Pointer block, std::size_t) noexcept
	{
		hakmem_free(to_raw(block));
	}
	template <typename U, typename P> bool operator==(const allocator<U, P> &) const noexcept
	{
		return true;
	}
	template <typename U, typename P> bool operator!=(const allocator<U, P> &) const noexcept
	{
		return false;
	}
};

/* An allocator whose containers are good where the pool is at another address, too. */
template <typename T> using offset_allocator = allocator<T, offset_ptr<T>>;

/*
 * The same in a given pool. A handle means something in one process only, so what it keeps is an
 * address in the pool, by which each process finds its own handle: a container stays in its pool
 * whoever grows it, be the pool its first one or not. Two are equal if their pool is the same;
 * as with std::pmr, a container that is assigned to keeps its allocator.
 */
template <typename T, typename Pointer = T *> struct pool_allocator {
	using value_type = T;
	using pointer = Pointer;
	using is_always_equal = std::false_type;
	template <typename U> struct rebind {
		using other = pool_allocator<
			U, typename std::pointer_traits<Pointer>::template rebind<U>>;
	};

	/* Makes and frees a block to have an address; throws std::bad_alloc. */
	explicit pool_allocator(hakmem_pool *pool)
	{
		void *block = allocate_bytes(1, 1, pool);

		anchor = static_cast<const char *>(block);
		hakmem_free(block);
	}
	template <typename U, typename P>
	pool_allocator(const pool_allocator<U, P> &other) noexcept : anchor(other.near())
	{
	}

	Pointer allocate(std::size_t n)
	{
		return Pointer(allocate_objects<T>(n, pool()));
	}
	void deallocate(Pointer block, std::size_t) noexcept
	{
		hakmem_free(to_raw(block));
	}
	/* This process's handle of it. */
	hakmem_pool *pool() const noexcept
	{
		return hakmem_pool_of(near());
	}
	/* An address in it. */
	const char *near() const noexcept
	{
		return to_raw(anchor);
	}
	template <typename U, typename P>
	bool operator==(const pool_allocator<U, P> &other) const noexcept
	{
		return pool() == other.pool();
	}
	template <typename U, typename P>
	bool operator!=(const pool_allocator<U, P> &other) const noexcept
	{
		return pool() != other.pool();
	}

      private:
	typename std::pointer_traits<Pointer>::template rebind<const char> anchor;
};

/* The same of a given pool. */
template <typename T> using offset_pool_allocator = pool_allocator<T, offset_ptr<T>>;

/*
 * For std::pmr; pool as for the "_in" calls. A pmr container keeps a pointer to its resource, and
 * the resource one to its class's table of functions, which lies elsewhere in each process: its
 * elements may be read by others, the container is used by the process that made it.
 */
class memory_resource : public std::pmr::memory_resource
{
	hakmem_pool *const pool;

	void *do_allocate(std::size_t bytes, std::size_t alignment) override
	{
		return allocate_bytes(bytes, alignment, pool);
	}
	void do_deallocate(void *block, std::size_t, std::size_t) override
	{
		hakmem_free(block);
	}
	bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
	{
		const auto *same = dynamic_cast<const memory_resource *>(&other);

		return same != nullptr && same->pool == pool;
	}

      public:
	/* Of that pool, of the process's first one without. */
	explicit memory_resource(hakmem_pool *of = nullptr) noexcept : pool(of)
	{
	}
};

/* Destroys, then frees. For one object whose address is its block's: T is what was made. */
template <typename T> struct deleter {
	/* What std::unique_ptr calls. */
	void operator()(T *object) const noexcept
	{
		object->~T();
		hakmem_free(object);
	}
};

/* The owner of an object in a block of its own. */
template <typename T> using unique_ptr = std::unique_ptr<T, deleter<T>>;

/* Is A one of the above? */
template <typename A> struct is_allocator : std::false_type {
};
template <typename T, typename P> struct is_allocator<allocator<T, P>> : std::true_type {
};
template <typename T, typename P> struct is_allocator<pool_allocator<T, P>> : std::true_type {
};

/* Of maps and sets of all kinds: a type that can hand out its nodes. */
template <typename T, typename = void> struct has_nodes : std::false_type {
};
template <typename T> struct has_nodes<T, std::void_t<typename T::node_type>> : std::true_type {
};

/*
 * May a T that lies in a pool be used by other processes? True says only that it is none of what
 * is listed here; looked into are elements of vector, deque, pair and array. False, and why, in
 * libstdc++ 12:
 *   list            _M_node, its end, is in the object, first and last node point to it; raw links
 *   map, set, ...   _M_header, the end, is in the object, the root points to it; raw links
 *   unordered_...   _M_before_begin is in the object and a bucket points to it, with one bucket
 *                   _M_buckets too, to _M_single_bucket; raw links
 *   forward_list    raw links, and nothing else
 *   vector<bool>    its iterators are raw (_Bit_type *) and it has no data()
 *   polymorphic T   points to its class's table of functions, elsewhere in each program
 *   vector, deque, string whose allocator isn't hakmem's: their buffers are private
 *   string with offset_ptr: does not compile (basic_string.tcc wants a char *)
 * Raw links are raw whatever the allocator's pointer is. And each node is a block of its own: its
 * inserter's, gone with that process, and not to be named for publishing.
 * A short string points into itself (_M_local_buf): no harm, it stays where it was made. A deque
 * may be shared while all live who have changed it; its blocks can't be named either.
 */
template <typename T>
struct is_shareable : std::bool_constant<!std::is_polymorphic_v<T> && !has_nodes<T>::value> {
};
template <typename T, typename A> struct is_shareable<std::list<T, A>> : std::false_type {
};
template <typename T, typename A> struct is_shareable<std::forward_list<T, A>> : std::false_type {
};
template <typename A> struct is_shareable<std::vector<bool, A>> : std::false_type {
};
template <typename T, typename A>
struct is_shareable<std::vector<T, A>> : std::conjunction<is_allocator<A>, is_shareable<T>> {
};
template <typename T, typename A>
struct is_shareable<std::deque<T, A>> : std::conjunction<is_allocator<A>, is_shareable<T>> {
};
template <typename C, typename R, typename A>
struct is_shareable<std::basic_string<C, R, A>>
    : std::conjunction<is_allocator<A>,
		       std::is_same<typename std::allocator_traits<A>::pointer, C *>> {
};
template <typename T, typename U>
struct is_shareable<std::pair<T, U>> : std::conjunction<is_shareable<T>, is_shareable<U>> {
};
template <typename T, std::size_t n> struct is_shareable<std::array<T, n>> : is_shareable<T> {
};

/* Its value. */
template <typename T> inline constexpr bool is_shareable_v = is_shareable<T>::value;

/* An object in a block of its own; throws std::bad_alloc, and what its constructor throws. */
template <typename T, typename... Args>
unique_ptr<T> make_unique_in(hakmem_pool *pool, Args &&...args)
{
	static_assert(is_shareable_v<T>, "hakmem: this container breaks between processes");
	void *block = allocate_bytes(sizeof(T), alignof(T), pool);

	try {
		return unique_ptr<T>(::new (block) T(std::forward<Args>(args)...));
	} catch (...) {
		hakmem_free(block);
		throw;
	}
}
/* The same in the process's first pool. */
template <typename T, typename... Args> unique_ptr<T> make_unique(Args &&...args)
{
	return make_unique_in<T>(nullptr, std::forward<Args>(args)...);
}

/* hakmem_ref, which must not fail. */
inline hakmem_ref_t ref_of(const void *block)
{
	hakmem_ref_t ref = hakmem_ref(block);

	if (ref == 0)
		throw_error(errno, "hakmem_ref");
	return ref;
}

/* hakmem_ptr, likewise, of an object of which the ref was made. */
template <typename T> T *object_of(hakmem_ref_t ref, hakmem_pool *pool = nullptr)
{
	void *block = hakmem_ptr_in(pool, ref);

	if (block == nullptr)
		throw_error(errno, "hakmem_ptr");
	return static_cast<T *>(block);
}

/*
 * The blocks that an object has besides its own, to be published with it: those of vectors and
 * strings and of what is in them. A type of your own that has some needs an add_blocks beside it.
 */
using block_list = std::vector<const void *>;
/* Of what has none. */
template <typename T> void add_blocks(T &, block_list &)
{
	static_assert(std::is_trivially_destructible_v<T>,
		      "hakmem: this object may have more blocks, write add_blocks for it");
}
/* Nothing names a deque's. */
template <typename T, typename A> void add_blocks(std::deque<T, A> &, block_list &) = delete;
/* Of a string, if it is a long one. */
template <typename C, typename R, typename A>
void add_blocks(std::basic_string<C, R, A> &text, block_list &blocks)
{
	const void *data = text.data();
	std::less<const void *> is_before;

	/* A short one is in the object. */
	if (is_before(data, &text) || !is_before(data, &text + 1))
		blocks.push_back(data);
}
/* Of a vector, and of all in it. */
template <typename T, typename A> void add_blocks(std::vector<T, A> &vector, block_list &blocks)
{
	/* With offset_ptr, data() of an empty one is NULL even if it has a buffer. */
	if (vector.empty())
		vector.shrink_to_fit();
	if (vector.data() != nullptr)
		blocks.push_back(vector.data());
	for (T &element : vector)
		add_blocks(element, blocks);
}

/*
 * hakmem_root_publish_list of an object and its blocks, in the pool where it is. All must be this
 * process's. From then on the object is the pool's; if it throws, it is the caller's as before, but
 * in doubt as hakmem.h says (ETIMEDOUT, ESTALE of a pool that has ended).
 */
template <typename T> T *publish(const char *name, unique_ptr<T> &&object)
{
	block_list blocks{object.get()};
	std::vector<hakmem_ref_t> refs;
	int r;

	add_blocks(*object, blocks);
	for (const void *block : blocks)
		refs.push_back(ref_of(block));
	r = hakmem_root_publish_list_in(hakmem_pool_of(object.get()), name, refs.data(),
					refs.size());
	if (r < 0)
		throw_error(-r, "hakmem_root_publish_list");
	return object.release();
}

/* The object of a name, which stays the pool's; NULL: there is no such name. */
template <typename T> T *lookup(const char *name, hakmem_pool *pool = nullptr)
{
	hakmem_ref_t ref;
	int r = hakmem_root_lookup_in(pool, name, &ref);

	if (r == -ENOENT)
		return nullptr;
	if (r < 0)
		throw_error(-r, "hakmem_root_lookup");
	return object_of<T>(ref, pool);
}

/* Ends a name; the object and its blocks are the caller's. Empty: there is no such name. */
template <typename T> unique_ptr<T> withdraw(const char *name, hakmem_pool *pool = nullptr)
{
	hakmem_ref_t ref;
	int r = hakmem_root_withdraw_in(pool, name, &ref);

	if (r == -ENOENT)
		return nullptr;
	if (r < 0)
		throw_error(-r, "hakmem_root_withdraw");
	return unique_ptr<T>(object_of<T>(ref, pool));
}

/* hakmem_take. Empty: it was taken before, or has gone with its owner. */
template <typename T> unique_ptr<T> take(hakmem_ref_t ref, hakmem_pool *pool = nullptr)
{
	static_assert(std::is_trivially_destructible_v<T>,
		      "hakmem: a take moves one block, this object may have more");
	void *block;
	int r = hakmem_take_in(pool, ref, &block);

	if (r == -ESTALE)
		return nullptr;
	if (r < 0)
		throw_error(-r, "hakmem_take");
	return unique_ptr<T>(static_cast<T *>(block));
}

/*
 * An object on its way: send ref() to whoever shall take it, and keep this until it must have
 * arrived. If nobody has taken it by its end, the object is freed; else it is left alone.
 */
template <typename T> class ticket
{
	static_assert(is_shareable_v<T> && std::is_trivially_destructible_v<T>,
		      "hakmem: a take moves one block, this object may have more");
	hakmem_ref_t number = 0;
	hakmem_pool *pool = nullptr;

      public:
	/* If it throws, the object is the caller's as before. */
	explicit ticket(unique_ptr<T> &&object)
	    : number(ref_of(object.get())), pool(hakmem_pool_of(object.get()))
	{
		object.release();
	}
	/* The other one has none then. */
	ticket(ticket &&other) noexcept : number(std::exchange(other.number, 0)), pool(other.pool)
	{
	}
	/* What this one had goes as at its end. */
	ticket &operator=(ticket other) noexcept
	{
		std::swap(number, other.number);
		std::swap(pool, other.pool);
		return *this;
	}
	~ticket()
	{
		void *block;

		if (number != 0 && hakmem_take_in(pool, number, &block) == 0)
			hakmem_free(block);
	}
	/* What to send; 0: there is none. */
	hakmem_ref_t ref() const noexcept
	{
		return number;
	}
	/* The object, unless somebody has taken it. */
	unique_ptr<T> revoke()
	{
		return number == 0 ? nullptr : take<T>(std::exchange(number, 0), pool);
	}
};
} // namespace hakmem

#endif
