/* Streams that are opened one after the other and then all stay. Gaps are recorded in windows: one
 * when all have begun, or with
 * --control one for each line "go" on stdin, until "end". */
#include "load.h"
#include "system.h"

#include <stdio.h>
#include <string.h>

static uint32_t n_begun, n_ended, n_ended_unbegun;
static bool is_told;            /* that all are held */
static uint64_t window_ends_ns; /* 0: no window */

static void open_window(uint64_t now)
{
    if (window_ends_ns > 0)
        return;
    load.is_recording_gaps = true;
    window_ends_ns = now + load.options.seconds * NS_PER_S;
}

static void finish(void)
{
    if (load.options.is_to_end)
        return;
    for (uint32_t i = 0; i < load.options.clients; i++)
        if (load.clients[i].has_message)
            client_leave(&load.clients[i]);
    load.is_over = true;
}

/* A stream that is silent when the window ends has a gap, too, if one that is not over. */
static void close_window(uint64_t now)
{
    load.is_recording_gaps = false;
    window_ends_ns = 0;
    for (uint32_t i = 0; i < load.options.clients; i++) {
        const struct client *c = &load.clients[i];

        if (c->has_message && c->piece_ns > 0 &&
            now - c->piece_ns > load.options.gap_ms * NS_PER_MS)
            histogram_add(&load.gap, now - c->piece_ns);
    }
    if (!load.options.is_controlled) {
        finish();
        return;
    }
    printf("gaps {");
    histogram_print(&load.gap, "gap_us");
    printf("}\n");
    fflush(stdout);
    load.gap = (struct histogram){0};
}

static void on_tick(uint64_t now)
{
    const struct options *o = &load.options;
    struct list *link;

    if (load.began_ns == 0) {
        load.began_ns = now;
        load_pace(o->ramp_per_second);
    }
    while (load.started < o->clients && !load.is_over &&
           (double)(now - load.began_ns) / NS_PER_S * o->ramp_per_second >= (double)load.started &&
           (link = list_pop(&load.idle))) {
        struct client *c = container_of(link, struct client, link);

        client_start(c, c->index, now_ns());
    }
    if (!is_told && n_begun + n_ended_unbegun == o->clients) {
        is_told = true;
        load_pace(0);
        printf("held %u\n", n_begun);
        fflush(stdout);
        if (!o->is_controlled)
            open_window(now);
    }
    if (window_ends_ns > 0 && now >= window_ends_ns)
        close_window(now);
    if (n_ended == o->clients)
        load.is_over = true;
}

static void on_first(void)
{
    n_begun++;
}

/* None is sent again: what ended is kept off the idle list. */
static void on_end(struct client *c)
{
    list_remove(&c->link);
    n_ended++;
    if (!c->has_first)
        n_ended_unbegun++;
}

static void on_command(const char *line)
{
    if (strcmp(line, "go") == 0)
        open_window(now_ns());
    else if (strcmp(line, "end") == 0)
        finish();
    else
        fprintf(stderr, "bench_load: no command: %s\n", line);
}

const struct mode held_mode = {"held", on_tick, on_first, on_end, on_command};
