/* SPDX-License-Identifier: MIT
 *
 * What this side of a message channel has lent to the other: messages whose images lie in shared
 * memory. Each takes a slot, and stays alive until the borrower has written the slot's generation
 * into its return marks, one for each slot, in memory that it shares with us. A generation is never
 * 0 and is another one at each use of a slot, so a mark of an earlier use, or a wild one, changes
 * nothing.
 *
 * Nobody waits for a mark. The lender looks for marks when it lends, and looks at all of them when
 * it has run out of slots or of memory.
 *
 * Any thread.
 */
#ifndef WR_IPC_LENDING_H
#define WR_IPC_LENDING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "weir/message.h"

/* The most messages that one side of a channel has lent, and the marks in a pool. */
#define WR_LENDING_SLOTS 4096u

/* One use of a slot. */
typedef struct wr_lent {
    uint32_t slot;
    uint32_t generation;
} wr_lent;

typedef struct wr_lending wr_lending;

/* Errors: MEMORY. */
WEIR_MUST_CHECK weir_err wr_lending_create(wr_lending **out);
/* Releases what is lent, whatever the marks say. NULL is allowed. */
void wr_lending_destroy(wr_lending *lending);

/* The borrower's marks, WR_LENDING_SLOTS of them; they outlive the lending. Before this nothing
 * counts as returned. */
void wr_lending_set_marks(wr_lending *lending, const _Atomic uint32_t *marks);
/* Lend a message; takes a reference of its own. False: no slot is free, or no memory for them. */
WEIR_MUST_CHECK bool wr_lending_lend(wr_lending *lending, weir_message *msg, wr_lent *out);
/* It was not lent after all: the borrower will never hear of it. */
void wr_lending_cancel(wr_lending *lending, const wr_lent *lent);
/* What is lent there, with a reference for the caller; NULL: nothing is. */
weir_message *wr_lending_find(wr_lending *lending, const wr_lent *lent);
/* Look at all marks, and release what is returned; up to a limit, as what is needed is room for
 * one more. After looks in vain some of the next, up to 64, see only the oldest. Returns how much.
 */
size_t wr_lending_collect(wr_lending *lending);

#endif
