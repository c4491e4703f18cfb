/* Counting tokens. */
#include "chat/usage.h"

#include "base/clock.h"
#include "base/json.h"

#define DAY_US (24ll * 3600 * 1000000)

int64_t usage_estimate(size_t n_chars)
{
    return (int64_t)((n_chars + USAGE_CHARS_PER_TOKEN - 1) / USAGE_CHARS_PER_TOKEN);
}

size_t usage_prompt_chars(const struct upstream_prompt *prompt)
{
    size_t n = utf8_length(prompt->system_prompt);

    for (size_t i = 0; i < prompt->n_messages; i++)
        n += utf8_length(prompt->messages[i].content);
    return n;
}

struct usage usage_of(const struct upstream_usage *told, size_t prompt_chars, size_t reply_chars)
{
    struct usage u = {.prompt_tokens = told->prompt_tokens,
                      .completion_tokens = told->completion_tokens,
                      .total_tokens = told->total_tokens};

    if (told->is_known || reply_chars == 0)
        return u;
    u.prompt_tokens = usage_estimate(prompt_chars);
    u.completion_tokens = usage_estimate(reply_chars);
    u.total_tokens = u.prompt_tokens + u.completion_tokens;
    u.is_estimated = true;
    return u;
}

void usage_write(struct buf *out, const struct usage *u)
{
    struct json j = {.buf = out};

    json_begin_object(&j);
    json_pair_int(&j, "prompt_tokens", u->prompt_tokens);
    json_pair_int(&j, "completion_tokens", u->completion_tokens);
    json_pair_int(&j, "total_tokens", u->total_tokens);
    if (u->is_estimated)
        json_pair_bool(&j, "estimated", true);
    json_end_object(&j);
}

int64_t usage_day(int64_t wall_us)
{
    return wall_us - wall_us % DAY_US;
}

/* Who stops a reply, leaves, or has spent a budget, does not say that it failed. */
static bool is_failure(struct error outcome)
{
    return is_error(outcome) && outcome.status != ERR_STOPPED && outcome.status != ERR_CANCELED &&
           outcome.status != ERR_GONE && outcome.status != ERR_BUDGET_SPENT;
}

void usage_args(const struct usage_account *who, const struct usage *u,
                struct db_arg out[USAGE_ARGS])
{
    bool has_text = who->first_text_us > 0;
    uint64_t waited_us = has_text ? who->first_text_us - who->begun_us : 0;
    const struct db_arg args[USAGE_ARGS] = {
        db_uuid(id_str(&who->team_id)),  db_time(usage_day(clock_wall_us())),
        db_uuid(id_str(&who->owner_id)), db_uuid(id_str(&who->agent_id)),
        db_text(who->provider),          db_text(who->model.ptr ? who->model : STR("")),
        db_int(u->prompt_tokens),        db_int(u->completion_tokens),
        db_int(u->total_tokens),         db_int(u->is_estimated ? u->total_tokens : 0),
        db_uuid(id_str(&who->reply_id)), db_int(is_failure(who->outcome)),
        db_int(has_text),                db_int((int64_t)(waited_us / 1000)),
    };

    for (size_t i = 0; i < USAGE_ARGS; i++)
        out[i] = args[i];
}
