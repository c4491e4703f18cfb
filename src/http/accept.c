/* The Accept line (RFC 9110 section 12.5.1). */
#include "internal.h"

/* How closely a range names a type. */
enum closeness { CLOSE_NOT, CLOSE_ANY, CLOSE_FAMILY, CLOSE_EXACT };

/* "0.25" as 250; what is no weight counts as 1. */
static unsigned weight(struct str text)
{
    unsigned q = 0, unit = 100;

    if (text.len == 0 || text.len > 5 || (text.ptr[0] != '0' && text.ptr[0] != '1') ||
        (text.len > 1 && text.ptr[1] != '.'))
        return 1000;
    if (text.ptr[0] == '1')
        return 1000;
    for (size_t i = 2; i < text.len; i++, unit /= 10) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 1000;
        q += (unsigned)(text.ptr[i] - '0') * unit;
    }
    return q;
}

/* Splits "text/html;level=1;q=0.5". */
static struct str take_range(struct str item, unsigned *q)
{
    struct str range = STR_NONE, param;

    *q = 1000;
    if (str_next(&item, ';', &range))
        range = str_trim(range);
    while (str_next(&item, ';', &param)) {
        param = str_trim(param);
        if (str_starts_with_nocase(param, STR("q=")))
            *q = weight(str_skip(param, 2));
    }
    return range;
}

static enum closeness match(struct str range, struct str type)
{
    size_t family = str_find(type, '/') + 1;

    if (str_eq_nocase(range, type))
        return CLOSE_EXACT;
    if (str_eq(range, STR("*/*")))
        return CLOSE_ANY;
    if (range.len == family + 1 && str_ends_with(range, STR("/*")) && family <= type.len &&
        str_eq_nocase((struct str){range.ptr, family}, (struct str){type.ptr, family}))
        return CLOSE_FAMILY;
    return CLOSE_NOT;
}

struct judgement {
    enum closeness closest;
    unsigned q;       /* of the closest range */
    unsigned other_q; /* the best of those that name another type */
};

static void judge_line(struct judgement *j, struct str line, struct str type)
{
    struct str item;

    while (str_next(&line, ',', &item)) {
        unsigned q;
        struct str range = take_range(item, &q);
        enum closeness closeness = match(range, type);

        if (closeness > j->closest) {
            j->closest = closeness;
            j->q = q;
        }
        if (closeness == CLOSE_NOT && range.len > 0 && q > j->other_q)
            j->other_q = q;
    }
}

bool request_accepts(const struct request *req, const char *type)
{
    struct judgement j = {CLOSE_NOT, 0, 0};
    bool has_line = false;

    for (size_t i = 0; i < req->n_headers; i++) {
        if (!str_eq_nocase(req->headers[i].name, STR("accept")) || req->headers[i].value.len == 0)
            continue;
        has_line = true;
        judge_line(&j, req->headers[i].value, str_from(type));
    }
    if (!has_line)
        return true;
    if (j.closest == CLOSE_NOT || j.q == 0)
        return false;
    return j.closest == CLOSE_EXACT ? j.q >= j.other_q : j.q > j.other_q;
}
