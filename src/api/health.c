/* Is the server there, and can it serve? A browser gets a page instead. */
#include "health.h"

#include "answer.h"
#include "config/config.h"
#include "doc.h"
#include "page.h"

static const struct schema health_schema = {
    "Health",
    .members = MEMBERS({"status", DOC_TEXT, .values = "healthy"}, {"service", DOC_TEXT},
                       {"version", DOC_TEXT}),
};

static void answer_health(struct flow *f)
{
    struct request *req = request_of(f);
    struct buf out = {0};
    struct json j = {.buf = &out};

    json_begin_object(&j);
    json_pair_str(&j, "status", STR("healthy"));
    json_pair_str(&j, "service", config()->api_title);
    json_pair_str(&j, "version", STR(AERIE_VERSION));
    json_end_object(&j);
    answer_json(req, 200, &out);
}

/* A browser says that it wants HTML; everyone else gets JSON. */
static void answer_home(struct flow *f)
{
    struct request *req = request_of(f);

    if (request_accepts(req, "text/html") && !request_accepts(req, "application/json")) {
        page_send(req);
        return;
    }
    response_set_header(req, "Vary", STR("Accept"));
    answer_health(f);
}

static void ping(struct flow *f)
{
    struct request *req = request_of(f);
    struct health *s = req->state;

    db_query(&s->ping, f, &req->arena, SQL_PING, NULL, 0);
}

static const struct schema ready_schema = {
    "Ready",
    .members = MEMBERS({"status", DOC_TEXT, .values = "ready"}),
};

static void answer_ready(struct flow *f)
{
    struct request *req = request_of(f);
    struct buf out = {0};
    struct json j = {.buf = &out};

    json_begin_object(&j);
    json_pair_str(&j, "status", STR("ready"));
    json_end_object(&j);
    answer_json(req, 200, &out);
}

const struct step home_steps[] = {STEP(answer_home), STEP_END};
const struct step health_steps[] = {STEP(answer_health), STEP_END};
const struct step health_ready_steps[] = {
    STEP(ping), /* a database that does not answer makes it 503 */
    STEP(answer_ready),
    STEP_END,
};

const struct route_doc home_doc = {
    TAG_RUNNING,
    ANSWERS({200, &health_schema}, {200, .type = "text/html"}, {304}),
    .about = "A browser gets a page with a live chat, everyone else the health.",
};

const struct route_doc health_doc = {TAG_RUNNING, ANSWERS({200, &health_schema})};
const struct route_doc health_ready_doc = {TAG_RUNNING, ANSWERS({200, &ready_schema})};
