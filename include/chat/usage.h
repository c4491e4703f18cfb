/* What an answer cost, in tokens, and its row in the team's account. */
#ifndef AERIE_CHAT_USAGE_H
#define AERIE_CHAT_USAGE_H

#include "base/id.h"
#include "db/db.h"
#include "upstream/upstream.h"

struct usage {
    int64_t prompt_tokens, completion_tokens, total_tokens;
    bool is_estimated; /* the provider did not tell */
};

/* Where nobody counts tokens: from characters. */
#define USAGE_CHARS_PER_TOKEN 4
int64_t usage_estimate(size_t n_chars);
/* How many characters the agent is told. */
size_t usage_prompt_chars(const struct upstream_prompt *prompt);
/* As told, or estimated. Nothing came and nothing was told: all zero. */
struct usage usage_of(const struct upstream_usage *told, size_t prompt_chars, size_t reply_chars);
/* {"prompt_tokens":…}, with "estimated":true where that is so; appended to out. */
void usage_write(struct buf *out, const struct usage *u);

/* Who used it, who answered, and how that went. */
struct usage_account {
    struct id team_id, owner_id, agent_id;
    struct id reply_id; /* "" : none is stored */
    struct str provider, model;
    struct error outcome;              /* of the answer */
    uint64_t begun_us, first_text_us; /* by the monotonic clock; the latter 0: no text came */
};
#define USAGE_ARGS 14
/* The arguments of USAGE_ADD, as views of both. */
void usage_args(const struct usage_account *who, const struct usage *u,
                struct db_arg out[USAGE_ARGS]);
/* The midnight, UTC, that a moment's day began with. */
int64_t usage_day(int64_t wall_us);

#endif
