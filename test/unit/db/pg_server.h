/* A PostgreSQL server of the test's own, on a socket in a temporary directory. */
#ifndef AERIE_TEST_PG_SERVER_H
#define AERIE_TEST_PG_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct pg_server {
    char directory[64];
    char bin[256];
    char url[160]; /* database.url */
    uid_t uid;
    gid_t gid;
    char listen[64]; /* an address for TCP, at port 5432; "" (at first): none */
    pid_t pid;       /* 0: not running */
};

/* Makes and starts it. False: *why says what is missing. */
bool pg_server_new(struct pg_server *s, const char **why);
bool pg_server_start(struct pg_server *s); /* returns when it answers */
void pg_server_stop(struct pg_server *s);
void pg_server_free(struct pg_server *s); /* stops it and removes its directory */

#endif
