/* SPDX-License-Identifier: MIT
 *
 * Shared memory: a file that has no name and lies in memory (memfd). Its seals say what nobody can
 * do with it any more. Invariant: the size of what is mapped cannot shrink, and no page of it goes
 * away, so no access to what is secured raises a signal.
 */
#define _GNU_SOURCE
#include "platform/shared_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "os_error.h"
#include "shared_memory_os.h"

/* For C libraries that are older than the system: of Linux 5.1, 6.3 and 5.14. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

/* What keeps a reader from being hit by a change of the size. */
#define SIZE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)
/* And by a hole that its writer makes in it: this one forbids it, too. The writer's map stays
 * writable; no other ever will be. */
#define READER_SEALS (SIZE_SEALS | F_SEAL_FUTURE_WRITE)
#define ALL_SEALS (READER_SEALS | F_SEAL_SEAL)

struct wr_shared_memory {
    int fd; /* -1: it is on its way, or was */
    void *bytes;
    size_t size;
    size_t secured; /* a multiple of the page's size, unless it is all */
    bool created;   /* here, to be written; else it is only read */
};

static int create_file(void)
{
    const char *name = "weir-shared"; /* to be seen in /proc */
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) {
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    return fd;
}

/* Map the file, then give up all that the map does not need. 0, or a number of errno. */
static int prepare(wr_shared_memory *memory)
{
    if (ftruncate(memory->fd, (off_t)memory->size) != 0) {
        return errno;
    }
    void *bytes = mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, 0);
    if (bytes == MAP_FAILED) {
        return errno;
    }
    memory->bytes = bytes;
    if (madvise(bytes, 0, MADV_POPULATE_WRITE) != 0) {
        return errno; /* can this be asked for, of no bytes here? */
    }
    return fcntl(memory->fd, F_ADD_SEALS, ALL_SEALS) == 0 ? 0 : errno;
}

static weir_err create_error(int number, size_t size, wr_error *error)
{
    switch (number) {
    case ENOSYS: /* no such call, or a sandbox that says so */
    case EINVAL: /* no such seal, or advice */
    case EPERM:
    case EACCES:
        return wr_error_set(error, WEIR_ERR_UNSUPPORTED,
                            "the system has no shared memory that can be sealed (Linux 5.14 has), "
                            "or this process may not use it");
    default:
        return wr_os_error_set(error, number, "cannot make shared memory of %zu bytes", size);
    }
}

weir_err wr_shared_memory_create(size_t size, wr_shared_memory **out, wr_error *error)
{
    if (size == 0 || size > PTRDIFF_MAX) {
        return wr_error_set(error, WEIR_ERR_INVALID, "shared memory cannot have %zu bytes", size);
    }
    wr_shared_memory *memory = calloc(1, sizeof(*memory));
    if (memory == NULL) {
        return wr_error_set(error, WEIR_ERR_MEMORY, "no memory for a handle of shared memory");
    }
    memory->size = size;
    memory->created = true;
    memory->fd = create_file();
    int number = memory->fd < 0 ? errno : prepare(memory);
    if (number != 0) {
        wr_shared_memory_close(memory);
        return create_error(number, size, error);
    }
    *out = memory;
    return WEIR_OK;
}

typedef enum support { SUPPORT_UNKNOWN, SUPPORT_NONE, SUPPORT_THERE } support;

/* A try that fails for want of descriptors or memory says nothing of the next. */
static support try_support(void)
{
    wr_shared_memory *memory = NULL;
    switch (wr_shared_memory_create(1, &memory, NULL)) {
    case WEIR_OK:
        wr_shared_memory_close(memory);
        return SUPPORT_THERE;
    case WEIR_ERR_UNSUPPORTED:
        return SUPPORT_NONE;
    default:
        return SUPPORT_UNKNOWN;
    }
}

bool wr_shared_memory_supported(void)
{
    static _Atomic support known = SUPPORT_UNKNOWN;
    support now = atomic_load_explicit(&known, memory_order_relaxed);
    if (now == SUPPORT_UNKNOWN) {
        now = try_support();
        atomic_store_explicit(&known, now, memory_order_relaxed);
    }
    return now == SUPPORT_THERE;
}

/* Memory of an ordinary kind, whose size is settled: else reading it might raise a signal. Huge
 * pages are another kind: there may be none left when one is needed. */
static weir_err check_file(int fd, size_t limit, size_t *size, wr_error *error)
{
    struct statfs system;
    struct stat file;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || fstat(fd, &file) != 0 || fstatfs(fd, &system) != 0 ||
        (unsigned long)system.f_type != TMPFS_MAGIC) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL,
                            "the peer sent a descriptor of something else than shared memory");
    }
    if ((seals & SIZE_SEALS) != SIZE_SEALS) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL,
                            "the size of the peer's shared memory could still change (it has the "
                            "seals %#x, expected at least %#x)",
                            (unsigned)seals, (unsigned)SIZE_SEALS);
    }
    if ((seals & F_SEAL_FUTURE_WRITE) == 0) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL,
                            "bytes of the peer's shared memory could still go away (it has the "
                            "seals %#x, expected at least %#x)",
                            (unsigned)seals, (unsigned)READER_SEALS);
    }
    if (file.st_size <= 0) {
        return wr_error_set(error, WEIR_ERR_PROTOCOL, "the peer's shared memory has no bytes");
    }
    if ((uintmax_t)file.st_size > limit) {
        return wr_error_set(error, WEIR_ERR_TOO_LARGE,
                            "the peer's shared memory has %ju bytes, over the limit of %zu",
                            (uintmax_t)file.st_size, limit);
    }
    *size = (size_t)file.st_size;
    return WEIR_OK;
}

static weir_err map_to_read(wr_shared_memory *memory, wr_error *error)
{
    void *bytes = mmap(NULL, memory->size, PROT_READ, MAP_SHARED, memory->fd, 0);
    if (bytes == MAP_FAILED) {
        return wr_os_error_set(error, errno, "cannot map the peer's shared memory of %zu bytes",
                               memory->size);
    }
    memory->bytes = bytes;
    return WEIR_OK;
}

weir_err wr_shared_memory_adopt(int fd, size_t limit, wr_shared_memory **out, wr_error *error)
{
    wr_shared_memory *memory = calloc(1, sizeof(*memory));
    if (memory == NULL) {
        close(fd);
        return wr_error_set(error, WEIR_ERR_MEMORY, "no memory for a handle of shared memory");
    }
    memory->fd = fd;
    weir_err err = check_file(fd, limit, &memory->size, error);
    if (err == WEIR_OK) {
        err = map_to_read(memory, error);
    }
    if (err != WEIR_OK) {
        wr_shared_memory_close(memory);
        return err;
    }
    /* The map is all that is needed: the descriptor is one of few. */
    close(memory->fd);
    memory->fd = -1;
    *out = memory;
    return WEIR_OK;
}

/* By touching the pages, in a way that fails where an access would raise a signal. Nothing that
 * works on the file instead (fallocate, or lseek for its holes): such calls lock it, and whoever
 * else has it can hold that lock for as long as it likes, by a write from memory that does not
 * come. */
weir_err wr_shared_memory_secure(wr_shared_memory *memory, size_t size)
{
    if (size <= memory->secured) {
        return WEIR_OK;
    }
    if (size > memory->size) {
        return WEIR_ERR_MEMORY;
    }
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *from = (unsigned char *)memory->bytes + memory->secured;
    int advice = memory->created ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
    if (madvise(from, size - memory->secured, advice) != 0) {
        return WEIR_ERR_MEMORY;
    }
    size_t end = (size + page - 1) / page * page;
    memory->secured = end < memory->size ? end : memory->size;
    return WEIR_OK;
}

void wr_shared_memory_close(wr_shared_memory *memory)
{
    if (memory == NULL) {
        return;
    }
    if (memory->bytes != NULL) {
        munmap(memory->bytes, memory->size);
    }
    if (memory->fd >= 0) {
        close(memory->fd);
    }
    free(memory);
}

void *wr_shared_memory_bytes(wr_shared_memory *memory)
{
    return memory->bytes;
}

size_t wr_shared_memory_size(const wr_shared_memory *memory)
{
    return memory->size;
}

size_t wr_shared_memory_secured(const wr_shared_memory *memory)
{
    return memory->secured;
}

int wr_shared_memory_take_descriptor(wr_shared_memory *memory)
{
    int fd = memory->fd;
    memory->fd = -1;
    return fd;
}
