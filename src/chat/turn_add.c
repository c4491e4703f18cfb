/* The start of a turn, until the user's message is stored. */
#include "base/clock.h"
#include "cluster/cluster.h"
#include "turn_state.h"
#include "webhook/event.h"

#define TITLE_CHARS 60
#define TITLE_BYTES (4 * TITLE_CHARS)

/* One operation: with SQLite, one trip to a reader's thread. */
void turn_load(struct flow *f)
{
    struct turn *t = turn_of(f);
    struct turn_load *l = t->load = arena_alloc(&t->arena, sizeof(*l));
    int64_t now_us = clock_wall_us();
    struct db_arg chat[] = {turn_team_arg(t), turn_owner_arg(t), turn_chat_arg(t)};
    struct db_arg agent[] = {turn_team_arg(t), db_uuid(id_str(&t->request->agent_id))};
    struct db_arg key[] = {turn_team_arg(t), turn_owner_arg(t), db_text(t->log->idempotency_key),
                           db_time(now_us - KEY_AGE_US)};
    struct db_call calls[3];
    size_t n = 0, messages_at = 0, key_at = 0;

    if (!l) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    if (t->request->is_new_chat) {
        calls[n++] = (struct db_call){SQL_TURN_LOAD_AGENT, agent, 2};
    } else {
        calls[n++] = (struct db_call){SQL_TURN_LOAD_CHAT, chat, 3};
        messages_at = n;
        calls[n++] = (struct db_call){SQL_TURN_LOAD_MESSAGES, chat, 3};
    }
    if (t->log->idempotency_key.len > 0) {
        key_at = n;
        calls[n++] = (struct db_call){SQL_IDEMPOTENCY_GET, key, 4};
    }
    db_batch(&l->query, f, &t->arena, calls, n);
    l->chat = db_result_at(&l->query, 0);
    l->messages = messages_at ? db_result_at(&l->query, messages_at) : NULL;
    l->spent_key = key_at ? db_result_at(&l->query, key_at) : NULL;
}

/* A key that was used before names the reply that it got; nothing is stored or asked again. */
static struct error check_key(struct turn *t)
{
    const struct db_result *row = t->load->spent_key;

    if (!row || row->n_rows == 0)
        return NO_ERROR;
    if (!str_eq(db_get_text(row, 0, 1), t->log->body_hash) ||
        (!t->request->is_new_chat && !str_eq(db_get_text(row, 0, 0), id_str(&t->log->chat_id))))
        return ERROR(ERR_INVALID, 0, "This Idempotency-Key was used for another message");
    if (!id_parse(db_get_text(row, 0, 2), &t->log->earlier_reply))
        return ERROR(ERR_INTERNAL, 0, NULL);
    return ERROR(ERR_CONFLICT, 0, "This message was answered before");
}

void turn_check_key(struct flow *f)
{
    struct error err = check_key(turn_of(f));

    if (is_error(err))
        flow_fail(f, err);
}

/* Is there an agent, and is it the one that was asked for? */
static struct error check_agent(const struct turn *t)
{
    const struct db_result *row = t->load->chat;
    bool is_named = t->request->agent_id.text[0] != '\0';

    if (t->request->is_new_chat && row->n_rows == 0)
        return is_named ? ERROR(ERR_NOT_FOUND, 0, "Agent not found")
                        : ERROR(ERR_CONFLICT, 0,
                                "This team has no active agent; an admin creates one with POST "
                                "/api/agents");
    if (is_named && row->n_rows > 0 &&
        !str_eq(db_get_text(row, 0, TURN_AGENT_ID), id_str(&t->request->agent_id)))
        return ERROR(ERR_CONFLICT, 0,
                     "This chat has another agent; leave agent_id out, or start a new chat");
    return NO_ERROR;
}

void turn_build_prompt(struct flow *f)
{
    static const struct db_result no_messages;
    struct turn *t = turn_of(f);
    struct error err = check_agent(t);

    t->prompt = arena_alloc(&t->arena, sizeof(*t->prompt));
    if (!t->prompt)
        err = ERROR(ERR_NO_MEMORY, 0, NULL);
    if (!is_error(err))
        err = prompt_build(&t->arena, &t->log->chat_id, t->load->chat,
                           t->request->is_new_chat ? &no_messages : t->load->messages,
                           t->request->content, t->request->model, t->prompt, &t->policy);
    if (is_error(err)) {
        flow_fail(f, err);
        return;
    }
    (void)id_parse(db_get_text(t->load->chat, 0, TURN_AGENT_ID), &t->agent_id);
    t->provider = t->prompt->provider;
    t->prompt_chars = usage_prompt_chars(t->prompt);
    if (t->prompt->model.len > 0)
        t->log->model = arena_copy(t->log->memory, t->prompt->model);
}

/* What a new chat is called until someone names it: how its first message begins, on one line. */
static struct str title_of(struct arena *a, struct str content)
{
    size_t n_chars = 0, len = 0;
    char *out = arena_alloc(a, content.len < TITLE_BYTES ? content.len + 1 : TITLE_BYTES + 1);

    for (size_t i = 0; out && i < content.len; i++) {
        bool is_space = content.ptr[i] == ' ' || (unsigned char)content.ptr[i] < 0x20;

        if ((content.ptr[i] & 0xc0) != 0x80 && n_chars++ == TITLE_CHARS)
            break;
        if (is_space && (len == 0 || out[len - 1] == ' '))
            n_chars--;
        else
            out[len++] = is_space ? ' ' : content.ptr[i];
    }
    return len > 0 ? str_trim((struct str){out, len}) : STR("New chat");
}

/* The chat where it is new, the user's message, the place of the reply and the key, in one
 * transaction. Every statement may run twice. A new chat whose key turns out to be taken goes
 * again. */
static void write_messages(struct flow *f)
{
    struct turn *t = turn_of(f);
    int64_t now_us = t->log->created_us != 0 ? t->log->created_us : clock_wall_us();
    bool has_key = t->log->idempotency_key.len > 0;
    struct db_arg key = db_text(t->log->idempotency_key);
    bool has_question = t->kind == TURN_ANSWER;
    struct db_arg question = has_question ? db_uuid(id_str(&t->user_message_id)) : db_null();
    struct db_arg claim[] = {turn_team_arg(t),
                             turn_owner_arg(t),
                             key,
                             turn_chat_arg(t),
                             db_text(t->log->body_hash),
                             db_uuid(id_str(&t->user_message_id)),
                             turn_reply_arg(t),
                             db_time(now_us),
                             db_time(now_us - KEY_AGE_US)};
    struct db_arg messages[] = {turn_team_arg(t),
                                turn_chat_arg(t),
                                question,
                                has_question ? db_text(t->request->content) : db_null(),
                                turn_reply_arg(t),
                                db_time(now_us),
                                has_key ? turn_reply_arg(t) : db_null(),
                                turn_owner_arg(t),
                                key,
                                db_uuid(id_str(cluster_node_id()))};
    struct db_arg drop[] = {turn_team_arg(t), turn_chat_arg(t)};
    struct db_arg chat[] = {
        turn_team_arg(t),
        turn_owner_arg(t),
        turn_chat_arg(t),
        db_uuid(db_get_text(t->load->chat, 0, TURN_AGENT_ID)),
        db_text(t->request->is_new_chat ? title_of(&t->arena, t->request->content) : STR_NONE),
        db_json(STR("{}")),
        db_time(now_us)};
    struct webhook_event created;
    struct db_call calls[5];
    size_t n = 0;

    if (t->request->is_new_chat)
        calls[n++] = (struct db_call){SQL_CHAT_ADD, chat, 7};
    if (has_key)
        calls[n++] = (struct db_call){SQL_IDEMPOTENCY_CLAIM, claim, 9};
    calls[n++] = (struct db_call){SQL_TURN_ADD, messages, 10};
    t->n_adds = (unsigned)n;
    if (t->request->is_new_chat)
        calls[n++] = (struct db_call){SQL_CHAT_DROP_EMPTY, drop, 2};
    if (t->request->is_new_chat &&
        webhook_chat_created(&created, &t->arena, &t->log->team_id, &t->log->chat_id,
                             db_get_text(t->load->chat, 0, TURN_AGENT_ID),
                             id_str(&t->log->owner_id), now_us, &calls[n]))
        n++;
    t->log->created_us = now_us; /* the same when it is written again */
    db_batch(&t->write, f, &t->arena, calls, n);
}

static const struct step add_steps[] = {STEP(write_messages), STEP_END};

/* By what came back, not by the error: a turn that is stopped while the commit is under way has its
 * message stored. */
bool turn_was_added(const struct turn *t)
{
    const struct db_result *last = t->n_adds > 0 ? db_result_at(&t->write, t->n_adds - 1) : NULL;

    return last && last->n_rows + (size_t)last->n_changed > 0;
}

/* The same message may have come to another node a moment ago; and a key that was claimed for
 * nothing is free again. */
void turn_look_elsewhere(struct flow *f)
{
    struct turn *t = turn_of(f);
    struct turn_load *l = t->load;
    int64_t now_us = clock_wall_us();
    struct db_arg claimed[] = {turn_team_arg(t), turn_owner_arg(t),
                               db_text(t->log->idempotency_key), turn_reply_arg(t)};
    struct db_arg key[] = {turn_team_arg(t), turn_owner_arg(t), db_text(t->log->idempotency_key),
                           db_time(now_us - KEY_AGE_US)};
    struct db_arg chat[] = {turn_team_arg(t), turn_owner_arg(t), turn_chat_arg(t)};
    const struct db_call calls[] = {{SQL_TURN_WHERE, chat, 3},
                                    {SQL_IDEMPOTENCY_RELEASE, claimed, 4},
                                    {SQL_IDEMPOTENCY_GET, key, 4}};
    bool has_key = t->log->idempotency_key.len > 0;

    if (is_error(t->part.flow.err) || turn_was_added(t))
        return;
    db_batch(&l->elsewhere, f, &t->arena, calls, has_key ? 3 : 1);
    if (has_key)
        l->spent_key = db_result_at(&l->elsewhere, 2);
}

struct error turn_not_added(struct turn *t)
{
    const struct db_result *elsewhere = t->load->elsewhere.result;
    struct error err = check_key(t);

    if (is_error(err))
        return err;
    if (elsewhere && elsewhere->n_rows > 0)
        return ERROR(ERR_CONFLICT, 0, "A turn is already running in this chat");
    return ERROR(ERR_NOT_FOUND, 0, "Chat not found");
}

void turn_add_messages(struct flow *f)
{
    struct turn *t = turn_of(f);

    flow_try(f, &t->part, add_steps, t);
}

/* The commit may have gone through. */
static bool is_unknown(struct error err)
{
    return err.status == ERR_NO_MEMORY || (err.status == ERR_DB && err.code == DB_CODE_UNKNOWN);
}

/* A lost connection, or no memory for the answer, leaves the outcome unknown, and another server
 * that adds to the chat at the same moment takes the numbers: writing once more settles it, since
 * ids make it happen once. */
void turn_add_again_if_needed(struct flow *f)
{
    struct turn *t = turn_of(f);
    struct error err = t->part.flow.err;

    turn_note_unknown(f);
    if (err.status == ERR_DB || err.status == ERR_NO_MEMORY)
        flow_try(f, &t->part, add_steps, t);
}

void turn_note_unknown(struct flow *f)
{
    struct turn *t = turn_of(f);

    t->may_be_added |= is_unknown(t->part.flow.err);
}

void turn_withdraw_messages(struct flow *f)
{
    struct turn *t = turn_of(f);
    struct db_arg key[] = {turn_team_arg(t), turn_owner_arg(t), db_text(t->log->idempotency_key),
                           turn_reply_arg(t)};
    struct db_arg reply[] = {turn_team_arg(t), turn_reply_arg(t)};
    struct db_arg message[] = {turn_team_arg(t), db_uuid(id_str(&t->user_message_id))};
    struct db_arg chat[] = {turn_team_arg(t), turn_chat_arg(t)};
    const struct db_call calls[] = {
        {SQL_IDEMPOTENCY_RELEASE, key, 4},
        {SQL_REPLY_DROP, reply, 2},
        {SQL_REPLY_DROP, message, 2},
        {SQL_CHAT_DROP_EMPTY, chat, 2},
    };

    arena_free(&t->save_arena);
    db_batch(&t->write, f, &t->save_arena, calls, t->request->is_new_chat ? 4 : 3);
}
