// SPDX-License-Identifier: GPL-2.0-or-later
/* forget: this cluster forgets an IKE SA without a word to its far end. See forget.h. */
#include "bytes.h"
#include "forget.h"

static void forget_one(struct relay *r, uint8_t version, const struct ike_id *id)
{
	uint8_t made[HA_MAX_MADE];
	size_t len = ha_make_ike_delete(made, version, id);
	struct ha_msg m;

	if (ha_parse(&m, made, len) != HA_OK)
		return;
	relay_local_message(r, &m, made, len);
	relay_inject(r, &m, made, len);
}

/* The journal changes meanwhile: the names are taken first. */
bool forget(struct relay *r, uint8_t version, const struct ike_id *id)
{
	const struct journal_sa *sa = journal_find(relay_journal(r), id);
	struct bytes ids = { 0 };
	bool known = sa;

	if (!known)
		bytes_add(&ids, id, sizeof(*id));
	for (; sa; sa = sa->prev)
		bytes_add(&ids, &sa->id, sizeof(sa->id));
	for (; bytes_left(&ids); bytes_consume(&ids, sizeof(*id)))
		forget_one(r, version, (const struct ike_id *)bytes_at(&ids));
	bytes_free(&ids);
	return known;
}
