/* What the checks of `aerie doctor` share. Each says its findings with doctor_say(). */
#ifndef AERIE_SRC_COMMAND_DOCTOR_H
#define AERIE_SRC_COMMAND_DOCTOR_H

#include "config/config.h"
#include "db/db.h"
#include "remote.h"

enum mark { MARK_OK, MARK_WARNING, MARK_PROBLEM, N_MARKS };

struct doctor {
    const char *url; /* NULL: none was given */
    bool is_long, asks_agents, as_json;
    bool has_config;         /* config() may be asked */
    struct config *settings; /* what config() gives */
    struct db *db;   /* NULL: it is not there */
    bool is_server_well;
    unsigned n[N_MARKS];
};

/* check: a word or two; remedy: what to do, or NULL. Foreign text in the words is made harmless. */
void doctor_say(struct doctor *d, enum mark mark, const char *check, const char *remedy,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

void doctor_check_config(struct doctor *d, struct config *settings);
void doctor_check_database(struct doctor *d); /* opens d->db */
void doctor_check_disk(struct doctor *d);
void doctor_check_limits(struct doctor *d); /* descriptors, memory */
void doctor_check_clock(struct doctor *d);
void doctor_check_roots(struct doctor *d); /* names, and whose certificates are believed */
void doctor_check_mail(struct doctor *d);
void doctor_check_server(struct doctor *d); /* the one on this machine */
void doctor_check_agents(struct doctor *d);
void doctor_check_way(struct doctor *d); /* --url */

/* By the clock of another, this one is off by so much. */
void doctor_say_clock(struct doctor *d, const char *whose, int64_t off_us, int64_t tolerated_us);
/* Is it Aerie that answered GET /health? Its version into version. */
bool doctor_is_aerie(const struct remote_call *health, char version[32]);

#endif
