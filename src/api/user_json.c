/* Writes users. */
#include "user_json.h"

#include "answer.h"

const struct schema user_schema = {
    "User",
    .members = MEMBERS(
        {"id", DOC_ID}, {"team_id", DOC_ID}, {"email", DOC_EMAIL},
        {"full_name", DOC_TEXT | DOC_NULL}, {"role", DOC_TEXT, .values = "user|admin"},
        {"avatar", DOC_TEXT | DOC_NULL, .about = "A data URI"}, {"preferences", DOC_OBJECT},
        {"is_active", DOC_BOOL}, {"email_verified", DOC_BOOL}, {"last_login_at", DOC_TIME | DOC_NULL}, {"created_at", DOC_TIME}),
};

void user_write(struct json *j, const struct db_result *users, size_t row)
{
    json_begin_object(j);
    json_pair_str(j, "id", db_get_text(users, row, USER_ID));
    json_pair_str(j, "team_id", db_get_text(users, row, USER_TEAM_ID));
    json_pair_str(j, "email", db_get_text(users, row, USER_EMAIL));
    json_pair_str_or_null(j, "full_name", db_get_text(users, row, USER_FULL_NAME));
    json_pair_str(j, "role", db_get_text(users, row, USER_ROLE));
    json_pair_str_or_null(j, "avatar", db_get_text(users, row, USER_AVATAR));
    json_pair_raw(j, "preferences", db_get_text(users, row, USER_PREFERENCES));
    json_pair_bool(j, "is_active", db_get_bool(users, row, USER_IS_ACTIVE));
    json_pair_bool(j, "email_verified", !db_is_null(users, row, USER_EMAIL_VERIFIED_AT));
    json_pair_time_or_null(j, "last_login_at", db_get_int(users, row, USER_LAST_LOGIN_AT),
                           db_is_null(users, row, USER_LAST_LOGIN_AT));
    json_pair_time(j, "created_at", db_get_int(users, row, USER_CREATED_AT));
    json_end_object(j);
}

void user_answer(struct request *req, int status, const struct db_result *users)
{
    struct buf body = {0};
    struct json j = {.buf = &body};

    user_write(&j, users, 0);
    answer_json(req, status, &body);
}
