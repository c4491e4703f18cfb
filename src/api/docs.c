/* What describes the API: GET /openapi.json, made once at the start, and the pages that show it. */
#include "docs.h"

#include "api/api.h"
#include "api/openapi.h"
#include "base/crypto.h"
#include "doc.h"
#include "metrics.h"
#include "page.h"

#include <string.h>

#define ETAG_BYTES 16

/* Written before the loops start, freed after they have ended. */
static struct buf document;
static char etag[2 * ETAG_BYTES + 3];

static void make_etag(void)
{
    unsigned char sum[SHA256_BYTES];

    crypto_sha256(buf_str(&document), sum);
    etag[0] = '"';
    crypto_write_hex(sum, ETAG_BYTES, etag + 1);
    memcpy(etag + 1 + 2 * ETAG_BYTES, "\"", 2);
}

struct error api_open(void)
{
    metrics_note_start();
    openapi_write(&document, STR("/"));
    if (!document.failed) {
        make_etag();
        return NO_ERROR;
    }
    api_close();
    return ERROR(ERR_NO_MEMORY, 0, "openapi.json could not be made");
}

void api_close(void)
{
    buf_deinit(&document);
}

static void answer_openapi(struct flow *f)
{
    struct request *req = request_of(f);

    if (!page_is_known(req, str_from(etag)))
        response_json(req, 200, buf_str(&document));
}

const struct step docs_openapi_steps[] = {STEP(answer_openapi), STEP_END};

static const struct schema openapi_schema = {
    "OpenAPI",
    .about = "This document.",
    .members =
        MEMBERS({"openapi", DOC_TEXT}, {"info", DOC_OBJECT}, {"servers", DOC_OBJECT | DOC_LIST},
                {"tags", DOC_OBJECT | DOC_LIST}, {"paths", DOC_OBJECT}, {"components", DOC_OBJECT}),
};

const struct route_doc docs_openapi_doc = {TAG_RUNNING, ANSWERS({200, &openapi_schema}, {304})};

/* ---- pages ---- */

#define POLICY                                                                                     \
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "            \
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'self'"

static void send_swagger(struct flow *f)
{
    page_send_built(request_of(f), "docs.html", STR(POLICY));
}

/* ReDoc searches in a worker that it makes of a text. Its styles come through style elements: empty
 * ones, which it fills rule by rule, and one of a text that never changes; by their hashes. */
#define REDOC_POLICY                                                                               \
    POLICY " 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"                                \
           " 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='; worker-src blob:"

static void send_redoc(struct flow *f)
{
    page_send_built(request_of(f), "redoc.html", STR(REDOC_POLICY));
}

const struct step docs_swagger_steps[] = {STEP(send_swagger), STEP_END};
const struct step docs_redoc_steps[] = {STEP(send_redoc), STEP_END};

const struct route_doc docs_page_doc = {TAG_RUNNING, ANSWERS({200, .type = "text/html"}, {304})};
