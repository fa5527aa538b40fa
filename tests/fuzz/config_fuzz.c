/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: any bytes as a configuration file, as a module and as a link. A refused text has at
 * least one problem, each one line of printable text; an accepted one has args that are JSON.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "gateway/config.h"
#include "weir/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth) {
        abort();
    }
}

static void check_problem(void *user, const char *text)
{
    size_t *count = user;
    (*count)++;
    for (const char *c = text; *c != '\0'; c++) {
        require((unsigned char)*c >= 0x20 && *c != 0x7f);
    }
}

static void drop_line(void *user, weir_log_level level, const char *who, const char *text)
{
    (void)user;
    (void)level;
    (void)who;
    (void)text;
}

static void check_result(weir_err err, size_t problems, wr_config *config)
{
    require(err == WEIR_ERR_MEMORY || (err == WEIR_OK) == (problems == 0));
    require((err == WEIR_OK) == (config != NULL));
    for (size_t i = 0; config != NULL && i < config->module_count; i++) {
        const char *args = config->modules[i].args;
        json_t *json = json_loads(args, JSON_DECODE_ANY, NULL);
        require(json != NULL);
        json_decref(json);
        require(config->modules[i].name != NULL && config->modules[i].name[0] != '\0');
    }
    wr_config_destroy(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    weir_log_set_sink(drop_line, NULL);
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
