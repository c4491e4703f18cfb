/* The URLs that a loop asked lately, taken apart: an agent is asked at one URL again and again. */
#ifndef AERIE_UPSTREAM_URLS_H
#define AERIE_UPSTREAM_URLS_H

#include "egress.h"

/* Never changed; counted, so that who asks at it may go on when it is not kept any more. */
struct url {
    struct egress_url parts;
    unsigned n_refs;
    size_t len;
    char text[]; /* as it was asked for */
};

#define URLS_KEPT 64

/* A loop's. All-zero: none. A place holds one URL, that of which the hash is the place's. */
struct urls {
    struct url *kept[URLS_KEPT];
};

/* *out is the caller's until url_release(). Errors: egress_parse_url(), and then *out is NULL. */
struct error urls_take(struct urls *u, struct str text, struct url **out) MUST_CHECK;
void url_release(struct url *url); /* NULL: nothing */
void urls_forget(struct urls *u);

#endif
