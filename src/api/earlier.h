/* A message that is sent again with its idempotency key: the reply that it got. */
#ifndef AERIE_API_EARLIER_H
#define AERIE_API_EARLIER_H

#include "db/db.h"
#include "http/http.h"

/* Answers, or fails the flow. row: of MESSAGE_GET; ERR_CONFLICT when it is empty. */
void earlier_answer(struct request *req, const struct db_result *row, bool as_stream);

#endif
