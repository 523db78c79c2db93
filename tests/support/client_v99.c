/* SPDX-License-Identifier: MIT */
/* A client whose library says hello with another layout (tests/CMakeLists.txt); what it is told. */
#include <errno.h>
#include <stdio.h>

#include "client_lib/include/hakmem.h"

static void say(const char *call, int error)
{
	if (error == EPROTO)
		printf("%s: EPROTO\n", call);
	else
		printf("%s: %d\n", call, error);
}

int main(void)
{
	void *block;

	say("attach", -hakmem_attach(NULL));
	errno = 0;
	block = hakmem_malloc(1);
	say("malloc", block ? 0 : errno);
	return 0;
}
