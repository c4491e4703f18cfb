/* A WordPress site registers itself: it is called back to prove who it is, and becomes a team with
 * an admin, a first agent and that agent's key. */
#include "sites.h"

#include "account/audit.h"
#include "answer.h"
#include "api/origin.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "config/config.h"
#include "doc.h"
#include "site_claims.h"
#include "take_rate.h"

#include <stddef.h>
#include <stdio.h>

#define MINUTE_MS         60000
#define CLAIM_WAIT_MS     50
#define URL_CHARS         500
#define TOKEN_MIN         16
#define TOKEN_MAX         256
#define PASSWORD_BYTES    32
#define SLUG_HOST_BYTES   50
#define SCOPES            STR("[\"chat\",\"documents\"]")
#define URL_TAKEN         "Site URL already registered"
#define EMAIL_TAKEN       "Admin email already associated with another tenant"
#define WRONG_CREDENTIALS "Invalid credentials"
#define COUNT(array)      (sizeof(array) / sizeof((array)[0]))

/* ---- what the site says of itself ---- */

static const struct input_field register_fields[] = {
    {"site_url", INPUT_LINE, true, false, 1, URL_CHARS,
     offsetof(struct site_registration, site_url), NULL},
    {"admin_email", INPUT_EMAIL, true, false, 0, 0, offsetof(struct site_registration, admin_email),
     NULL},
    {"callback_token", INPUT_LINE, true, false, TOKEN_MIN, TOKEN_MAX,
     offsetof(struct site_registration, callback_token), NULL},
};

/* What a site is compared by: s->url in lower case, without a port that goes without saying and
 * without the dot that a host may end with. ptr NULL: no memory. */
static struct str make_site(struct arena *a, const struct site_registration *s,
                            const struct origin *origin)
{
    struct str rest = str_skip(s->url, origin->scheme.len + 3);
    struct str path = str_skip(rest, str_find(rest, '/')), site;
    bool is_default = origin->port == (str_eq(origin->scheme, STR("https")) ? 443 : 80);
    char port[8] = "";

    if (!is_default)
        snprintf(port, sizeof(port), ":%u", (unsigned)origin->port);
    site = arena_printf(a, "%.*s://%.*s%s%.*s", STR_ARG(origin->scheme), STR_ARG(origin->host),
                        port, STR_ARG(path));
    return site.ptr ? arena_lower(a, site) : site;
}

static void read_url(struct request *req, struct site_registration *s)
{
    struct origin origin;
    struct error err;
    size_t start;

    s->url = s->site_url.text;
    while (str_ends_with(s->url, STR("/")))
        s->url.len--;
    if (!origin_of_url(s->url, &origin) || str_eq(origin.host, STR(".")) ||
        str_find(s->url, '?') < s->url.len || str_find(s->url, '#') < s->url.len) {
        input_wrong(req, "site_url", "must be the address of a site, such as https://shop.example");
        return;
    }
    err = egress_check_url(s->url);
    if (is_error(err)) {
        input_wrong(req, "site_url", err.detail);
        return;
    }
    if (str_ends_with(origin.host, STR(".")))
        origin.host.len--;
    s->site = make_site(&req->arena, s, &origin);
    if (!s->site.ptr) {
        flow_fail(&req->flow, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }
    start = str_find(s->site, ':') + 3;
    s->host = str_skip(s->site, start);
    s->host.len = str_find(s->host, '/');
    s->origin = (struct str){s->site.ptr, start + s->host.len};
}

static void read_site(struct flow *f)
{
    struct request *req = request_of(f);
    struct site_registration *s = req->state;

    req->fails_at_eof = true; /* the call back may take long */
    if (!input_read(req, register_fields, COUNT(register_fields), s))
        return;
    read_url(req, s);
    if (request_has_field_errors(req))
        flow_fail(f, ERROR(ERR_INVALID, 0, NULL));
}

/* ---- one registration of a site at a time ---- */

static void find_site(struct flow *f)
{
    struct request *req = request_of(f);
    struct site_registration *s = req->state;

    db_query(&s->query, f, &req->arena, SQL_SITE_FIND,
             DB_ARGS(db_text(s->site), db_text(s->admin_email.text)));
}

static void refuse_known_site(struct flow *f)
{
    const struct site_registration *s = request_of(f)->state;
    const struct db_result *r = s->query.result;

    if (r->n_rows > 0 && db_get_bool(r, 0, 0))
        flow_fail(f, ERROR(ERR_BAD_REQUEST, 0, URL_TAKEN));
}

static void refuse_known_email(struct flow *f)
{
    const struct site_registration *s = request_of(f)->state;
    const struct db_result *r = s->query.result;

    if (r->n_rows > 0 && !db_get_bool(r, 0, 0))
        flow_fail(f, ERROR(ERR_BAD_REQUEST, 0, EMAIL_TAKEN));
}

static void claim_site(struct flow *f)
{
    struct site_registration *s = request_of(f)->state;

    switch (site_claim(s->site)) {
    case SITE_IS_OURS:
        s->is_claimed = true;
        break;
    case SITE_IS_TAKEN: /* just now */
        break;
    case SITES_ARE_MANY:
        flow_fail(f, ERROR(ERR_BUSY, (int)config()->callback.retry_delay_seconds,
                           "Too many sites register at this moment, try again later"));
        break;
    }
}

static const struct step claim_steps[] = {
    STEP(find_site),
    STEP(refuse_known_site), /* 400 */
    STEP(claim_site),        /* 503 */
    STEP_END,
};

/* Who finds another registration of the site under way waits for how it ends, and leaves the
 * database alone meanwhile: however many wait for a slow site, it is not asked for each of them. */
static void wait_for_claim(struct flow *f)
{
    struct request *req = request_of(f);
    struct site_registration *s = req->state;

    if (s->is_claimed)
        return;
    if (site_is_claimed(s->site)) {
        wait_start(&s->wait, f, CLAIM_WAIT_MS);
    } else {
        s->claiming = (struct subflow){0};
        flow_call(f, &s->claiming, claim_steps, req);
    }
    flow_repeat(f);
}

/* What the rate holds back are the calls to other people's sites, and questions for whose address
 * is known. */
static void take_register_rate(struct flow *f)
{
    struct request *req = request_of(f);
    const struct rate rate = {RATE_REGISTER_ADDRESS, req->address_group,
                              config()->limits.register_per_minute, MINUTE_MS};

    (void)!take_rate(req, &rate, "Too many registrations, try again later");
}

static void verify_site(struct flow *f)
{
    struct request *req = request_of(f);
    struct site_registration *s = req->state;

    s->verification.url = s->url;
    s->verification.token = s->callback_token.text;
    site_verify(&s->verification, f, &req->arena);
}

/* ---- the team ---- */

static void make_password(struct flow *f)
{
    struct request *req = request_of(f);
    struct site_registration *s = req->state;
    unsigned char bytes[PASSWORD_BYTES];

    crypto_random(bytes, sizeof(bytes));
    s->password = crypto_base64url(&req->arena, (struct str){(char *)bytes, sizeof(bytes)});
    if (s->password.ptr)
        password_hash(&s->hash, f, s->password);
    else
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
}

/* "shop-example-1a2b3c4d" */
static struct str make_slug(struct request *req, const struct site_registration *s)
{
    struct buf out = {0};
    struct str slug;

    for (size_t i = 0; i < s->host.len && out.len < SLUG_HOST_BYTES; i++) {
        char c = s->host.ptr[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

        if (is_word)
            buf_append(&out, &c, 1);
        else if (out.len > 0 && out.data[out.len - 1] != '-')
            buf_append(&out, "-", 1);
    }
    buf_printf(&out, "%s%.8s", out.len > 0 && out.data[out.len - 1] == '-' ? "" : "-",
               s->team_id.text);
    slug = out.failed ? STR_NONE : arena_copy(&req->arena, buf_str(&out));
    buf_deinit(&out);
    return slug;
}

static struct str json_list_of(struct arena *a, struct str item)
{
    struct buf out = {0};
    struct json j = {.buf = &out};
    struct str list;

    json_begin_array(&j);
    json_str(&j, item);
    json_end_array(&j);
    list = out.failed ? STR_NONE : arena_copy(a, buf_str(&out));
    buf_deinit(&out);
    return list;
}

static struct db_arg text_or_null(struct str text)
{
    return db_text(text.len > 0 ? text : STR_NONE);
}

static void add_team(struct flow *f)
{
    struct request *req = request_of(f);
    struct site_registration *s = req->state;
    const struct config_sites *first = &config()->sites;
    int64_t now_us = clock_wall_us();
    struct db_arg now = db_time(now_us);
    struct str slug, origins = json_list_of(&req->arena, s->origin);

    s->team_id = id_v4();
    s->user_id = id_v7();
    s->agent_id = id_v7();
    api_key_new(&s->key);
    slug = make_slug(req, s);
    if (!slug.ptr || !origins.ptr) {
        flow_fail(f, ERROR(ERR_NO_MEMORY, 0, NULL));
        return;
    }

    const struct db_arg team = db_uuid(id_str(&s->team_id)), user = db_uuid(id_str(&s->user_id)),
                        agent = db_uuid(id_str(&s->agent_id)), email = db_text(s->admin_email.text);
    const struct db_arg team_args[] = {team, db_text(s->host), db_text(slug), db_json(STR("{}")),
                                       now};
    const struct db_arg site_args[] = {team, db_text(s->url), db_text(s->site), email, now};
    const struct db_arg user_args[] = {team, user, email, db_text(str_from(s->hash.hash)), now};
    const struct db_arg agent_args[] = {team,
                                        agent,
                                        user,
                                        db_text(first->provider),
                                        text_or_null(first->webhook_url),
                                        text_or_null(first->model),
                                        db_json(origins),
                                        now};
    const struct id key_id = id_v7();
    const struct db_arg key_args[] = {team,
                                      agent,
                                      db_uuid(id_str(&key_id)),
                                      db_text(STR("WordPress")),
                                      db_text(str_from(s->key.prefix)),
                                      db_text(str_from(s->key.hash)),
                                      db_json(SCOPES),
                                      db_null(),
                                      user,
                                      now,
                                      db_json(STR("[]"))};
    struct audit audit = {.action = "site.register",
                          .team_id = s->team_id,
                          .subject_id = s->team_id,
                          .actor = AUDIT_ANYONE,
                          .address = req->address,
                          .now_us = now_us};

    audit_values(&audit, "site", STR_NONE, s->site);

    const struct db_call calls[] = {
        {SQL_TEAM_ADD, team_args, COUNT(team_args)},
        {SQL_SITE_ADD, site_args,
         COUNT(site_args)}, /* the constraint decides between two at once */
        {SQL_SITE_KEEP_TEAM, team_args, 1},
        {SQL_SITE_ADD_ADMIN, user_args, COUNT(user_args)},
        {SQL_SITE_ADD_AGENT, agent_args, COUNT(agent_args)},
        {SQL_KEY_ADD, key_args, COUNT(key_args)},
        audit_call(&audit, &req->arena),
    };

    db_batch(&s->query, f, &req->arena, calls, COUNT(calls));
}

/* Another process was faster: it says with what. */
static void find_reason(struct flow *f)
{
    const struct site_registration *s = request_of(f)->state;

    if (db_result_at(&s->query, 1)->n_changed == 0)
        find_site(f);
}

static void answer_site(struct flow *f)
{
    struct request *req = request_of(f);
    struct site_registration *s = req->state;
    struct buf body = {0};
    struct json j = {.buf = &body};

    if (db_result_at(&s->query, 1)->n_changed == 0) {
        refuse_known_site(f);
        refuse_known_email(f);
        return;
    }
    json_begin_object(&j);
    json_pair_bool(&j, "success", true);
    json_pair_str(&j, "tenant_id", id_str(&s->team_id));
    json_pair_str(&j, "api_key", str_from(s->key.text));
    json_pair_str(&j, "chatbot_id", id_str(&s->agent_id));
    json_pair_str(&j, "message", STR("Tenant registered successfully"));
    json_end_object(&j);
    log_info("api: the site %.*s is registered as team %s", STR_ARG(s->site), s->team_id.text);
    answer_json(req, 200, &body);
}

static void release_site(struct flow *f)
{
    struct site_registration *s = request_of(f)->state;

    if (s->is_claimed)
        site_release(s->site);
    s->is_claimed = false;
}

const struct step sites_register_steps[] = {
    STEP(read_site),           /* 422 */
    STEP(wait_for_claim),      /* 400, 503 */
    STEP(take_register_rate),  /* 429 */
    STEP(refuse_known_email),  /* 400 */
    STEP(verify_site),         /* 400 */
    STEP(make_password),       /* 503 */
    STEP(add_team),            /* 503 */
    STEP(find_reason),         /* nothing was added */
    STEP(answer_site),         /* 400 */
    STEP_ALWAYS(release_site), /* the next one may ask */
    STEP_END,
};

static const struct schema registered_schema = {
    "RegisteredSite",
    .members = MEMBERS({"success", DOC_BOOL}, {"tenant_id", DOC_ID}, {"api_key", DOC_TEXT},
                       {"chatbot_id", DOC_ID}, {"message", DOC_TEXT}),
};

const struct route_doc sites_register_doc = {
    TAG_SITES,
    ANSWERS({200, &registered_schema}),
    DOC_ERRORS(429),
    DOC_BODY(register_fields),
    .example = "{\"site_url\": \"https://shop.example\", \"admin_email\": \"owner@shop.example\", "
               "\"callback_token\": \"made-by-the-plugin-0123456789\"}",
    .about = "The site is called back at `/wp-json/eaglechat-plugin/v1/verify` and must answer 200 "
             "with `\"success\": true`. 400 when it does not, or when the site or the address is "
             "registered already.",
};

/* ---- validate ---- */

static const struct input_field validate_fields[] = {
    {"tenant_id", INPUT_LINE, true, false, 1, 100, offsetof(struct site_validation, tenant_id),
     NULL},
    {"api_key", INPUT_LINE, true, false, 1, 100, offsetof(struct site_validation, api_key), NULL},
};

/* What cannot be a key is as wrong as one that nobody has. */
static void read_credentials(struct flow *f)
{
    struct request *req = request_of(f);
    struct site_validation *s = req->state;

    if (input_read(req, validate_fields, COUNT(validate_fields), s))
        key_auth_try(&s->auth, f, req, s->api_key.text, NULL);
}

static void answer_credentials(struct flow *f)
{
    struct request *req = request_of(f);
    struct site_validation *s = req->state;
    struct error err = s->auth.sub.flow.err;
    struct buf body = {0};
    struct json j = {.buf = &body};

    if (err.status == ERR_UNAUTHORIZED ||
        (!is_error(err) && !str_eq_nocase(s->tenant_id.text, id_str(&s->auth.caller.team_id))))
        err = ERROR(ERR_UNAUTHORIZED, 0, WRONG_CREDENTIALS);
    if (is_error(err)) {
        flow_fail(f, err);
        return;
    }
    json_begin_object(&j);
    json_pair_bool(&j, "valid", true);
    json_pair_str(&j, "message", STR("Credentials are valid"));
    json_end_object(&j);
    answer_json(req, 200, &body);
}

const struct step sites_validate_steps[] = {
    STEP(read_credentials),   /* 422 */
    STEP(answer_credentials), /* 401, 429 */
    STEP_END,
};

static const struct schema valid_schema = {
    "ValidCredentials",
    .members = MEMBERS({"valid", DOC_BOOL}, {"message", DOC_TEXT}),
};

const struct route_doc sites_validate_doc = {
    TAG_SITES,
    ANSWERS({200, &valid_schema}),
    DOC_ERRORS(401, 429),
    DOC_BODY(validate_fields),
    .example = "{\"tenant_id\": \"123e4567-e89b-12d3-a456-426614174000\", "
               "\"api_key\": \"eck_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGh\"}",
};
