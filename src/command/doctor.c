/* aerie doctor: runs the checks, prints what they say. */
#include "doctor.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "command.h"
#include "terminal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define US_PER_S 1000000
/* Where the words begin. */
#define WORDS_COLUMN 9

static const struct {
    const char *word;
    enum style style;
} marks[N_MARKS] = {
    [MARK_OK] = {"ok", STYLE_GREEN},
    [MARK_WARNING] = {"warning", STYLE_YELLOW},
    [MARK_PROBLEM] = {"problem", STYLE_RED},
};

static void add_words(struct buf *out, enum mark mark, const char *check, const char *words,
                      const char *remedy)
{
    unsigned width = terminal_width(stdout);
    struct buf text = {0};

    buf_printf(&text, "%s: %s", check, words);
    buf_printf(out, "%s%s%s%*s", terminal_style(stdout, marks[mark].style), marks[mark].word,
               terminal_style(stdout, STYLE_PLAIN),
               (int)(WORDS_COLUMN - strlen(marks[mark].word)), "");
    terminal_wrap(out, buf_str(&text), WORDS_COLUMN, WORDS_COLUMN, width);
    if (remedy) {
        buf_printf(out, "\n%*s-> ", WORDS_COLUMN, "");
        terminal_wrap(out, str_from(remedy), WORDS_COLUMN + 3, WORDS_COLUMN + 3, width);
    }
    buf_deinit(&text);
}

static void add_json(struct buf *out, enum mark mark, const char *check, const char *words,
                     const char *remedy)
{
    struct json j = {.buf = out};

    json_begin_object(&j);
    json_pair_str(&j, "mark", str_from(marks[mark].word));
    json_pair_str(&j, "check", str_from(check));
    json_pair_str(&j, "message", str_from(words));
    json_pair_str_or_null(&j, "remedy", remedy ? str_from(remedy) : STR_NONE);
    json_end_object(&j);
}

void doctor_say(struct doctor *d, enum mark mark, const char *check, const char *remedy,
                const char *format, ...)
{
    struct buf words = {0}, valid = {0}, safe = {0}, line = {0};
    struct utf8_stream utf8 = {.n_held = 0};
    va_list args;

    va_start(args, format);
    buf_vprintf(&words, format, args);
    va_end(args);
    utf8_stream_feed(&utf8, buf_str(&words), &valid);
    utf8_stream_end(&utf8, &valid);
    terminal_append_harmless(&safe, buf_str(&valid));
    buf_append_char(&safe, 0);
    if (!safe.failed)
        (d->as_json ? add_json : add_words)(&line, mark, check, safe.data, remedy);
    (void)command_print(&line);
    d->n[mark]++;
    buf_deinit(&words);
    buf_deinit(&valid);
    buf_deinit(&safe);
}

void doctor_say_clock(struct doctor *d, const char *whose, int64_t off_us, int64_t tolerated_us)
{
    int64_t far_us = off_us < 0 ? -off_us : off_us;

    if (far_us <= tolerated_us)
        doctor_say(d, MARK_OK, "clock", NULL, "agrees with %s", whose);
    else
        doctor_say(d, far_us > 30 * US_PER_S ? MARK_PROBLEM : MARK_WARNING, "clock",
                   "Keep the time of all machines by NTP: `timedatectl set-ntp true`. Tokens and signed "
                   "calls hold for a time, and are refused where it is another one.",
                   "this machine's is %lld s %s that of %s", (long long)(far_us / US_PER_S),
                   off_us < 0 ? "behind" : "ahead of", whose);
}

static void sum_up(const struct doctor *d)
{
    if (d->as_json)
        return;
    printf("\n%u ok, %u warning%s, %u problem%s\n", d->n[MARK_OK], d->n[MARK_WARNING],
           d->n[MARK_WARNING] == 1 ? "" : "s", d->n[MARK_PROBLEM],
           d->n[MARK_PROBLEM] == 1 ? "" : "s");
}

/* In the order in which one finding explains the next. */
static void examine(struct doctor *d)
{
    static struct config settings;

    doctor_check_config(d, &settings);
    if (d->has_config) {
        doctor_check_disk(d);
        doctor_check_database(d);
        doctor_check_limits(d);
        doctor_check_clock(d);
        doctor_check_roots(d);
        doctor_check_mail(d);
        doctor_check_server(d);
        if (d->asks_agents)
            doctor_check_agents(d);
    }
    if (d->url)
        doctor_check_way(d);
    db_close(d->db);
    if (d->has_config)
        config_close();
    config_free(&settings);
}

int command_doctor(int argc, char **argv)
{
    struct doctor d = {.url = NULL};
    const struct command_option options[] = {{"--url", &d.url, NULL},
                                             {"--long", NULL, &d.is_long},
                                             {"--agents", NULL, &d.asks_agents},
                                             {"--json", NULL, &d.as_json}};

    if (!command_read_options(argc, argv, 1, options, sizeof(options) / sizeof(options[0])))
        return command_usage(argv[0]);
    if (d.is_long && !d.url) {
        fputs("aerie doctor: --long is about --url\n", stderr);
        return command_usage(argv[0]);
    }
    log_init(LOG_ERROR, STDERR_FILENO);
    examine(&d);
    sum_up(&d);
    return d.n[MARK_PROBLEM] > 0 ? COMMAND_FAILED : COMMAND_OK;
}
