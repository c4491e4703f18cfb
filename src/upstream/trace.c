/* What is told of a request to another server: whom it asked and how it ended. Not the path, which
 * may be a secret, nor what was said. */
#include "post.h"
#include "trace/span.h"

#include <stdio.h>
#include <stdlib.h>

/* An answer that says so, or how the post ended. One that was closed by us while its answer came
 * has all that was wanted of it. */
static const char *failure_of(const struct post *p, char status[16])
{
    if (p->http_status >= 400) {
        snprintf(status, 16, "%d", p->http_status);
        return status;
    }
    if (p->is_done)
        return is_error(p->err) ? status_row(p->err.status)->name : NULL;
    return p->phase == POST_READING ? NULL : status_row(ERR_CANCELED)->name;
}

void post_end_span(struct post *p)
{
    char status[16];
    const char *failure = failure_of(p, status);
    const struct span_fact all[] = {
        {"http.request.method", p->has_body ? STR("POST") : STR("GET"), 0},
        {"server.address", str_from(p->url->parts.host), 0},
        {"server.port", STR_NONE, strtol(p->url->parts.port, NULL, 10)},
        {"error.type", str_from(failure ? failure : ""), 0},
        {"http.response.status_code", STR_NONE, p->http_status},
        {"http.request.resend_count", STR_NONE, p->n_before},
    };
    struct span_fact facts[sizeof(all) / sizeof(all[0])];
    size_t n = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].text.ptr || all[i].number > 0)
            facts[n++] = all[i];
    span_end(p->span, &(struct span_record){.kind = SPAN_CLIENT,
                                            .name = all[0].text,
                                            .facts = facts,
                                            .n_facts = n,
                                            .has_failed = failure != NULL});
    p->span = NULL;
}
