/* SPDX-License-Identifier: MIT
 *
 * The one list of errors of the project, and the macros every public header needs.
 */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#if defined(__GNUC__) || defined(__clang__)
#define WEIR_API __attribute__((visibility("default")))
#define WEIR_MUST_CHECK __attribute__((warn_unused_result))
#define WEIR_PRINTF(text_at, args_at) __attribute__((format(printf, text_at, args_at)))
#else
#define WEIR_API
#define WEIR_MUST_CHECK
#define WEIR_PRINTF(text_at, args_at)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** X(constant, number, text). The numbers are part of the ABI: append only. */
#define WEIR_ERRORS(X)                                                                             \
    X(WEIR_OK, 0, "success")                                                                       \
    X(WEIR_ERR_INVALID, 1, "invalid argument")                                                     \
    X(WEIR_ERR_MEMORY, 2, "out of memory")                                                         \
    X(WEIR_ERR_NOT_FOUND, 3, "not found")                                                          \
    X(WEIR_ERR_EXISTS, 4, "exists already")                                                        \
    X(WEIR_ERR_FULL, 5, "queue is full")                                                           \
    X(WEIR_ERR_WOULD_BLOCK, 6, "would have to wait")                                               \
    X(WEIR_ERR_CLOSED, 7, "closed")                                                                \
    X(WEIR_ERR_TIMEOUT, 8, "took too long")                                                        \
    X(WEIR_ERR_IO, 9, "input/output error")                                                        \
    X(WEIR_ERR_PROTOCOL, 10, "the peer broke the protocol")                                        \
    X(WEIR_ERR_TOO_LARGE, 11, "over a size limit")                                                 \
    X(WEIR_ERR_CONFIG, 12, "the configuration is wrong")                                           \
    X(WEIR_ERR_LOAD, 13, "the module could not be loaded")                                         \
    X(WEIR_ERR_MODULE, 14, "the module reported a failure")                                        \
    X(WEIR_ERR_STATE, 15, "not possible in this state")                                            \
    X(WEIR_ERR_UNSUPPORTED, 16, "not supported")                                                   \
    X(WEIR_ERR_DENIED, 17, "permission denied")                                                    \
    X(WEIR_ERR_IN_USE, 18, "in use by somebody else")                                              \
    X(WEIR_ERR_INTERRUPTED, 19, "interrupted")

#define WEIR_ERRORS_ENUM_(constant, number, text) constant = number,
typedef enum weir_err { WEIR_ERRORS(WEIR_ERRORS_ENUM_) WEIR_ERR_END_ } weir_err;
#undef WEIR_ERRORS_ENUM_

/** The constant's name, such as "WEIR_ERR_FULL"; "WEIR_ERR_?" for a number not in the list.
 *  Any thread. Never NULL; the text is static. */
WEIR_API const char *weir_err_name(weir_err err);

/** What the error means in a few words, without a period. Any thread. Never NULL; static. */
WEIR_API const char *weir_err_text(weir_err err);

/** The library's version, such as "0.1.0". Any thread. Static. */
WEIR_API const char *weir_version(void);

#ifdef __cplusplus
}
#endif

#endif
