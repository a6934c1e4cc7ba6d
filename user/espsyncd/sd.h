/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sd: the little of systemd's protocols that a daemon needs.
 *
 * Room: telling the manager how it goes, taking a socket that it holds. Without systemd both do nothing.
 */
#ifndef ESPSYNCD_SD_H
#define ESPSYNCD_SD_H

/* Lines like "READY=1". */
void sd_tell(const char *state);

/* Return: the one socket that was passed on, or -1. */
int sd_inherited_socket(void);

#endif /* ESPSYNCD_SD_H */
