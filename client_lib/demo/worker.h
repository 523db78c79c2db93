/* SPDX-License-Identifier: MIT */
#ifndef HAKC_DEMO_WORKER_H
#define HAKC_DEMO_WORKER_H

#include "client_lib/demo/channel.h"

/* What a worker does until `files`, its own channel, closes; its process's exit code. */
int hakc_worker_run(int files, int results);

#endif
