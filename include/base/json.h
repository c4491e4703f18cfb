/* JSON: reading with yyjson into an arena, writing straight into a buffer. */
#ifndef AERIE_BASE_JSON_H
#define AERIE_BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

#include <yyjson.h>

/* Parses text into memory of the arena. ERR_BAD_REQUEST with a sentence when it is not JSON, not
 * valid UTF-8, deeper than max_depth, or holds U+0000 in a string; code: the byte where. Duplicate
 * keys: the last one counts. */
struct error json_read(struct arena *a, struct str text, unsigned max_depth,
                       yyjson_val **root) MUST_CHECK;
struct str json_text(yyjson_val *val); /* "" (ptr NULL) when val is NULL or no string */
yyjson_val *json_member(yyjson_val *object,
                        const char *name); /* NULL when absent or no object; last one of doubles */
bool json_list_has(yyjson_val *list, struct str text); /* false as well when it is no array */
/* A value written out again, compact. */
void json_write_value(struct buf *out, yyjson_val *val);

/* A writer that puts the commas. All-zero but for buf is its start. */
struct json {
    struct buf *buf;
    bool needs_comma;
};
void json_begin_object(struct json *j);
void json_end_object(struct json *j);
void json_begin_array(struct json *j);
void json_end_array(struct json *j);
void json_key(struct json *j, const char *name); /* name: plain ASCII without quotes */
void json_str(struct json *j,
              struct str value); /* valid UTF-8; written escaped (RFC 8259 section 7) */
void json_str_or_null(struct json *j, struct str value); /* ptr NULL: null */
void json_int(struct json *j, int64_t value);
void json_number(struct json *j, double value); /* to 9 digits; what is no number: null */
void json_bool(struct json *j, bool value);
void json_null(struct json *j);
void json_raw(struct json *j, struct str json); /* already JSON; "" is written as null */
void json_value(struct json *j, yyjson_val *val);
void json_time(struct json *j, int64_t wall_us);
/* json_key() and the value. */
void json_pair_str(struct json *j, const char *name, struct str value);
void json_pair_str_or_null(struct json *j, const char *name, struct str value);
void json_pair_int(struct json *j, const char *name, int64_t value);
void json_pair_int_or_null(struct json *j, const char *name, int64_t value, bool is_null);
void json_pair_bool(struct json *j, const char *name, bool value);
void json_pair_raw(struct json *j, const char *name, struct str json);
void json_pair_time(struct json *j, const char *name, int64_t wall_us);
void json_pair_time_or_null(struct json *j, const char *name, int64_t wall_us, bool is_null);
/* Only the escaped inside of a string, without quotes. */
void json_escape(struct buf *out, struct str text);
/* The longest beginning of text, whole characters, that json_escape() makes no more than max_bytes
 * of. */
struct str json_prefix(struct str text, size_t max_bytes);
/* Number of leading bytes that stand for themselves in a string. */
size_t json_plain_run(struct str text);

#endif
