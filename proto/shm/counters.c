/* SPDX-License-Identifier: MIT */
#include "proto/shm/counters.h"

#define X(NAME, name, unit, description) {#name, #unit, description},

const struct hak_counter hak_client_counters[HAK_STAT_COUNT] = {HAK_CLIENT_COUNTERS(X)};
const struct hak_counter hak_daemon_counters[HAK_DAEMON_COUNTER_COUNT] = {HAK_DAEMON_COUNTERS(X)};
const struct hak_counter hak_pool_gauges[HAK_GAUGE_COUNT] = {HAK_POOL_GAUGES(X)};
