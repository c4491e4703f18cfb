/* A widget's visitor: someone without an account, on a page of an agent's owner. What every widget
 * route asks of him. */
#ifndef AERIE_SRC_API_VISIT_H
#define AERIE_SRC_API_VISIT_H

#include "base/id.h"
#include "db/db.h"
#include "http/http.h"

/* The columns of SESSION_OF_VISITOR; SESSION_AGENT has the first four, SESSION_WIDGET two of its own
 * after them. */
enum visit_column {
    VISIT_TEAM_ID,
    VISIT_AGENT_ID,
    VISIT_IS_OPEN,
    VISIT_ALLOWED_ORIGINS,
    VISIT_ORIGIN,
    VISIT_TOKEN_HASH,
    VISIT_AGENT_NAME = VISIT_ORIGIN,
    VISIT_AGENT_CONFIG,
};

/* In the request's state, all-zero. */
struct visit {
    struct id session_id, team_id, agent_id;
    struct str origin; /* the page's; ptr NULL: no browser */
    struct db_query row;
};

/* ---- by an agent, to begin a session ---- */
/* Begins to load the agent; text that is no id fails with 404. */
void visit_load_agent(struct visit *v, struct request *req, struct str agent_id);
/* The same, with its name and config. */
void visit_load_widget(struct visit *v, struct request *req, struct str agent_id);
/* May this page begin a session? False: the flow has failed with 404 or 403. */
bool visit_check_agent(struct visit *v, struct request *req) MUST_CHECK;

/* ---- by a session ---- */
void visit_load_session(struct visit *v, struct request *req, struct str session_id);
/* False: the flow has failed with 404, or 403: this page may not, or the agent is switched off. */
bool visit_check_session(struct visit *v, struct request *req) MUST_CHECK;
/* Does Authorization: Bearer hold the session's token? False: the flow has failed with 401. */
bool visit_check_token(const struct visit *v, struct request *req) MUST_CHECK;

#endif
