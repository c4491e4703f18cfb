/* What describes the API: GET /openapi.json, made once at the start. */
#include "docs.h"

#include "api/api.h"
#include "api/openapi.h"
#include "doc.h"

/* Written before the loops start, freed after they have ended. */
static struct buf document;

struct error api_open(void)
{
    openapi_write(&document, STR("/"));
    if (!document.failed)
        return NO_ERROR;
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

    response_set_header(req, "Cache-Control", STR("no-cache"));
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
const struct route_doc docs_openapi_doc = {TAG_RUNNING, ANSWERS({200, &openapi_schema})};
