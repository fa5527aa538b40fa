/* SPDX-License-Identifier: MIT
 *
 * A main function for a fuzz target where there is no libFuzzer (gcc, ThreadSanitizer):
 *     NAME_replay [-rounds=N] [-seed=N] FOLDER...
 * runs each file of the folders once, then N random mutations of them. The seed is printed.
 */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <string.h>
#include <time.h>

#include "fuzz.h"

#define INPUTS_MAX 4096u
#define INPUT_SIZE_MAX 65536u
/* Mutations of one input, each of the one before. */
#define CHAIN_MAX 4u

typedef struct input {
    uint8_t *data;
    size_t size;
} input;

static struct {
    input list[INPUTS_MAX];
    size_t count;
} inputs;
static fuzz_random random_numbers;

/* A byte changed, removed or added. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size)
{
    fuzz_random *random = &random_numbers;
    size_t kind = fuzz_below(random, 3);
    if (size == 0 || (kind == 1 && size < max_size)) {
        size_t at = size == 0 ? 0 : fuzz_below(random, size);
        memmove(data + at + 1, data + at, size - at);
        data[at] = (uint8_t)fuzz_next(random);
        return size + 1;
    }
    size_t at = fuzz_below(random, size);
    if (kind == 2) {
        memmove(data + at, data + at + 1, size - at - 1);
        return size - 1;
    }
    data[at] = (uint8_t)fuzz_next(random);
    return size;
}

/* Exactly as long as the input, so that a sanitizer sees a read behind it. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    REQUIRE(copy != NULL);
    memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void add_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    REQUIRE(file != NULL);
    uint8_t *data = malloc(INPUT_SIZE_MAX);
    REQUIRE(data != NULL && inputs.count < INPUTS_MAX);
    size_t size = fread(data, 1, INPUT_SIZE_MAX, file);
    (void)fclose(file);
    inputs.list[inputs.count++] = (input){data, size};
}

static void add_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    REQUIRE(dir != NULL);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        char path[4096];
        if (entry->d_name[0] != '.') {
            (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
            add_file(path);
        }
    }
    (void)closedir(dir);
}

static void mutate_and_run(void)
{
    static uint8_t data[INPUT_SIZE_MAX];
    const input *from = &inputs.list[fuzz_below(&random_numbers, inputs.count)];
    size_t size = from->size;
    memcpy(data, from->data, size);
    for (size_t i = 0; i <= fuzz_below(&random_numbers, CHAIN_MAX); i++) {
        unsigned int seed = (unsigned int)fuzz_next(&random_numbers);
        size = LLVMFuzzerCustomMutator(data, size, sizeof(data), seed);
    }
    run(data, size);
}

int main(int argc, char **argv)
{
    unsigned long rounds = 0;
    unsigned int seed = (unsigned int)time(NULL);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-rounds=", 8) == 0) {
            rounds = strtoul(argv[i] + 8, NULL, 10);
        } else if (strncmp(argv[i], "-seed=", 6) == 0) {
            seed = (unsigned int)strtoul(argv[i] + 6, NULL, 10);
        } else {
            add_folder(argv[i]);
        }
    }
    REQUIRE(inputs.count > 0);
    (void)printf("%zu inputs, %lu mutations, seed %u\n", inputs.count, rounds, seed);
    (void)fflush(stdout);
    random_numbers = fuzz_random_from(seed);
    for (size_t i = 0; i < inputs.count; i++) {
        run(inputs.list[i].data, inputs.list[i].size);
    }
    for (unsigned long i = 0; i < rounds; i++) {
        mutate_and_run();
    }
    for (size_t i = 0; i < inputs.count; i++) {
        free(inputs.list[i].data);
    }
    return 0;
}
