/* Hands tokens to clients. */
#include "session.h"

#include "answer.h"
#include "config/config.h"

static const char access_path[] = "/", refresh_path[] = "/api/auth";

bool session_sign(struct request *req, struct session *s, int64_t now_us)
{
    s->access = token_issue(&req->arena, &s->caller, now_us);
    if (!s->access.ptr)
        flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
    return s->access.ptr != NULL;
}

/* False: no memory. */
static bool set_cookie(struct request *req, const char *name, struct str value, const char *path,
                       uint64_t max_age)
{
    struct str line =
        arena_printf(&req->arena, "%s=%.*s; Path=%s; Max-Age=%llu; HttpOnly; SameSite=Strict%s",
                     name, STR_ARG(value), path, (unsigned long long)max_age,
                     config_is_production() || req->is_secure ? "; Secure" : "");

    if (line.ptr)
        response_set_header(req, "Set-Cookie", line);
    return line.ptr != NULL;
}

const struct schema tokens_schema = {
    "Tokens",
    .members = MEMBERS({"message", DOC_TEXT}, {"access_token", DOC_TEXT},
                       {"refresh_token", DOC_TEXT}, {"token_type", DOC_TEXT, .values = "bearer"},
                       {"expires_in", DOC_INT, .about = "Seconds that the access token lives"}),
};

void session_answer(struct request *req, const struct session *s, const char *message)
{
    const struct config_security *security = &config()->security;
    struct str refresh = {s->refresh.text, OPAQUE_TOKEN_LEN};
    struct buf body = {0};
    struct json j = {.buf = &body};

    if (!set_cookie(req, "access_token", s->access, access_path, security->access_seconds) ||
        !set_cookie(req, "refresh_token", refresh, refresh_path, security->refresh_seconds)) {
        flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    json_begin_object(&j);
    json_pair_str(&j, "message", str_from(message));
    json_pair_str(&j, "access_token", s->access);
    json_pair_str(&j, "refresh_token", refresh);
    json_pair_str(&j, "token_type", STR("bearer"));
    json_pair_int(&j, "expires_in", (int64_t)security->access_seconds);
    json_end_object(&j);
    answer_json(req, 200, &body);
}

void session_clear_cookies(struct request *req)
{
    if (!set_cookie(req, "access_token", STR_NONE, access_path, 0) ||
        !set_cookie(req, "refresh_token", STR_NONE, refresh_path, 0))
        flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
}
