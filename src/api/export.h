/* GET /api/chats/{id}/export. */
#ifndef AERIE_API_EXPORT_H
#define AERIE_API_EXPORT_H

#include "api/input.h"
#include "base/buf.h"
#include "db/db.h"

struct export_format;

struct chat_export {
    struct id chat_id;
    const struct export_format *format;
    struct db_query chat, page;
    struct arena page_arena; /* emptied before each page: memory stays constant */
    struct buf out;
    struct subflow one_page;
    struct op drain; /* the reader is slower than we are */
    int64_t after_seq;
    bool is_whole;
};
extern const struct step chats_export_steps[];
extern const struct route_doc chats_export_doc;

#endif
