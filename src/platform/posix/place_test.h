/* SPDX-License-Identifier: MIT
 *
 * For tests of files and sockets: a private folder, and the path of the one file in it that a test
 * makes. A test that leaves anything else there fails.
 */
#ifndef WR_PLATFORM_POSIX_PLACE_TEST_H
#define WR_PLATFORM_POSIX_PLACE_TEST_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/file.h"
#include "platform/stream.h"

typedef struct place {
    char *folder;
    char path[WR_ADDRESS_MAX + 1];
} place;

static inline int make_place(void **state)
{
    static place where;
    *state = &where;
    if (wr_folder_create_private("weir-test", &where.folder, NULL) != WEIR_OK) {
        return -1;
    }
    (void)snprintf(where.path, sizeof(where.path), "%s/file", where.folder);
    return 0;
}

static inline int remove_place(void **state)
{
    place *where = *state;
    wr_file_remove(where->path);
    wr_file_remove(where->folder);
    bool gone = !wr_file_exists(where->folder);
    free(where->folder);
    return gone ? 0 : -1;
}

#endif
