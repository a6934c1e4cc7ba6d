// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../user/espsyncd/ikehdr.c
/*
 * ikehdr.c - packets that far ends, or whoever pretends to be one, send to IKE's ports.
 *
 * Job: what is read lies within the packet; a request goes to one of IKE's ports from one address to another of its family; and what is cut
 * off where the sockets cut it off is the same request.
 */
#include "../../user/espsyncd/ikehdr.h"
#include "fuzz.h"

static bool is_read(bool (*read)(struct ike_request *q, const uint8_t *packet, size_t len), const uint8_t *data, size_t size)
{
	struct ike_request q, cut;
	bool is = read(&q, data, size);

	must(read(&cut, data, size < IKEHDR_MAX ? size : IKEHDR_MAX) == is);
	if (!is)
		return false;
	must(!memcmp(&q, &cut, sizeof(q)));
	must(q.dst.port == 500 || q.dst.port == 4500);
	must(q.src.len == q.dst.len && (q.dst.len == 4 || q.dst.len == 16));
	must(size >= (q.dst.len == 4 ? 20 : 40) + 8 + 28);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	must(!(is_read(ikehdr_request, data, size) && is_read(ikehdr_answer, data, size)));
	return 0;
}
