/* What the team's documents say to a user's message, in the prompt: for agents whose config has
 * "knowledge": true, or {"match_count", "match_threshold", "max_chars"}. */
#ifndef AERIE_CHAT_KNOWLEDGE_H
#define AERIE_CHAT_KNOWLEDGE_H

#include "base/id.h"
#include "upstream/upstream.h"

struct knowledge;

/* From a step: searches for the prompt's last message; an operation that never fails the flow. The
 * arena and the prompt stay in place until knowledge_take(). NULL: the agent does not use knowledge
 * (or memory is out), nothing is in flight. */
struct knowledge *knowledge_find(struct flow *f, struct arena *a, const struct id *team_id,
                                 struct upstream_prompt *prompt);
/* From the next step: what was found goes into the prompt's system prompt. *sources: what the
 * reply's metadata says about it, a JSON array in the arena; "" when nothing was found. Returns
 * what to tell people when the search fell short, or NULL. k may be NULL. */
const char *knowledge_take(struct knowledge *k, struct str *sources);

#endif
