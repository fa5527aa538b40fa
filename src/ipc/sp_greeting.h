/* SPDX-License-Identifier: MIT
 *
 * The constant bytes of SP/ipc PAIR version 0.
 */
#ifndef WR_IPC_SP_GREETING_H
#define WR_IPC_SP_GREETING_H

#include <stdint.h>

#include "ipc/sp_stream.h"

/* The first byte of every frame. */
#define WR_SP_FRAME_TYPE 0x01u

/* What each side sends first. */
extern const uint8_t wr_sp_greeting[WR_SP_GREETING_SIZE];

#endif
