/* The content of a message in OpenAI's protocol, and of those who speak like it. */
#ifndef AERIE_SRC_API_MESSAGE_CONTENT_H
#define AERIE_SRC_API_MESSAGE_CONTENT_H

#include "base/json.h"

/* Text as it stands in the document, or a list of text parts, a line each, in memory of a.
 * ERR_INVALID: neither; the detail is a sentence. ERR_NO_MEMORY. */
struct error message_content_read(struct arena *a, yyjson_val *val, struct str *out) MUST_CHECK;

#endif
