/* Uploads of pictures: known by their content, kept as data URIs. */
#include "avatar.h"

#include "agent_json.h"
#include "answer.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "config/config.h"
#include "doc.h"
#include "user_json.h"

const char *avatar_media_type(struct str data)
{
    if (str_starts_with(data, STR("\x89PNG\r\n\x1a\n")))
        return "image/png";
    if (str_starts_with(data, STR("\xff\xd8\xff")))
        return "image/jpeg";
    if (str_starts_with(data, STR("GIF87a")) || str_starts_with(data, STR("GIF89a")))
        return "image/gif";
    if (str_starts_with(data, STR("RIFF")) && str_starts_with(str_skip(data, 8), STR("WEBP")))
        return "image/webp";
    return NULL;
}

static void read_picture(struct flow *f)
{
    struct request *req = request_of(f);
    struct avatar *s = req->state;
    struct multipart_part part = {0};
    struct error err = multipart_find(req, "file", &part);
    const char *type = avatar_media_type(part.data);
    struct str text;

    if (is_error(err)) {
        flow_fail(f, err);
        return;
    }
    if (part.data.len > config()->limits.upload_bytes) {
        flow_fail(f, ERROR(ERR_TOO_LARGE, 0, "The picture is too large"));
        return;
    }
    if (!type) {
        flow_fail(f, ERROR(ERR_MEDIA_TYPE, 0, "The picture must be PNG, JPEG, GIF or WebP"));
        return;
    }
    text = crypto_base64(&req->arena, part.data);
    if (text.ptr)
        s->uri = arena_printf(&req->arena, "data:%s;base64,%.*s", type, STR_ARG(text));
    if (!s->uri.ptr)
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
}

static void save_mine(struct flow *f)
{
    struct request *req = request_of(f);
    struct avatar *s = req->state;

    db_query(&s->query, f, &req->arena, SQL_USER_SET_AVATAR,
             DB_ARGS(team_arg(req), user_arg(req), db_text(s->uri), db_time(clock_wall_us())));
}

static void answer_mine(struct flow *f)
{
    struct request *req = request_of(f);
    struct avatar *s = req->state;

    if (s->query.result->n_rows == 0)
        flow_fail(f, ERROR(ERR_UNAUTHORIZED, 0, "This account does not exist any more"));
    else
        user_answer(req, 200, s->query.result);
}

const struct step avatar_me_steps[] = {
    STEP(read_picture), /* 422, 413, 415 */
    STEP(save_mine),
    STEP(answer_mine),
    STEP_END,
};

const struct route_doc avatar_me_doc = {TAG_ACCOUNTS, ANSWERS({200, &user_schema})};

static void save_agents(struct flow *f)
{
    struct request *req = request_of(f);
    struct avatar *s = req->state;
    int64_t now_us = clock_wall_us();
    struct audit audit;

    if (!input_path_id(req, 0, "Agent not found", &s->agent_id))
        return;
    audit = audit_of(req, "agent.update", &s->agent_id, now_us);
    audit_field(&audit, "avatar");

    const struct db_arg args[] = {team_arg(req), db_uuid(id_str(&s->agent_id)), db_text(s->uri),
                                  db_time(now_us)};
    const struct db_call calls[] = {{SQL_AGENT_SET_AVATAR, args, sizeof(args) / sizeof(args[0])},
                                    audit_call(&audit, &req->arena)};

    db_batch(&s->query, f, &req->arena, calls, sizeof(calls) / sizeof(calls[0]));
}

static void answer_agents(struct flow *f)
{
    struct request *req = request_of(f);
    struct avatar *s = req->state;

    if (s->query.result->n_rows == 0)
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "Agent not found"));
    else
        agent_answer(req, 200, s->query.result);
}

const struct step avatar_agent_steps[] = {
    STEP(read_picture), /* 422, 413, 415 */
    STEP(save_agents),
    STEP(answer_agents), /* 404 */
    STEP_END,
};

const struct route_doc avatar_agent_doc = {TAG_AGENTS, ANSWERS({200, &agent_schema})};
