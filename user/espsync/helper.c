// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * helper.c - the only file that knows espsyncd's socket and its framing. What is asked, and what an answer means, are the commands' business.
 *
 * A question is its length (4 bytes, most significant first), a word, a blank, data. An answer is its length, an exit code, data.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "err.h"
#include "helper.h"

#define HELPER_SOCKET "/run/espsync/control"

static int connect_to_it(const char *what)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = HELPER_SOCKET };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && !connect(fd, (struct sockaddr *)&sun, sizeof(sun)))
		return fd;
	fail(REFUSED, what, errno == EACCES ? "run it as root" : "is it running, and of this version? systemctl status espsyncd",
	     "espsyncd cannot be asked at " HELPER_SOCKET ": %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool send_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	ssize_t n;

	for (; len; p += n, len -= (size_t)n) {
		n = send(fd, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			n = 0;
		if (n < 0)
			return false;
	}
	return true;
}

static bool read_all(int fd, void *data, size_t len)
{
	char *p = data;
	ssize_t n;

	for (; len; p += n, len -= (size_t)n) {
		n = recv(fd, p, len, 0);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return false;
	}
	return true;
}

static bool say(int fd, const char *word, const void *data, size_t len)
{
	uint32_t head = htonl((uint32_t)(strlen(word) + 1 + len));

	return send_all(fd, &head, sizeof(head)) && send_all(fd, word, strlen(word)) && send_all(fd, " ", 1) && send_all(fd, data, len);
}

static bool hear(int fd, struct answer *answer)
{
	uint32_t head;
	uint8_t code;

	if (!read_all(fd, &head, sizeof(head)))
		return false;
	answer->len = ntohl(head);
	if (!answer->len || answer->len > HELPER_MAX + 1 || !read_all(fd, &code, 1) || code > REFUSED)
		return false;
	answer->code = code;
	answer->len--;
	answer->data = calloc(1, answer->len + 1);
	return answer->data && read_all(fd, answer->data, answer->len);
}

int helper_ask(const char *what, const char *word, const void *data, size_t len, struct answer *answer)
{
	int fd = connect_to_it(what);
	bool ok;

	memset(answer, 0, sizeof(*answer));
	if (fd < 0)
		return REFUSED;
	ok = say(fd, word, data, len) && hear(fd, answer);
	close(fd);
	if (ok)
		return 0;
	free(answer->data);
	answer->data = NULL;
	return fail(REFUSED, what, "its log says why", "espsyncd has not answered");
}
