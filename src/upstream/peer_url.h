/* Where an own node is reached: its address in the form that the node registry has. */
#ifndef AERIE_UPSTREAM_PEER_URL_H
#define AERIE_UPSTREAM_PEER_URL_H

#include "post.h"

/* Fills rq's url, in out, and its way there. False: out has failed. */
static inline bool peer_url(struct buf *out, struct str address, struct str target,
                            struct post_request *rq)
{
    bool is_unix = str_starts_with(address, STR("unix:"));

    buf_append_str(out, STR("http://"));
    buf_append_str(out, is_unix ? STR("peer") : address);
    buf_append_str(out, target);
    rq->url = buf_str(out);
    rq->unix_path = is_unix ? str_skip(address, sizeof("unix:") - 1) : STR_NONE;
    rq->is_inside = true;
    return !out->failed;
}

#endif
