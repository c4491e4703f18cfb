/* aerie: finds the command, reads the configuration it needs, and runs it. */
#include "base/inherit.h"
#include "base/log.h"
#include "command/command.h"
#include "command/help.h"
#include "command/successor.h"
#include "command/terminal.h"
#include "config/config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The configuration is in force until the process ends: run() and its threads read it. */
static int run_with_config(const struct command *c, int argc, char **argv)
{
    static struct config settings;
    const struct config_sources sources = {.json_path = command_config_path, .environ = environ};
    enum log_level level = LOG_INFO;
    struct error err;
    int exit;

    if (c->run == command_serve)
        inherit_read();
    err = config_load(&sources, &settings);

    if (!is_error(err) && c->needs == NEEDS_SECRET)
        err = config_settle_secret(&settings);
    if (is_error(err)) {
        inherit_say_failed(err.detail ? err.detail : status_row(err.status)->detail);
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

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (is_help(argv[i]))
            return true;
    return false;
}

static int refuse(const char *word, const char *what)
{
    fprintf(stderr, "aerie: %s %s\n", word, what);
    fputs("`aerie --help` lists the commands and options.\n", stderr);
    return COMMAND_USAGE;
}

static const struct command *find(const char *name)
{
    const struct command *c = command_find(name);
    const char *nearest = c ? NULL : command_nearest(name);

    if (!c && nearest)
        fprintf(stderr, "aerie: there is no command %s; did you mean %s?\n", name, nearest);
    else if (!c)
        fprintf(stderr, "aerie: there is no command %s\n", name);
    if (!c)
        fputs("`aerie --help` lists the commands and options.\n", stderr);
    return c;
}

/* "--color=never" may stand behind the command, too. False: said what is wrong. */
static bool take_color(int *argc, char **argv)
{
    int n = 1;

    for (int i = 1; i < *argc; i++) {
        bool is_color = strncmp(argv[i], "--color=", 8) == 0;

        if (is_color && !terminal_set_color(argv[i] + 8)) {
            (void)refuse(argv[i], "is not understood: auto, always or never");
            return false;
        }
        if (!is_color)
            argv[n++] = argv[i];
    }
    *argc = n;
    argv[n] = NULL;
    return true;
}

/* aerie help [COMMAND | --markdown] */
static int help(int argc, char **argv)
{
    const struct command *c;

    if (argc == 1 || is_help(argv[1]))
        return help_print_all();
    if (strcmp(argv[1], "--markdown") == 0)
        return help_print_markdown();
    c = find(argv[1]);
    return c ? help_print(c) : COMMAND_USAGE;
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

/* What stands before the command. Returns its place, or 0: the process ends with *exit. */
static int read_own_options(int argc, char **argv, int *exit)
{
    static char version[] = "version";
    int i = 1;

    for (; i < argc && argv[i][0] == '-'; i++) {
        bool has_value = i + 1 < argc;

        if (is_help(argv[i])) {
            *exit = help_print_all();
            return 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            argv[i] = version;
            *exit = command_version(argc - i, argv + i);
            return 0;
        }
        if (strcmp(argv[i], "--config") == 0 && has_value) {
            command_config_path = argv[++i];
        } else if (strncmp(argv[i], "--config=", 9) == 0) {
            command_config_path = argv[i] + 9;
        } else if (strcmp(argv[i], "--color") == 0 && has_value) {
            if (!terminal_set_color(argv[++i])) {
                *exit = refuse("--color", "takes auto, always or never");
                return 0;
            }
        } else {
            *exit = refuse(argv[i], "is not understood");
            return 0;
        }
    }
    return i;
}

int main(int argc, char **argv)
{
    char *serve[] = {"serve", NULL}, **words = serve;
    const struct command *c;
    int at, exit = COMMAND_USAGE;

    open_standard_files();
    if (!take_color(&argc, argv))
        return COMMAND_USAGE;
    command_arguments = argv;
    at = read_own_options(argc, argv, &exit);
    if (at == 0)
        return exit;
    argc -= at;
    if (argc > 0)
        words = argv + at;
    else
        argc = 1;
    if (strcmp(words[0], "help") == 0)
        return help(argc, words);
    c = find(words[0]);
    if (!c)
        return COMMAND_USAGE;
    if (wants_help(argc - 1, words + 1))
        return help_print(c);
    return c->needs == NEEDS_NOTHING ? c->run(argc, words) : run_with_config(c, argc, words);
}
