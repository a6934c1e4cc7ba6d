// SPDX-License-Identifier: GPL-2.0
/*
 * espsyncd_vici.c - user/espsyncd's vici: what charon lists, however much it is.
 *
 * Job: messages as charon writes them, by hand, and what is read from them. The socket is other tests'.
 */
// SOURCES: ../../user/espsyncd/bytes.c ../../user/espsyncd/vici_msg.c
// LIBS: -levent_core
#include "../../user/espsyncd/vici.c"
#include "espsyncd_quiet.h"
#include "ktap.h"

#define MANY	200

static void begin_section(struct bytes *b, const char *name)
{
	bytes_add_u8(b, 1);
	bytes_add_u8(b, strlen(name));
	bytes_add(b, name, strlen(name));
}

static void end_section(struct bytes *b)
{
	bytes_add_u8(b, 2);
}

static struct bytes ike_sa_with(unsigned int n)
{
	struct bytes b = { 0 };
	char text[32];
	unsigned int i;

	begin_section(&b, "office");
	vici_put(&b, "state", "PASSIVE");
	begin_section(&b, "child-sas");
	for (i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "net-%u", i);
		begin_section(&b, text);
		snprintf(text, sizeof(text), "%08x", 0x1000 + i);
		vici_put(&b, "spi-in", text);
		end_section(&b);
	}
	end_section(&b);
	end_section(&b);
	return b;
}

static bool every_child_sa_is_read(void)
{
	struct bytes message = ike_sa_with(MANY), children = { 0 }, kept = { 0 };
	const struct vici_sa *copy;
	struct vici_sa sa;
	unsigned int i;

	ktap_expect(read_sa(&sa, &children, bytes_at(&message), bytes_left(&message)));
	vici_sas_add(&kept, &sa);
	bytes_free(&message);
	bytes_free(&children);
	copy = (const struct vici_sa *)bytes_at(&kept);
	ktap_expect(!strcmp(copy->name, "office") && !strcmp(copy->state, "PASSIVE") && copy->n_children == MANY);
	for (i = 0; i < MANY; i++)
		ktap_expect(copy->children[i].spi_in == 0x1000 + i);
	vici_sas_free(&kept);
	return true;
}

static bool none_is_none(void)
{
	struct bytes message = ike_sa_with(0), children = { 0 };
	struct vici_sa sa;

	ktap_expect(read_sa(&sa, &children, bytes_at(&message), bytes_left(&message)) && !sa.n_children);
	bytes_free(&message);
	bytes_free(&children);
	return true;
}

static const struct ktap_case cases[] = {
	{ "every CHILD SA is read", every_child_sa_is_read },
	{ "none is none", none_is_none },
};

KTAP_MAIN(cases)
