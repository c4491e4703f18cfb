/* What an admin can do about an agent that failed. */
#ifndef AERIE_SRC_API_AGENT_HINT_H
#define AERIE_SRC_API_AGENT_HINT_H

#include "upstream/upstream.h"

/* In plain words; static. call: has ended, with err. docs/n8n.md, "What each error means", says the
 * same. */
const char *agent_hint(const struct upstream_prompt *prompt, const struct upstream_call *call,
                       struct error err);

#endif
