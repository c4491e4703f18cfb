/* A message that is sent again with its idempotency key: the reply that it got. */
#ifndef AERIE_API_EARLIER_H
#define AERIE_API_EARLIER_H

#include "db/db.h"
#include "http/http.h"

/* Streams it as the answer, or in the messages of socket's WebSocket; or fails the flow. socket:
 * NULL: none. row: of MESSAGE_GET, not empty. names_session: as turn_request's. n: the last
 * event that the reader has, or 0. */
void earlier_stream(struct request *req, struct request *socket, const struct db_result *row,
                    const struct id *owner_id, bool names_session, uint64_t n);

#endif
