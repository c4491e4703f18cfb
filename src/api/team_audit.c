/* Which of a team's fields and settings changed; values of its name and slug, and of settings that
 * are numbers or switches. */
#include "team_audit.h"

#include "answer.h"

#define MAX_DEPTH 64
#define KEY_CHARS 60 /* of a setting that the team made up */

static void note_text(struct audit *a, const char *field, const struct input *in, struct str old)
{
    if (in->is_given && !str_eq(in->text, old))
        audit_values(a, field, old, in->text);
}

static struct str days(struct arena *arena, bool is_set, int64_t n)
{
    return is_set ? arena_printf(arena, "%lld", (long long)n) : STR_NONE;
}

/* Without a value: as long as the server says. */
static void note_days(struct audit *a, struct arena *arena, const struct input *in,
                      const struct db_result *old)
{
    bool was_set = !db_is_null(old, 0, TEAM_RETENTION_DAYS);
    int64_t was = db_get_int(old, 0, TEAM_RETENTION_DAYS);

    if (in->is_given && (was_set == in->is_null || (was_set && was != in->number)))
        audit_values(a, "retention_days", days(arena, was_set, was),
                     days(arena, !in->is_null, in->number));
}

/* ptr NULL: it is not shown. */
static struct str shown(struct arena *arena, yyjson_val *value)
{
    if (yyjson_is_bool(value))
        return audit_bool(yyjson_get_bool(value));
    if (yyjson_is_uint(value))
        return arena_printf(arena, "%llu", (unsigned long long)yyjson_get_uint(value));
    return STR_NONE;
}

static void note_setting(struct audit *a, struct arena *arena, struct str key, yyjson_val *old,
                         yyjson_val *now)
{
    struct str name = utf8_prefix(key, KEY_CHARS);
    struct str field = arena_printf(arena, "settings.%.*s", STR_ARG(name));

    if (field.ptr && !yyjson_equals(old, now))
        audit_values(a, field.ptr, shown(arena, old), shown(arena, now));
}

static void note_settings(struct audit *a, struct arena *arena, yyjson_val *old, yyjson_val *now)
{
    yyjson_val *key, *value;
    size_t i, n;

    yyjson_obj_foreach(now, i, n, key, value)
    {
        note_setting(a, arena, json_text(key), json_member(old, yyjson_get_str(key)), value);
    }
    yyjson_obj_foreach(old, i, n, key, value)
    {
        if (!json_member(now, yyjson_get_str(key)))
            note_setting(a, arena, json_text(key), value, NULL);
    }
}

struct audit team_audit(struct request *req, const struct team *s, const struct db_result *old,
                        int64_t now_us)
{
    struct audit a = audit_of(req, "team.update", &caller_of(req)->team_id, now_us);
    yyjson_val *was = NULL, *is = NULL;

    if (old->n_rows == 0)
        return a;
    note_text(&a, "name", &s->name, db_get_text(old, 0, TEAM_NAME));
    note_text(&a, "slug", &s->slug, db_get_text(old, 0, TEAM_SLUG));
    note_days(&a, &req->arena, &s->retention_days, old);
    if (!s->settings.is_given)
        return a;
    if (is_error(json_read(&req->arena, db_get_text(old, 0, TEAM_SETTINGS), MAX_DEPTH, &was)) ||
        is_error(json_read(&req->arena, s->settings.text, MAX_DEPTH, &is)))
        audit_field(&a, "settings");
    else
        note_settings(&a, &req->arena, was, is);
    return a;
}
