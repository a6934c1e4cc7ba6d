// SPDX-License-Identifier: GPL-2.0
// SOURCES: ../../user/espsyncd/stream.c ../../user/espsyncd/bytes.c
/*
 * stream.c - the records of an active node.
 *
 * Job: an input is steps: records are added, forgotten, the stream begins anew. Beside it a model keeps every record ever added. What the
 * stream still has is what was added under that number, it has the newest ones, no more than its limit, and knows what it has.
 */
#include "../../user/espsyncd/stream.h"
#include "fuzz.h"

#define MANY	4096
#define OVERHEAD 64

struct added {
	const uint8_t *data;
	size_t len;
};

static struct added model[MANY];	/* number i at i */

static void judge(const struct stream *s, uint64_t last, uint64_t forgotten)
{
	uint64_t first = s->last - s->n + 1;
	size_t size = 0;

	must(s->last == last && s->n <= last && s->n <= s->cap && s->size <= s->max_size);
	must(first > forgotten || !s->n);
	for (uint64_t seq = 1; seq <= last; seq++) {
		const struct record *r = stream_get(s, seq);

		must(!r == (seq < first));
		must(stream_has_after(s, seq) == (seq + 1 >= first));
		if (!r)
			continue;
		must(r->len == model[seq].len && (!r->len || !memcmp(r->data, model[seq].data, r->len)));
		size += r->len + OVERHEAD;
	}
	must(size == s->size && !stream_get(s, last + 1) && !stream_get(s, 0) && !stream_has_after(s, last + 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	uint64_t last = 0, forgotten = 0, epoch = 1, seq;
	struct stream s;

	stream_init(&s, 64 + take8(&in) * 16);
	stream_begin(&s, epoch);
	for (int i = 0; in.left && i < 1000; i++) {
		uint8_t op = take8(&in);
		struct added a;

		switch (op % 8) {
		case 0:
			seq = op & 8 ? take64(&in) : last > op / 16 ? last - op / 16 : 0;
			stream_forget(&s, seq);
			seq = seq < last ? seq : last;
			forgotten = seq > forgotten ? seq : forgotten;
			break;
		case 1:
			if (op < 200)
				break;
			stream_begin(&s, ++epoch);
			last = forgotten = 0;
			break;
		default:
			a.data = take(&in, op / 2, &a.len);
			if (last + 1 == MANY)
				break;
			model[++last] = a;
			stream_add(&s, a.data, a.len);
			/* The newest is there unless it alone is too much. */
			must(!stream_get(&s, last) == (a.len + OVERHEAD > s.max_size));
		}
		must(s.epoch == epoch && s.last == last && s.size <= s.max_size);
		if (i % 16 == 0)
			judge(&s, last, forgotten);
	}
	judge(&s, last, forgotten);
	stream_exit(&s);
	must(!s.size && !s.n);
	return 0;
}
