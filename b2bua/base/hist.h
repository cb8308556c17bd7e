/* hist.h - histograms of what is observed once in a call's life, never per packet. Observed by any
 * thread, read by any. */
#ifndef POSTERN_BASE_HIST_H
#define POSTERN_BASE_HIST_H

#include "base/buf.h"

#include <stdint.h>

enum hist_id {
    HIST_MOS,       /* of a stream from one side, times 100 */
    HIST_JITTER_US, /* likewise, at its end */
    HIST_LOSS,      /* packets lost, times 10,000 of those expected */
    HIST_N
};

void hist_observe(enum hist_id id, uint64_t v);
uint64_t hist_count(enum hist_id id);
void hist_put(struct buf *b); /* all of them, in the text format of Prometheus */
void hist_reset(void);        /* tests */

#endif
