/* What is told of an operation: which statements, never their values. */
#include "db/internal.h"
#include "trace/span.h"

#define NAMES_BYTES 256

static struct str names_of(const struct db_task *t, struct buf *out)
{
    for (size_t i = 0; i < t->n_calls; i++) {
        if (i > 0)
            buf_append_str(out, STR("; "));
        buf_append_str(out, str_from(sql_table[t->calls[i].sql].name));
    }
    return buf_str(out);
}

/* One that failed before the driver had it was not told of. A client that left is no failure. */
void db_end_span(struct db_task *t, struct error err)
{
    struct buf names = {.max_bytes = NAMES_BYTES};
    struct str summary = names_of(t, &names);
    bool has_failed = is_error(err) && err.status != ERR_CANCELED;
    const struct span_fact facts[] = {
        {"db.system.name", str_from(t->owner->db->driver->name), 0},
        {"db.query.summary", summary, 0},
        {"error.type", has_failed ? str_from(status_row(err.status)->name) : STR(""), 0},
        {"db.operation.batch.size", STR_NONE, (int64_t)t->n_calls},
    };
    size_t n = sizeof(facts) / sizeof(facts[0]) - (t->n_calls < 2);

    span_end(t->span, &(struct span_record){.kind = SPAN_CLIENT,
                                            .name = summary,
                                            .facts = facts,
                                            .n_facts = n,
                                            .has_failed = has_failed});
    t->span = NULL;
    buf_deinit(&names);
}
