// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * nft.c - the only file that runs another program: nft, with a script of ours. Knows no rule.
 *
 * The script lies in memory until nft has read it: a pipe would have to be fed while nft already refuses.
 */
#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "err.h"
#include "nft.h"

static int spawn_nft(int script, pid_t *pid)
{
	char nft[] = "nft", file[] = "-f", in[] = "-", *argv[] = { nft, file, in, NULL };
	posix_spawn_file_actions_t actions;
	int err = posix_spawn_file_actions_init(&actions);

	if (err)
		return err;
	err = posix_spawn_file_actions_adddup2(&actions, script, STDIN_FILENO);
	if (!err)
		err = posix_spawnp(pid, nft, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return err;
}

int nft_run(const char *what, const char *script)
{
	int fd = memfd_create("nft", MFD_CLOEXEC), status, err;
	ssize_t len = (ssize_t)strlen(script);
	pid_t pid;

	if (fd < 0 || write(fd, script, (size_t)len) != len || lseek(fd, 0, SEEK_SET)) {
		if (fd >= 0)
			close(fd);
		return fail(REFUSED, what, NULL, "out of memory");
	}
	err = spawn_nft(fd, &pid);
	close(fd);
	if (err)
		return fail(REFUSED, what, "apt install nftables", "cannot run nft: %s", strerror(err));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return fail(REFUSED, what, NULL, "cannot wait for nft: %s", strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return fail(REFUSED, what, "its words are above; does the kernel have nft_fwd_netdev, and are the devices there?", "nft refused the rules");
	return 0;
}
