/* SPDX-License-Identifier: MIT */
#ifndef HAKT_RUN_HPP
#define HAKT_RUN_HPP

/* run.h and what starts daemons and processes, for a cmocka test in C++. */

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <jansson.h>
#include <sys/types.h>

extern "C" {
#include "tests/support/run.h"

#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"
}

#endif
