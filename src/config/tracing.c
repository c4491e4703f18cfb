/* What the keys of tracing mean. */
#include "internal.h"

#define WHOLE_BITS 56 /* of a trace's id, by which it is sampled */

/* accept_share() has looked at it. */
static uint64_t share_of_whole(struct str share)
{
    uint64_t whole = UINT64_C(1) << WHOLE_BITS, place = 1, n = 0;

    if (share.len == 0 || share.ptr[0] == '1')
        return share.len == 0 ? 0 : whole;
    for (size_t i = 2; i < share.len; i++) {
        n = n * 10 + (uint64_t)(share.ptr[i] - '0');
        place *= 10;
    }
    return whole / place * n;
}

struct error config_settle_tracing(struct config *c)
{
    const struct config_tracing *t = &c->tracing;
    struct config_trace_rules *rules = &c->trace_rules;

    if (t->headers.n > TRACING_HEADERS_MAX)
        return ERROR(ERR_INVALID, 0, "tracing.headers has more than four headers");
    rules->sampled_below = share_of_whole(t->sample);
    rules->follows_all = str_eq(t->follow_parent, STR("always"));
    rules->follows_proxies = rules->follows_all || str_eq(t->follow_parent, STR("proxies"));
    return NO_ERROR;
}
