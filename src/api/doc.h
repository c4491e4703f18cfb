/* What openapi.json says of a route. A doc stands beside its handler, a schema beside the function
 * that writes that JSON; bodies that a table of input fields reads are told by that table. What the
 * row of the route table says already (who may call, path, kind of body) is told from there. */
#ifndef AERIE_SRC_API_DOC_H
#define AERIE_SRC_API_DOC_H

#include "api/input.h"

struct schema;

/* One of the types, and how it comes. */
enum doc_type {
    DOC_OBJECT = 1, /* the schema's when there is one, else of any members */
    DOC_TEXT,
    DOC_ID,
    DOC_TIME,
    DOC_EMAIL,
    DOC_INT,
    DOC_NUMBER,
    DOC_BOOL,
    DOC_FILE, /* an uploaded one */
    DOC_ANY,
    DOC_TYPE = 0xff,
    DOC_LIST = 0x100,     /* an array of them */
    DOC_NULL = 0x200,     /* or null */
    DOC_OPTIONAL = 0x400, /* it may be absent */
};

/* A member of an object, or a parameter. */
struct member {
    const char *name;
    unsigned type;
    const struct schema *of; /* with DOC_OBJECT */
    const char *values;      /* of a text: the words it may be, "user|admin" */
    int64_t min, max;        /* of a number, or a text's length; equal: no bounds */
    const char *about;
    const char *example; /* of a parameter */
};
#define MEMBERS(...)                                                                               \
    (const struct member[])                                                                        \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }

/* An object with a name of its own under components/schemas. */
struct schema {
    const char *name; /* "Agent" */
    const char *about;
    const struct member *members;
    const struct schema *const *one_of; /* instead of members; ended by NULL */
};
#define ONE_OF(...)                                                                                \
    (const struct schema *const[])                                                                 \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

/* How a call ends well. Two of one status with different types: the client chooses by Accept. */
struct doc_answer {
    int status;
    const struct schema *schema; /* of the JSON, or of each event's data; NULL: no JSON */
    bool is_list;                /* an array of them */
    const char *type;            /* NULL: JSON when there is a schema, else no body */
    const char *about;           /* NULL: the status's own words */
};
#define ANSWERS(...)                                                                               \
    (const struct doc_answer[])                                                                    \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

enum doc_tag {
    TAG_RUNNING,
    TAG_ACCOUNTS,
    TAG_TEAM,
    TAG_AGENTS,
    TAG_KEYS,
    TAG_WEBHOOKS,
    TAG_CHATS,
    TAG_MESSAGES,
    TAG_CHAT,
    TAG_WIDGETS,
    TAG_SITES,
    TAG_DOCUMENTS,
    TAG_CHATBOTS,
    TAG_OPENAI,
    N_TAGS
};

/* Errors come by themselves: 400 and 503 on all routes, 401 and 403 by who may call, 404 where the
 * path has a parameter, 413 and 415 with a body, 422 with fields of a body or a query. */
struct route_doc {
    enum doc_tag tag;
    const struct doc_answer *answers; /* ended by status 0 */
    const int *errors;                /* those that do not come by themselves; ended by 0 */
    const struct input_field *body;
    size_t n_body;
    const char *requires;        /* a field that the table does not require, but this route does */
    const struct schema *schema; /* of a body that no table reads; of the form, where JSON is taken too */
    const char *example;         /* a body, as JSON */
    const struct member *query, *headers;
    const struct member *path;  /* parameters of the path that are no ids */
    const struct schema *error; /* NULL: {"detail"}; these routes may answer in both shapes */
    bool is_paged;              /* limit and offset; X-Total-Count */
    bool takes_key;             /* an API key opens it, though its row says anyone */
    bool takes_access_token;    /* a user's token opens it, though its row speaks of keys */
    bool takes_visitor_token;
    const char *about; /* what the summary leaves out; Markdown */
};
#define DOC_BODY(fields) .body = (fields), .n_body = sizeof(fields) / sizeof((fields)[0])
#define DOC_ERRORS(...)                                                                            \
    (const int[])                                                                                  \
    {                                                                                              \
        __VA_ARGS__, 0                                                                             \
    }

#endif
