/* A small table of URLs taken apart: libcurl needs 15,000 instructions for each. */
#include "urls.h"

#include "base/map.h"

#include <stdlib.h>
#include <string.h>

static struct error url_new(struct str text, struct url **out)
{
    struct url *url = malloc(sizeof(*url) + text.len);
    struct error err;

    *out = NULL;
    if (!url)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    err = egress_parse_url(text, &url->parts);
    url->n_refs = 1;
    url->len = text.len;
    if (text.len > 0)
        memcpy(url->text, text.ptr, text.len);
    if (is_error(err))
        url_release(url);
    else
        *out = url;
    return err;
}

struct error urls_take(struct urls *u, struct str text, struct url **out)
{
    struct url **place = &u->kept[map_hash(text) % URLS_KEPT];
    struct error err = NO_ERROR;

    if (*place && str_eq((struct str){(*place)->text, (*place)->len}, text)) {
        *out = *place;
    } else {
        err = url_new(text, out);
        if (is_error(err))
            return err;
        url_release(*place);
        *place = *out;
    }
    (*out)->n_refs++;
    return err;
}

void url_release(struct url *url)
{
    if (!url || --url->n_refs > 0)
        return;
    egress_url_free(&url->parts);
    free(url);
}

void urls_forget(struct urls *u)
{
    for (size_t i = 0; i < URLS_KEPT; i++) {
        url_release(u->kept[i]);
        u->kept[i] = NULL;
    }
}
