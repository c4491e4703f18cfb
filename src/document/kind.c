/* What an uploaded file is, told by its content. */
#include "document/document.h"

#include <string.h>

/* The header may stand a little way into the file (ISO 32000-1, annex H, note 13). */
#define PDF_HEADER_WITHIN 1024

static bool is_pdf(struct str data)
{
    size_t n = data.len < PDF_HEADER_WITHIN ? data.len : PDF_HEADER_WITHIN;

    return data.len > 0 && memmem(data.ptr, n, "%PDF-", 5) != NULL;
}

/* Without a byte order mark, spaces and comments. */
static struct str skip_preamble(struct str s)
{
    if (str_starts_with(s, STR("\xef\xbb\xbf")))
        s = str_skip(s, 3);
    s = str_trim(s);
    while (str_starts_with(s, STR("<!--")) || str_starts_with(s, STR("<?xml"))) {
        const char *end = str_starts_with(s, STR("<?xml")) ? memmem(s.ptr, s.len, "?>", 2)
                                                           : memmem(s.ptr, s.len, "-->", 3);

        if (!end)
            return s;
        s = str_trim(str_skip(s, (size_t)(end - s.ptr) + (s.ptr[1] == '?' ? 2 : 3)));
    }
    return s;
}

/* A page, or, where the sender calls it HTML, a part of one. */
static bool is_html(struct str data, struct str declared)
{
    static const char *const starts[] = {"<!doctype html", "<html", "<head", "<body"};
    struct str s = skip_preamble(data);

    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
        if (str_starts_with_nocase(s, str_from(starts[i])))
            return true;
    return str_starts_with(s, STR("<")) && str_starts_with_nocase(declared, STR("text/html"));
}

static bool has_nul(struct str data)
{
    return data.len > 0 && memchr(data.ptr, 0, data.len) != NULL;
}

enum document_kind document_kind_of(struct str data, struct str declared)
{
    if (is_pdf(data))
        return DOCUMENT_IS_PDF;
    if (is_html(data, declared) && !has_nul(data))
        return DOCUMENT_IS_HTML;
    if (has_nul(data) || !utf8_is_valid(data))
        return DOCUMENT_IS_UNKNOWN;
    return str_starts_with_nocase(declared, STR("text/markdown")) ? DOCUMENT_IS_MARKDOWN
                                                                  : DOCUMENT_IS_TEXT;
}

const char *document_media_type(enum document_kind kind)
{
    switch (kind) {
    case DOCUMENT_IS_TEXT:
        return "text/plain";
    case DOCUMENT_IS_MARKDOWN:
        return "text/markdown";
    case DOCUMENT_IS_HTML:
        return "text/html";
    case DOCUMENT_IS_PDF:
        return "application/pdf";
    case DOCUMENT_IS_UNKNOWN:
        break;
    }
    return "application/octet-stream";
}
