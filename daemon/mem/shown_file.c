/* SPDX-License-Identifier: MIT */
#include "daemon/mem/shown_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { READ = 4, WRITE = 2, PATH_BYTES = 256 };

ssize_t hakd_shown_file_read(const char *path, void *ret_bytes, size_t n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	ssize_t r;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
		r = -EPERM;
	else
		r = read(fd, ret_bytes, n);
	r = r < 0 && r != -EPERM ? -errno : r;
	close(fd);
	return r;
}

static void new_path(const char *path, char temporary[PATH_BYTES])
{
	const char *name = strrchr(path, '/') + 1;

	/* No pool's file: those begin with the socket's name. */
	snprintf(temporary, PATH_BYTES, "%.*s.new.%s", (int)(name - path), path, name);
}

static int fail(struct hakd_shown_file *file, int error)
{
	hakd_shown_file_close(file);
	return -error;
}

int hakd_shown_file_make(struct hakd_shown_file *file, const char *path, size_t n)
{
	char temporary[PATH_BYTES];
	int error;

	*file = (struct hakd_shown_file){.fd = -1};
	snprintf(temporary, sizeof(temporary), "%.*s", (int)(strrchr(path, '/') - path), path);
	(void)mkdir(temporary, 0755); /* what is missing shows below */
	new_path(path, temporary);
	(void)unlink(temporary);
	file->fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file->fd < 0)
		return fail(file, errno);
	/* What isn't there would be SIGBUS on a full file system. */
	error = posix_fallocate(file->fd, 0, (off_t)n);
	if (error != 0)
		return fail(file, error);
	file->bytes = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
	if (file->bytes == MAP_FAILED) {
		file->bytes = NULL;
		return fail(file, errno);
	}
	file->n = n;
	return 0;
}

int hakd_shown_file_name(const char *path)
{
	char temporary[PATH_BYTES];

	new_path(path, temporary);
	return rename(temporary, path) == 0 ? 0 : -errno;
}

/* The bits of a mode's digit as those of a list's entry. */
static unsigned short bits(unsigned digit)
{
	return (digit & READ) != 0 ? ACL_READ : 0;
}

int hakd_shown_file_let_read(const struct hakd_shown_file *file, uid_t owner, gid_t group,
			     unsigned mode)
{
	struct {
		struct posix_acl_xattr_header header;
		struct posix_acl_xattr_entry entries[6];
	} list = {{POSIX_ACL_XATTR_VERSION},
		  {{ACL_USER_OBJ, ACL_READ | ACL_WRITE, ACL_UNDEFINED_ID},
		   {ACL_USER, bits(mode >> 6), owner},
		   {ACL_GROUP_OBJ, 0, ACL_UNDEFINED_ID},
		   {ACL_GROUP, bits(mode >> 3), group},
		   {ACL_MASK, ACL_READ, ACL_UNDEFINED_ID},
		   {ACL_OTHER, bits(mode), ACL_UNDEFINED_ID}}};
	int error;

	if (fsetxattr(file->fd, "system.posix_acl_access", &list, sizeof(list), 0) == 0)
		return 0;
	error = errno;
	(void)fchmod(file->fd, (mode & mode >> 3 & mode >> 6 & READ) != 0 ? 0644 : 0600);
	return -error;
}

void hakd_shown_file_remove(const struct hakd_shown_file *file, const char *path)
{
	struct stat ours, there;

	if (fstat(file->fd, &ours) == 0 && lstat(path, &there) == 0 &&
	    ours.st_ino == there.st_ino && ours.st_dev == there.st_dev)
		(void)unlink(path);
}

void hakd_shown_files_tidy(const char *begin,
			   bool (*is_stale)(const void *context, const char *path,
					    const char *behind),
			   const void *context)
{
	const char *name = strrchr(begin, '/') + 1;
	char path[PATH_BYTES + NAME_MAX];
	const struct dirent *entry;
	size_t n = strlen(name);
	DIR *stream;

	snprintf(path, sizeof(path), "%.*s", (int)(name - begin), begin);
	stream = opendir(path);
	while (stream && (entry = readdir(stream))) {
		if (strncmp(entry->d_name, name, n) != 0)
			continue;
		snprintf(path, sizeof(path), "%.*s%s", (int)(name - begin), begin, entry->d_name);
		if (is_stale(context, path, entry->d_name + n))
			(void)unlink(path);
	}
	if (stream)
		closedir(stream);
}

void hakd_shown_file_close(struct hakd_shown_file *file)
{
	if (file->bytes)
		munmap(file->bytes, file->n);
	if (file->fd >= 0)
		close(file->fd);
	*file = (struct hakd_shown_file){.fd = -1};
}
