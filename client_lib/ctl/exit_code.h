/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_EXIT_CODE_H
#define HAKC_CTL_EXIT_CODE_H

/* Exit codes of hakmemctl, a promise to scripts: X(NAME, code, what it says). */
#define HAKC_EXIT_CODES(X)                                      \
	X(DONE, 0, "done")                                      \
	X(FAILED, 1, "failed")                                  \
	X(USAGE, 2, "wrong usage")                              \
	X(NOT_REACHABLE, 3, "no daemon can be reached")         \
	X(NOT_PERMITTED, 4, "not permitted")                    \
	X(OTHER_VERSION, 5, "the daemon is of another version") \
	X(DEGRADED, 6, "degraded: check found anomalies, leaks found blocks of nobody")

enum hakc_exit_code {
#define X(NAME, code, text) HAKC_EXIT_##NAME = code,
	HAKC_EXIT_CODES(X)
#undef X
};

#endif
