/* The files that browsers get, compiled in from src/web: text that never changes, on any thread. */
#ifndef AERIE_WEB_WEB_H
#define AERIE_WEB_WEB_H

#include <stdbool.h>
#include <stddef.h>

struct web_file {
    const char *name; /* "home.css" */
    const char *content_type;
    const char *etag; /* with its quotes; the same for both forms, so it is a weak one */
    const char *body; /* NULL for what is large: every browser takes the other form */
    size_t body_len;
    const char *gzip; /* the same, compressed; NULL where that saves nothing */
    size_t gzip_len;
};

/* In alphabetical order. */
extern const struct web_file web_files[];
extern const size_t n_web_files;

#endif
