/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CRASH_DEAL_H
#define HAKT_CRASH_DEAL_H

/* What a walker has to do with victims: lends, borrows, gives, takes, and sees them die. */

#include "tests/crash/stock.h"

/* Parcels for the first victim. */
void hakt_deal_begin(struct hakt_stock *w);

/* What the tracer wants; then the victim's parcels. */
void hakt_deal_attend(struct hakt_stock *w);

/* No victim comes any more: takes back what is in parcels, and frees it. */
void hakt_deal_end(struct hakt_stock *w);

#endif
