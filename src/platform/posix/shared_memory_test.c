/* SPDX-License-Identifier: MIT
 *
 * Tests of shared memory, and of its way along a stream.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/shared_memory.h"
#include "platform/stream.h"
#include "shared_memory_os.h"

/* For C libraries that are older than the system. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define SIZE 65536u
#define NO_LIMIT SIZE_MAX
/* Over what a test has open. */
#define DESCRIPTORS_MAX 256

typedef struct pair {
    wr_stream *a;
    wr_stream *b;
    int descriptors; /* open before */
} pair;

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

/* That which is opened next. */
static int lowest_descriptor(void)
{
    int fd = dup(STDERR_FILENO);
    close(fd);
    return fd;
}

/* So many bytes of the file are there. */
static size_t bytes_there(int fd)
{
    struct stat file;
    assert_int_equal(fstat(fd, &file), 0);
    return (size_t)file.st_blocks * 512;
}

static int open_pair(void **state)
{
    static pair streams;
    *state = &streams;
    streams.descriptors = open_descriptors();
    if (wr_stream_pair(&streams.a, &streams.b) != WEIR_OK) {
        return -1;
    }
    wr_stream_accept_memory(streams.b);
    return 0;
}

/* A test that leaves a descriptor open fails. */
static int close_pair(void **state)
{
    pair *streams = *state;
    wr_stream_close(streams->a);
    wr_stream_close(streams->b);
    return open_descriptors() == streams->descriptors ? 0 : -1;
}

static wr_shared_memory *make(void)
{
    wr_shared_memory *memory = NULL;
    assert_int_equal(wr_shared_memory_create(SIZE, &memory, NULL), WEIR_OK);
    return memory;
}

static void write_text(wr_stream *stream, const char *text)
{
    const wr_slice slice = {text, strlen(text)};
    size_t sent = 0;
    assert_int_equal(wr_stream_write(stream, &slice, 1, &sent), WEIR_OK);
    assert_int_equal(sent, slice.size);
}

static void read_text(wr_stream *stream, const char *expected)
{
    char text[64];
    size_t got = 0;
    assert_int_equal(wr_stream_read(stream, text, strlen(expected), &got), WEIR_OK);
    assert_int_equal(got, strlen(expected));
    assert_memory_equal(text, expected, got);
}

static void send_memory(pair *streams, wr_shared_memory *memory)
{
    wr_stream_attach_memory(streams->a, memory);
    write_text(streams->a, "x");
    read_text(streams->b, "x");
}

static wr_shared_memory *take(pair *streams)
{
    wr_shared_memory *memory = NULL;
    wr_error error = {.text = ""};
    assert_int_equal(wr_stream_take_memory(streams->b, SIZE, &memory, &error), WEIR_OK);
    return memory;
}

static void assert_refused(pair *streams, size_t limit, weir_err expected, const char *reason)
{
    wr_shared_memory *memory = NULL;
    wr_error error = {.text = ""};
    assert_int_equal(wr_stream_take_memory(streams->b, limit, &memory, &error), expected);
    assert_null(memory);
    if (strstr(error.text, reason) == NULL) {
        fail_msg("'%s' is not in '%s'", reason, error.text);
    }
    assert_int_equal(wr_stream_take_memory(streams->b, limit, &memory, NULL), WEIR_ERR_NOT_FOUND);
}

/* Any descriptors, as a peer that means ill may send them. */
static void send_descriptors(pair *streams, const int *fds, size_t count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(8 * sizeof(int))];
    } control;
    assert_true(count <= 8);
    memset(&control, 0, sizeof(control));
    char byte = 'x';
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
    assert_int_equal(sendmsg((int)wr_stream_waitable(streams->a), &message, 0), 1);
}

static void send_file(pair *streams, int fd)
{
    send_descriptors(streams, &fd, 1);
    close(fd);
    read_text(streams->b, "x");
}

/* The first test: what is known is not tried again. */
static void want_of_descriptors_is_not_remembered(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {0, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    bool without = wr_shared_memory_supported();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_false(without);
    assert_true(wr_shared_memory_supported());
}

static void system_has_it(void **state)
{
    (void)state;
    assert_true(wr_shared_memory_supported());
}

static void fresh_memory_is_zero_and_can_be_written(void **state)
{
    (void)state;
    wr_shared_memory *memory = make();
    assert_int_equal(wr_shared_memory_size(memory), SIZE);
    assert_int_equal(wr_shared_memory_secure(memory, SIZE), WEIR_OK);
    unsigned char *bytes = wr_shared_memory_bytes(memory);
    for (size_t i = 0; i < SIZE; i++) {
        assert_int_equal(bytes[i], 0);
    }
    memset(bytes, 0xa5, SIZE);
    wr_shared_memory_close(memory);
    wr_shared_memory_close(NULL);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    wr_shared_memory *memory = NULL;
    assert_int_equal(wr_shared_memory_create(0, &memory, NULL), WEIR_ERR_INVALID);
    assert_int_equal(wr_shared_memory_create(SIZE_MAX, &memory, NULL), WEIR_ERR_INVALID);
    wr_error error;
    /* More than a process has addresses for. */
    assert_int_equal(wr_shared_memory_create(PTRDIFF_MAX / 4096 * 4096, &memory, &error),
                     WEIR_ERR_MEMORY);
    assert_non_null(strstr(error.text, "bytes"));
    assert_null(memory);
}

static void more_than_there_is_cannot_be_secured(void **state)
{
    (void)state;
    wr_shared_memory *memory = make();
    assert_int_equal(wr_shared_memory_secure(memory, SIZE + 1), WEIR_ERR_MEMORY);
    wr_shared_memory_close(memory);
}

static void securing_takes_what_is_asked_for_and_no_more(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    wr_shared_memory *memory = make();
    int fd = wr_shared_memory_take_descriptor(memory);
    assert_int_equal(bytes_there(fd), 0);
    assert_int_equal(wr_shared_memory_secure(memory, 1), WEIR_OK);
    if (bytes_there(fd) > SIZE) {
        skip(); /* this system gives huge pages to all such memory */
    }
    assert_int_equal(bytes_there(fd), page);
    assert_int_equal(wr_shared_memory_secure(memory, page), WEIR_OK);
    assert_int_equal(bytes_there(fd), page);
    assert_int_equal(wr_shared_memory_secure(memory, SIZE), WEIR_OK);
    assert_int_equal(bytes_there(fd), SIZE);
    close(fd);
    wr_shared_memory_close(memory);
}

/* Memory that is sealed as it should be, and of which nothing is there. */
static void pages_that_the_peer_never_touched_are_secured_by_the_reader(void **state)
{
    pair *streams = *state;
    int fd = memfd_create("weir-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(fd, SIZE), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE), 0);
    send_descriptors(streams, &fd, 1);
    read_text(streams->b, "x");
    wr_shared_memory *theirs = take(streams);
    assert_int_equal(bytes_there(fd), 0);
    assert_int_equal(wr_shared_memory_secure(theirs, SIZE / 2), WEIR_OK);
    assert_true(bytes_there(fd) >= SIZE / 2);
    assert_int_equal(wr_shared_memory_secure(theirs, SIZE), WEIR_OK);
    assert_true(bytes_there(fd) >= SIZE);
    assert_int_equal(wr_shared_memory_secure(theirs, SIZE + 1), WEIR_ERR_MEMORY);
    close(fd);
    wr_shared_memory_close(theirs);
}

static void nobody_can_change_its_size_nor_map_it_to_write(void **state)
{
    (void)state;
    wr_shared_memory *memory = make();
    int fd = wr_shared_memory_take_descriptor(memory);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, 2 * SIZE), -1);
    char byte = 'x';
    assert_int_equal(pwrite(fd, &byte, 1, 0), -1);
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int again = open(path, O_RDWR | O_CLOEXEC);
    assert_true(again >= 0);
    void *map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0);
    assert_ptr_equal(map, MAP_FAILED);
    assert_int_equal(errno, EPERM);
    close(again);
    close(fd);
    wr_shared_memory_close(memory);
}

static void what_the_creator_writes_the_other_side_reads(void **state)
{
    pair *streams = *state;
    wr_shared_memory *memory = make();
    send_memory(streams, memory);
    wr_shared_memory *theirs = take(streams);
    assert_int_equal(wr_shared_memory_size(theirs), SIZE);
    char *bytes = wr_shared_memory_bytes(memory);
    const char *read = wr_shared_memory_bytes(theirs);
    assert_ptr_not_equal(bytes, read);
    (void)snprintf(bytes + 5000, 10, "hello");
    assert_string_equal(read + 5000, "hello");
    wr_shared_memory_close(memory);
    assert_string_equal(read + 5000, "hello");
    wr_shared_memory_close(theirs);
}

static void the_reader_cannot_make_it_writable(void **state)
{
    pair *streams = *state;
    wr_shared_memory *memory = make();
    send_memory(streams, memory);
    wr_shared_memory *theirs = take(streams);
    void *bytes = wr_shared_memory_bytes(theirs);
    assert_int_equal(mprotect(bytes, SIZE, PROT_READ | PROT_WRITE), -1);
    wr_shared_memory_close(theirs);
    wr_shared_memory_close(memory);
}

static void memory_comes_no_later_than_its_first_byte(void **state)
{
    pair *streams = *state;
    wr_shared_memory *memory = make();
    write_text(streams->a, "before");
    wr_stream_attach_memory(streams->a, memory);
    write_text(streams->a, "with");
    write_text(streams->a, "after");
    wr_shared_memory *theirs = NULL;
    read_text(streams->b, "befor");
    read_text(streams->b, "ew");
    theirs = take(streams);
    read_text(streams->b, "ith");
    read_text(streams->b, "after");
    assert_refused(streams, NO_LIMIT, WEIR_ERR_NOT_FOUND, "no shared memory");
    wr_shared_memory_close(theirs);
    wr_shared_memory_close(memory);
}

static void attached_memory_waits_for_room_in_the_stream(void **state)
{
    pair *streams = *state;
    static char block[65536];
    const wr_slice slice = {block, sizeof(block)};
    wr_shared_memory *memory = make();
    size_t moved = 0;
    while (wr_stream_write(streams->a, &slice, 1, &moved) == WEIR_OK) {
    }
    wr_stream_attach_memory(streams->a, memory);
    assert_int_equal(wr_stream_write(streams->a, &slice, 1, &moved), WEIR_ERR_WOULD_BLOCK);
    while (wr_stream_read(streams->b, block, sizeof(block), &moved) == WEIR_OK) {
    }
    assert_refused(streams, NO_LIMIT, WEIR_ERR_NOT_FOUND, "no shared memory");
    write_text(streams->a, "with");
    read_text(streams->b, "with");
    wr_shared_memory_close(take(streams));
    wr_shared_memory_close(memory);
}

static void memory_that_the_system_does_not_send_is_unsupported(void **state)
{
    pair *streams = *state;
    const wr_slice slice = {"x", 1};
    char byte;
    size_t sent = 0;
    int before = open_descriptors();
    int fd = lowest_descriptor();
    wr_shared_memory *memory = make();
    wr_stream_attach_memory(streams->a, memory);
    close(fd); /* its own, so that the system refuses it */
    assert_int_equal(wr_stream_write(streams->a, &slice, 1, &sent), WEIR_ERR_UNSUPPORTED);
    assert_int_equal(wr_stream_read(streams->b, &byte, 1, &sent), WEIR_ERR_WOULD_BLOCK);
    assert_int_equal(open_descriptors(), before);
    wr_shared_memory_close(memory);
}

static void a_stream_that_does_not_accept_drops_it(void **state)
{
    pair *streams = *state;
    wr_shared_memory *memory = make();
    wr_stream_attach_memory(streams->b, memory);
    write_text(streams->b, "x");
    read_text(streams->a, "x");
    wr_shared_memory *theirs = NULL;
    assert_int_equal(wr_stream_take_memory(streams->a, NO_LIMIT, &theirs, NULL),
                     WEIR_ERR_NOT_FOUND);
    wr_shared_memory_close(memory);
}

static void memory_over_the_limit_is_refused(void **state)
{
    pair *streams = *state;
    wr_shared_memory *memory = make();
    send_memory(streams, memory);
    assert_refused(streams, SIZE - 1, WEIR_ERR_TOO_LARGE, "over the limit of 65535");
    wr_shared_memory_close(memory);
}

/* Each of the three seals alone and any two are too few. */
static void memory_without_all_its_seals_is_refused(void **state)
{
    static const struct {
        int seals;
        const char *reason;
    } cases[] = {
        {0, "size of the peer's shared memory could still change (it has the seals 0,"},
        {F_SEAL_SHRINK, "could still change"},
        {F_SEAL_GROW, "could still change"},
        {F_SEAL_FUTURE_WRITE, "could still change"},
        {F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE, "could still change"},
        {F_SEAL_GROW | F_SEAL_FUTURE_WRITE, "could still change"},
        {F_SEAL_SHRINK | F_SEAL_GROW, "bytes of the peer's shared memory could still go away"},
    };
    pair *streams = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = memfd_create("weir-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        assert_int_equal(ftruncate(fd, SIZE), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, cases[i].seals), 0);
        send_file(streams, fd);
        assert_refused(streams, NO_LIMIT, WEIR_ERR_PROTOCOL, cases[i].reason);
    }
}

static void nobody_can_make_a_hole_in_it(void **state)
{
    (void)state;
    wr_shared_memory *memory = make();
    assert_int_equal(wr_shared_memory_secure(memory, SIZE), WEIR_OK);
    int fd = wr_shared_memory_take_descriptor(memory);
    assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, SIZE), -1);
    assert_int_equal(errno, EPERM);
    close(fd);
    assert_int_equal(madvise(wr_shared_memory_bytes(memory), SIZE, MADV_REMOVE), -1);
    assert_int_equal(errno, EPERM);
    wr_shared_memory_close(memory);
}

static void memory_of_no_bytes_is_refused(void **state)
{
    pair *streams = *state;
    int fd = memfd_create("weir-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE), 0);
    send_file(streams, fd);
    assert_refused(streams, NO_LIMIT, WEIR_ERR_PROTOCOL, "no bytes");
}

static void what_is_no_memory_is_refused(void **state)
{
    pair *streams = *state;
    send_file(streams, open("/dev/zero", O_RDWR | O_CLOEXEC));
    assert_refused(streams, NO_LIMIT, WEIR_ERR_PROTOCOL, "something else");
    send_file(streams, open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    assert_refused(streams, NO_LIMIT, WEIR_ERR_PROTOCOL, "something else");
    send_file(streams, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    assert_refused(streams, NO_LIMIT, WEIR_ERR_PROTOCOL, "something else");
}

static void memory_of_huge_pages_is_refused(void **state)
{
    pair *streams = *state;
    int fd = memfd_create("weir-test", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
    if (fd < 0) {
        skip(); /* this system has none */
    }
    assert_int_equal(ftruncate(fd, 2 * 1024 * 1024), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK), 0);
    send_file(streams, fd);
    assert_refused(streams, NO_LIMIT, WEIR_ERR_PROTOCOL, "something else");
}

static void surplus_descriptors_are_closed(void **state)
{
    pair *streams = *state;
    wr_shared_memory *memory = make();
    int fd = wr_shared_memory_take_descriptor(memory);
    int before = open_descriptors();
    const int many[8] = {fd, fd, fd, fd, fd, fd, fd, fd};
    send_descriptors(streams, many, 8);
    read_text(streams->b, "x");
    assert_int_equal(open_descriptors(), before + 1);
    send_descriptors(streams, many, 3);
    read_text(streams->b, "x");
    assert_int_equal(open_descriptors(), before + 1);
    wr_shared_memory *theirs = take(streams);
    assert_int_equal(open_descriptors(), before);
    assert_refused(streams, NO_LIMIT, WEIR_ERR_NOT_FOUND, "no shared memory");
    wr_shared_memory_close(theirs);
    wr_shared_memory_close(memory);
    close(fd);
}

static void closing_the_stream_closes_what_was_not_taken(void **state)
{
    pair *streams = *state;
    int before = open_descriptors();
    wr_shared_memory *memory = make();
    send_memory(streams, memory);
    assert_int_equal(open_descriptors(), before + 1); /* the one that came */
    wr_stream_close(streams->b);
    streams->b = NULL;
    assert_int_equal(open_descriptors(), before - 1);
    wr_shared_memory_close(memory);
}

static void closing_the_stream_closes_what_was_not_sent(void **state)
{
    pair *streams = *state;
    int before = open_descriptors();
    wr_shared_memory *memory = make();
    wr_stream_attach_memory(streams->a, memory);
    assert_int_equal(open_descriptors(), before + 1);
    wr_stream_close(streams->a);
    streams->a = NULL;
    assert_int_equal(open_descriptors(), before - 1);
    wr_shared_memory_close(memory);
}

static void no_descriptor_is_needed_when_it_has_come(void **state)
{
    pair *streams = *state;
    int before = open_descriptors();
    wr_shared_memory *memory = make();
    send_memory(streams, memory);
    wr_shared_memory *theirs = take(streams);
    assert_int_equal(open_descriptors(), before);
    assert_int_equal(wr_shared_memory_secure(memory, SIZE), WEIR_OK);
    assert_int_equal(wr_shared_memory_secure(theirs, SIZE), WEIR_OK);
    wr_shared_memory_close(theirs);
    wr_shared_memory_close(memory);
}

static void without_a_free_descriptor_it_is_lost_and_the_bytes_are_not(void **state)
{
    pair *streams = *state;
    wr_shared_memory *memory = make();
    wr_stream_attach_memory(streams->a, memory);
    write_text(streams->a, "x");
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {0, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    read_text(streams->b, "x");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_refused(streams, NO_LIMIT, WEIR_ERR_IO, "may not open more files");
    wr_shared_memory *another = make();
    send_memory(streams, another);
    wr_shared_memory_close(take(streams));
    wr_shared_memory_close(another);
    wr_shared_memory_close(memory);
}

#define IN_PAIR(test) cmocka_unit_test_setup_teardown(test, open_pair, close_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(want_of_descriptors_is_not_remembered),
        cmocka_unit_test(system_has_it),
        cmocka_unit_test(fresh_memory_is_zero_and_can_be_written),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(more_than_there_is_cannot_be_secured),
        cmocka_unit_test(securing_takes_what_is_asked_for_and_no_more),
        IN_PAIR(pages_that_the_peer_never_touched_are_secured_by_the_reader),
        cmocka_unit_test(nobody_can_change_its_size_nor_map_it_to_write),
        IN_PAIR(what_the_creator_writes_the_other_side_reads),
        IN_PAIR(the_reader_cannot_make_it_writable),
        IN_PAIR(memory_comes_no_later_than_its_first_byte),
        IN_PAIR(attached_memory_waits_for_room_in_the_stream),
        IN_PAIR(memory_that_the_system_does_not_send_is_unsupported),
        IN_PAIR(a_stream_that_does_not_accept_drops_it),
        IN_PAIR(memory_over_the_limit_is_refused),
        IN_PAIR(memory_without_all_its_seals_is_refused),
        cmocka_unit_test(nobody_can_make_a_hole_in_it),
        IN_PAIR(memory_of_no_bytes_is_refused),
        IN_PAIR(what_is_no_memory_is_refused),
        IN_PAIR(memory_of_huge_pages_is_refused),
        IN_PAIR(surplus_descriptors_are_closed),
        IN_PAIR(closing_the_stream_closes_what_was_not_taken),
        IN_PAIR(closing_the_stream_closes_what_was_not_sent),
        IN_PAIR(no_descriptor_is_needed_when_it_has_come),
        IN_PAIR(without_a_free_descriptor_it_is_lost_and_the_bytes_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
