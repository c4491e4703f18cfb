/* By the receiver's word, or by why there is none, and by the table of waits. */
#include "outcome.h"

#include "webhook/call.h"

#define US_PER_S INT64_C(1000000)

static int64_t wait_s(const struct config_list *waits, size_t i)
{
    int64_t seconds = 0;

    return str_to_i64(waits->items[i], &seconds) ? seconds : 0;
}

static int64_t longest_s(const struct config_list *waits)
{
    int64_t longest = 0;

    for (size_t i = 0; i < waits->n; i++)
        if (wait_s(waits, i) > longest)
            longest = wait_s(waits, i);
    return longest;
}

/* A receiver may ask for more time than its turn in the table gives, within the table's bounds. */
static struct outcome later(const struct config_list *waits, size_t n_failed, int retry_after_s,
                            uint32_t random)
{
    int64_t wait = wait_s(waits, n_failed - 1), longest = longest_s(waits);

    if (retry_after_s > wait)
        wait = retry_after_s < longest ? retry_after_s : longest;
    wait *= US_PER_S;
    return (struct outcome){OUTCOME_LATER, wait + wait / 5 * (int64_t)(random % 1024) / 1024};
}

struct outcome outcome_of(const struct config_webhooks *c, struct error err, int http_status,
                          int retry_after_s, int64_t n_tries, uint32_t random)
{
    if (webhook_was_taken(http_status))
        return (struct outcome){.kind = OUTCOME_DELIVERED};
    if (http_status == 410)
        return (struct outcome){.kind = OUTCOME_GONE};
    if (err.status == ERR_CANCELED) /* the next server sends it */
        return (struct outcome){.kind = OUTCOME_LATER};
    if (err.status == ERR_UNAVAILABLE || n_tries > (int64_t)c->waits.n)
        return (struct outcome){.kind = OUTCOME_DEAD};
    return later(&c->waits, n_tries > 0 ? (size_t)n_tries : 1, retry_after_s, random);
}
