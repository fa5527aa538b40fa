/* SPDX-License-Identifier: MIT
 *
 * The file behind the logger (see array_file.h), on libuv's synchronous file functions.
 *
 * Repairing goes by one rule: truncate first, then write the closing bracket, so that a second
 * crash leaves again a file that can be repaired.
 */
#define _POSIX_C_SOURCE 200809L /* uv.h shows POSIX types */

#include "array_file.h"
#include "array_scan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "platform/file.h"

#define FILE_MODE 0640 /* messages may be confidential: not for everybody */
#define CHUNK_SIZE 32768u
#define OPENING "[\n]"
#define CLOSING "\n]"
#define CLOSING_SIZE 2u

/* ---- failures ----------------------------------------------------------------------------------
 */

static weir_err fail(array_file *file, weir_err err, const char *format, ...) WEIR_PRINTF(3, 4);

static weir_err fail(array_file *file, weir_err err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(file->reason, sizeof(file->reason), format, args);
    va_end(args);
    return err;
}

static weir_err fail_uv(array_file *file, const char *what, const char *path, int64_t failure)
{
    weir_err err = WEIR_ERR_IO;
    if (failure == UV_ENOENT || failure == UV_ENOTDIR) {
        err = WEIR_ERR_NOT_FOUND;
    } else if (failure == UV_EACCES || failure == UV_EPERM || failure == UV_EROFS) {
        err = WEIR_ERR_DENIED;
    } else if (failure == UV_ENOMEM) {
        err = WEIR_ERR_MEMORY;
    } else if (failure == UV_EISDIR) {
        err = WEIR_ERR_INVALID;
    }
    return fail(file, err, "cannot %s %s: %s", what, path, uv_strerror((int)failure));
}

/* ---- reading and writing at a place; a negative result is libuv's error -------------------------
 */

static int64_t finish(uv_fs_t *request)
{
    int64_t result = request->result;
    uv_fs_req_cleanup(request);
    return result;
}

/* Fills `data` as far as the file goes. */
static int64_t read_at(const array_file *file, uint64_t at, char *data, size_t size)
{
    uv_fs_t request;
    uv_buf_t buf = uv_buf_init(data, (unsigned)size);
    uv_fs_read(NULL, &request, file->handle, &buf, 1, (int64_t)at, NULL);
    return finish(&request);
}

/* One system call, unless the system takes less than all of it. */
static int64_t write_at(const array_file *file, uint64_t at, uv_buf_t *bufs, unsigned count)
{
    while (count > 0) {
        uv_fs_t request;
        uv_fs_write(NULL, &request, file->handle, bufs, count, (int64_t)at, NULL);
        int64_t written = finish(&request);
        if (written <= 0) {
            return written < 0 ? written : UV_EIO;
        }
        at += (uint64_t)written;
        size_t left = (size_t)written;
        while (count > 0 && left >= bufs->len) {
            left -= bufs->len;
            bufs++;
            count--;
        }
        if (count > 0) {
            bufs->base += left;
            bufs->len -= left;
        }
    }
    return 0;
}

static int64_t truncate_at(const array_file *file, uint64_t size)
{
    uv_fs_t request;
    uv_fs_ftruncate(NULL, &request, file->handle, (int64_t)size, NULL);
    return finish(&request);
}

static uv_buf_t buf_of(const char *data, size_t size)
{
    /* uv_buf_init takes 32 bits of size, the struct more. Writing does not change the data. */
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)data, 0);
    buf.len = size;
    return buf;
}

/* The file's size. Errors: IO. */
static weir_err look(array_file *file, uv_stat_t *out)
{
    uv_fs_t request;
    uv_fs_fstat(NULL, &request, file->handle, NULL);
    *out = request.statbuf;
    int64_t failure = finish(&request);
    return failure < 0 ? fail_uv(file, "look at", file->path, failure) : WEIR_OK;
}

/* ---- checking and repairing --------------------------------------------------------------------
 */

/* Let the array end after the entry that ends at file->end. The two bytes for that are kept while
 * truncating: a full disk might not give them back. */
static weir_err close_array(array_file *file)
{
    uint64_t size = file->end + CLOSING_SIZE;
    uv_buf_t closing = buf_of(CLOSING, CLOSING_SIZE);
    int64_t failure = file->size > size ? truncate_at(file, size) : 0;
    if (failure == 0) {
        failure = write_at(file, file->end, &closing, 1);
    }
    file->torn = failure != 0;
    if (failure != 0) {
        return fail_uv(file, "write", file->path, failure);
    }
    file->size = size;
    return WEIR_OK;
}

static weir_err begin_array(array_file *file)
{
    uv_buf_t opening = buf_of(OPENING, strlen(OPENING));
    int64_t failure = truncate_at(file, 0);
    if (failure == 0) {
        failure = write_at(file, 0, &opening, 1);
    }
    if (failure != 0) {
        return fail_uv(file, "write", file->path, failure);
    }
    file->size = strlen(OPENING);
    file->end = file->size - CLOSING_SIZE;
    file->empty = true;
    return WEIR_OK;
}

/* Is the tail as append leaves it? No entry has a line break inside, so no append that was cut
 * short ends this way. A last line break, which an editor may add, is allowed. */
static bool ends_as_written(array_file *file)
{
    static const char tail[] = "\"}\n]";
    const size_t tail_size = sizeof(tail) - 1;
    char first;
    char last[sizeof(tail)];
    if (file->size < sizeof(last) + 1 || read_at(file, 0, &first, 1) != 1 || first != '[' ||
        read_at(file, file->size - sizeof(last), last, sizeof(last)) != sizeof(last)) {
        return false;
    }
    size_t extra = last[sizeof(last) - 1] == '\n' ? 1 : 0;
    if (memcmp(last + sizeof(last) - extra - tail_size, tail, tail_size) != 0) {
        return false;
    }
    file->end = file->size - extra - CLOSING_SIZE;
    file->empty = false;
    return true;
}

/* A loss of power may leave zeros where data should have been. */
static bool is_zero_from(const array_file *file, uint64_t at)
{
    static const char zeros[CHUNK_SIZE];
    char chunk[CHUNK_SIZE];
    while (at < file->size) {
        int64_t got = read_at(file, at, chunk, sizeof(chunk));
        if (got <= 0 || memcmp(chunk, zeros, (size_t)got) != 0) {
            return false;
        }
        at += (uint64_t)got;
    }
    return true;
}

/* Stops at the end, or at the first byte that cannot stand where it stands. */
static weir_err scan_file(array_file *file, array_scan *scan)
{
    char chunk[CHUNK_SIZE];
    while (scan->at < file->size) {
        int64_t got = read_at(file, scan->at, chunk, sizeof(chunk));
        if (got <= 0) {
            return fail_uv(file, "read", file->path, got < 0 ? got : UV_EOF);
        }
        if (!array_scan_feed(scan, chunk, (size_t)got)) {
            return WEIR_OK;
        }
    }
    return WEIR_OK;
}

static weir_err refuse(array_file *file, const array_scan *scan)
{
    if (!array_scan_begun(scan)) {
        return fail(file, WEIR_ERR_INVALID,
                    "%s exists and is not a JSON array; it was left as it is", file->path);
    }
    return fail(file, WEIR_ERR_INVALID,
                "%s exists and is not a JSON array of objects (see byte %" PRIu64
                "); it was left as it is",
                file->path, scan->at);
}

static weir_err scan_and_repair(array_file *file)
{
    array_scan scan = {0};
    weir_err err = scan_file(file, &scan);
    if (err != WEIR_OK) {
        return err;
    }
    bool complete = scan.at == file->size;
    bool begun = array_scan_begun(&scan);
    if (!complete && !is_zero_from(file, scan.at)) {
        return refuse(file, &scan);
    }
    if (!begun) {
        return begin_array(file);
    }
    if (!complete || !array_scan_ended(&scan)) {
        (void)snprintf(file->notice, sizeof(file->notice),
                       "%s ended in an unfinished entry: cut %" PRIu64 " %s at byte %" PRIu64,
                       file->path, file->size - scan.end,
                       wr_text_plural(file->size - scan.end, "byte", "bytes"), scan.end);
    }
    file->end = scan.end;
    file->empty = !scan.any;
    return close_array(file);
}

static weir_err check(array_file *file)
{
    uv_stat_t stat;
    weir_err err = look(file, &stat);
    if (err != WEIR_OK) {
        return err;
    }
    file->size = stat.st_size;
    return ends_as_written(file) ? WEIR_OK : scan_and_repair(file);
}

/* ---- life --------------------------------------------------------------------------------------
 */

static weir_err claim_regular_file(array_file *file)
{
    uv_stat_t stat;
    weir_err err = look(file, &stat);
    if (err != WEIR_OK) {
        return err;
    }
    if ((stat.st_mode & S_IFMT) != S_IFREG) {
        return fail(file, WEIR_ERR_INVALID, "%s is not a regular file", file->path);
    }
    if (wr_file_lock(file->handle) == WEIR_ERR_IN_USE) {
        return fail(file, WEIR_ERR_IN_USE, "%s is being written by another logger", file->path);
    }
    return WEIR_OK; /* a file system without locks is no reason to log nothing */
}

static weir_err open_handle(array_file *file, const char *path)
{
    size_t path_size = strlen(path) + 1;
    file->path = malloc(path_size);
    if (file->path == NULL) {
        return fail(file, WEIR_ERR_MEMORY, "out of memory");
    }
    memcpy(file->path, path, path_size);
    uv_fs_t request;
    uv_fs_open(NULL, &request, path, UV_FS_O_RDWR | UV_FS_O_CREAT, FILE_MODE, NULL);
    int64_t handle = finish(&request);
    if (handle < 0) {
        free(file->path);
        file->path = NULL;
        return fail_uv(file, "open", path, handle);
    }
    file->handle = (uv_file)handle;
    return WEIR_OK;
}

weir_err array_file_open(array_file *file, const char *path)
{
    memset(file, 0, sizeof(*file));
    weir_err err = open_handle(file, path);
    if (err != WEIR_OK) {
        return err;
    }
    err = claim_regular_file(file);
    if (err == WEIR_OK) {
        err = check(file);
    }
    if (err != WEIR_OK) {
        array_file_close(file);
    }
    return err;
}

/* Is the end still where we left it? */
static weir_err settle(array_file *file)
{
    if (file->torn) {
        return close_array(file);
    }
    uv_stat_t stat;
    weir_err err = look(file, &stat);
    if (err != WEIR_OK || stat.st_size == file->size) {
        return err;
    }
    return check(file);
}

weir_err array_file_append(array_file *file, const char *entries, size_t size)
{
    weir_err err = settle(file);
    if (err != WEIR_OK) {
        return err;
    }
    const char *joint = file->empty ? "\n" : ",\n";
    size_t joint_size = strlen(joint);
    uv_buf_t bufs[] = {buf_of(joint, joint_size), buf_of(entries, size),
                       buf_of(CLOSING, CLOSING_SIZE)};
    int64_t failure = write_at(file, file->end, bufs, 3);
    if (failure != 0) {
        file->size = UINT64_MAX; /* unknown: close_array shall truncate */
        (void)close_array(file);
        return fail_uv(file, "write", file->path, failure);
    }
    file->end += joint_size + size;
    file->size = file->end + CLOSING_SIZE;
    file->empty = false;
    return WEIR_OK;
}

weir_err array_file_sync(array_file *file)
{
    uv_fs_t request;
    uv_fs_fsync(NULL, &request, file->handle, NULL);
    int64_t failure = finish(&request);
    return failure < 0 ? fail_uv(file, "sync", file->path, failure) : WEIR_OK;
}

void array_file_close(array_file *file)
{
    if (file->path == NULL) {
        return;
    }
    uv_fs_t request;
    uv_fs_close(NULL, &request, file->handle, NULL);
    (void)finish(&request);
    free(file->path);
    file->path = NULL;
}
