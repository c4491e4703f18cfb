/* The configuration in force. */
#include "config/config.h"

#include <assert.h>

static const struct config *in_force;

void config_set(const struct config *c)
{
    in_force = c;
}

const struct config *config(void)
{
    assert(in_force);
    return in_force;
}

bool config_is_production(void)
{
    return str_eq(config()->environment, STR("production"));
}
