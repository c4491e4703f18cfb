/* See take_rate.h. */
#include "take_rate.h"

bool take_rate(struct request *req, const struct rate *r, const char *sentence)
{
    unsigned wait_s;

    if (!rate_ready(&req->flow, &req->arena, r))
        return false;
    wait_s = rate_take(r);
    if (wait_s > 0)
        flow_fail(&req->flow, ERROR(ERR_RATE_LIMITED, (int)wait_s, sentence));
    return wait_s == 0;
}
