// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../user/espsyncd/codec.c ../../user/espsyncd/dialect.c
/*
 * codec.c - a datagram of strongSwan's ha plugin.
 *
 * Job: what is read is within the message and the same each time; a readable message that is renamed is readable and about the other
 * IKE SA, with nothing else changed; one that is said in another wire version means the same there; and the messages that the helper makes of what it has read are read as they were meant.
 */
#include "../../user/espsyncd/codec.h"
#include "../../user/espsyncd/dialect.h"
#include "fuzz.h"

static enum ha_error parse(struct ha_msg *m, const uint8_t *data, size_t size)
{
	uint8_t *copy = exact(data, size);
	enum ha_error e;

	memset(m, 0x5a, sizeof(*m));	/* of an earlier message nothing may be left */
	e = ha_parse(m, copy, size);
	free(copy);
	return e;
}

static void renamed(const struct ha_msg *m, const uint8_t *data, size_t size)
{
	struct ike_id other = { .version = 2, .initiator = 1, .spi_i = "otherspi", .spi_r = "itsother" };
	uint8_t *copy = exact(data, size);
	struct ha_msg n;

	if (ha_is_state(m->type) && ha_rename(copy, size, &other)) {
		must(ha_parse(&n, copy, size) == HA_OK);
		must(n.has_id && !memcmp(&n.id, &other, sizeof(other)));
		n.id = m->id;
		must(!memcmp(&n, m, sizeof(n)));
	}
	free(copy);
}

/* What is left out, empty sets of conditions, nobody here looks at. */
static void translated(const struct ha_msg *m, const uint8_t *data, size_t size)
{
	uint8_t version, *out = exact(data, size);
	struct ha_msg n;

	for (version = HA_VERSION_MIN; version <= HA_VERSION_MAX; version++) {
		size_t len = dialect_say(out, version, data, size);

		must(len <= size && !len == !!dialect_lacks(version, data, size));
		if (!len)
			continue;
		must(ha_parse(&n, out, len) == HA_OK && n.version == version);
		n.version = m->version;
		must(!memcmp(&n, m, sizeof(n)));
	}
	free(out);
}

static void made(const struct ha_msg *m)
{
	uint8_t out[HA_MAX_MADE];
	struct ha_msg n;

	must(parse(&n, out, ha_make_status(out, m->version, m->segments & 2)) == HA_OK);
	must(n.type == HA_STATUS && n.version == m->version && n.segments == (m->segments & 2));
	if (!m->has_id)
		return;
	must(parse(&n, out, ha_make_ike_delete(out, m->version, &m->id)) == HA_OK);
	must(n.type == HA_IKE_DELETE && n.has_id && !memcmp(&n.id, &m->id, sizeof(n.id)));
	must(parse(&n, out, ha_make_child_delete(out, m->version, &m->id, m->spi_in)) == HA_OK);
	must(n.type == HA_CHILD_DELETE && !memcmp(&n.id, &m->id, sizeof(n.id)) && n.spi_in == m->spi_in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ha_msg m, again;
	enum ha_error e = parse(&m, data, size);

	must(*ha_error_text(e) && *ha_type_name(m.type));
	must(parse(&again, data, size) == e && !memcmp(&m, &again, sizeof(m)));
	must(memchr(m.name, 0, sizeof(m.name)));
	must(m.local.len <= 16 && m.remote.len <= 16);
	if (e != HA_OK)
		return 0;
	must(m.version >= HA_VERSION_MIN && m.version <= HA_VERSION_MAX && m.type && m.type < __HA_TYPE_MAX);
	must(m.has_id || !ha_is_state(m.type));
	renamed(&m, data, size);
	translated(&m, data, size);
	made(&m);
	return 0;
}
