/* SPDX-License-Identifier: MIT
 *
 * The books that the modules of load.c keep of themselves, by module name. A program that loads the
 * same library into its own process reads them there.
 */
#ifndef LOAD_H
#define LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LOAD_BOOKS_MAX 64
#define LOAD_NAME_SIZE 32

/* Of all modules of this name that there ever were. */
typedef struct load_book {
    char name[LOAD_NAME_SIZE];
    _Atomic uint64_t begun; /* calls of publish; written by the module's one publishing thread */
    _Atomic uint64_t published; /* of these: that every link has accepted */
    _Atomic uint64_t refused;   /* of these: that no link has seen */
    _Atomic uint64_t received;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool held;    /* a source begins no further publish */
    bool stopped; /* a source's thread ends */
} load_book;

/* The book of a name, made where there is none yet. NULL: no room. */
load_book *load_get_book(const char *name);

#endif
