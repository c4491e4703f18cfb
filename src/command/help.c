/* Help: for a terminal, wrapped and coloured, and as Markdown. */
#include "help.h"

#include "terminal.h"

#include <string.h>

/* Where what is said of an option begins, unless the option is longer. */
#define ABOUT_COLUMN 22
/* Where what a command is for stands beside its name. */
#define NAMES_COLUMN 14

const struct command_words help_global_options[] = {
    {"--config FILE", "read this instead of config.json; .env and the environment still win"},
    {"--color WHEN", "auto (the default: on a terminal, unless NO_COLOR is set or TERM is dumb), "
                     "always or never"},
    {"--help, -h", "this; after a command: its own help"},
    {"--version [-v]", "the version; with -v those of the libraries"},
    {NULL, NULL},
};

static void begin_section(struct buf *out, const char *title)
{
    if (out->len > 0)
        buf_append_char(out, '\n');
    buf_printf(out, "%s%s%s\n", terminal_style(stdout, STYLE_BOLD), title,
               terminal_style(stdout, STYLE_PLAIN));
}

/* "  words   about", about wrapped beside or below. */
static void add_row(struct buf *out, const char *words, const char *about, unsigned column)
{
    size_t len = strlen(words);

    buf_append_str(out, STR("  "));
    buf_append_str(out, str_from(words));
    if (len + 4 > column)
        buf_printf(out, "\n%*s", (int)column, "");
    else
        buf_printf(out, "%*s", (int)(column - 2 - len), "");
    terminal_wrap(out, str_from(about), column, column, terminal_width(stdout));
    buf_append_char(out, '\n');
}

static void add_rows(struct buf *out, const char *title, const struct command_words *rows,
                     unsigned column)
{
    if (!rows)
        return;
    begin_section(out, title);
    for (; rows->words; rows++)
        add_row(out, rows->words, rows->about, column);
}

/* command_print() ends the line itself. */
static int print(struct buf *out)
{
    if (!out->failed && out->len > 0)
        out->len--;
    return command_print(out);
}

static void add_usage(struct buf *out, const struct command *c)
{
    struct str rest = str_from(c->usage), line;

    for (const char *lead = "usage: aerie "; str_next(&rest, '\n', &line); lead = "       aerie ") {
        buf_append_str(out, str_from(lead));
        terminal_wrap(out, line, 13, 17, terminal_width(stdout));
        buf_append_char(out, '\n');
    }
}

int help_print_all(void)
{
    const struct command *table;
    struct buf out = {0};
    size_t n;

    table = commands(&n);
    terminal_wrap(&out, STR("usage: aerie [--config FILE] [COMMAND] [OPTIONS]"), 0, 13,
                  terminal_width(stdout));
    buf_append_char(&out, '\n');
    for (int group = 0; group < N_GROUPS; group++) {
        begin_section(&out, command_group_names[group]);
        for (size_t i = 0; i < n; i++)
            if (table[i].summary && table[i].group == (enum command_group)group)
                add_row(&out, table[i].name, table[i].summary, NAMES_COLUMN);
    }
    add_rows(&out, "Options", help_global_options, ABOUT_COLUMN);
    buf_append_char(&out, '\n');
    terminal_wrap(&out,
                  STR("`aerie COMMAND --help`, or `aerie help COMMAND`, tells a command's options. "
                      "Exit status: 0 done, 1 "
                      "failed, 2 wrong usage; what else a command has, its help says."),
                  0, 0, terminal_width(stdout));
    buf_append_char(&out, '\n');
    return print(&out);
}

int help_print(const struct command *c)
{
    struct buf out = {0}, summary = {0};

    add_usage(&out, c);
    buf_append_char(&out, '\n');
    buf_printf(&summary, "%s.", c->summary ? c->summary : "run by the server itself");
    terminal_wrap(&out, buf_str(&summary), 0, 0, terminal_width(stdout));
    buf_deinit(&summary);
    buf_append_char(&out, '\n');
    if (c->about) {
        buf_append_char(&out, '\n');
        terminal_wrap(&out, str_from(c->about), 0, 0, terminal_width(stdout));
        buf_append_char(&out, '\n');
    }
    add_rows(&out, "Options", c->options, ABOUT_COLUMN);
    add_rows(&out, "Examples", c->examples, 6);
    add_rows(&out, "Exit status", c->exits, 8);
    return print(&out);
}

/* ---- Markdown ---- */

/* Of a table's cell: a bar would end it. */
static void add_cell(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            buf_append_char(out, '\\');
        buf_append_char(out, *text);
    }
}

static void add_table(struct buf *out, const char *title, const struct command_words *rows)
{
    if (!rows)
        return;
    buf_printf(out, "\n| %s | |\n|---|---|\n", title);
    for (; rows->words; rows++) {
        buf_append_str(out, STR("| `"));
        add_cell(out, rows->words);
        buf_append_str(out, STR("` | "));
        add_cell(out, rows->about);
        buf_append_str(out, STR(" |\n"));
    }
}

static void add_command(struct buf *out, const struct command *c)
{
    struct str rest = str_from(c->usage), line;

    buf_printf(out, "\n### aerie %s\n\n```\n", c->name);
    while (str_next(&rest, '\n', &line))
        buf_printf(out, "aerie %.*s\n", STR_ARG(line));
    buf_printf(out, "```\n\n%c%s.", c->summary[0] - 'a' + 'A', c->summary + 1);
    for (rest = str_from(c->about); str_next(&rest, '\n', &line) && line.len > 0;)
        buf_printf(out, "\n%.*s", STR_ARG(line));
    buf_append_char(out, '\n');
    add_table(out, "option", c->options);
    for (const struct command_words *e = c->examples; e && e->words; e++)
        buf_printf(out, "%s%s   # %s\n%s", e == c->examples ? "\n```sh\n" : "", e->words, e->about,
                   e[1].words ? "" : "```\n");
    add_table(out, "exit status", c->exits);
}

int help_print_markdown(void)
{
    const struct command *table;
    struct buf out = {0};
    size_t n;

    table = commands(&n);
    add_table(&out, "before the command", help_global_options);
    for (int group = 0; group < N_GROUPS; group++) {
        buf_printf(&out, "\n## %s\n", command_group_names[group]);
        for (size_t i = 0; i < n; i++)
            if (table[i].summary && table[i].group == (enum command_group)group)
                add_command(&out, &table[i]);
    }
    if (!out.failed)
        buf_consume(&out, 1); /* the line feed that the first table begins with */
    return print(&out);
}
