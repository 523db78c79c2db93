/* SPDX-License-Identifier: MIT */
#ifndef HAKT_PLAIN_H
#define HAKT_PLAIN_H

/* A client without the library: it does what a test says and nothing else. Calls fail the test on error. */

#include "client_lib/conn.h"

/* Its lease stays open for as long as this process lives. */
void hakt_plain_attach(struct hakc_conn *conn, const char *socket_path);
void hakt_plain_bye(struct hakc_conn *conn);

/* Asks for memory; the answer is to be waited for. */
void hakt_plain_ask(struct hakc_conn *conn, Hak__Refill *refill);

/* 0 and the first SuperSlab and the length, 0 unless a run was extended; or the error. */
unsigned hakt_plain_answer(struct hakc_conn *conn, uint32_t *ret_head, uint32_t *ret_length);

/* What is answered. */
unsigned hakt_plain_give(struct hakc_conn *conn, Hak__Giveback *giveback);

#endif
