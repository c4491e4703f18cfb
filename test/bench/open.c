/* Requests at fixed times, whether the answers come or not. A request that finds every client busy
 * waits for one, and its times count from when it was due. */
#include "load.h"
#include "system.h"

static uint64_t total(void)
{
    const struct options *o = &load.options;

    return o->messages > 0 ? o->messages : o->rate * o->seconds;
}

static uint64_t due_ns(uint64_t i)
{
    return load.began_ns + (uint64_t)((double)i * NS_PER_S / (double)load.options.rate);
}

static void on_tick(uint64_t now)
{
    struct list *link;

    if (load.began_ns == 0) {
        if (load.n_connecting > 0)
            return;
        load.began_ns = now;
        load_pace(load.options.rate);
    }
    while (load.started < total() && due_ns(load.started) <= now && !load.is_over &&
           (link = list_pop(&load.idle)))
        client_start(container_of(link, struct client, link), load.started, due_ns(load.started));
    if (load.started == total() && load.messages == load.started)
        load.is_over = true;
}

static void on_first(void)
{
}

static void on_end(struct client *c)
{
    (void)c; /* it waits on the idle list */
}

static void on_command(const char *line)
{
    (void)line;
}

const struct mode open_mode = {"open", on_tick, on_first, on_end, on_command};
