# SPDX-License-Identifier: GPL-2.0-or-later
# What espsyncd is made of, for ../Makefile.
espsyncd-src := agree.c announce.c answers.c attempt.c audit.c bounce.c bytes.c carried.c charon.c check.c codec.c commit.c \
	config.c context.c control.c dialect.c differ.c digest.c door.c drift.c esphdr.c facts.c ferry.c files.c fill.c forget.c hush.c \
	ike.c ikehdr.c initiate.c journal.c json.c kernel.c lines.c link.c log.c main.c move.c nft.c parcel.c pick.c rekey.c relay.c \
	relay_room.c relay_send.c relay_state.c relay_take.c relay_whom.c restore.c retransmit.c roam.c roles.c sd.c seal.c segment.c \
	settings.c sk.c spis.c start_action.c states.c still.c stray.c stream.c survey.c suspects.c sync.c transaction.c unanswered.c \
	unprotected.c vici.c vici_events.c vici_msg.c vici_sas.c vrrp.c vrrp_line.c wire.c xfrm.c xfrm_list.c
espsyncd-pkgs := libmnl gnutls libevent_core
