/* A turn while it runs; shared by the files that its steps are in. */
#ifndef AERIE_CHAT_TURN_STATE_H
#define AERIE_CHAT_TURN_STATE_H

#include "chat/budget_gate.h"
#include "chat/prompt.h"
#include "chat/slots.h"
#include "chat/streams.h"
#include "chat/turn.h"
#include "chat/usage.h"
#include "db/db.h"
#include "journal.h"
#include "loop/wait.h"
#include "upstream/upstream.h"

#define KEY_AGE_US (24ll * 3600 * 1000000)

/* What is read before anyone is asked; NULL: need not be. */
struct turn_load {
    struct db_query query;
    const struct db_result *chat, *messages, *spent_key;
    struct db_query elsewhere; /* not added: does another node run a turn in the chat, this one? */
    struct slot_wait slot;
};

struct turn {
    struct flow flow;
    struct span *span;    /* NULL: it is not told of */
    struct list link;     /* in its room */
    struct arena arena;   /* of what it takes to ask: empty once an answer comes */
    struct turn_log *log; /* counted */
    enum turn_kind kind;
    const struct turn_request *request; /* in the arena */
    struct id user_message_id;
    struct prompt_policy policy;
    struct upstream_prompt *prompt; /* in the arena */
    size_t prompt_chars;
    struct knowledge *knowledge; /* in the arena; NULL: none is wanted */
    struct str sources;          /* of the reply, JSON, in the log's memory; "" : none */
    struct id agent_id;          /* who answers */
    struct str failed_agent_id;  /* whom that one stands in for, in the log's memory; "" : nobody */
    const struct provider *provider;
    struct budget *budget;   /* NULL: none applies */
    struct budget_gate gate; /* where one applies */
    size_t covered_bytes;    /* of text, before the gate must look; SIZE_MAX: any */
    size_t counted_bytes;    /* of the text, that the gate knows of */
    struct str budget_rows;  /* of BUDGET_SETTLE, in the log's memory; "" : none */
    struct slot slot;
    struct stream_place place;
    uint64_t begun_us, first_text_us; /* the latter 0: none came */
    struct timer grace;

    /* What each phase has in flight. */
    struct turn_load *load; /* in the arena */
    struct subflow part;    /* adding, then asking, then saving: how the last of them went */
    struct db_query write;
    unsigned n_adds; /* statements up to the one that tells whether they are stored; 0: not tried */
    struct upstream_call call;
    struct journal_entry journal;
    struct wait pause;

    struct usage usage;
    struct error outcome; /* of the answer, whatever happens to its storing */
    struct arena save_arena;
    uint64_t save_until_ms, settle_until_ms; /* 0: not tried yet */
    bool has_fallen_back, is_stored, is_paused;
    bool may_be_added; /* the first try's commit was lost from sight */
    bool has_unstored; /* text since the last checkpoint */
};

static inline struct turn *turn_of(struct flow *f)
{
    return f->state;
}

static inline struct db_arg turn_team_arg(const struct turn *t)
{
    return db_uuid(id_str(&t->log->team_id));
}

static inline struct db_arg turn_owner_arg(const struct turn *t)
{
    return db_uuid(id_str(&t->log->owner_id));
}

static inline struct db_arg turn_chat_arg(const struct turn *t)
{
    return db_uuid(id_str(&t->log->chat_id));
}

static inline struct db_arg turn_reply_arg(const struct turn *t)
{
    return db_uuid(id_str(&t->log->reply_id));
}

/* Of a turn that has ended: turn.c. */
enum message_outcome turn_outcome(const struct turn_log *log);

/* A piece of the reply, into the log: turn.c. May fail the flow. */
void turn_append(struct turn *t, struct str text);

/* Before the answer: turn_add.c. */
void turn_load(struct flow *f);
void turn_check_key(struct flow *f);
void turn_build_prompt(struct flow *f);
void turn_add_messages(struct flow *f);
void turn_add_again_if_needed(struct flow *f);
bool turn_was_added(const struct turn *t);
/* Where nothing was added: looks for the reason. */
void turn_look_elsewhere(struct flow *f);
struct error turn_not_added(struct turn *t);
/* After each try: the message may be stored though it failed. */
void turn_note_unknown(struct flow *f);
/* Takes such a message back: the key is free again. */
void turn_withdraw_messages(struct flow *f);

/* What it may use: turn_budget.c. */
void turn_reserve(struct flow *f);
void turn_reserve_again(struct flow *f); /* another agent is asked */
/* The prompt has changed. */
void turn_count_prompt(struct turn *t);
/* Text came that would pass covered_bytes: it is appended, waits, or is too much. */
void turn_pass_gate(struct turn *t, struct str text);
void turn_await_budget(struct flow *f);
void turn_settle_budget(struct turn *t);

/* After it: turn_save.c. */
void turn_keep_facts(struct turn *t);
void turn_save_reply(struct flow *f);
void turn_close_log(struct flow *f);
void turn_settle_late(struct flow *f);

/* Nobody reads any more: turn_stop.c. May end the turn. */
void turn_apply_policy(struct turn *t);

#endif
