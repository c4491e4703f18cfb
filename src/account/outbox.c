/* Sends what waits in the table mails: a few lanes, each with one mail at a time. */
#include "account/outbox.h"

#include "account/token.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "config/here.h"
#include "mail_text.h"
#include "mime.h"
#include "upstream/smtp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS         500
#define MAX_ACCOUNTS    8 /* as SQL_MAIL_ACCOUNTS gives, and a batch takes */
#define MAX_MAIL_BYTES  65536
#define LONGEST_PAUSE_S 900
#define PAUSE_GROWTH    3
#define US_PER_SECOND   INT64_C(1000000)

_Static_assert(MAX_ACCOUNTS <= DB_BATCH_MAX, "the tokens of a mail are stored in one batch");

enum claim_column { MAIL_ID, MAIL_KIND, MAIL_EMAIL, MAIL_TEAM_ID, MAIL_N_TRIES };
enum account_column { ACCOUNT_ID, ACCOUNT_TEAM_ID, ACCOUNT_TEAM_SLUG };

struct lane {
    struct outbox *box;
    struct timer timer;
    struct flow flow;
    struct arena arena;
    struct db_query look, claim, find, add, settle;
    struct smtp_send send;
    struct buf message;
    enum mail_kind kind;
    bool is_running, has_mail, is_handed_over, was_failing;
};

struct outbox {
    struct loop *loop;
    void (*on_stopped)(struct loop *l);
    size_t n_lanes;
    struct lane lanes[];
};

/* Where the links lead; set once, before the loops run. */
static struct str base_url;
static char base_url_text[300];

struct str mail_kind_name(enum mail_kind kind)
{
    return kind == MAIL_RESET ? STR("reset") : STR("verify");
}

static uint64_t life_seconds(enum mail_kind kind)
{
    return kind == MAIL_RESET ? config()->email.reset_seconds : config()->email.verify_seconds;
}

int64_t mail_life_us(enum mail_kind kind)
{
    return (int64_t)life_seconds(kind) * US_PER_SECOND;
}

/* ---- one mail ---- */

static void look(struct flow *f)
{
    struct lane *l = f->state;

    db_query(&l->look, f, &l->arena, SQL_MAIL_IS_DUE, DB_ARGS(db_time(clock_wall_us())));
}

/* Until the lease is over nobody else takes it: longer than sending may take. */
static void claim(struct flow *f)
{
    struct lane *l = f->state;
    int64_t now_us = clock_wall_us();
    int64_t lease_us = (int64_t)(2 * config()->email.timeout_seconds + 2) * US_PER_SECOND;

    if (l->look.result->n_rows == 0)
        flow_finish(f);
    else
        db_query(&l->claim, f, &l->arena, SQL_MAIL_CLAIM,
                 DB_ARGS(db_time(now_us), db_time(now_us + lease_us)));
}

static void find_accounts(struct flow *f)
{
    struct lane *l = f->state;
    const struct db_result *r = l->claim.result;

    l->has_mail = r->n_rows > 0;
    if (!l->has_mail) {
        flow_finish(f);
        return;
    }
    l->kind =
        str_eq(db_get_text(r, 0, MAIL_KIND), mail_kind_name(MAIL_RESET)) ? MAIL_RESET : MAIL_VERIFY;
    db_query(&l->find, f, &l->arena, SQL_MAIL_ACCOUNTS,
             DB_ARGS(db_text(db_get_text(r, 0, MAIL_EMAIL)),
                     db_uuid(db_get_text(r, 0, MAIL_TEAM_ID)), db_bool(l->kind == MAIL_RESET)));
}

static void write_message(struct lane *l, const struct mail_link *links, size_t n)
{
    const struct config *c = config();
    const struct db_result *r = l->claim.result;
    const struct mail_values values = {c->api_title, links, n, life_seconds(l->kind)};
    struct buf subject = {0}, text = {0};

    mail_text_subject(&subject, l->kind, &values);
    mail_text_body(&text, l->kind, &values);
    mime_write(&l->message, &l->arena,
               &(struct mime_mail){
                   .id = db_get_text(r, 0, MAIL_ID),
                   .from = c->email.from,
                   .from_name = c->email.from_name.len > 0 ? c->email.from_name : c->api_title,
                   .to = db_get_text(r, 0, MAIL_EMAIL),
                   .subject = buf_str(&subject),
                   .text = buf_str(&text),
                   .sent_at_us = clock_wall_us(),
               });
    if (subject.failed || text.failed)
        l->message.failed = true;
    buf_deinit(&subject);
    buf_deinit(&text);
}

/* A token for each account, known to the database before anyone can hold it. */
static void add_tokens(struct flow *f)
{
    struct lane *l = f->state;
    const struct db_result *r = l->find.result;
    int64_t expires_us = clock_wall_us() + mail_life_us(l->kind);
    size_t n = r->n_rows < MAX_ACCOUNTS ? r->n_rows : MAX_ACCOUNTS;
    struct opaque_token tokens[MAX_ACCOUNTS];
    struct mail_link links[MAX_ACCOUNTS];
    struct db_arg args[MAX_ACCOUNTS][5];
    struct db_call calls[MAX_ACCOUNTS];

    if (n == 0) { /* nobody has that address, or it is confirmed by now */
        flow_finish(f);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        opaque_token_new(&tokens[i]);
        links[i].team = db_get_text(r, i, ACCOUNT_TEAM_SLUG);
        links[i].url = arena_printf(&l->arena, "%.*s/account/%.*s#token=%s", STR_ARG(base_url),
                                    STR_ARG(mail_kind_name(l->kind)), tokens[i].text);
        args[i][0] = db_uuid(db_get_text(r, i, ACCOUNT_TEAM_ID));
        args[i][1] = db_text(str_from(tokens[i].hash));
        args[i][2] = db_uuid(db_get_text(r, i, ACCOUNT_ID));
        args[i][3] = db_text(mail_kind_name(l->kind));
        args[i][4] = db_time(expires_us);
        calls[i] = (struct db_call){SQL_MAIL_TOKEN_ADD, args[i], 5};
        if (!links[i].url.ptr)
            l->message.failed = true;
    }
    write_message(l, links, n);
    if (l->message.failed)
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
    else
        db_batch(&l->add, f, &l->arena, calls, n);
    explicit_bzero(tokens, sizeof(tokens)); /* the arguments were copied */
}

static void send_message(struct flow *f)
{
    struct lane *l = f->state;

    l->is_handed_over = true;
    smtp_send(&l->send, f, db_get_text(l->claim.result, 0, MAIL_EMAIL), buf_str(&l->message));
}

/* After the n-th try. */
static int64_t pause_us(int64_t n_tries)
{
    uint64_t pause_s = config()->email.retry_seconds;

    for (int64_t i = 1; i < n_tries && pause_s < LONGEST_PAUSE_S; i++)
        pause_s *= PAUSE_GROWTH;
    return (int64_t)(pause_s < LONGEST_PAUSE_S ? pause_s : LONGEST_PAUSE_S) * US_PER_SECOND;
}

static bool is_final(const struct lane *l, struct error err)
{
    return err.status == ERR_PROVIDER_ERROR ||
           db_get_int(l->claim.result, 0, MAIL_N_TRIES) >= (int64_t)config()->email.tries;
}

static void settle(struct flow *f)
{
    struct lane *l = f->state;
    /* What became of the mail counts, not that this server ends meanwhile. */
    struct error err = l->is_handed_over ? l->send.err : f->err;
    struct str kind = mail_kind_name(l->kind);
    const char *detail = err.detail ? err.detail : status_row(err.status)->detail;
    struct db_arg id;
    int64_t n_tries, wait_us;

    if (!l->has_mail)
        return;
    id = db_uuid(db_get_text(l->claim.result, 0, MAIL_ID));
    n_tries = db_get_int(l->claim.result, 0, MAIL_N_TRIES);
    if (!is_error(err)) {
        db_query(&l->settle, f, &l->arena, SQL_MAIL_REMOVE, DB_ARGS(id));
        return;
    }
    if (err.status == ERR_CANCELED) { /* this server ends: the next one sends it */
        db_query(&l->settle, f, &l->arena, SQL_MAIL_LATER, DB_ARGS(id, db_time(clock_wall_us())));
        return;
    }
    if (is_final(l, err)) {
        log_warn("mail: a %.*s mail is given up after %lld tries: %s (%d)", STR_ARG(kind),
                 (long long)n_tries, detail, err.code);
        db_query(&l->settle, f, &l->arena, SQL_MAIL_REMOVE, DB_ARGS(id));
        return;
    }
    wait_us = pause_us(n_tries);
    log_warn("mail: a %.*s mail was not sent: %s (%d); trying again in %lld s", STR_ARG(kind),
             detail, err.code, (long long)(wait_us / US_PER_SECOND));
    db_query(&l->settle, f, &l->arena, SQL_MAIL_LATER,
             DB_ARGS(id, db_time(clock_wall_us() + wait_us)));
}

static const struct step steps[] = {
    STEP(look),  /* a read: an idle outbox writes nothing */
    STEP(claim), /* of two lanes, or servers, one gets it */
    STEP(find_accounts),
    STEP(add_tokens),
    STEP(send_message),
    STEP_ALWAYS(settle), /* removed, or due again later */
    STEP_END,
};

/* ---- lanes ---- */

static void check_stopped(struct outbox *box)
{
    void (*on_stopped)(struct loop * l) = box->on_stopped;
    struct loop *loop = box->loop;

    for (size_t i = 0; i < box->n_lanes; i++)
        if (box->lanes[i].is_running)
            return;
    if (!on_stopped)
        return;
    free(box);
    on_stopped(loop);
}

static void on_due(struct timer *t);

static void on_end(struct flow *f)
{
    struct lane *l = f->state;
    bool is_idle = !l->has_mail, is_failing = is_error(f->err) && is_idle;

    l->is_running = false;
    if (is_failing && !l->was_failing && f->err.status != ERR_CANCELED)
        log_warn("mail: the outbox cannot be read, trying again");
    l->was_failing = is_failing;
    if (l->message.data)
        explicit_bzero(l->message.data, l->message.cap);
    buf_deinit(&l->message);
    arena_free(&l->arena);
    if (l->box->on_stopped)
        check_stopped(l->box);
    else
        timer_start(&l->timer, is_idle ? POLL_MS : 0, on_due);
}

static void on_due(struct timer *t)
{
    struct lane *l = container_of(t, struct lane, timer);

    l->is_running = true;
    l->has_mail = l->is_handed_over = false;
    buf_init(&l->message, MAX_MAIL_BYTES);
    flow_start(&l->flow, steps, l, on_end);
}

struct error outbox_start(struct loop *l, struct outbox **out)
{
    size_t n = config()->email.connections;
    struct outbox *box;

    *out = NULL;
    if (!config_has_mail())
        return NO_ERROR;
    box = calloc(1, sizeof(*box) + n * sizeof(box->lanes[0]));
    if (!box)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    box->loop = l;
    box->n_lanes = n;
    for (size_t i = 0; i < n; i++) {
        box->lanes[i].box = box;
        timer_start(&box->lanes[i].timer, POLL_MS * (i + 1) / n, on_due);
    }
    *out = box;
    return NO_ERROR;
}

void outbox_stop(struct outbox *box, void (*on_stopped)(struct loop *l))
{
    size_t n = box->n_lanes;

    /* on_stopped is set last: a lane that ends here must not free the box under this loop. */
    for (size_t i = 0; i < n; i++) {
        timer_stop(&box->lanes[i].timer);
        if (box->lanes[i].is_running)
            flow_fail(&box->lanes[i].flow, ERROR(ERR_CANCELED, 0, NULL));
        timer_stop(&box->lanes[i].timer);
    }
    box->on_stopped = on_stopped;
    check_stopped(box);
}

/* ---- the process ---- */

static void find_base_url(void)
{
    struct buf here = {0};

    base_url = config()->server.public_url;
    if (base_url.len > 0)
        return;
    config_url_here(&here);
    snprintf(base_url_text, sizeof(base_url_text), "%.*s", STR_ARG(buf_str(&here)));
    buf_deinit(&here);
    base_url = str_from(base_url_text);
    log_warn("mail: links in mails lead to %s: set server.public_url to what people see",
             base_url_text);
}

struct error outbox_open(void)
{
    if (!config_has_mail())
        return NO_ERROR;
    find_base_url();
    return smtp_open();
}

void outbox_close(void)
{
    smtp_close();
}
