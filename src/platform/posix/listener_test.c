/* SPDX-License-Identifier: MIT
 *
 * Tests of listeners: connecting, access rights, and which files they replace or remove.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "place_test.h"
#include "platform/file.h"
#include "platform/stream.h"
#include "stream_os.h"

#define CONNECTIONS_MAX 256u

static wr_listener *listen_at(const char *path)
{
    wr_listener *listener = NULL;
    wr_error error = {WEIR_OK, ""};
    weir_err err = wr_listener_open(path, &listener, &error);
    assert_string_equal(error.text, "");
    assert_int_equal(err, WEIR_OK);
    return listener;
}

static void assert_refused(const char *path, weir_err wanted, const char *reason)
{
    wr_listener *listener = NULL;
    wr_error error = {WEIR_OK, ""};
    assert_int_equal(wr_listener_open(path, &listener, &error), wanted);
    assert_null(listener);
    assert_non_null(strstr(error.text, reason));
    assert_int_equal(wr_listener_open(path, &listener, NULL), wanted);
}

static void make_file(const char *path)
{
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

/* Leave a socket file behind, as a process that was killed does. */
static void make_dead_socket(const char *path)
{
    struct sockaddr_un address;
    assert_int_equal(wr_address_set(&address, path, NULL), WEIR_OK);
    int fd = wr_socket_create();
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
}

static void connection_carries_bytes_both_ways(void **state)
{
    place *where = *state;
    wr_listener *listener = listen_at(where->path);
    wr_stream *client = NULL;
    wr_stream *server = NULL;
    assert_int_equal(wr_listener_accept(listener, &server), WEIR_ERR_WOULD_BLOCK);
    assert_int_equal(wr_stream_connect(where->path, &client, NULL), WEIR_OK);
    assert_int_equal(wr_listener_accept(listener, &server), WEIR_OK);
    const wr_slice slice = {"hi", 2};
    size_t moved = 0;
    char data[2];
    assert_int_equal(wr_stream_write(client, &slice, 1, &moved), WEIR_OK);
    assert_int_equal(wr_stream_read(server, data, 2, &moved), WEIR_OK);
    assert_memory_equal(data, "hi", 2);
    assert_int_equal(wr_stream_write(server, &slice, 1, &moved), WEIR_OK);
    assert_int_equal(wr_stream_read(client, data, 2, &moved), WEIR_OK);
    int fd = (int)wr_stream_waitable(server);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    wr_stream_close(client);
    wr_stream_close(server);
    wr_listener_close(listener);
}

static void socket_is_for_this_user_only_under_any_umask(void **state)
{
    place *where = *state;
    mode_t before = umask(0);
    wr_listener *listener = listen_at(where->path);
    umask(before);
    struct stat what;
    assert_int_equal(lstat(where->path, &what), 0);
    assert_int_equal(what.st_mode & 07777, 0600);
    wr_listener_close(listener);
}

static void closed_listener_leaves_no_file(void **state)
{
    place *where = *state;
    wr_listener_close(listen_at(where->path));
    assert_false(wr_file_exists(where->path));
    wr_listener_close(NULL);
}

static void dead_socket_is_replaced(void **state)
{
    place *where = *state;
    make_dead_socket(where->path);
    wr_listener *listener = listen_at(where->path);
    wr_stream *client = NULL;
    assert_int_equal(wr_stream_connect(where->path, &client, NULL), WEIR_OK);
    wr_stream_close(client);
    wr_listener_close(listener);
}

static void living_socket_is_left_alone(void **state)
{
    place *where = *state;
    wr_listener *first = listen_at(where->path);
    assert_refused(where->path, WEIR_ERR_IN_USE, "another process listens at");
    wr_stream *client = NULL;
    assert_int_equal(wr_stream_connect(where->path, &client, NULL), WEIR_OK);
    wr_stream_close(client);
    wr_listener_close(first);
}

static void living_socket_of_datagrams_is_left_alone(void **state)
{
    place *where = *state;
    struct sockaddr_un address;
    assert_int_equal(wr_address_set(&address, where->path, NULL), WEIR_OK);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_refused(where->path, WEIR_ERR_IN_USE, "another process");
    assert_true(wr_file_exists(where->path));
    close(fd);
}

static void regular_file_is_never_removed(void **state)
{
    place *where = *state;
    make_file(where->path);
    assert_refused(where->path, WEIR_ERR_EXISTS, "is not a socket");
    assert_true(wr_file_exists(where->path));
}

static void folder_is_never_removed(void **state)
{
    place *where = *state;
    assert_int_equal(mkdir(where->path, 0700), 0);
    assert_refused(where->path, WEIR_ERR_EXISTS, "is not a socket");
    assert_true(wr_file_exists(where->path));
}

static void link_to_a_dead_socket_is_never_removed(void **state)
{
    place *where = *state;
    char target[WR_ADDRESS_MAX + 8];
    (void)snprintf(target, sizeof(target), "%s.target", where->path);
    make_dead_socket(target);
    assert_int_equal(symlink(target, where->path), 0);
    assert_refused(where->path, WEIR_ERR_EXISTS, "is not a socket");
    struct stat what;
    assert_int_equal(lstat(where->path, &what), 0);
    assert_true(wr_file_exists(target));
    wr_file_remove(target);
}

static void close_removes_no_file_that_took_its_place(void **state)
{
    place *where = *state;
    wr_listener *listener = listen_at(where->path);
    assert_int_equal(unlink(where->path), 0);
    wr_listener *second = listen_at(where->path);
    wr_listener_close(listener);
    assert_true(wr_file_exists(where->path));
    wr_listener_close(second);
    assert_false(wr_file_exists(where->path));
}

static void missing_folder_is_not_found(void **state)
{
    place *where = *state;
    char path[WR_ADDRESS_MAX + 1];
    (void)snprintf(path, sizeof(path), "%s/no/socket", where->folder);
    assert_refused(path, WEIR_ERR_NOT_FOUND, "No such file");
}

static void empty_path_is_invalid(void **state)
{
    (void)state;
    assert_refused("", WEIR_ERR_INVALID, "empty");
}

static void path_of_107_bytes_works_and_of_108_says_why_not(void **state)
{
    place *where = *state;
    char path[WR_ADDRESS_MAX + 2];
    int used = snprintf(path, sizeof(path), "%s/", where->folder);
    memset(path + used, 'p', sizeof(path) - (size_t)used);
    path[WR_ADDRESS_MAX + 1] = '\0';
    assert_refused(path, WEIR_ERR_TOO_LARGE, "has 108 bytes");
    path[WR_ADDRESS_MAX] = '\0';
    wr_listener *listener = listen_at(path);
    wr_stream *client = NULL;
    assert_int_equal(wr_stream_connect(path, &client, NULL), WEIR_OK);
    wr_stream_close(client);
    wr_listener_close(listener);
    assert_false(wr_file_exists(path));
}

static void connect_to_a_full_listener_would_block(void **state)
{
    place *where = *state;
    wr_listener *listener = listen_at(where->path);
    wr_stream *clients[CONNECTIONS_MAX];
    size_t count = 0;
    weir_err err = WEIR_OK;
    while (err == WEIR_OK && count < CONNECTIONS_MAX) {
        err = wr_stream_connect(where->path, &clients[count], NULL);
        count += err == WEIR_OK ? 1 : 0;
    }
    assert_int_equal(err, WEIR_ERR_WOULD_BLOCK);
    assert_refused(where->path, WEIR_ERR_IN_USE, "another process");
    for (size_t i = 0; i < count; i++) {
        wr_stream_close(clients[i]);
    }
    wr_listener_close(listener);
}

static void connect_to_a_dead_socket_is_closed(void **state)
{
    place *where = *state;
    make_dead_socket(where->path);
    wr_stream *client = NULL;
    assert_int_equal(wr_stream_connect(where->path, &client, NULL), WEIR_ERR_CLOSED);
}

#define PLACED(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACED(connection_carries_bytes_both_ways),
        PLACED(socket_is_for_this_user_only_under_any_umask),
        PLACED(closed_listener_leaves_no_file),
        PLACED(dead_socket_is_replaced),
        PLACED(living_socket_is_left_alone),
        PLACED(living_socket_of_datagrams_is_left_alone),
        PLACED(regular_file_is_never_removed),
        PLACED(folder_is_never_removed),
        PLACED(link_to_a_dead_socket_is_never_removed),
        PLACED(close_removes_no_file_that_took_its_place),
        PLACED(missing_folder_is_not_found),
        PLACED(empty_path_is_invalid),
        PLACED(path_of_107_bytes_works_and_of_108_says_why_not),
        PLACED(connect_to_a_full_listener_would_block),
        PLACED(connect_to_a_dead_socket_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
