/* Readers in memory: every shape of an answer, whole and cut at every byte. */
#include "harness.h"

#include "upstream/provider.h"

#include <stdlib.h>
#include <string.h>

#define EVENT_BYTES 4096
#define REPLY_BYTES 100000

/* What the reader makes of the pieces [0, cut) and [cut, len); piece > 0: pieces of that size. */
static void read_answer(const struct reader_type *type, struct str body, size_t cut, size_t piece,
                        bool is_whole, struct reply *reply)
{
    void *reader = calloc(1, type->state_bytes);

    assert_non_null(reader);
    *reply = (struct reply){.max_text_bytes = REPLY_BYTES, .max_event_bytes = EVENT_BYTES};
    type->init(reader, reply);
    while (body.len > 0) {
        size_t n = piece ? piece : cut;
        /* A copy of its own, so that a look behind its end is seen. */
        char *copy;

        if (n == 0 || n > body.len)
            n = body.len;
        copy = malloc(n);
        assert_non_null(copy);
        memcpy(copy, body.ptr, n);
        type->feed(reader, (struct str){copy, n});
        free(copy);
        body = str_skip(body, n);
        cut = 0;
    }
    if (reply->state != REPLY_DONE)
        type->end(reader, is_whole);
    type->deinit(reader);
    free(reader);
    if (is_whole && reply->err.status == OK && reply->text_bytes == 0)
        reply->err = ERROR(ERR_EMPTY_REPLY, 0, NULL);
    assert_true(utf8_is_valid(buf_str(&reply->text)));
    assert_int_equal(reply->text.len, reply->text_bytes);
}

static void check_one(const struct reader_type *type, struct str body, size_t cut, size_t piece,
                      bool is_whole, enum status status, const char *text)
{
    struct reply reply;

    read_answer(type, body, cut, piece, is_whole, &reply);
    buf_append_char(&reply.text, '\0');
    assert_string_equal(reply.text.data, text);
    assert_int_equal(reply.err.status, status);
    buf_deinit(&reply.text);
}

static void check(const struct reader_type *type, struct str body, bool is_whole,
                  enum status status, const char *text)
{
    for (size_t cut = 0; cut < body.len || cut == 0; cut++)
        check_one(type, body, cut, 0, is_whole, status, text);
    for (size_t piece = 1; piece < 4; piece++)
        check_one(type, body, 0, piece, is_whole, status, text);
}

struct row {
    const char *body;
    enum status status;
    const char *text;
};

static void check_rows(const struct reader_type *type, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        print_message("%s\n", rows[i].body);
        check(type, str_from(rows[i].body), true, rows[i].status, rows[i].text);
    }
}
#define CHECK_ROWS(type, rows) check_rows(&(type), rows, sizeof(rows) / sizeof((rows)[0]))

static void captures_read_alike_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_captures; i++) {
        struct buf answer = {0}, body = {0};
        enum status status_wanted = captures[i].status;
        int status = 0;
        bool is_whole;

        capture_read(captures[i].name, &answer);
        is_whole = http_body(buf_str(&answer), &status, &body);
        if (status_wanted == ERR_INTERRUPTED)
            status_wanted = OK; /* the client's to say */
        if (status == 200)
            check(&n8n_reader_type, buf_str(&body), is_whole, status_wanted, captures[i].text);
        buf_deinit(&answer);
        buf_deinit(&body);
    }
}

static void one_json_value_is_a_reply(void **state)
{
    static const struct row rows[] = {
        {"{\"content\":\"a\"}", OK, "a"},
        {"{\"output\":\"a\"}\n", OK, "a"},
        {"{\"text\":\"a\"}", OK, "a"},
        {"{\"response\":\"a\"}", OK, "a"},
        {"{\"message\":\"a\"}", OK, "a"},
        {"\xEF\xBB\xBF \n{\n  \"output\": \"a\"\n}\n", OK, "a"},
        {"{\"message\":\"b\",\"output\":\"a\"}", OK, "a"},
        {"{\"type\":\"text\",\"content\":\"a\"}", OK, "a"},
        {"{\"output\":{\"text\":\"a\"}}", OK, "a"},
        {"{\"output\":42}", OK, "42"},
        {"[{\"output\":\"a\"},{\"text\":\"b\"},{\"output\":\"\"},\"c\"]", OK, "a\n\nb\n\nc"},
        {"\"just a string\"", OK, "just a string"},
        {"{\"content\":\"{\\\"a\\\":1}\"}", OK, "{\"a\":1}"},
        {"{\"output\":\"x\\u0000y\\ud83d\"}", OK, "x\xEF\xBF\xBDy\xEF\xBF\xBD"},
        {"{\"output\":\"\xff\"}", OK, "\xEF\xBF\xBD"},
        {"{\"output\":\"\"}", ERR_EMPTY_REPLY, ""},
        {"{}", ERR_EMPTY_REPLY, ""},
        {"[]", ERR_EMPTY_REPLY, ""},
        {"null", ERR_EMPTY_REPLY, ""},
        {"", ERR_EMPTY_REPLY, ""},
        {" \n\n", ERR_EMPTY_REPLY, ""},
        {"{\"data\":[]}", ERR_PROVIDER_MALFORMED, ""},
        {"{\"error\":\"boom\"}", ERR_PROVIDER_ERROR, ""},
        {"{\"error\":{\"message\":\"boom\"},\"message\":\"boom\"}", ERR_PROVIDER_ERROR, ""},
        {"{\"code\":0,\"message\":\"boom\"}", ERR_PROVIDER_ERROR, ""},
        {"{\"message\":\"Workflow was started\"}", ERR_PROVIDER_MALFORMED, ""},
        {"{\"message\":\"n8n is starting up. Please wait\"}", ERR_PROVIDER_UNREACHABLE, ""},
        {"{not json", ERR_PROVIDER_MALFORMED, ""},
        {"{\"output\":\"cut", ERR_PROVIDER_MALFORMED, ""},
        {"{\"output\":\"a\"} and more", ERR_PROVIDER_MALFORMED, "a"},
        {"{\"headers\":{\"authorization\":\"Bearer x\"},\"body\":{}}", ERR_PROVIDER_MALFORMED, ""},
        {"[{\"headers\":{},\"query\":{}}]", ERR_PROVIDER_MALFORMED, ""},
        {"{\"messages\":[],\"system_prompt\":\"\"}", ERR_PROVIDER_MALFORMED, ""},
    };

    (void)state;
    CHECK_ROWS(n8n_reader_type, rows);
}

static void plain_text_is_a_reply(void **state)
{
    static const struct row rows[] = {
        {"Hello", OK, "Hello"},
        {"  indented", OK, "  indented"},
        {"Grüße 🎉", OK, "Grüße 🎉"},
        {"cut \xF0\x9F\x8E", OK, "cut \xEF\xBF\xBD"},
        {"[a link](http://x)", OK, "[a link](http://x)"},
        {"[text](http://x)", OK, "[text](http://x)"},
        {"\"Yes,\" she said", OK, "\"Yes,\" she said"},
        {"<b>bold</b>", OK, "<b>bold</b>"},
        {"id: 5 is yours", OK, "id: 5 is yours"},
        {"event: tonight\nsee you", OK, "event: tonight\nsee you"},
        {"data", OK, "data"},
        {":)", OK, ":)"},
        {"n8n is a tool", OK, "n8n is a tool"},
        {"nullable", OK, "nullable"},
        {"Workflow was started by you and it runs", OK, "Workflow was started by you and it runs"},
        {"Workflow was started", ERR_PROVIDER_MALFORMED, ""},
        {"n8n is starting up. Please wait", ERR_PROVIDER_UNREACHABLE, ""},
        {"<!DOCTYPE html>\n<html>", ERR_PROVIDER_MALFORMED, ""},
        {"\n<HTML><body>", ERR_PROVIDER_MALFORMED, ""},
    };

    (void)state;
    CHECK_ROWS(n8n_reader_type, rows);
    check(&n8n_reader_type, (struct str){"a\0b", 3}, true, OK,
          "a\xEF\xBF\xBD"
          "b");
}

#define ITEM(text) "{\"type\":\"item\",\"content\":\"" text "\"}\n"
#define BEGIN      "{\"type\":\"begin\",\"metadata\":{}}\n"
#define END        "{\"type\":\"end\"}\n"
#define BAD        "{\"type\":\"error\",\"content\":\"secret\"}\n"

static void json_lines_are_a_stream(void **state)
{
    static const struct row rows[] = {
        {BEGIN ITEM("a") ITEM("b") END, OK, "ab"},
        {ITEM("a"), OK, "a"},
        {"{\"type\":\"item\",\"content\":\"a\"}", OK, "a"},
        {"{\"type\":\"begin\"}{\"type\":\"item\",\"content\":\"a\"}", OK, "a"},
        {"\r\n\r\n" BEGIN "\r\n\r\n" ITEM("a") "\r\n" END, OK, "a"},
        {BEGIN END BEGIN ITEM("a") END BEGIN ITEM("b"), OK, "ab"},
        {"{\"type\":\"hello\"}\n" ITEM("a"), OK, "a"},
        {BEGIN "{\"type\":\"tool\",\"content\":\"no\"}\n" ITEM("a"), OK, "a"},
        {BEGIN ITEM("") ITEM("{\\\"output\\\":\\\"x\\\"}"), OK, "{\"output\":\"x\"}"},
        {BEGIN "{\"type\":\"item\"}\n{\"type\":\"item\",\"content\":null}\n" ITEM("a"), OK, "a"},
        {"{\"content\":\"a\"}\n{\"content\":\"b\"}\n", OK, "ab"},
        {BEGIN ITEM("a") BAD, ERR_PROVIDER_ERROR, "a"},
        {BAD, ERR_PROVIDER_ERROR, ""},
        {BAD ITEM("a"), ERR_PROVIDER_ERROR, "a"},
        {BEGIN "{\"error\":{\"message\":\"secret\"}}\n", ERR_PROVIDER_ERROR, ""},
        {BEGIN END, ERR_EMPTY_REPLY, ""},
        {BEGIN ITEM("a") "oops\n" ITEM("b"), ERR_PROVIDER_MALFORMED, "a"},
        {BEGIN "{\"headers\":{\"a\":\"Bearer x\"},\"body\":{}}\n", ERR_PROVIDER_MALFORMED, ""},
        {BEGIN ITEM("{\\\"headers\\\":{},\\\"body\\\":{}}"), ERR_PROVIDER_MALFORMED, ""},
        {BEGIN "{\"type\":\"item\",\"content\":{\"headers\":{},\"body\":{}}}\n",
         ERR_PROVIDER_MALFORMED, ""},
    };

    (void)state;
    CHECK_ROWS(n8n_reader_type, rows);
    check(&n8n_reader_type, STR(BEGIN ITEM("a") "{\"type\":\"item\",\"con"), false, OK, "a");
}

static void events_are_a_stream(void **state)
{
    static const struct row rows[] = {
        {"data: {\"content\":\"a\"}\n\ndata: {\"content\":\"b\"}\n\ndata: [DONE]\n\n", OK, "ab"},
        {"data:{\"content\":\"a\"}\r\n\r\ndata:{\"content\":\"b\"}\r\n\r\n", OK, "ab"},
        {"data: {\"content\":\"a\"}\r\rdata: [DONE]\r\r", OK, "a"},
        {": ping\n\nevent: message\nid: 1\nretry: 5\ndata: {\"content\":\"a\"}\n\n", OK, "a"},
        {"\xEF\xBB\xBF"
         "data: {\"content\":\"a\"}\n\n",
         OK, "a"},
        {"data: {\"content\":\ndata: \"a\"}\n\n", OK, "a"},
        {"data: {\"content\":\"a\"}", OK, "a"},
        {"data: {\"content\":\"a\"}\n\ndata: [DONE]\n\ndata: {\"content\":\"b\"}\n\n", OK, "a"},
        {"data: {\"type\":\"begin\"}\n\ndata: {\"type\":\"item\",\"content\":\"a\"}\n\n", OK, "a"},
        {"data: Hello\n\ndata:  world\n\n", OK, "Hello world"},
        {"data: \"a\"\n\n", OK, "a"},
        {"data: {\"content\":\"a\"}\n\ndata: {\"error\":\"secret\"}\n\n", ERR_PROVIDER_ERROR, "a"},
        {"event: error\ndata: secret\n\n", ERR_PROVIDER_ERROR, ""},
        {"data: {bad\n\n", ERR_PROVIDER_MALFORMED, ""},
        {"data: [DONE]\n\n", ERR_EMPTY_REPLY, ""},
        {": ping\n\n: ping\n\n", ERR_EMPTY_REPLY, ""},
    };

    (void)state;
    CHECK_ROWS(n8n_reader_type, rows);
    check(&n8n_reader_type, STR("data: {\"content\":\"a\"}\n\ndata: {\"content\":\"b\"}"), false,
          OK, "a");
}

static void too_long_is_a_limit(void **state)
{
    static const char *const heads[] = {"{\"output\":\"", BEGIN "{\"type\":\"item\",\"content\":\"",
                                        "data: {\"content\":\"", "[\"", "data: x\ndata: "};

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct buf body = {0};

        buf_append_str(&body, str_from(heads[i]));
        while (body.len < 3 * EVENT_BYTES)
            buf_append_char(&body, 'x');
        check_one(&n8n_reader_type, buf_str(&body), 0, 0, true, ERR_UPSTREAM_LIMIT, "");
        check_one(&n8n_reader_type, buf_str(&body), 0, 100, true, ERR_UPSTREAM_LIMIT, "");
        buf_deinit(&body);
    }
}

static void a_reply_is_bounded(void **state)
{
    struct buf body = {0};
    struct reply reply;

    (void)state;
    while (body.len <= REPLY_BYTES)
        buf_append_str(&body, STR("äöü"));
    read_answer(&n8n_reader_type, buf_str(&body), 0, 1000, true, &reply);
    assert_int_equal(reply.err.status, ERR_UPSTREAM_LIMIT);
    assert_int_equal(reply.text_bytes, REPLY_BYTES);
    buf_deinit(&body);
    buf_deinit(&reply.text);
}

#define DELTA(text) "data: {\"choices\":[{\"delta\":{\"content\":\"" text "\"}}]}\n\n"

static void models_stream_deltas(void **state)
{
    static const struct row rows[] = {
        {": PROCESSING\n\n" DELTA("a") DELTA("b") "data: [DONE]\n\n", OK, "ab"},
        {DELTA("a"), OK, "a"},
        {"data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\n\n" DELTA(
             "a"),
         OK, "a"},
        {"data: {\"choices\":[{\"delta\":{\"tool_calls\":[{}]}}]}\n\n" DELTA("a"), OK, "a"},
        {"{\"choices\":[{\"message\":{\"content\":\"a\"}}]}", OK, "a"},
        {"{\"choices\":[{\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}}]}", OK,
         "a"},
        {DELTA("a") "data: {\"error\":{\"message\":\"secret\"}}\n\n", ERR_PROVIDER_ERROR, "a"},
        {"data: {\"choices\":[{\"delta\":{\"refusal\":\"a\"}}]}\n\n", OK, "a"},
        {DELTA("a") "data: {\"choices\":[{\"finish_reason\":\"length\"}]}\n\n", OK, "a"},
        {DELTA("a") "data: {\"choices\":[{\"finish_reason\":\"content_filter\"}]}\n\n",
         ERR_PROVIDER_ERROR, "a"},
        {"data: {\"error\":{\"code\":429}}\n\n", ERR_PROVIDER_RATE_LIMITED, ""},
        {"{\"error\":{\"code\":\"401\"}}", ERR_PROVIDER_AUTH, ""},
        {"data: [DONE]\n\n", ERR_EMPTY_REPLY, ""},
        {"data: nonsense\n\n", ERR_PROVIDER_MALFORMED, ""},
        {"<html>", ERR_PROVIDER_MALFORMED, ""},
        {"", ERR_EMPTY_REPLY, ""},
    };

    (void)state;
    CHECK_ROWS(openai_reader_type, rows);
}

#define MESSAGE_START                                                                              \
    "event: message_start\n"                                                                       \
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\","        \
    "\"role\":\"assistant\",\"model\":\"claude-x\",\"content\":[],\"stop_reason\":null,"           \
    "\"stop_sequence\":null,\"usage\":{\"input_tokens\":5,\"cache_creation_input_tokens\":2,"      \
    "\"cache_read_input_tokens\":3,\"output_tokens\":1}}}\n\n"
#define BLOCK_START(block)                                                                         \
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"             \
    "\"content_block\":{" block "}}\n\n"
#define TEXT_START BLOCK_START("\"type\":\"text\",\"text\":\"\"")
#define PING       "event: ping\ndata: {\"type\": \"ping\"}\n\n"
#define BLOCK_DELTA(delta)                                                                         \
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"             \
    "\"delta\":{" delta "}}\n\n"
#define TEXT_DELTA(text) BLOCK_DELTA("\"type\":\"text_delta\",\"text\":\"" text "\"")
#define BLOCK_STOP                                                                                 \
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
#define MESSAGE_DELTA(reason)                                                                      \
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"" reason \
    "\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":7}}\n\n"
#define MESSAGE_STOP "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
#define ANTHROPIC_ERROR(type)                                                                      \
    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"" type                          \
    "\",\"message\":\"secret\"},\"request_id\":\"req_1\"}\n\n"
#define WHOLE_END BLOCK_STOP MESSAGE_DELTA("end_turn") MESSAGE_STOP

static void anthropic_streams_blocks(void **state)
{
    static const struct row rows[] = {
        {MESSAGE_START TEXT_START PING TEXT_DELTA("a\\n") TEXT_DELTA("Gr\u00fc\u00dfe 🎉") WHOLE_END,
         OK, "a\nGrüße 🎉"},
        {MESSAGE_START BLOCK_START("\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"")
             BLOCK_DELTA("\"type\":\"thinking_delta\",\"thinking\":\"no\"")
                 BLOCK_DELTA("\"type\":\"signature_delta\",\"signature\":\"no\"")
                     BLOCK_STOP TEXT_START TEXT_DELTA("a") WHOLE_END,
         OK, "a"},
        {MESSAGE_START TEXT_START TEXT_DELTA("a") BLOCK_STOP BLOCK_START(
             "\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"no\",\"input\":{}")
             BLOCK_DELTA("\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"text\\\":1}\"")
                 BLOCK_STOP MESSAGE_DELTA("tool_use") MESSAGE_STOP,
         OK, "a"},
        {MESSAGE_START BLOCK_START("\"type\":\"text\",\"text\":\"a\"") TEXT_DELTA("b") WHOLE_END,
         OK, "ab"},
        {MESSAGE_START TEXT_START TEXT_DELTA("a") MESSAGE_STOP TEXT_DELTA("b"), OK, "a"},
        {MESSAGE_START TEXT_START TEXT_DELTA("a"), OK, "a"},
        {MESSAGE_START TEXT_START TEXT_DELTA("a") MESSAGE_DELTA("max_tokens") MESSAGE_STOP, OK,
         "a"},
        {MESSAGE_START TEXT_START TEXT_DELTA("a") MESSAGE_DELTA("refusal") MESSAGE_STOP,
         ERR_PROVIDER_ERROR, "a"},
        {MESSAGE_START TEXT_START TEXT_DELTA("a") ANTHROPIC_ERROR("overloaded_error"),
         ERR_PROVIDER_ERROR, "a"},
        {ANTHROPIC_ERROR("rate_limit_error"), ERR_PROVIDER_RATE_LIMITED, ""},
        {ANTHROPIC_ERROR("authentication_error"), ERR_PROVIDER_AUTH, ""},
        {ANTHROPIC_ERROR("permission_error"), ERR_PROVIDER_AUTH, ""},
        {ANTHROPIC_ERROR("invalid_request_error"), ERR_PROVIDER_ERROR, ""},
        {ANTHROPIC_ERROR("invented_error"), ERR_PROVIDER_ERROR, ""},
        {MESSAGE_START TEXT_START TEXT_DELTA("a") "event: novel\ndata: {\"type\":\"novel\","
                                                  "\"text\":\"no\"}\n\n" WHOLE_END,
         OK, "a"},
        {"{\"type\":\"message\",\"model\":\"claude-x\",\"content\":[{\"type\":\"thinking\","
         "\"thinking\":\"no\"},{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":"
         "\"b\"}],"
         "\"stop_reason\":\"end_turn\"}",
         OK, "ab"},
        {"{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"secret\"}}",
         ERR_PROVIDER_RATE_LIMITED, ""},
        {MESSAGE_START MESSAGE_DELTA("end_turn") MESSAGE_STOP, ERR_EMPTY_REPLY, ""},
        {"event: message_start\ndata: nonsense\n\n", ERR_PROVIDER_MALFORMED, ""},
        {"<html>", ERR_PROVIDER_MALFORMED, ""},
    };

    (void)state;
    CHECK_ROWS(anthropic_reader_type, rows);
    check(&anthropic_reader_type,
          STR(MESSAGE_START TEXT_START TEXT_DELTA("a") "event: content_block_delta\ndata: {\"ty"),
          false, OK, "a");
}

#define CANDIDATE(parts, more)                                                                     \
    "data: {\"candidates\": [{\"content\": {\"parts\": [" parts "],\"role\": \"model\"}" more      \
    ",\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 4,\"candidatesTokenCount\": 2,"     \
    "\"thoughtsTokenCount\": 3,\"totalTokenCount\": 9},\"modelVersion\": \"gemini-x\","            \
    "\"responseId\": \"r\"}\r\n\r\n"
#define PART(text)     "{\"text\": \"" text "\"}"
#define REASON(reason) ",\"finishReason\": \"" reason "\""
/* It breaks the format of events, as the real one does. */
#define GEMINI_ERROR(code)                                                                         \
    "{\n  \"error\": {\n    \"code\": " code ",\n    \"message\": \"secret\",\n"                   \
    "    \"status\": \"WHATEVER\"\n  }\n}\n"

static void gemini_streams_candidates(void **state)
{
    static const struct row rows[] = {
        {CANDIDATE(PART("a"), "") CANDIDATE(PART("Gr\u00fc\u00dfe 🎉"), REASON("STOP")), OK,
         "aGrüße 🎉"},
        {CANDIDATE(PART("a") "," PART("b"), REASON("STOP")) CANDIDATE(PART("c"), REASON("STOP")),
         OK, "abc"},
        {CANDIDATE("{\"text\": \"no\",\"thought\": true}", "")
             CANDIDATE("{\"functionCall\": {\"name\": \"no\",\"args\": {\"text\": \"no\"}}}", "")
                 CANDIDATE("{\"text\": \"a\",\"thoughtSignature\": \"no\"}", REASON("STOP")),
         OK, "a"},
        {CANDIDATE(PART("a"), ""), OK, "a"},
        {CANDIDATE(PART("a"), REASON("MAX_TOKENS")), OK, "a"},
        {CANDIDATE(PART("a"),
                   "") "data: {\"candidates\": [{\"finishReason\": \"SAFETY\"}]}\r\n\r\n",
         ERR_PROVIDER_ERROR, "a"},
        {CANDIDATE(PART("a"), REASON("RECITATION")), ERR_PROVIDER_ERROR, "a"},
        {CANDIDATE(PART("a"), REASON("OTHER")), ERR_PROVIDER_ERROR, "a"},
        {"data: {\"promptFeedback\": {\"blockReason\": \"PROHIBITED_CONTENT\"}}\r\n\r\n",
         ERR_PROVIDER_ERROR, ""},
        {CANDIDATE(PART("a"), "") GEMINI_ERROR("503"), ERR_PROVIDER_ERROR, "a"},
        {CANDIDATE(PART("a"), REASON("STOP")) "\r\n" GEMINI_ERROR("429"), ERR_PROVIDER_RATE_LIMITED,
         "a"},
        {CANDIDATE(PART("a"), "") "[" GEMINI_ERROR("429") "]", ERR_PROVIDER_RATE_LIMITED, "a"},
        {CANDIDATE(PART("a"), "") "{ nonsense\n", OK, "a"},
        {CANDIDATE(PART("a"), "") "nonsense\n{\"no\": 1}\n", OK, "a"},
        {"data: {\"error\": {\"code\": 429,\"status\": \"RESOURCE_EXHAUSTED\"}}\r\n\r\n",
         ERR_PROVIDER_RATE_LIMITED, ""},
        {"data: [{\"error\": {\"status\": \"PERMISSION_DENIED\"}}]\r\n\r\n", ERR_PROVIDER_AUTH, ""},
        {GEMINI_ERROR("403"), ERR_PROVIDER_AUTH, ""},
        {"[" GEMINI_ERROR("429") "]", ERR_PROVIDER_RATE_LIMITED, ""},
        {"{\"error\":{\"code\":400,\"status\":\"INVALID_ARGUMENT\",\"details\":[{\"reason\":"
         "\"API_KEY_INVALID\"}]}}",
         ERR_PROVIDER_AUTH, ""},
        {"{\"error\":{\"code\":99999999999999999999}}", ERR_PROVIDER_ERROR, ""},
        {"[{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]},\r\n{\"candidates\":"
         "[{\"content\":{\"parts\":[{\"text\":\"b\"}]},\"finishReason\":\"STOP\"}]}]",
         OK, "ab"},
        {"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\"}]"
         "}",
         OK, "a"},
        {CANDIDATE("", REASON("STOP")), ERR_EMPTY_REPLY, ""},
        {"data: nonsense\r\n\r\n", ERR_PROVIDER_MALFORMED, ""},
    };

    (void)state;
    CHECK_ROWS(gemini_reader_type, rows);
    check(&gemini_reader_type, STR(CANDIDATE(PART("a"), "") GEMINI_ERROR("429")), false,
          ERR_PROVIDER_RATE_LIMITED, "a");
    check(&gemini_reader_type, STR(CANDIDATE(PART("a"), "") "data: {\"cand"), false, OK, "a");
}

static void stray_json_is_bounded(void **state)
{
    struct buf body = {0};

    (void)state;
    buf_append_str(&body, STR(DELTA("a") "{\n"));
    while (body.len < 3 * EVENT_BYTES)
        buf_append_str(&body, STR("  x\n"));
    check_one(&openai_reader_type, buf_str(&body), 0, 0, true, ERR_UPSTREAM_LIMIT, "a");
    check_one(&openai_reader_type, buf_str(&body), 0, 100, true, ERR_UPSTREAM_LIMIT, "a");
    buf_deinit(&body);
}

static void check_facts(const struct reader_type *type, const char *body, int64_t prompt,
                        int64_t completion, int64_t total, enum upstream_finish finish, int code,
                        bool lacks_end)
{
    for (size_t piece = 1; piece < 100; piece += 33) {
        struct reply reply;

        read_answer(type, str_from(body), 0, piece, true, &reply);
        assert_int_equal(reply.usage.prompt_tokens, prompt);
        assert_int_equal(reply.usage.completion_tokens, completion);
        assert_int_equal(reply.usage.total_tokens, total);
        assert_int_equal(reply.usage.is_known, total > 0);
        assert_int_equal(reply.finish, finish);
        assert_int_equal(reply.err.code, code);
        assert_int_equal(reply.lacks_end, lacks_end);
        buf_deinit(&reply.text);
    }
}

static void usage_and_the_way_it_ended_are_alike(void **state)
{
    const struct reader_type *openai = &openai_reader_type, *anthropic = &anthropic_reader_type,
                             *gemini = &gemini_reader_type;

    (void)state;
    check_facts(openai, DELTA("a"), 0, 0, 0, UPSTREAM_STOPPED, 0, true);
    check_facts(openai,
                DELTA("a") "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}]}\n\n"
                           "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":2,"
                           "\"completion_tokens\":3}}\n\ndata: [DONE]\n\n",
                2, 3, 5, UPSTREAM_LENGTH, 0, false);
    check_facts(openai, "data: {\"choices\":[{\"finish_reason\":\"content_filter\"}]}\n\n", 0, 0, 0,
                UPSTREAM_FILTERED, 0, false);
    check_facts(openai, "data: {\"error\":{\"type\":\"server_error\",\"code\":null}}\n\n", 0, 0, 0,
                UPSTREAM_STOPPED, 500, false);
    check_facts(anthropic, MESSAGE_START TEXT_START TEXT_DELTA("a") WHOLE_END, 10, 7, 17,
                UPSTREAM_STOPPED, 0, false);
    check_facts(anthropic, MESSAGE_START TEXT_START TEXT_DELTA("a"), 10, 1, 11, UPSTREAM_STOPPED, 0,
                true);
    check_facts(anthropic, MESSAGE_START MESSAGE_DELTA("model_context_window_exceeded"), 10, 7, 17,
                UPSTREAM_LENGTH, 0, false);
    check_facts(anthropic, MESSAGE_START MESSAGE_DELTA("refusal"), 10, 7, 17, UPSTREAM_FILTERED, 0,
                false);
    check_facts(anthropic, MESSAGE_START ANTHROPIC_ERROR("overloaded_error"), 10, 1, 11,
                UPSTREAM_STOPPED, 529, false);
    check_facts(gemini, CANDIDATE(PART("a"), ""), 4, 5, 9, UPSTREAM_STOPPED, 0, true);
    check_facts(gemini, CANDIDATE(PART("a"), REASON("MAX_TOKENS")), 4, 5, 9, UPSTREAM_LENGTH, 0,
                false);
    check_facts(gemini, CANDIDATE(PART("a"), REASON("PROHIBITED_CONTENT")), 4, 5, 9,
                UPSTREAM_FILTERED, 0, false);
    check_facts(gemini, "data: {\"promptFeedback\": {\"blockReason\": \"SAFETY\"}}\r\n\r\n", 0, 0,
                0, UPSTREAM_FILTERED, 0, false);
    check_facts(gemini, CANDIDATE(PART("a"), "") GEMINI_ERROR("503"), 4, 5, 9, UPSTREAM_STOPPED,
                503, false);
    check_facts(gemini,
                "data: {\"usageMetadata\":{\"promptTokenCount\":-1,\"candidatesTokenCount\":"
                "18446744073709551615,\"thoughtsTokenCount\":\"9\",\"totalTokenCount\":4}}\n\n",
                0, 0, 4, UPSTREAM_STOPPED, 0, true);
}

static void providers_are_complete(void **state)
{
    static const char *const names[] = {
        "anthropic", "echo", "gemini", "groq", "n8n", "openai", "openai_compatible", "openrouter"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct provider *p = provider_find(str_from(names[i]));

        assert_non_null(p);
        assert_string_equal(provider_name(p), names[i]);
        assert_true(strlen(provider_greeting(p)) > 0);
        assert_true(p->builtin || (p->write_request && p->reader));
    }
    assert_null(provider_find(STR("n8")));
    assert_null(provider_find(STR_NONE));
    assert_string_equal(provider_greeting(provider_find(STR("n8n"))),
                        "Sending request to n8n webhook...");
    assert_true(provider_needs_url(provider_find(STR("n8n"))));
    assert_true(provider_needs_url(provider_find(STR("openai_compatible"))));
    assert_false(provider_needs_url(provider_find(STR("openai"))));
    assert_false(provider_needs_url(provider_find(STR("echo"))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captures_read_alike_however_they_are_cut),
        cmocka_unit_test(one_json_value_is_a_reply),
        cmocka_unit_test(plain_text_is_a_reply),
        cmocka_unit_test(json_lines_are_a_stream),
        cmocka_unit_test(events_are_a_stream),
        cmocka_unit_test(too_long_is_a_limit),
        cmocka_unit_test(a_reply_is_bounded),
        cmocka_unit_test(models_stream_deltas),
        cmocka_unit_test(anthropic_streams_blocks),
        cmocka_unit_test(gemini_streams_candidates),
        cmocka_unit_test(stray_json_is_bounded),
        cmocka_unit_test(usage_and_the_way_it_ended_are_alike),
        cmocka_unit_test(providers_are_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
