/* Clients that each wait for an answer before they send again. */
#include "load.h"
#include "system.h"

static bool is_enough(uint64_t now)
{
    const struct options *o = &load.options;

    if (o->messages > 0)
        return load.started >= o->messages;
    return now - load.began_ns >= o->seconds * NS_PER_S;
}

static void on_tick(uint64_t now)
{
    struct list *link;

    if (load.n_connecting > 0 && load.began_ns == 0)
        return;
    if (load.began_ns == 0)
        load.began_ns = now;
    while (!is_enough(now) && !load.is_over && (link = list_pop(&load.idle))) {
        struct client *c = container_of(link, struct client, link);

        client_start(c, c->index, now_ns());
    }
    if (is_enough(now) && load.messages == load.started)
        load.is_over = true;
}

static void on_first(void)
{
}

static void on_end(struct client *c)
{
    (void)c; /* it waits on the idle list for the next tick */
}

static void on_command(const char *line)
{
    (void)line;
}

const struct mode closed_mode = {"closed", on_tick, on_first, on_end, on_command};
