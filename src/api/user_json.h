/* Users as the API shows them. */
#ifndef AERIE_SRC_API_USER_JSON_H
#define AERIE_SRC_API_USER_JSON_H

#include "base/json.h"
#include "db/db.h"
#include "doc.h"
#include "http/http.h"

/* The columns of every statement that reads a user for people (db/sql/users.h). */
enum user_column {
    USER_ID,
    USER_TEAM_ID,
    USER_EMAIL,
    USER_FULL_NAME,
    USER_ROLE,
    USER_IS_ACTIVE,
    USER_CREATED_AT,
    USER_AVATAR,
    USER_PREFERENCES,
    USER_LAST_LOGIN_AT,
    USER_EMAIL_VERIFIED_AT,
};
extern const struct schema user_schema;
void user_write(struct json *j, const struct db_result *users, size_t row);
/* Answers with the first row. */
void user_answer(struct request *req, int status, const struct db_result *users);

#endif
