// SPDX-License-Identifier: GPL-2.0-or-later
/* nft: runs nft with a script of ours. See nft.h. */
#include <errno.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nft.h"

static bool run(int script)
{
	char nft[] = "nft", file[] = "-f", in[] = "-", *argv[] = { nft, file, in, NULL };
	posix_spawn_file_actions_t actions;
	int err, status = -1;
	pid_t pid;

	if (posix_spawn_file_actions_init(&actions))
		return false;
	err = posix_spawn_file_actions_adddup2(&actions, script, STDIN_FILENO);
	if (!err)
		err = posix_spawnp(&pid, nft, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	while (!err && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return !err && !status;
}

bool nft_run(const uint8_t *script, size_t len)
{
	int fd = memfd_create("nft", MFD_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, script, len) == (ssize_t)len && !lseek(fd, 0, SEEK_SET) && run(fd);
	close(fd);
	return ok;
}
