// SPDX-License-Identifier: GPL-2.0-or-later
/* files: reading the configuration, the key and strongSwan's configuration from disk. See files.h. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "files.h"

#define MAX_CONFIG	65536
#define MAX_KEY		256
#define MAX_TEXT	(4 << 20)	/* of one of strongSwan's files */
#define MAX_SETTINGS	(16 << 20)	/* of what is kept of all that one includes */
#define MAX_FILES	4096
#define MAX_DEPTH	10		/* of files that include each other: strongSwan's own limit */
#define MAX_PATH	4096

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

/* Which of strongSwan's files is being read, and how many have been. */
struct source {
	const char *path;
	unsigned int *n;
};

/* Return: the text, of @len bytes and a NUL, or NULL with errno */
static char *read_text(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), n = -1;
	struct stat st;
	char *text;

	if (fd < 0)
		return NULL;
	errno = EFBIG;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > MAX_TEXT) {
		close(fd);
		return NULL;
	}
	*len = st.st_size + 1;
	text = secret_alloc(*len + 1);
	n = read_file(fd, text, *len + 1);
	close(fd);
	if (n >= 0)
		return text;
	secret_free(text, *len + 1);
	return NULL;
}

static bool include(struct settings_reader *r, struct settings *into, const char *pattern);

static bool read_one(struct settings_reader *r, struct settings *into, const char *path)
{
	struct source *before = r->ctx, here = { .path = path, .n = before->n };
	size_t len = 0;
	char *text;
	bool ok;

	if (++*here.n > MAX_FILES || r->depth > MAX_DEPTH) {
		snprintf(r->error, sizeof(r->error), "%.200s: too many files include each other", path);
		return false;
	}
	text = read_text(path, &len);
	if (!text) {
		snprintf(r->error, sizeof(r->error), "%.200s: %s", path, strerror(errno));
		return false;
	}
	r->ctx = &here;
	r->depth++;
	ok = settings_parse(r, into, path, text);
	r->depth--;
	r->ctx = before;
	secret_free(text, len + 1);
	return ok;
}

/* From the directory of the file that includes, unless it begins at the root. What is not there is passed over, as strongSwan does. */
static bool include(struct settings_reader *r, struct settings *into, const char *pattern)
{
	const struct source *here = r->ctx;
	const char *slash = strrchr(here->path, '/');
	char whole[MAX_PATH];
	bool ok = true;
	glob_t found;
	size_t i;
	int n;

	n = *pattern == '/' || !slash ? snprintf(whole, sizeof(whole), "%s", pattern) :
		snprintf(whole, sizeof(whole), "%.*s/%s", (int)(slash - here->path), here->path, pattern);
	if (n >= (int)sizeof(whole) || glob(whole, 0, NULL, &found))
		return true;
	for (i = 0; ok && i < found.gl_pathc; i++)
		ok = read_one(r, into, found.gl_pathv[i]);
	globfree(&found);
	return ok;
}

struct settings *files_settings(const char *path, char error[CONFIG_ERROR])
{
	struct settings_reader r = { .include = include, .room = MAX_SETTINGS };
	unsigned int n = 0;
	struct source here = { .path = path, .n = &n };
	struct settings *root;

	*error = 0;
	if (access(path, F_OK) && errno == ENOENT)
		return NULL;
	r.ctx = &here;
	root = settings_alloc();
	if (read_one(&r, root, path) && settings_resolve(&r, root))
		return root;
	settings_free(root);
	snprintf(error, CONFIG_ERROR, "%s", r.error);
	return NULL;
}
