/* GET /api/history. */
#ifndef AERIE_API_HISTORY_H
#define AERIE_API_HISTORY_H

#include "db/db.h"
#include "doc.h"
#include "http/http.h"

struct history {
    int64_t page, per_page;
    struct db_query count, chats;
};
extern const struct step history_steps[];
extern const struct route_doc history_doc;

#endif
