/* SPDX-License-Identifier: MIT
 *
 * `weir`: finds the command in the table below and runs it.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "cli.h"

static int run_help(int argc, char **argv);

static const cli_command cli_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "explain a command",
    .help = "Without COMMAND, list the commands.\n",
    .run = run_help,
};

static const cli_command *const commands[] = {
    &cli_run, &cli_check, &cli_host, &cli_version, &cli_help,
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_overview(FILE *to)
{
    (void)fprintf(to, "usage: weir COMMAND [ARGUMENTS]\n\ncommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        (void)fprintf(to, "  %-8s %-28s %s\n", commands[i]->name, commands[i]->arguments,
                      commands[i]->summary);
    }
    (void)fprintf(to, "\n'weir help COMMAND' tells more.\n");
}

static void print_usage(FILE *to, const cli_command *command)
{
    (void)fprintf(to, "usage: weir %s%s%s\n", command->name,
                  command->arguments[0] != '\0' ? " " : "", command->arguments);
}

static int print_help(const cli_command *command)
{
    print_usage(stdout, command);
    (void)printf("\n%s", command->help);
    return CLI_OK;
}

int cli_usage_error(const cli_command *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "weir %s: ", command->name);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    print_usage(stderr, command);
    return CLI_USAGE;
}

void cli_print_problem(void *user, const char *text)
{
    (void)user;
    (void)fprintf(stderr, "%s\n", text);
}

static const cli_command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static int refuse_unknown(const char *name)
{
    wr_suggestion near = wr_suggestion_for(name, strlen(name));
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        wr_suggestion_try(&near, commands[i]->name);
    }
    (void)fprintf(stderr, "weir: '%s' is not a command", name);
    if (near.best != NULL) {
        (void)fprintf(stderr, "; did you mean '%s'?", near.best);
    }
    (void)fprintf(stderr, "\n'weir help' lists the commands.\n");
    return CLI_USAGE;
}

static int run_help(int argc, char **argv)
{
    if (argc == 1) {
        print_overview(stdout);
        return CLI_OK;
    }
    if (argc > 2) {
        return cli_usage_error(&cli_help, "one command at a time");
    }
    const cli_command *command = find_command(argv[1]);
    return command != NULL ? print_help(command) : refuse_unknown(argv[1]);
}

static bool is_help_option(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return CLI_USAGE;
    }
    if (is_help_option(argv[1])) {
        print_overview(stdout);
        return CLI_OK;
    }
    const char *name = strcmp(argv[1], "--version") == 0 ? cli_version.name : argv[1];
    const cli_command *command = find_command(name);
    if (command == NULL) {
        return refuse_unknown(name);
    }
    if (argc > 2 && is_help_option(argv[2])) {
        return print_help(command);
    }
    return command->run(argc - 1, argv + 1);
}
