/* What handlers share for answering. */
#include "answer.h"

#include <stdio.h>

void answer_json(struct request *req, int status, struct buf *out)
{
    if (out->failed)
        flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
    else
        response_json(req, status, buf_str(out));
    buf_deinit(out);
}

struct db_arg team_arg(const struct request *req)
{
    return db_uuid(id_str(&caller_of(req)->team_id));
}

struct db_arg user_arg(const struct request *req)
{
    return db_uuid(id_str(&caller_of(req)->user_id));
}

struct audit audit_of(const struct request *req, const char *action, const struct id *subject,
                      int64_t now_us)
{
    const struct caller *who = caller_of(req);

    return (struct audit){
        .action = action,
        .team_id = who->team_id,
        .subject_id = *subject,
        .actor = who->user_id.text[0] != '\0' ? AUDIT_USER : AUDIT_KEY,
        .user_id = who->user_id,
        .address = req->address,
        .now_us = now_us,
    };
}

void answer_set_total(struct request *req, int64_t total)
{
    char text[24];

    snprintf(text, sizeof(text), "%lld", (long long)total);
    response_set_header(req, "X-Total-Count", str_from(text));
}
