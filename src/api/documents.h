/* /api/v1/documents: what a team knows. */
#ifndef AERIE_SRC_API_DOCUMENTS_H
#define AERIE_SRC_API_DOCUMENTS_H

#include "api/input.h"
#include "base/json.h"
#include "doc.h"
#include "document/document.h"
#include "document/embed.h"
#include "document/read.h"
#include "document/search.h"

struct documents {
    struct id id;
    struct db_query query, count;
    int64_t limit, offset;
    struct document_embed embed;
    struct subflow embed_flow;
};
extern const struct step documents_list_steps[];
extern const struct route_doc documents_list_doc;
extern const struct step documents_get_steps[];
extern const struct route_doc documents_get_doc;
extern const struct step documents_delete_steps[];
extern const struct route_doc documents_delete_doc;
extern const struct step documents_embed_steps[];
extern const struct route_doc documents_embed_doc;

struct document_upload {
    struct input title, content, content_type, metadata;
    struct str data, declared_type, file_name, hash;
    enum document_kind kind;
    struct id id;
    struct document_reader reader;
    struct document_read read;
    struct db_query find, store;
    const struct db_result *row; /* of the document */
    struct document_embed embed;
    struct subflow embed_flow;
    bool is_new;
};
extern const struct step document_upload_steps[];
extern const struct route_doc document_upload_doc;

struct document_search_call {
    struct input query, match_count;
    struct document_search search;
    struct subflow search_flow;
};
extern const struct step document_search_call_steps[];
extern const struct route_doc document_search_call_doc;

extern const struct schema document_schema;
void document_write(struct json *j, const struct db_result *r, size_t row);
/* 404 when there is no row. */
void document_answer(struct request *req, int status, const struct db_result *r);

#endif
