/* A turn of this node for another: its log from any event on, and its stop. */
#include "peer.h"

#include "account/caller.h"
#include "api/input.h"
#include "ask.h"
#include "chat/hub.h"
#include "chat/mirror.h"
#include "chat/turn.h"
#include "cluster/cluster.h"
#include "cluster/peer.h"
#include "elsewhere.h"

bool peer_is_signed(struct request *req)
{
    struct str target = req->path;

    if (req->query.len > 0)
        target = arena_printf(&req->arena, "%.*s?%.*s", STR_ARG(req->path), STR_ARG(req->query));
    return target.ptr && peer_check(str_from(http_method_name(req->method)), target,
                                    request_header(req, PEER_HEADER));
}

static bool read_id(struct request *req, const char *name, struct id *out)
{
    return id_parse(request_query(req, name), out);
}

/* Meant for the process before us, or the one after: nodes.listen is the same place. It is asked at
 * the socket where none but itself is reached, so that this leads no further. */
static bool is_meant_for_another(struct request *req)
{
    struct id node_id;
    char address[PEER_ADDRESS_BYTES];

    return read_id(req, "node_id", &node_id) &&
           !str_eq(id_str(&node_id), id_str(cluster_node_id())) &&
           cluster_find_socket(&node_id, address, sizeof(address));
}

static void find_turn(struct flow *f)
{
    struct request *req = request_of(f);
    struct peer *s = req->state;
    struct id team_id, owner_id, chat_id;

    if (!read_id(req, "team_id", &team_id) || !read_id(req, "owner_id", &owner_id) ||
        !read_id(req, "chat_id", &chat_id) || !read_id(req, "reply_id", &s->reply_id))
        return;
    s->log = hub_find(&chat_id, &owner_id);
    if (s->log && !ask_hold_log(req, s->log))
        return;
    if (s->log && !str_eq(id_str(&s->log->team_id), id_str(&team_id)))
        s->log = NULL;
    s->is_passed_on = is_meant_for_another(req);
    if (s->is_passed_on)
        elsewhere_find(f, &team_id, &owner_id, &chat_id, &s->reply_id, &s->log);
}

/* Any other mirror would lead on to another node, and from there perhaps back. */
static void check_turn(struct flow *f)
{
    struct peer *s = request_of(f)->state;

    if (!s->log || (s->log->is_mirror && !s->is_passed_on) ||
        !str_eq(id_str(&s->log->reply_id), id_str(&s->reply_id)))
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "No such turn"));
}

static void read_place(struct flow *f)
{
    struct request *req = request_of(f);
    struct peer *s = req->state;
    int64_t n;

    if (!str_to_i64(request_query(req, "from"), &n) || n < 0 || !turn_log_has(s->log, (uint64_t)n))
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "No such event"));
    else
        s->n = (uint64_t)n;
}

static void follow(struct flow *f)
{
    struct request *req = request_of(f);
    struct peer *s = req->state;

    follow_peer(&s->follow, f, req, s->log, s->n);
}

static void answer_none(struct flow *f)
{
    if (!response_is_started(request_of(f)))
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "The turn never began"));
}

const struct step peer_turn_steps[] = {
    STEP(find_turn), STEP(check_turn), STEP(read_place), STEP(follow), STEP(answer_none), STEP_END,
};

static void stop(struct flow *f)
{
    struct request *req = request_of(f);
    struct peer *s = req->state;
    bool is_deleted = str_eq(request_query(req, "deleted"), STR("true"));

    turn_stop(s->log, is_deleted ? turn_chat_deleted : turn_stopped_by_owner);
    if (is_deleted)
        hub_remove(s->log);
    response_empty(req, 202);
}

const struct step peer_stop_steps[] = {STEP(find_turn), STEP(check_turn), STEP(stop), STEP_END};
