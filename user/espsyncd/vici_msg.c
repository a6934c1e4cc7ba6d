// SPDX-License-Identifier: GPL-2.0-or-later
/* vici_msg: the encoding of strongSwan's vici protocol. Pure. See vici_msg.h. */
#include <string.h>

#include "vici_msg.h"

void vici_read(struct vici_reader *r, const uint8_t *data, size_t len)
{
	memset(r, 0, sizeof(*r));
	r->p = data;
	r->left = len;
}

static bool take(struct vici_reader *r, void *to, size_t room, size_t len)
{
	size_t fits = len < room ? len : room - 1;

	if (len > r->left)
		return false;
	memcpy(to, r->p, fits);
	((char *)to)[fits] = 0;
	r->p += len;
	r->left -= len;
	return true;
}

static bool take_name(struct vici_reader *r)
{
	size_t len;

	if (!r->left)
		return false;
	len = *r->p++;
	r->left--;
	return take(r, r->name, sizeof(r->name), len);
}

static bool take_value(struct vici_reader *r)
{
	size_t len;

	if (r->left < 2)
		return false;
	len = get_u16(r->p);
	r->p += 2;
	r->left -= 2;
	return take(r, r->value, sizeof(r->value), len);
}

static bool enter(struct vici_reader *r)
{
	if (r->depth == VICI_DEPTH || !take_name(r))
		return false;
	memcpy(r->section[r->depth++], r->name, sizeof(r->name));
	return true;
}

enum vici_element vici_next(struct vici_reader *r)
{
	uint8_t type;
	bool ok = true;

	if (!r->left)
		return r->depth ? VICI_MALFORMED : VICI_END;
	type = *r->p++;
	r->left--;
	switch (type) {
	case VICI_SECTION_START:
		ok = enter(r);
		break;
	case VICI_SECTION_END:
		ok = r->depth-- > 0;
		break;
	case VICI_KEY_VALUE:
		ok = take_name(r) && take_value(r);
		break;
	case VICI_LIST_START:
		ok = take_name(r);
		break;
	case VICI_LIST_ITEM:
		ok = take_value(r);
		break;
	case VICI_LIST_END:
		break;
	default:
		ok = false;
	}
	return ok ? (enum vici_element)type : VICI_MALFORMED;
}

void vici_put(struct bytes *b, const char *name, const char *value)
{
	bytes_add_u8(b, VICI_KEY_VALUE);
	bytes_add_u8(b, strlen(name));
	bytes_add(b, name, strlen(name));
	bytes_add_u16(b, strlen(value));
	bytes_add(b, value, strlen(value));
}
