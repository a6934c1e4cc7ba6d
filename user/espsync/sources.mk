# SPDX-License-Identifier: GPL-2.0-or-later
# The tool's files; user/Makefile builds them.
espsync-src := main.c cmd_show.c cmd_channel.c cmd_key.c cmd_peer.c cmd_group.c cmd_promote.c cmd_demote.c cmd_ready.c cmd_sa.c cmd_ike.c \
	cmd_resync.c cmd_monitor.c cmd_steer.c steer.c nft.c listen.c helper.c knl.c attr.c objects.c text.c summary.c word.c parse.c keyfile.c sajson.c err.c
espsync-pkgs := libnl-3.0 libnl-genl-3.0 jansson
