#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""loaded.py LIBRARY: a program that was not linked with libhakmem loads it at run time, uses it from
several threads, and is done with it before these end."""
import _ctypes
import ctypes
import sys
import threading

library = ctypes.CDLL(sys.argv[1])
library.hakmem_malloc.restype = ctypes.c_void_p
library.hakmem_malloc.argtypes = [ctypes.c_size_t]
library.hakmem_free.argtypes = [ctypes.c_void_p]
library.hakmem_ref.restype = ctypes.c_uint64
library.hakmem_ref.argtypes = [ctypes.c_void_p]
library.hakmem_ptr.restype = ctypes.c_void_p
library.hakmem_ptr.argtypes = [ctypes.c_uint64]

wrong = []
worked = threading.Barrier(5)
closed = threading.Event()


def work(number):
    for size in range(1, 3000, 7):
        block = library.hakmem_malloc(size)
        ctypes.memset(block, number, size)
        if library.hakmem_ptr(library.hakmem_ref(block)) != block:
            wrong.append(f"thread {number}: a ref of a block of {size} bytes")
        if ctypes.string_at(block, size) != bytes([number]) * size:
            wrong.append(f"thread {number}: a block of {size} bytes")
        library.hakmem_free(block)
    worked.wait()
    closed.wait()


threads = [threading.Thread(target=work, args=(i,)) for i in range(1, 5)]
for thread in threads:
    thread.start()
worked.wait()
_ctypes.dlclose(library._handle)
closed.set()
for thread in threads:
    thread.join()
sys.exit("\n".join(wrong) or 0)
