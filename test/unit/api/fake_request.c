/* Stands in for http. */
#include "fake_request.h"

struct config fake_config;

static struct fake *fake_of(const struct request *req)
{
    return (struct fake *)(uintptr_t)req;
}

static struct str find(const struct fake_row *rows, const char *name)
{
    for (size_t i = 0; i < FAKE_MAX_ROWS && rows[i].name; i++)
        if (str_eq_nocase(str_from(rows[i].name), str_from(name)))
            return str_from(rows[i].value);
    return STR_NONE;
}

struct str request_header(const struct request *req, const char *name)
{
    return find(fake_of(req)->headers, name);
}

struct str request_cookie(const struct request *req, const char *name)
{
    return find(fake_of(req)->cookies, name);
}

struct str request_query(struct request *req, const char *name)
{
    return find(fake_of(req)->queries, name);
}

void request_field_error(struct request *req, const char *field, const char *message)
{
    struct fake *fake = fake_of(req);

    assert_true(fake->n_errors < FAKE_MAX_ROWS);
    fake->errors[fake->n_errors++] = (struct fake_row){field, message};
}

bool request_has_field_errors(const struct request *req)
{
    return fake_of(req)->n_errors > 0;
}

void fake_init(struct fake *fake)
{
    memset(fake, 0, sizeof(*fake));
    fake_config.limits.json_depth = 64;
    config_set(&fake_config);
    fake->route.body = BODY_JSON;
    fake->req.route = &fake->route;
}

void fake_deinit(struct fake *fake)
{
    arena_free(&fake->req.arena);
}

static void run_body(struct flow *f)
{
    struct fake *fake = fake_of(request_of(f));

    fake->body(fake);
}

static void on_end(struct flow *f)
{
    fake_of(request_of(f))->err = f->err;
}

static const struct step steps[] = {STEP(run_body), STEP_END};

struct error fake_run(struct fake *fake, void (*body)(struct fake *fake))
{
    fake->body = body;
    fake->n_errors = 0;
    flow_start(&fake->req.flow, steps, &fake->req, on_end);
    return fake->err;
}

bool fake_has_error(const struct fake *fake, const char *field)
{
    for (size_t i = 0; i < fake->n_errors; i++)
        if (strcmp(fake->errors[i].name, field) == 0)
            return true;
    return false;
}
