/* SPDX-License-Identifier: MIT
 *
 * The folder of the control id is watched, so that nobody has to ask again and again whether a
 * remote module listens there. It may be missing, be removed, and come back; while it is missing,
 * the timer asks. All on the loop.
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "platform/clock.h"
#include "proxy/proxy_internal.h"

/* A watch stays with a folder that was removed: the next attempt watches what has its name then. */
static void on_change(void *arg, bool gone)
{
    wr_proxy *proxy = arg;
    if (gone) {
        wr_proxy_unwatch_folder(proxy);
    }
    if (wr_clock_ns() < proxy->rests_until_ns) {
        return; /* the timer will ask */
    }
    if (wr_proxy_may_connect(proxy)) {
        proxy->retry_ms = 1;
        wr_proxy_try_connect(proxy);
    }
}

void wr_proxy_watch_folder(wr_proxy *proxy)
{
    char *folder = proxy->folder_watch == NULL ? wr_text_copy(proxy->options.control_path) : NULL;
    if (folder == NULL) {
        return;
    }
    char *slash = strrchr(folder, '/');
    const char *name = slash == NULL ? folder : slash + 1;
    const char *where = ".";
    if (slash != NULL) {
        where = slash == folder ? "/" : folder;
        *slash = '\0';
    }
    if (wr_folder_watch_open(proxy->loop, where, name, on_change, proxy, &proxy->folder_watch) !=
        WEIR_OK) {
        proxy->folder_watch = NULL;
    }
    free(folder);
}

void wr_proxy_unwatch_folder(wr_proxy *proxy)
{
    wr_folder_watch_close(proxy->folder_watch);
    proxy->folder_watch = NULL;
}
