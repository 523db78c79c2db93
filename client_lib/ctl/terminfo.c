/* SPDX-License-Identifier: MIT */
/*
 * Asked before newterm, which keeps what it had got so far when it fails. Alone here, since term.h
 * makes macros of words such as tab and columns.
 */
#include "client_lib/ctl/terminfo.h"

#include <curses.h>
#include <term.h>
#include <unistd.h>

bool hakc_terminfo_knows(void)
{
	int error;

	if (setupterm(NULL, STDOUT_FILENO, &error) != OK)
		return false;
	del_curterm(cur_term);
	return true;
}
