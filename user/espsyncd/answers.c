// SPDX-License-Identifier: GPL-2.0-or-later
/* answers: what another node's charon has answered to far ends, packet by packet. Pure. See answers.h. */
#include <string.h>

#include "answers.h"
#include "bytes.h"

struct answer {
	struct ike_request to;
	uint8_t *packet;
	size_t len;
	uint64_t kept_ms;
	unsigned int asked;	/* again */
};

struct answers {
	struct answer ring[ANSWERS_MAX];
	unsigned int n;		/* ever kept */
};

void answers_keep(struct answers *a, const uint8_t *packet, size_t len, uint64_t now)
{
	struct answer *place = &a->ring[a->n % ANSWERS_MAX];
	struct ike_request to;

	if (len > ANSWERS_LEN || !ikehdr_answer(&to, packet, len))
		return;
	secret_free(place->packet, place->len);
	place->to = to;
	place->packet = secret_dup(packet, len);
	place->len = len;
	place->kept_ms = now;
	place->asked = 0;
	a->n++;
}

static bool is_to(const struct answer *answer, const struct ike_request *q)
{
	return answer->len && answer->to.mid == q->mid && ike_id_equal(&answer->to.id, &q->id) &&
		ha_addr_equal(&answer->to.src, &q->src) && ha_addr_equal(&answer->to.dst, &q->dst);
}

unsigned int answers_again(struct answers *a, const struct ike_request *q, answers_each each, void *ctx)
{
	unsigned int i, asked = 0;

	for (i = 0; i < ANSWERS_MAX; i++) {
		struct answer *answer = &a->ring[(a->n + i) % ANSWERS_MAX];

		if (!is_to(answer, q))
			continue;
		asked = ++answer->asked;
		if (asked <= ANSWERS_AGAIN)
			each(ctx, &answer->to, answer->packet, answer->len);
	}
	return asked;
}

void answers_fresh(const struct answers *a, uint64_t now, answers_each each, void *ctx)
{
	unsigned int i;

	for (i = 0; i < ANSWERS_MAX; i++) {
		const struct answer *answer = &a->ring[(a->n + i) % ANSWERS_MAX];

		if (answer->len && now - answer->kept_ms < ANSWERS_FRESH_MS)
			each(ctx, &answer->to, answer->packet, answer->len);
	}
}

struct answers *answers_alloc(void)
{
	return secret_alloc(sizeof(struct answers));
}

void answers_free(struct answers *a)
{
	unsigned int i;

	for (i = 0; i < ANSWERS_MAX; i++)
		secret_free(a->ring[i].packet, a->ring[i].len);
	secret_free(a, sizeof(*a));
}
