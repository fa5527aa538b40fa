/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: any bytes as a configuration file, as a module and as a link. A refused text has at
 * least one problem, each one line of printable text; an accepted one has args that are JSON.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "fuzz.h"
#include "gateway/config.h"
#include "json_mutate.h"

static void check_problem(void *user, const char *text)
{
    size_t *count = user;
    (*count)++;
    for (const char *c = text; *c != '\0'; c++) {
        REQUIRE((unsigned char)*c >= 0x20 && *c != 0x7f);
    }
}

static void check_result(weir_err err, size_t problems, wr_config *config)
{
    REQUIRE(err == WEIR_ERR_MEMORY || (err == WEIR_OK) == (problems == 0));
    REQUIRE((err == WEIR_OK) == (config != NULL));
    for (size_t i = 0; config != NULL && i < config->module_count; i++) {
        const char *args = config->modules[i].args;
        json_t *json = json_loads(args, JSON_DECODE_ANY, NULL);
        REQUIRE(json != NULL);
        json_decref(json);
        REQUIRE(config->modules[i].name != NULL && config->modules[i].name[0] != '\0');
    }
    wr_config_destroy(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_silence();
    char *text = malloc(size + 1);
    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';

    size_t problems = 0;
    wr_config *config = NULL;
    weir_err err = wr_config_parse(text, size, "fuzz.json", check_problem, &problems, &config);
    check_result(err, problems, config);

    problems = 0;
    config = NULL;
    err = wr_config_parse_module(text, ".", check_problem, &problems, &config);
    check_result(err, problems, config);

    problems = 0;
    config = NULL;
    err = wr_config_parse_link(text, check_problem, &problems, &config);
    check_result(err, problems, config);
    free(text);
    return 0;
}

/* Half of the mutations keep it JSON, so that they reach what reads the JSON. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    fuzz_random random = fuzz_random_from(seed);
    size_t changed = 0;
    if (fuzz_one_in(&random, 2)) {
        changed = fuzz_mutate_json(data, size, max_size, &random);
    }
    return changed != 0 ? changed : LLVMFuzzerMutate(data, size, max_size);
}
