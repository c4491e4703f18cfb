/* Which fields of an agent changed; values of its name, provider, model and whether it is on. */
#include "agent_audit.h"

#include "agent_json.h"
#include "answer.h"

static void note(struct audit *a, const char *field, const struct input *in, struct str old,
                 bool is_shown)
{
    struct str now = in->text.len > 0 ? in->text : STR_NONE;

    if (!in->is_given || str_eq(old, now))
        return;
    if (is_shown)
        audit_values(a, field, old, now);
    else
        audit_field(a, field);
}

struct audit agent_audit_create(const struct request *req, const struct agents *s, int64_t now_us)
{
    struct audit a = audit_of(req, "agent.create", &s->id, now_us);

    audit_values(&a, "name", STR_NONE, s->name.text);
    audit_values(&a, "provider", STR_NONE, s->provider.text);
    return a;
}

struct audit agent_audit_update(const struct request *req, const struct agents *s,
                                const struct db_result *old, int64_t now_us)
{
    struct audit a = audit_of(req, "agent.update", &s->id, now_us);
    bool was_active = db_get_bool(old, 0, AGENT_IS_ACTIVE), is_active = s->is_active.number != 0;

    note(&a, "name", &s->name, db_get_text(old, 0, AGENT_NAME), true);
    note(&a, "description", &s->description, db_get_text(old, 0, AGENT_DESCRIPTION), false);
    note(&a, "provider", &s->provider, db_get_text(old, 0, AGENT_PROVIDER), true);
    note(&a, "webhook_url", &s->webhook_url, db_get_text(old, 0, AGENT_WEBHOOK_URL), false);
    if (s->webhook_token.is_given && !str_eq(s->webhook_token.text, STR(TOKEN_MASK)))
        audit_field(&a, "webhook_token");
    note(&a, "model", &s->model, db_get_text(old, 0, AGENT_MODEL), true);
    note(&a, "system_prompt", &s->system_prompt, db_get_text(old, 0, AGENT_SYSTEM_PROMPT), false);
    note(&a, "config", &s->config, db_get_text(old, 0, AGENT_CONFIG), false);
    note(&a, "allowed_origins", &s->allowed_origins, db_get_text(old, 0, AGENT_ALLOWED_ORIGINS),
         false);
    if (s->is_active.is_given && was_active != is_active)
        audit_values(&a, "is_active", audit_bool(was_active), audit_bool(is_active));
    if (s->avatar.is_null && !db_is_null(old, 0, AGENT_AVATAR))
        audit_field(&a, "avatar");
    return a;
}
