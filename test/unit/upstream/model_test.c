/* The readers of model providers in memory: whole and cut at every byte. */
#include "reading.h"

#include <string.h>

#define DELTA(text) "data: {\"choices\":[{\"delta\":{\"content\":\"" text "\"}}]}\n\n"

static void models_stream_deltas(void **state)
{
    static const struct reading_row rows[] = {
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
    static const struct reading_row rows[] = {
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
    reading_check(
        &anthropic_reader_type,
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
    static const struct reading_row rows[] = {
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
    reading_check(&gemini_reader_type, STR(CANDIDATE(PART("a"), "") GEMINI_ERROR("429")), false,
                  ERR_PROVIDER_RATE_LIMITED, "a");
    reading_check(&gemini_reader_type, STR(CANDIDATE(PART("a"), "") "data: {\"cand"), false, OK,
                  "a");
}

static void stray_json_is_bounded(void **state)
{
    struct buf body = {0};

    (void)state;
    buf_append_str(&body, STR(DELTA("a") "{\n"));
    while (body.len < 3 * READING_EVENT_BYTES)
        buf_append_str(&body, STR("  x\n"));
    reading_check_one(&openai_reader_type, buf_str(&body), 0, 0, true, ERR_UPSTREAM_LIMIT, "a");
    reading_check_one(&openai_reader_type, buf_str(&body), 0, 100, true, ERR_UPSTREAM_LIMIT, "a");
    buf_deinit(&body);
}

static void check_facts(const struct reader_type *type, const char *body, int64_t prompt,
                        int64_t completion, int64_t total, enum upstream_finish finish, int code,
                        bool lacks_end)
{
    for (size_t piece = 1; piece < 100; piece += 33) {
        struct reply reply;

        reading_read(type, str_from(body), 0, piece, true, &reply);
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
        cmocka_unit_test(models_stream_deltas),
        cmocka_unit_test(anthropic_streams_blocks),
        cmocka_unit_test(gemini_streams_candidates),
        cmocka_unit_test(stray_json_is_bounded),
        cmocka_unit_test(usage_and_the_way_it_ended_are_alike),
        cmocka_unit_test(providers_are_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
