// SPDX-License-Identifier: GPL-2.0-or-later
/* roam: far ends that are elsewhere than the journal says. See roam.h. */
#include "bytes.h"
#include "log.h"
#include "roam.h"

void roam_check(struct relay *relay, const struct journal_sa *known, const struct vici_sa *listed)
{
	struct ha_addr local, remote;
	struct ha_msg m;
	uint8_t *made;
	size_t room, len;

	if (!vici_moved(known, listed) || !vici_ends(&local, &remote, listed))
		return;
	room = known->update.len + HA_MOVE_MORE;
	made = secret_alloc(room);
	len = ha_move(made, known->update.data, known->update.len, &local, &remote, listed->nat);
	if (len && ha_parse(&m, made, len) == HA_OK) {
		log_info("connection %.64s: the far end is at %.63s, port %u now", listed->name, listed->remote, listed->remote_port);
		relay_local_message(relay, &m, made, len);
	}
	secret_free(made, room);
}
