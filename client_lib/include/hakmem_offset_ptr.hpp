/* SPDX-License-Identifier: MIT */
#ifndef HAKMEM_OFFSET_PTR_HPP
#define HAKMEM_OFFSET_PTR_HPP

/* hakmem.hpp's pointer for pools that are not mapped at their own address everywhere. */

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>

namespace hakmem
{
/*
 * A pointer that is right wherever the pool is mapped: it holds how far it is from itself to what
 * it points to. Both must lie in one pool, or both in one process's own memory.
 *
 * Not needed where hakmem_is_at_base() is 1 in every process, which is the rule: a pool has an
 * address of its own, and raw pointers cross. Where something else lies there already, or with
 * offsets_only, hakmem maps the pool elsewhere in that process; what it shall read then must be
 * made with offset_ptr, throughout. A ref leads to one block too, and is for messages.
 *
 * 8 bytes, not trivially copyable: never by memcpy. Its own second byte it can't point to.
 */
template <typename T> class offset_ptr
{
	static constexpr std::uintptr_t none = 1;
	std::uintptr_t distance = none;

	void set(T *p) noexcept
	{
		distance = p == nullptr ? none : address(p) - address(this);
	}
	static std::uintptr_t address(const volatile void *p) noexcept
	{
		return reinterpret_cast<std::uintptr_t>(p);
	}

      public:
	using element_type = T;
	using value_type = std::remove_cv_t<T>;
	using difference_type = std::ptrdiff_t;
	using pointer = T *;
	using reference = std::add_lvalue_reference_t<T>;
	using iterator_category = std::random_access_iterator_tag;

	offset_ptr() noexcept = default;
	offset_ptr(std::nullptr_t) noexcept
	{
	}
	offset_ptr(T *p) noexcept
	{
		set(p);
	}
	offset_ptr(const offset_ptr &other) noexcept
	{
		set(other.get());
	}
	template <typename U, std::enable_if_t<std::is_convertible_v<U *, T *>, int> = 0>
	offset_ptr(const offset_ptr<U> &other) noexcept
	{
		set(other.get());
	}
	/* From offset_ptr<void>, and from a base. */
	template <typename U, std::enable_if_t<!std::is_convertible_v<U *, T *>, int> = 0,
		  typename = decltype(static_cast<T *>(std::declval<U *>()))>
	explicit offset_ptr(const offset_ptr<U> &other) noexcept
	{
		set(static_cast<T *>(other.get()));
	}
	~offset_ptr() = default;
	offset_ptr &operator=(const offset_ptr &other) noexcept
	{
		set(other.get());
		return *this;
	}
	template <typename U = T> static offset_ptr pointer_to(U &object) noexcept
	{
		return offset_ptr(std::addressof(object));
	}

	T *get() const noexcept
	{
		return distance == none ? nullptr : reinterpret_cast<T *>(address(this) + distance);
	}
	reference operator*() const noexcept
	{
		return *get();
	}
	T *operator->() const noexcept
	{
		return get();
	}
	reference operator[](difference_type i) const noexcept
	{
		return get()[i];
	}
	explicit operator bool() const noexcept
	{
		return distance != none;
	}

	offset_ptr &operator+=(difference_type n) noexcept
	{
		set(get() + n);
		return *this;
	}
	offset_ptr &operator-=(difference_type n) noexcept
	{
		set(get() - n);
		return *this;
	}
	offset_ptr &operator++() noexcept
	{
		return *this += 1;
	}
	offset_ptr &operator--() noexcept
	{
		return *this -= 1;
	}
	offset_ptr operator++(int) noexcept
	{
		offset_ptr old = *this;

		*this += 1;
		return old;
	}
	offset_ptr operator--(int) noexcept
	{
		offset_ptr old = *this;

		*this -= 1;
		return old;
	}
	friend offset_ptr operator+(const offset_ptr &p, difference_type n) noexcept
	{
		return offset_ptr(p.get() + n);
	}
	friend offset_ptr operator+(difference_type n, const offset_ptr &p) noexcept
	{
		return offset_ptr(p.get() + n);
	}
	friend offset_ptr operator-(const offset_ptr &p, difference_type n) noexcept
	{
		return offset_ptr(p.get() - n);
	}
	friend difference_type operator-(const offset_ptr &a, const offset_ptr &b) noexcept
	{
		return a.get() - b.get();
	}
	friend bool operator==(const offset_ptr &a, const offset_ptr &b) noexcept
	{
		return a.get() == b.get();
	}
	friend bool operator!=(const offset_ptr &a, const offset_ptr &b) noexcept
	{
		return a.get() != b.get();
	}
	friend bool operator<(const offset_ptr &a, const offset_ptr &b) noexcept
	{
		return std::less<T *>()(a.get(), b.get());
	}
	friend bool operator>(const offset_ptr &a, const offset_ptr &b) noexcept
	{
		return b < a;
	}
	friend bool operator<=(const offset_ptr &a, const offset_ptr &b) noexcept
	{
		return !(b < a);
	}
	friend bool operator>=(const offset_ptr &a, const offset_ptr &b) noexcept
	{
		return !(a < b);
	}
};
} // namespace hakmem

#endif
