/* Blocks of addresses in lists, read once instead of for each request and call. */
#include "internal.h"

static struct error read_blocks(struct arena *a, const struct config_list *list,
                                struct config_networks *out)
{
    *out = (struct config_networks){.n = 0};
    if (list->n == 0)
        return NO_ERROR;
    out->blocks = arena_alloc(a, list->n * sizeof(struct cidr));
    if (!out->blocks)
        return ERROR(ERR_NO_MEMORY, 0, "out of memory");
    for (size_t i = 0; i < list->n; i++)
        if (cidr_parse(list->items[i], &out->blocks[out->n]))
            out->n++;
    return NO_ERROR;
}

struct error config_settle_networks(struct config *c)
{
    struct error err = read_blocks(&c->arena, &c->trusted_proxies, &c->trusted_networks);

    return is_error(err) ? err : read_blocks(&c->arena, &c->egress.allow, &c->egress_networks);
}
