/* HTML by libxml2's SAX interface: no tree is built, so memory stays with the text. */
#include "document/html.h"

#include <libxml/HTMLparser.h>
#include <libxml/parserInternals.h>
#include <limits.h>
#include <string.h>

/* The parser searches its open elements at every end tag. */
#define MAX_DEPTH 512

enum element_role {
    ROLE_DROP,  /* neither it nor what is in it is read */
    ROLE_LINE,  /* on lines of its own */
    ROLE_BLOCK, /* with an empty line around it */
    ROLE_SPACE, /* apart from its neighbours */
    ROLE_TITLE,
    ROLE_PRE,
};

static const struct element {
    const char *name, *prefix;
    enum element_role role;
} elements[] = {
    {"address", "", ROLE_BLOCK},    {"article", "", ROLE_BLOCK}, {"aside", "", ROLE_BLOCK},
    {"blockquote", "", ROLE_BLOCK}, {"br", "", ROLE_LINE},       {"button", "", ROLE_DROP},
    {"caption", "", ROLE_LINE},     {"dd", "", ROLE_LINE},       {"div", "", ROLE_LINE},
    {"dl", "", ROLE_BLOCK},         {"dt", "", ROLE_LINE},       {"fieldset", "", ROLE_BLOCK},
    {"figcaption", "", ROLE_LINE},  {"figure", "", ROLE_BLOCK},  {"footer", "", ROLE_BLOCK},
    {"form", "", ROLE_BLOCK},       {"h1", "# ", ROLE_BLOCK},    {"h2", "## ", ROLE_BLOCK},
    {"h3", "### ", ROLE_BLOCK},     {"h4", "#### ", ROLE_BLOCK}, {"h5", "##### ", ROLE_BLOCK},
    {"h6", "###### ", ROLE_BLOCK},  {"header", "", ROLE_BLOCK},  {"hr", "", ROLE_BLOCK},
    {"iframe", "", ROLE_DROP},      {"li", "- ", ROLE_LINE},     {"main", "", ROLE_BLOCK},
    {"nav", "", ROLE_DROP},         {"noscript", "", ROLE_DROP}, {"object", "", ROLE_DROP},
    {"ol", "", ROLE_BLOCK},         {"option", "", ROLE_LINE},   {"p", "", ROLE_BLOCK},
    {"pre", "", ROLE_PRE},          {"script", "", ROLE_DROP},   {"section", "", ROLE_BLOCK},
    {"style", "", ROLE_DROP},       {"svg", "", ROLE_DROP},      {"table", "", ROLE_BLOCK},
    {"td", "", ROLE_SPACE},         {"template", "", ROLE_DROP}, {"th", "", ROLE_SPACE},
    {"title", "", ROLE_TITLE},      {"tr", "", ROLE_LINE},       {"ul", "", ROLE_BLOCK},
};

struct reading {
    htmlParserCtxtPtr parser;
    struct buf *out, *title;
    const char *prefix; /* for the next text: "# ", "- " */
    unsigned n_breaks;  /* before the next text */
    bool has_space;     /* before the next text */
    unsigned depth, n_pre;
    unsigned drop_depth;  /* of the element that is dropped; 0: none */
    unsigned title_depth; /* 0: not in a title */
    bool is_too_deep;
};

static const struct element *find_element(const xmlChar *name)
{
    for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++)
        if (strcmp(elements[i].name, (const char *)name) == 0)
            return &elements[i];
    return NULL;
}

static void want_breaks(struct reading *r, unsigned n)
{
    if (r->n_breaks < n)
        r->n_breaks = n;
}

static void set_apart(struct reading *r, enum element_role role)
{
    switch (role) {
    case ROLE_LINE:
        want_breaks(r, 1);
        break;
    case ROLE_BLOCK:
    case ROLE_PRE:
        want_breaks(r, 2);
        break;
    case ROLE_SPACE:
        r->has_space = true;
        break;
    case ROLE_DROP:
    case ROLE_TITLE:
        break;
    }
}

static void on_start(void *state, const xmlChar *name, const xmlChar **attributes)
{
    struct reading *r = state;
    const struct element *e = find_element(name);

    (void)attributes;
    r->depth++;
    if (r->depth > MAX_DEPTH || r->out->failed) {
        r->is_too_deep = r->depth > MAX_DEPTH;
        xmlStopParser(r->parser);
        return;
    }
    if (!e || r->drop_depth > 0)
        return;
    set_apart(r, e->role);
    if (e->prefix[0])
        r->prefix = e->prefix;
    if (e->role == ROLE_DROP)
        r->drop_depth = r->depth;
    else if (e->role == ROLE_PRE)
        r->n_pre++;
    else if (e->role == ROLE_TITLE && r->title->len == 0)
        r->title_depth = r->depth;
}

static void on_end(void *state, const xmlChar *name)
{
    struct reading *r = state;
    const struct element *e = find_element(name);

    if (e && r->drop_depth == 0) {
        set_apart(r, e->role);
        if (e->prefix[0])
            r->prefix = NULL; /* a heading without text */
        if (e->role == ROLE_PRE && r->n_pre > 0)
            r->n_pre--;
    }
    if (r->drop_depth == r->depth)
        r->drop_depth = 0;
    if (r->title_depth == r->depth)
        r->title_depth = 0;
    if (r->depth > 0)
        r->depth--;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* What stands between the text so far and the next piece. */
static void append_gap(struct reading *r)
{
    if (r->out->len > 0) {
        for (unsigned i = 0; i < r->n_breaks; i++)
            buf_append_char(r->out, '\n');
        if (r->n_breaks == 0 && r->has_space)
            buf_append_char(r->out, ' ');
    }
    if (r->prefix)
        buf_append_str(r->out, str_from(r->prefix));
    r->prefix = NULL;
    r->n_breaks = 0;
    r->has_space = false;
}

static void append_title(struct reading *r, struct str text)
{
    if (r->title->max_bytes > 0)
        text = utf8_prefix(text, r->title->max_bytes - r->title->len);
    for (size_t i = 0; i < text.len; i++) {
        if (!is_space(text.ptr[i]))
            buf_append_char(r->title, text.ptr[i]);
        else if (r->title->len > 0 && r->title->data[r->title->len - 1] != ' ')
            buf_append_char(r->title, ' ');
    }
}

static void on_text(void *state, const xmlChar *chars, int len)
{
    struct reading *r = state;
    struct str text = {(const char *)chars, (size_t)len};

    if (r->drop_depth > 0)
        return;
    if (r->title_depth > 0) {
        append_title(r, text);
        return;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (is_space(c) && (r->n_pre == 0 || r->n_breaks > 0)) {
            r->has_space = true;
            continue;
        }
        if (r->n_breaks > 0 || r->has_space || r->prefix)
            append_gap(r);
        buf_append_char(r->out, c);
    }
}

/* What is in scripts and styles. */
static void on_cdata(void *state, const xmlChar *chars, int len)
{
    (void)state;
    (void)chars;
    (void)len;
}

static struct error read_html(struct str html, struct buf *out, struct buf *title)
{
    /* A page that is no UTF-8 says in its head what it is. */
    const char *encoding = utf8_is_valid(html) ? "UTF-8" : NULL;
    struct reading r = {.out = out, .title = title};
    xmlSAXHandler sax = {.startElement = on_start,
                         .endElement = on_end,
                         .characters = on_text,
                         .ignorableWhitespace = on_text,
                         .cdataBlock = on_cdata};
    bool is_no_memory;

    if (html.len == 0)
        return NO_ERROR;
    if (html.len > INT_MAX)
        return ERROR(ERR_TOO_LARGE, 0, NULL);
    r.parser = htmlCreateMemoryParserCtxt(html.ptr, (int)html.len);
    if (!r.parser)
        return ERROR(ERR_NO_MEMORY, 0, NULL);
    *r.parser->sax = sax;
    r.parser->userData = &r;
    htmlCtxtUseOptions(r.parser, HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                                     HTML_PARSE_NONET);
    if (encoding) {
        xmlCharEncodingHandlerPtr handler = xmlFindCharEncodingHandler(encoding);

        if (handler)
            xmlSwitchToEncoding(r.parser, handler);
    }
    htmlParseDocument(r.parser);
    is_no_memory = r.parser->errNo == XML_ERR_NO_MEMORY;
    htmlFreeParserCtxt(r.parser);
    if (r.is_too_deep)
        return ERROR(ERR_INVALID, 0, "The HTML is nested too deeply to be read");
    if (out->failed && !out->is_short_of_memory)
        return ERROR(ERR_TOO_LARGE, 0,
                     "The text of this document is longer than this server takes");
    return is_no_memory || out->failed || title->failed ? ERROR(ERR_NO_MEMORY, 0, NULL) : NO_ERROR;
}

struct error html_to_text(struct str html, struct buf *out, struct buf *title)
{
    struct buf bare = {0};
    struct error err;

    html_bare(html, &bare);
    err = bare.failed ? ERROR(ERR_NO_MEMORY, 0, NULL) : read_html(buf_str(&bare), out, title);
    buf_deinit(&bare);
    return err;
}
