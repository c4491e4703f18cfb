/* Rows of the audit trail. */
#include "account/audit.h"

#include <string.h>

const char *audit_actor_name(enum audit_actor actor)
{
    static const char *const names[N_AUDIT_ACTORS] = {"anyone", "erased", "key", "operator", "user"};

    return names[actor];
}

bool audit_actor_from(struct str name)
{
    bool is_one = false;

    for (int i = 0; i < N_AUDIT_ACTORS; i++)
        is_one = is_one || str_eq(name, str_from(audit_actor_name((enum audit_actor)i)));
    return is_one;
}

static void begin_field(struct audit *a, const char *field)
{
    a->json.buf = &a->changes; /* each time: a may have moved */
    if (a->changes.len == 0)
        json_begin_array(&a->json);
    json_begin_object(&a->json);
    json_pair_str(&a->json, "field", str_from(field));
}

void audit_field(struct audit *a, const char *field)
{
    begin_field(a, field);
    json_end_object(&a->json);
}

void audit_values(struct audit *a, const char *field, struct str from, struct str to)
{
    begin_field(a, field);
    if (from.ptr)
        json_pair_str(&a->json, "from", from);
    if (to.ptr)
        json_pair_str(&a->json, "to", to);
    json_end_object(&a->json);
}

struct str audit_bool(bool b)
{
    return b ? STR("true") : STR("false");
}

/* Without memory a row still says who did what. */
static struct str take_changes(struct audit *a, struct arena *arena)
{
    struct str text = STR_NONE;

    a->json.buf = &a->changes;
    if (a->changes.len > 0) {
        json_end_array(&a->json);
        if (!a->changes.failed)
            text = arena_copy(arena, buf_str(&a->changes));
    }
    buf_deinit(&a->changes);
    return text.ptr ? text : STR("[]");
}

struct db_call audit_call(struct audit *a, struct arena *arena)
{
    struct str action = str_from(a->action);

    a->id = id_v7();

    const struct db_arg args[AUDIT_ARGS] = {
        db_uuid(id_str(&a->team_id)),
        db_uuid(id_str(&a->id)),
        db_time(a->now_us),
        db_uuid(id_str(&a->user_id)),
        db_text(str_from(audit_actor_name(a->actor))),
        db_text(action),
        db_text((struct str){action.ptr, str_find(action, '.')}),
        db_uuid(id_str(&a->subject_id)),
        db_text(a->address),
        db_json(take_changes(a, arena)),
    };

    memcpy(a->args, args, sizeof(args));
    return (struct db_call){SQL_AUDIT_ADD, a->args, AUDIT_ARGS};
}

void audit_write(struct json *j, const struct db_result *rows, size_t row)
{
    json_begin_object(j);
    json_pair_str(j, "id", db_get_text(rows, row, AUDIT_ID));
    json_pair_time(j, "created_at", db_get_int(rows, row, AUDIT_CREATED_AT));
    json_pair_str(j, "actor", db_get_text(rows, row, AUDIT_ACTOR));
    json_pair_str_or_null(j, "actor_id", db_get_text(rows, row, AUDIT_ACTOR_ID));
    json_pair_str_or_null(j, "actor_email", db_get_text(rows, row, AUDIT_ACTOR_EMAIL));
    json_pair_str(j, "action", db_get_text(rows, row, AUDIT_ACTION));
    json_pair_str(j, "subject_kind", db_get_text(rows, row, AUDIT_SUBJECT_KIND));
    json_pair_str_or_null(j, "subject_id", db_get_text(rows, row, AUDIT_SUBJECT_ID));
    json_pair_str_or_null(j, "subject_name", db_get_text(rows, row, AUDIT_SUBJECT_NAME));
    json_pair_str_or_null(j, "address", db_get_text(rows, row, AUDIT_ADDRESS));
    json_pair_raw(j, "changes", db_get_text(rows, row, AUDIT_DETAILS));
    json_end_object(j);
}
