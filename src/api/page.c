/* Pages for browsers, and their files. They say themselves what they may do: our own scripts and
 * styles, our own API, nothing from elsewhere, and no frame around them. */
#include "page.h"

#include "doc.h"
#include "web/web.h"

#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "                \
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static const struct web_file *find_file(struct str name)
{
    for (size_t i = 0; i < n_web_files; i++)
        if (str_eq(str_from(web_files[i].name), name))
            return &web_files[i];
    return NULL;
}

/* Kept by the browser, and asked for again each time, so that a new version shows at once. */
#define ASK_EACH_TIME STR("no-cache")
/* On every page of other people's sites: it is not to wait for us, and has a new version soon. */
#define ASK_LATER STR("public, max-age=600, stale-while-revalidate=86400")

static bool is_known(struct request *req, struct str etag, struct str cache)
{
    struct str known = request_header(req, "If-None-Match");

    response_set_header(req, "Cache-Control", cache);
    response_set_header(req, "ETag", etag);
    if (!known.ptr || !(str_contains(known, etag) || str_eq(str_trim(known), STR("*"))))
        return false;
    response_empty(req, 304);
    return true;
}

bool page_is_known(struct request *req, struct str etag)
{
    return is_known(req, etag, ASK_EACH_TIME);
}

/* RFC 9110, section 12.5.3. "gzip;q=0", which nobody sends, is read as a yes. */
static bool takes_gzip(struct request *req)
{
    return str_contains(request_header(req, "Accept-Encoding"), STR("gzip"));
}

static void send_file(struct request *req, const struct web_file *file, struct str policy,
                      struct str cache)
{
    struct str body = {file->body, file->body_len};

    response_set_header(req, "Content-Security-Policy", policy);
    if (file->gzip && file->body)
        response_set_header(req, "Vary", STR("Accept-Encoding"));
    if (file->gzip && (!file->body || takes_gzip(req))) {
        response_set_header(req, "Content-Encoding", STR("gzip"));
        body = (struct str){file->gzip, file->gzip_len};
    }
    if (!is_known(req, str_from(file->etag), cache))
        response_send(req, 200, file->content_type, body);
}

static void send_page(struct request *req, const char *name, struct str policy)
{
    const struct web_file *file = find_file(str_from(name));

    if (file)
        send_file(req, file, policy, ASK_EACH_TIME);
    else
        flow_fail(&req->flow, ERROR(ERR_INTERNAL, 0, "the page is not compiled in"));
}

void page_send(struct request *req)
{
    /* The same address gives others JSON. */
    response_set_header(req, "Vary", STR("Accept"));
    send_page(req, "index.html", STR(POLICY));
}

static void send_account_page(struct flow *f)
{
    send_page(request_of(f), "account.html", STR(POLICY));
}

const struct step page_account_steps[] = {
    STEP(send_account_page),
    STEP_END,
};
const struct route_doc page_account_doc = {
    TAG_ACCOUNTS,
    ANSWERS({200, .type = "text/html"}, {304}),
    .about = "The token stands behind the `#` of the link, so it does not come here.",
};

void page_send_built(struct request *req, const char *name, struct str policy)
{
    if (find_file(str_from(name)))
        send_page(req, name, policy);
    else
        send_page(req, "absent.html", STR(POLICY));
}

static void send_console(struct flow *f)
{
    page_send_built(request_of(f), "console.html", STR(POLICY));
}

const struct step page_console_steps[] = {
    STEP(send_console),
    STEP_END,
};
const struct route_doc page_console_doc = {
    TAG_RUNNING,
    ANSWERS({200, .type = "text/html"}, {304}),
    .about = "For admins, who sign in there.",
};

/* For pages of any origin: it holds no secret, and what it may then do each agent's list decides. */
static void send_widget(struct flow *f)
{
    struct request *req = request_of(f);
    const struct web_file *file =
        find_file(str_ends_with(req->path, STR(".mjs")) ? STR("widget.mjs") : STR("widget.js"));

    req->cors = CORS_WITHOUT_CREDENTIALS;
    response_set_header(req, "Cross-Origin-Resource-Policy", STR("cross-origin"));
    if (file)
        send_file(req, file, STR(POLICY), ASK_LATER);
    else
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "This server was built without its widget"));
}

const struct step page_widget_steps[] = {
    STEP(send_widget),
    STEP_END,
};
const struct route_doc page_widget_doc = {
    TAG_WIDGETS,
    ANSWERS({200, .type = "text/javascript"}, {304}),
    DOC_ERRORS(404),
};

static void send_asset(struct flow *f)
{
    struct request *req = request_of(f);
    const struct web_file *file = find_file(req->params[0]);

    if (file)
        send_file(req, file, STR(POLICY), ASK_EACH_TIME);
    else
        flow_fail(f, ERROR(ERR_NOT_FOUND, 0, "Not found"));
}

const struct step page_asset_steps[] = {
    STEP(send_asset),
    STEP_END,
};

const struct route_doc page_asset_doc = {
    TAG_RUNNING,
    ANSWERS({200, .type = "text/css"}, {200, .type = "text/javascript"}, {200, .type = "text/html"},
            {200, .type = "image/svg+xml"}, {304}),
    .path = MEMBERS({"name", DOC_TEXT, .about = "A file of the pages", .example = "icon.svg"}),
};
