// SPDX-License-Identifier: GPL-2.0
/*
 * xstate.c - reads and writes the counters of one xfrm_state.
 *
 * Job: the only file that writes what xfrm counts with: sequence numbers, anti-replay windows, thresholds, lifetimes; and that reads the
 * state's key, for the fingerprint. Everything it writes obeys one rule: no number falls, no seen bit is cleared (RFC 4303 3.3.3, 3.4.3).
 * What may not enter: which SA belongs to whom, peers, roles, locks other than an assertion.
 *
 * Unless said otherwise callers hold x->lock.
 */
#include "xstate.h"

/**
 * es_x_esn() - whether numbers are 64 bits wide
 * @x: state; no lock needed, it does not change
 * Return: true with ESN (RFC 4303 2.2.1)
 */
bool es_x_esn(const struct xfrm_state *x)
{
	return x->repl_mode == XFRM_REPLAY_MODE_ESN;
}

/**
 * es_x_oseq() - last number sent
 * @x: state, locked
 * Return: the number
 */
u64 es_x_oseq(const struct xfrm_state *x)
{
	switch (x->repl_mode) {
	case XFRM_REPLAY_MODE_ESN:
		return (u64)x->replay_esn->oseq_hi << 32 | x->replay_esn->oseq;
	case XFRM_REPLAY_MODE_BMP:
		return x->replay_esn->oseq;
	default:
		return x->replay.oseq;
	}
}

/* A NIC that does the cipher follows the upper half. xfrm itself tells it with ESN only, and never one that numbers packets by itself. */
static void tell_nic(struct xfrm_state *x)
{
	if (es_x_esn(x) && !es_x_offloaded(x))
		xfrm_dev_state_advance_esn(x);
}

/**
 * es_x_raise() - go on from a higher number
 * @x: state, locked
 * @oseq: the next packet takes at least @oseq + 1; without ESN it stays below the end of the counter
 * Return: whether it rose
 */
bool es_x_raise(struct xfrm_state *x, u64 oseq)
{
	if (!es_x_esn(x))
		oseq = min_t(u64, oseq, U32_MAX - 1);
	if (oseq <= es_x_oseq(x))
		return false;
	switch (x->repl_mode) {
	case XFRM_REPLAY_MODE_ESN:
		x->replay_esn->oseq_hi = upper_32_bits(oseq);
		fallthrough;
	case XFRM_REPLAY_MODE_BMP:
		x->replay_esn->oseq = lower_32_bits(oseq);
		break;
	default:
		x->replay.oseq = lower_32_bits(oseq);
		break;
	}
	tell_nic(x);
	return true;
}

static struct es_replay es_x_replay(struct xfrm_state *x)
{
	struct xfrm_replay_state_esn *esn = x->replay_esn;
	struct es_replay r = {};

	if (x->repl_mode == XFRM_REPLAY_MODE_LEGACY) {
		r.shape = ES_LEGACY;
		r.size = x->props.replay_window;
		r.seq = &x->replay.seq;
		r.bits = &x->replay.bitmap;
		r.words = 1;
		return r;
	}
	r.shape = es_x_esn(x) ? ES_ESN : ES_BMP;
	r.size = esn->replay_window;
	r.seq = &esn->seq;
	r.seq_hi = &esn->seq_hi;
	r.bits = esn->bmp;
	r.words = esn->bmp_len;
	return r;
}

/**
 * es_x_seq() - highest number accepted
 * @x: state, locked
 * Return: the number
 */
u64 es_x_seq(struct xfrm_state *x)
{
	struct es_replay r = es_x_replay(x);

	return es_replay_seq(&r);
}

/**
 * es_x_window_size() - how many numbers the anti-replay window holds
 * @x: state; no lock needed
 * Return: numbers; 0: nothing is checked
 */
u32 es_x_window_size(const struct xfrm_state *x)
{
	return x->repl_mode == XFRM_REPLAY_MODE_LEGACY ? x->props.replay_window : x->replay_esn->replay_window;
}

/**
 * es_x_read() - the anti-replay window as a value
 * @x: state, locked
 * @w: result
 * @max_bits: newest bits wanted
 */
void es_x_read(struct xfrm_state *x, struct es_window *w, u32 max_bits)
{
	struct es_replay r = es_x_replay(x);

	es_window_read(&r, w, max_bits);
}

/**
 * es_x_merge() - add what another node has accepted
 * @x: state, locked
 * @w: its window
 * Return: whether anything changed
 *
 * xfrm's thresholds compare with preplay; a merge is not a packet, so preplay moves along and raises nothing.
 */
bool es_x_merge(struct xfrm_state *x, const struct es_window *w)
{
	struct es_replay r = es_x_replay(x);
	u32 before = *r.seq;

	if (!es_window_merge(&r, w))
		return false;
	if (x->repl_mode == XFRM_REPLAY_MODE_LEGACY) {
		x->preplay.seq += *r.seq - before;
	} else {
		u64 p = (u64)x->preplay_esn->seq_hi << 32 | x->preplay_esn->seq;

		p += (u32)(*r.seq - before);
		x->preplay_esn->seq = lower_32_bits(p);
		x->preplay_esn->seq_hi = x->repl_mode == XFRM_REPLAY_MODE_ESN ? upper_32_bits(p) : 0;
	}
	tell_nic(x);
	return true;
}

/**
 * es_x_merge_life() - lifetimes in bytes and packets go on where the other node is
 * @x: state, locked
 * @bytes: so far
 * @packets: so far
 * Return: packets that were unknown here
 */
u64 es_x_merge_life(struct xfrm_state *x, u64 bytes, u64 packets)
{
	u64 before = x->curlft.packets;

	x->curlft.bytes = max_t(u64, x->curlft.bytes, bytes);
	x->curlft.packets = max_t(u64, before, packets);
	return x->curlft.packets - before;
}

/**
 * es_x_limited() - whether it ends after so many bytes or packets, or is to be replaced then
 * @x: state, locked
 * Return: true if it has such a limit
 */
bool es_x_limited(const struct xfrm_state *x)
{
	const struct xfrm_lifetime_cfg *l = &x->lft;

	return l->soft_byte_limit != XFRM_INF || l->hard_byte_limit != XFRM_INF ||
	       l->soft_packet_limit != XFRM_INF || l->hard_packet_limit != XFRM_INF;
}

/* Nothing but the number of packets shall raise an event: no timer, no deferred one. */
static void es_x_untimed(struct xfrm_state *x)
{
	x->replay_maxage = 0;
	x->xflags &= ~XFRM_TIME_DEFER;
	timer_delete(&x->rtimer);
}

/**
 * es_x_arm() - have xfrm raise NEWAE once so many more numbers are used
 * @x: state, locked, outbound
 * @diff: numbers from now; 0: never
 */
void es_x_arm(struct xfrm_state *x, u64 diff)
{
	es_x_untimed(x);
	if (x->repl_mode == XFRM_REPLAY_MODE_LEGACY) {
		x->preplay = x->replay;
	} else {
		x->preplay_esn->oseq = x->replay_esn->oseq;
		x->preplay_esn->oseq_hi = x->replay_esn->oseq_hi;
		x->preplay_esn->seq = x->replay_esn->seq;
		x->preplay_esn->seq_hi = x->replay_esn->seq_hi;
	}
	x->replay_maxdiff = min_t(u64, diff, U32_MAX);
}

/**
 * es_x_hot() - raise nothing: the thread looks by itself
 * @x: state, locked, inbound
 */
void es_x_hot(struct xfrm_state *x)
{
	es_x_untimed(x);
	x->replay_maxdiff = 0;
}

/**
 * es_x_cold() - raise NEWAE at the next packet, also at a late one that does not move the edge
 * @x: state, locked, inbound
 *
 * xfrm compares replay.seq with preplay.seq: one less makes every packet count as one moved.
 */
void es_x_cold(struct xfrm_state *x)
{
	es_x_untimed(x);
	if (x->repl_mode == XFRM_REPLAY_MODE_LEGACY) {
		x->preplay = x->replay;
		x->preplay.seq--;
	} else {
		u64 p = es_x_seq(x) - 1;

		x->preplay_esn->oseq = x->replay_esn->oseq;
		x->preplay_esn->oseq_hi = x->replay_esn->oseq_hi;
		x->preplay_esn->seq = lower_32_bits(p);
		x->preplay_esn->seq_hi = x->replay_esn->seq_hi;
	}
	x->replay_maxdiff = 1;
}

/**
 * es_x_stop() - let xfrm_output() refuse the state (it is not VALID)
 * @x: state, locked
 * Return: whether it was running
 */
bool es_x_stop(struct xfrm_state *x)
{
	if (x->km.state != XFRM_STATE_VALID)
		return false;
	x->km.state = XFRM_STATE_ERROR;
	return true;
}

/**
 * es_x_go() - undo es_x_stop()
 * @x: state, locked
 */
void es_x_go(struct xfrm_state *x)
{
	if (x->km.state == XFRM_STATE_ERROR)
		x->km.state = XFRM_STATE_VALID;
}

/**
 * es_x_dead() - xfrm has deleted it
 * @x: state; no lock needed for a hint
 * Return: true when it will never send again
 */
bool es_x_dead(const struct xfrm_state *x)
{
	return es_x_peek(x->km.state) == XFRM_STATE_DEAD;
}

/**
 * es_x_used() - whether this kernel ever sent or took a packet with it
 * @x: state
 *
 * Neither its numbers nor its byte and packet counts tell, which other nodes raise; lastused is kept since 6.2 only.
 *
 * Return: true if it did
 */
bool es_x_used(const struct xfrm_state *x)
{
	return es_x_peek(x->curlft.use_time);
}

/**
 * es_x_packets() - how many packets this kernel has counted
 * @x: state; no lock needed for a hint
 * Return: packets
 */
u64 es_x_packets(const struct xfrm_state *x)
{
	return es_x_peek(x->curlft.packets);
}

/**
 * es_x_live() - a real SA: not larval, not dead
 * @x: state
 * Return: true for VALID, and for ERROR, which a module before this one may have left
 */
bool es_x_live(const struct xfrm_state *x)
{
	u8 s = es_x_peek(x->km.state);

	return s == XFRM_STATE_VALID || s == XFRM_STATE_ERROR;
}

/**
 * es_x_offloaded() - packets are counted in a NIC
 * @x: state
 * Return: true for packet offload
 */
bool es_x_offloaded(const struct xfrm_state *x)
{
	return x->xso.dev && x->xso.type == XFRM_DEV_OFFLOAD_PACKET;
}

static void hash_alg(es_blake2s *c, const char *name, const void *key, unsigned int bits)
{
	u8 len[4];

	put_unaligned_be32(bits, len);
	blake2s_update(c, (const u8 *)name, strnlen(name, sizeof_field(struct xfrm_algo, alg_name)));
	blake2s_update(c, len, sizeof(len));
	blake2s_update(c, key, DIV_ROUND_UP(bits, 8));
}

/**
 * es_x_fingerprint() - what makes two states on two nodes the same SA
 * @x: state; its key does not change, no lock needed
 * Return: 8 bytes of a hash over SPI, algorithms and keys
 *
 * Context: any. RFC 4301 4.4.2: the SA is what SPI and key say, addresses are attributes.
 *
 * The secret in it is the SA's own key and not the cluster's, which changes while SAs live: then nodes would have to agree on names
 * anew, and what is kept of SAs without a state could not be named at all. It tells nobody anything: to try a guess of an SA's key
 * any packet of the SA serves as well, by its ICV.
 */
u64 es_x_fingerprint(const struct xfrm_state *x)
{
	static const char label[] = "espsync v1 sa";
	u8 out[ES_FP_LEN];
	es_blake2s c;

	blake2s_init(&c, sizeof(out));
	blake2s_update(&c, (const u8 *)label, sizeof(label));
	blake2s_update(&c, (const u8 *)&x->id.spi, sizeof(x->id.spi));
	blake2s_update(&c, &x->id.proto, sizeof(x->id.proto));
	if (x->aead)
		hash_alg(&c, x->aead->alg_name, x->aead->alg_key, x->aead->alg_key_len);
	if (x->ealg)
		hash_alg(&c, x->ealg->alg_name, x->ealg->alg_key, x->ealg->alg_key_len);
	if (x->aalg)
		hash_alg(&c, x->aalg->alg_name, x->aalg->alg_key, x->aalg->alg_key_len);
	blake2s_final(&c, out);
	return get_unaligned_be64(out);
}
