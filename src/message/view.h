/* SPDX-License-Identifier: MIT
 *
 * What message.c needs of views.
 */
#ifndef WR_MESSAGE_VIEW_H
#define WR_MESSAGE_VIEW_H

#include "message/message.h"

/* A message with an image of `size` bytes in this thread's place, for the caller to fill, and a
 * head that the caller fills, too. False: there is no place, no room in it, or no memory. */
WEIR_MUST_CHECK bool wr_view_in_place(size_t size, size_t head_size, void **image,
                                      weir_message **out);
/* The last reference was given back. */
void wr_view_release(weir_message *msg);

#endif
