// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * keyfile.c - the only place that sees the key's text. It leaves no copy behind, neither in memory nor in a core.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "err.h"
#include "keyfile.h"

#define DIGITS (2 * ESPSYNC_KEY_LEN)

static const char make_one[] = "make one: (umask 077; openssl rand -hex 32 > FILE)";

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode(const char *text, uint8_t key[ESPSYNC_KEY_LEN])
{
	int bad = 0;

	for (size_t i = 0; i < ESPSYNC_KEY_LEN; i++) {
		int hi = nibble(text[2 * i]), lo = nibble(text[2 * i + 1]);

		bad |= hi | lo;
		key[i] = (uint8_t)((unsigned int)hi << 4 | (unsigned int)lo);
	}
	return bad >= 0;
}

/* What fstat() says of the opened file, not of what the name may point at by now. */
static int check_file(const char *what, const char *path, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return fail(BAD, what, NULL, "key file '%s': %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(BAD, what, make_one, "key file '%s' is not a regular file", path);
	if (st.st_mode & (S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH))
		return fail(BAD, what, "chmod 600 it, and make a new key if somebody may have read it",
			    "key file '%s' is readable or writable by others", path);
	return 0;
}

/* As much as fits, so that one byte too many is noticed. */
static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return n;
		if (!n)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

int keyfile_read(const char *what, const char *path, uint8_t key[ESPSYNC_KEY_LEN])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char text[DIGITS + 2];
	ssize_t len;
	int err;

	if (fd < 0)
		return fail(BAD, what, errno == ENOENT ? make_one : NULL, "key file '%s': %s", path, strerror(errno));
	prctl(PR_SET_DUMPABLE, 0);
	err = check_file(what, path, fd);
	if (!err) {
		len = read_all(fd, text, sizeof(text));
		if (len < 0)
			err = fail(BAD, what, NULL, "key file '%s': %s", path, strerror(errno));
		else if (len < DIGITS || len > DIGITS + 1 || (len == DIGITS + 1 && text[DIGITS] != '\n') ||
			 !decode(text, key))
			err = fail(BAD, what, make_one, "key file '%s' does not hold exactly 64 hex digits", path);
	}
	explicit_bzero(text, sizeof(text));
	close(fd);
	return err;
}
