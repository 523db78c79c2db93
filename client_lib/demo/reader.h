/* SPDX-License-Identifier: MIT */
#ifndef HAKC_DEMO_READER_H
#define HAKC_DEMO_READER_H

#include "client_lib/demo/channel.h"

/* What the reader does until the reporter has finished; its process's exit code. */
int hakc_reader_run(const struct hakc_channels *channels, char *const *folders);

#endif
