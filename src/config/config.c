/* The configuration in force. */
#include "config/config.h"

#include <assert.h>
#include <stdatomic.h>

static const struct config *_Atomic in_force;

void config_set(const struct config *c)
{
    atomic_store_explicit(&in_force, c, memory_order_release);
}

const struct config *config(void)
{
    const struct config *c = atomic_load_explicit(&in_force, memory_order_acquire);

    assert(c);
    return c;
}

bool config_is_production(void)
{
    return str_eq(config()->environment, STR("production"));
}
