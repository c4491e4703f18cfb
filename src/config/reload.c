/* SIGHUP: the sources read again, and what changed put in force. */
#include "base/log.h"
#include "internal.h"

#include <stdlib.h>

/* Nobody is asked whether a configuration is still read, so each one stays: a few kilobytes for
 * each change, and a bound. */
enum { RELOADS_MAX = 1000 };

static struct config *reloaded[RELOADS_MAX];
static size_t n_reloaded;
/* The one that was refused last: its detail is in it. */
static struct config refused;

static bool is_same_list(const struct config_list *a, const struct config_list *b)
{
    size_t i = 0;

    while (i < a->n && i < b->n && str_eq(a->items[i], b->items[i]))
        i++;
    return i == a->n && i == b->n;
}

static bool is_same(const struct config_key *key, const void *a, const void *b)
{
    switch (key->type) {
    case CONFIG_TEXT:
        return str_eq(*(const struct str *)a, *(const struct str *)b);
    case CONFIG_UINT:
        return *(const uint64_t *)a == *(const uint64_t *)b;
    case CONFIG_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case CONFIG_LIST:
        return is_same_list(a, b);
    }
    return false;
}

static void copy_value(const struct config_key *key, void *to, const void *from)
{
    switch (key->type) {
    case CONFIG_TEXT:
        *(struct str *)to = *(const struct str *)from;
        break;
    case CONFIG_UINT:
        *(uint64_t *)to = *(const uint64_t *)from;
        break;
    case CONFIG_BOOL:
        *(bool *)to = *(const bool *)from;
        break;
    case CONFIG_LIST:
        *(struct config_list *)to = *(const struct config_list *)from;
        break;
    }
}

/* What needs a restart keeps the old value; its text lives as long. */
static void keep_until_restart(const struct config *old, struct config *c)
{
    const struct config_key *keys;
    size_t n;

    keys = config_keys(&n);
    for (size_t i = 0; i < n; i++) {
        const void *from = (const char *)old + keys[i].offset;
        void *to = (char *)c + keys[i].offset;

        if (keys[i].effect != CONFIG_RESTART || is_same(&keys[i], from, to))
            continue;
        log_warn("config: %s has changed, which needs a restart; the old value stays in force",
                 keys[i].name);
        copy_value(&keys[i], to, from);
    }
}

static bool has_changed(const struct config *old, const struct config *c)
{
    const struct config_key *keys;
    size_t n, i = 0;

    keys = config_keys(&n);
    while (i < n &&
           is_same(&keys[i], (const char *)old + keys[i].offset, (const char *)c + keys[i].offset))
        i++;
    return i < n;
}

static void log_changes(const struct config *old, const struct config *c)
{
    struct buf before = {0}, after = {0};
    const struct config_key *keys;
    size_t n;

    keys = config_keys(&n);
    for (size_t i = 0; i < n; i++) {
        const void *from = (const char *)old + keys[i].offset;
        const void *to = (const char *)c + keys[i].offset;

        if (is_same(&keys[i], from, to))
            continue;
        buf_clear(&before);
        buf_clear(&after);
        print_value(&keys[i], from, &before);
        print_value(&keys[i], to, &after);
        log_info("config: %s is \"%.*s\" now and was \"%.*s\"", keys[i].name,
                 STR_ARG(buf_str(&after)), STR_ARG(buf_str(&before)));
    }
    buf_deinit(&before);
    buf_deinit(&after);
}

struct error config_reload(void)
{
    const struct config *old = config();
    struct config *c;
    struct error err;

    config_free(&refused);
    if (n_reloaded == RELOADS_MAX)
        return ERROR(ERR_BUSY, 0, "a thousand changes since the start: restart the server");
    c = calloc(1, sizeof(*c));
    if (!c)
        return ERROR(ERR_NO_MEMORY, 0, "out of memory");
    err = config_load(&old->sources, c);
    if (!is_error(err)) {
        keep_until_restart(old, c);
        err = config_settle_secret(c);
    }
    if (is_error(err)) {
        refused = *c;
        free(c);
        return err;
    }
    if (!has_changed(old, c)) {
        config_free(c);
        free(c);
        return NO_ERROR;
    }
    reloaded[n_reloaded++] = c;
    config_set(c);
    log_changes(old, c); /* true by now: who reads it may count on it */
    return NO_ERROR;
}

void config_close(void)
{
    config_free(&refused);
    while (n_reloaded > 0) {
        config_free(reloaded[--n_reloaded]);
        free(reloaded[n_reloaded]);
    }
}
