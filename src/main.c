/* aerie: finds the command, reads the configuration it needs, and runs it. */
#include "base/log.h"
#include "command/command.h"
#include "config/config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int print_help(FILE *out, int exit)
{
    size_t n;
    const struct command *table = commands(&n);

    fprintf(out, "usage: aerie [--config FILE] [COMMAND] [OPTIONS]\n\n");
    for (size_t i = 0; i < n; i++)
        if (table[i].help)
            fprintf(out, "  %-8s  %s\n", table[i].name, table[i].help);
    fprintf(out, "\n`aerie COMMAND --help` tells a command's options. Exit: 0 done, 1 failed, 2 "
                 "wrong usage.\n");
    return exit;
}

static int print_command_help(const struct command *c)
{
    printf("usage: aerie %s\n\n%s\n", c->usage, c->help ? c->help : "run by the server itself");
    return COMMAND_OK;
}

/* The configuration is in force until the process ends: run() and its threads read it. */
static int run_with_config(const struct command *c, const char *config_path, int argc, char **argv)
{
    static struct config settings;
    const struct config_sources sources = {.json_path = config_path, .environ = environ};
    enum log_level level = LOG_INFO;
    struct error err = config_load(&sources, &settings);
    int exit;

    if (!is_error(err) && c->needs == NEEDS_SECRET)
        err = config_settle_secret(&settings);
    if (is_error(err)) {
        exit = command_fail(err);
        config_free(&settings);
        return exit;
    }
    config_set(&settings);
    (void)log_level_from(settings.log.level, &level);
    /* A command's stderr is for people: only the server tells what goes right. */
    if (c->run != command_serve && level > LOG_WARN)
        level = LOG_WARN;
    log_init(level, STDERR_FILENO);
    exit = c->run(argc, argv);
    config_close();
    config_free(&settings);
    return exit;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

/* A process may be started with any of the three closed. What is opened next would get the number,
 * a database for instance, and records of the log would be written into it. */
static void open_standard_files(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    const char *config_path = NULL;
    const struct command *c;
    char *serve[] = {"serve", NULL};
    int i = 1;

    open_standard_files();
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return print_help(stdout, COMMAND_OK);
        if (strcmp(argv[i], "--version") == 0)
            return command_version(1, argv);
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) {
            config_path = argv[++i];
        } else if (strncmp(argv[i], "--config=", 9) == 0) {
            config_path = argv[i] + 9;
        } else {
            fprintf(stderr, "aerie: %s is not understood\n", argv[i]);
            return print_help(stderr, COMMAND_USAGE);
        }
    }
    if (i == argc) {
        c = command_find("serve");
        argc = 1;
        argv = serve;
    } else {
        c = command_find(argv[i]);
        if (!c) {
            fprintf(stderr, "aerie: there is no command %s\n", argv[i]);
            return print_help(stderr, COMMAND_USAGE);
        }
        argc -= i;
        argv += i;
    }
    if (wants_help(argc - 1, argv + 1))
        return print_command_help(c);
    if (c->needs == NEEDS_NOTHING)
        return c->run(argc, argv);
    return run_with_config(c, config_path, argc, argv);
}
