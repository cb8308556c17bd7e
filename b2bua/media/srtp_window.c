/* srtp_window.c - which indices of an SSRC were used: rollover counter and replay window of SRTP
 * (RFC 3711 3.3.1, 3.3.2 and appendix A), replay window of SRTCP. */
#include "media/srtp_int.h"

#define SEQ_HALF 0x8000

int64_t srtp_window_guess(const struct srtp_stream *st, uint16_t seq)
{
    int64_t cycle = (int64_t)st->roc;

    if (!st->has_rtp) {
        return seq;
    }
    if (st->seq < SEQ_HALF) {
        cycle -= seq - st->seq > SEQ_HALF;
    } else {
        cycle += st->seq - SEQ_HALF > seq;
    }
    return cycle * 0x10000 + seq;
}

static int64_t index_highest(const struct srtp_stream *st)
{
    return (int64_t)st->roc << 16 | st->seq;
}

int srtp_window_check(const struct srtp_stream *st, int64_t index)
{
    int64_t behind = index_highest(st) - index;

    if (!st->has_rtp || behind < 0) {
        return 0;
    }
    if (behind >= SRTP_WINDOW || (st->window[behind / 64] >> (behind % 64) & 1) != 0) {
        return EALREADY;
    }
    return 0;
}

static void window_shift(uint64_t *w, int64_t by)
{
    if (by >= SRTP_WINDOW) {
        w[0] = w[1] = 0;
    } else if (by >= 64) {
        w[1] = w[0] << (by - 64);
        w[0] = 0;
    } else {
        w[1] = w[1] << by | w[0] >> (64 - by);
        w[0] <<= by;
    }
}

void srtp_window_commit(struct srtp_stream *st, int64_t index)
{
    int64_t behind = index_highest(st) - index;

    if (st->has_rtp && behind >= 0) {
        st->window[behind / 64] |= (uint64_t)1 << (behind % 64);
        return;
    }
    if (st->has_rtp) {
        window_shift(st->window, -behind); /* at least 1 */
    }
    st->window[0] |= 1;
    st->roc = (uint32_t)(index >> 16);
    st->seq = (uint16_t)index;
    st->has_rtp = true;
}

int srtcp_window_check(const struct srtp_stream *st, uint32_t index)
{
    uint32_t behind = st->rtcp_index - index;

    if (!st->has_rtcp || index > st->rtcp_index) {
        return 0;
    }
    return behind >= SRTP_RTCP_WINDOW || (st->rtcp_window >> behind & 1) != 0 ? EALREADY : 0;
}

void srtcp_window_commit(struct srtp_stream *st, uint32_t index)
{
    uint32_t ahead = index - st->rtcp_index;

    if (st->has_rtcp && index <= st->rtcp_index) {
        st->rtcp_window |= (uint64_t)1 << (st->rtcp_index - index);
        return;
    }
    if (!st->has_rtcp || ahead >= SRTP_RTCP_WINDOW) {
        st->rtcp_window = 0;
    } else {
        st->rtcp_window <<= ahead;
    }
    st->rtcp_window |= 1;
    st->rtcp_index = index;
    st->has_rtcp = true;
}

void srtp_window_set(struct srtp_stream *st, uint32_t roc, uint16_t seq)
{
    st->roc = roc;
    st->seq = seq;
    st->window[0] = st->window[1] = UINT64_MAX;
    st->has_rtp = true;
}

void srtcp_window_set(struct srtp_stream *st, uint32_t index)
{
    st->rtcp_index = index;
    st->rtcp_window = UINT64_MAX;
    st->has_rtcp = true;
}
