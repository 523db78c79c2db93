/* SPDX-License-Identifier: MIT */
/* Two processes in C++: one makes a block, the other takes it, and reads what is in it. */
#include <hakmem.h>

#include <cstdio>
#include <cstring>
#include <new>

#include <sys/wait.h>
#include <unistd.h>

struct message {
	explicit message(int n) : number(n)
	{
	}
	int number;
};

static int receive(hakmem_ref_t ref)
{
	void *block;

	if (hakmem_take(ref, &block) != 0)
		return 1;
	const int number = static_cast<message *>(block)->number;

	hakmem_free(block);
	return number == 42 ? 0 : 2;
}

int main()
{
	void *room = hakmem_malloc(sizeof(message));
	int status = -1;

	if (!room)
		return 1;
	const hakmem_ref_t ref = hakmem_ref(new (room) message(42));
	const pid_t child = fork();

	if (child == 0)
		_exit(receive(ref));
	const bool is_well = waitpid(child, &status, 0) == child && status == 0;

	std::printf("hakmem %s: the other process ended with %d\n", hakmem_version(), status);
	return is_well && hakmem_detach() == 0 ? 0 : 1;
}
