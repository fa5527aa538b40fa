/* SPDX-License-Identifier: MIT
 *
 * From a proxy whose remote module has died to its crash report.
 */
#ifndef WR_PROXY_CRASH_H
#define WR_PROXY_CRASH_H

#include "proxy/line_ring.h"
#include "proxy/proxy.h"

/* How the end came about; all of it borrowed. */
typedef struct wr_proxy_end {
    const wr_process_exit *exit; /* NULL: not known */
    const char *reason;          /* what else there is to say; NULL: nothing */
    uint64_t hung_ms;            /* it had given no sign of life for so long; 0: it did not hang */
    const wr_line_ring *lines;   /* the last lines of its output; NULL: none */
} wr_proxy_end;

/* Report the end of the remote module's process, unless the proxy's options want no reports. When
 * its last acknowledgements are taken, and before the next connection begins (wr_proxy_rewind). The
 * process's id is still the proxy's. The loop's thread; nothing fails, nothing waits. */
void wr_proxy_report_crash(wr_proxy *proxy, const wr_proxy_end *end);
/* The same for a message that it has died of again and again, which gets a report of its own.
 * `on_done` is called from the loop, with the proxy and the folder; see wr_crash_report. False: not
 * now. */
bool wr_proxy_report_poison(wr_proxy *proxy, const wr_proxy_end *end, uint64_t number,
                            void (*on_done)(void *arg, const char *folder));

#endif
