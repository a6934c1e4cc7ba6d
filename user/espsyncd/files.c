// SPDX-License-Identifier: GPL-2.0-or-later
/* files: reading the configuration and the key from disk. See files.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

#define MAX_CONFIG	65536
#define MAX_KEY		256

#define fail(error, ...) (snprintf(error, CONFIG_ERROR, __VA_ARGS__), -1)

/* Return: bytes read into @buf, which ends with NUL, or -1 */
static int read_file(int fd, char *buf, size_t room)
{
	size_t len = 0;
	ssize_t n;

	while (len < room && (n = read(fd, buf + len, room - len)) > 0)
		len += n;
	if (len == room) {
		errno = EFBIG;
		return -1;
	}
	buf[len] = 0;
	return len;
}

int files_config(struct config *c, const char *path, char error[CONFIG_ERROR])
{
	static char text[MAX_CONFIG];
	int fd = open(path, O_RDONLY | O_CLOEXEC), n;

	if (fd < 0)
		return fail(error, "%s: %s (copy the example, or name the file with -c)", path, strerror(errno));
	n = read_file(fd, text, sizeof(text));
	close(fd);
	if (n < 0)
		return fail(error, "%s: %s", path, strerror(errno));
	if (strlen(text) != (size_t)n)
		return fail(error, "%s: has a zero byte in it (it must be text)", path);
	return config_parse(c, path, text, error);
}

int files_key(uint8_t key[32], const char *path, char error[CONFIG_ERROR])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), n, err;
	char text[MAX_KEY];
	struct stat st;

	if (fd < 0)
		return fail(error, "%s: %s (make the cluster key: 64 hex digits, readable by root only)", path, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_mode & 077) {
		close(fd);
		return fail(error, "%s: others than its owner can read or write the key (chmod 600)", path);
	}
	n = read_file(fd, text, sizeof(text));
	close(fd);
	err = n < 0 ? -1 : config_parse_key(key, text, n);
	explicit_bzero(text, sizeof(text));
	if (err)
		return fail(error, "%s: is not a key (it must be 64 hex digits)", path);
	return 0;
}
