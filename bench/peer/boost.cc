/* SPDX-License-Identifier: MIT */
/*
 * Boost.Interprocess: its default segment manager, a red-black tree with best
 * fit under a mutex. With -DBENCH_CACHED_NODE its fastest allocator on top,
 * which keeps up to 64 nodes of one fixed size a process and takes no lock for
 * these; then 64 bytes is the only size.
 */
#include "bench/peer/peer.h"

#include <boost/interprocess/allocators/cached_node_allocator.hpp>
#include <boost/interprocess/managed_external_buffer.hpp>
#include <boost/interprocess/mem_algo/rbtree_best_fit.hpp>
#include <boost/interprocess/indexes/iset_index.hpp>
#include <boost/interprocess/sync/mutex_family.hpp>
#include <cerrno>

extern "C" {
#include "bench/support/shared_memory.h"
}

namespace ipc = boost::interprocess;

/* managed_external_buffer's own family locks nothing; this is managed_shared_memory's. */
using pool_type = ipc::basic_managed_external_buffer<
	char, ipc::rbtree_best_fit<ipc::mutex_family, ipc::offset_ptr<void>>, ipc::iset_index>;

struct node {
	char bytes[64];
};

using node_allocator = ipc::cached_node_allocator<node, pool_type::segment_manager>;

static pool_type *pool;
#ifdef BENCH_CACHED_NODE
static node_allocator *nodes;
#endif

int bench_peer_init(size_t pool_bytes)
{
	pool = new pool_type(ipc::create_only, bench_shared_memory(pool_bytes), pool_bytes);
	return 0;
}

int bench_peer_enter(void)
{
#ifdef BENCH_CACHED_NODE
	nodes = new node_allocator(pool->get_segment_manager());
#endif
	return 0;
}

void bench_peer_deinit(void)
{
}

void *bench_peer_malloc(size_t bytes)
{
#ifdef BENCH_CACHED_NODE
	return bytes == sizeof(node) ? ipc::ipcdetail::to_raw_pointer(nodes->allocate_one())
				     : nullptr;
#else
	return pool->allocate(bytes, std::nothrow);
#endif
}

void bench_peer_free(void *block)
{
#ifdef BENCH_CACHED_NODE
	nodes->deallocate_one(static_cast<node *>(block));
#else
	pool->deallocate(block);
#endif
}

uint64_t bench_peer_ref(const void *block)
{
	return (uint64_t)pool->get_handle_from_address(block);
}

void *bench_peer_ptr(uint64_t ref)
{
	return pool->get_address_from_handle((pool_type::handle_t)ref);
}
