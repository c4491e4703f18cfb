/* A login: an access token, a refresh token, and the cookies that hold them. */
#ifndef AERIE_SRC_API_SESSION_H
#define AERIE_SRC_API_SESSION_H

#include "account/caller.h"
#include "account/token.h"
#include "doc.h"
#include "http/http.h"

struct session {
    struct caller caller;
    struct str access; /* in the request's arena */
    struct opaque_token refresh;
};

/* Signs the access token for session->caller. False: the flow has failed. */
bool session_sign(struct request *req, struct session *s, int64_t now_us) MUST_CHECK;
/* 200 with both tokens in cookies and in the body. */
void session_answer(struct request *req, const struct session *s, const char *message);
/* Makes the browser forget both cookies. */
void session_clear_cookies(struct request *req);
extern const struct schema tokens_schema;

#endif
