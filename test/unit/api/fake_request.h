/* A request without a wire: what http tells handlers comes from tables here, and the code under
 * test runs as the step of its flow. */
#ifndef AERIE_TEST_API_FAKE_REQUEST_H
#define AERIE_TEST_API_FAKE_REQUEST_H

#include "config/config.h"
#include "http/http.h"

#include "../cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#define FAKE_MAX_ROWS 8

struct fake_row {
    const char *name, *value;
};
struct fake {
    struct request req; /* first: the stubs find the fake by it */
    struct route route;
    struct fake_row headers[FAKE_MAX_ROWS], cookies[FAKE_MAX_ROWS], queries[FAKE_MAX_ROWS];
    struct fake_row errors[FAKE_MAX_ROWS]; /* field, message */
    size_t n_errors;
    struct error err; /* the flow's, when it has ended */
    void (*body)(struct fake *fake);
};

extern struct config fake_config;

void fake_init(struct fake *fake);
void fake_deinit(struct fake *fake);
/* Runs body as a step; NO_ERROR or what it failed with. */
struct error fake_run(struct fake *fake, void (*body)(struct fake *fake));
/* Was this field told to be wrong? */
bool fake_has_error(const struct fake *fake, const char *field);

#endif
