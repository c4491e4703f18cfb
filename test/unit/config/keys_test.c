/* The table of keys, and what is made from it: docs/configuration.md's table,
 * etc/config.sample.json and etc/env.sample. After a change of the table, run this program with
 * AERIE_REWRITE=1 to write them anew. */
#include "base/json.h"
#include "unit.h"

#include <ctype.h>

static const char begin_mark[] = "<!-- keys -->\n", end_mark[] = "<!-- /keys -->";

static struct str read_file(struct arena *a, const char *path)
{
    struct buf content = {0};
    struct str text;
    FILE *f = fopen(path, "r");
    char piece[4096];
    size_t n;

    if (!f)
        return STR("");
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        buf_append(&content, piece, n);
    fclose(f);
    text = arena_copy(a, buf_str(&content));
    buf_deinit(&content);
    return text;
}

static void compare(struct arena *a, const char *path, struct str expected)
{
    struct str found = read_file(a, path);

    if (str_eq(found, expected))
        return;
    if (getenv("AERIE_REWRITE")) {
        FILE *f = fopen(path, "w");

        assert_non_null(f);
        assert_int_equal(fwrite(expected.ptr, 1, expected.len, f), expected.len);
        fclose(f);
        return;
    }
    fail_msg("%s is not what the table of keys says; see the top of this test", path);
}

static void env_name(const char *name, struct buf *out)
{
    for (; *name; name++) {
        if (*name == '.')
            buf_append_str(out, STR("__"));
        else
            buf_append_char(out, (char)toupper((unsigned char)*name));
    }
}

static void keys_are_in_order_and_complete(void **state)
{
    const struct config_key *keys;
    size_t n;

    (void)state;
    keys = config_keys(&n);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && strcmp(keys[i - 1].name, keys[i].name) >= 0)
            fail_msg("%s stands behind %s", keys[i].name, keys[i - 1].name);
        assert_true(strlen(keys[i].help) > 0);
        assert_null(strchr(keys[i].help, '|'));
        assert_true(keys[i].offset < offsetof(struct config, arena));
        if (keys[i].type == CONFIG_UINT)
            assert_true(keys[i].min < keys[i].max);
        for (size_t k = 0; k < i; k++)
            assert_true(keys[k].offset != keys[i].offset);
    }
}

/* Every member of the struct belongs to a key: as many bytes as the rows say, and no more. */
static void every_member_has_a_key(void **state)
{
    static const size_t sizes[] = {
        [CONFIG_TEXT] = sizeof(struct str),
        [CONFIG_UINT] = sizeof(uint64_t),
        [CONFIG_BOOL] = sizeof(uint64_t), /* with the padding behind it */
        [CONFIG_LIST] = sizeof(struct config_list),
    };
    const struct config_key *keys;
    size_t n, bytes = 0;

    (void)state;
    keys = config_keys(&n);
    for (size_t i = 0; i < n; i++)
        bytes += sizes[keys[i].type];
    assert_int_equal(bytes, offsetof(struct config, arena));
}

static void the_manual_has_the_table(void **state)
{
    const char *path = SOURCE_ROOT "/docs/configuration.md";
    struct buf expected = {0};
    struct arena a = {0};
    struct str page = read_file(&a, path), rest;
    const char *begin, *end;

    (void)state;
    begin = page.len ? strstr(page.ptr, begin_mark) : NULL;
    end = begin ? strstr(begin, end_mark) : NULL;
    assert_non_null(end);
    begin += strlen(begin_mark);
    rest = str_from(end);
    buf_append(&expected, page.ptr, (size_t)(begin - page.ptr));
    config_print_markdown(&expected);
    buf_append_str(&expected, rest);
    compare(&a, path, buf_str(&expected));
    buf_deinit(&expected);
    arena_free(&a);
}

static void the_sample_of_config_json_has_every_key(void **state)
{
    struct buf compact = {0};
    struct arena a = {0};
    struct config c;
    yyjson_val *root;
    struct str text;
    size_t len;
    char *pretty;

    (void)state;
    assert_false(is_error(config_load(&(struct config_sources){0}, &c)));
    config_print(&c, true, &compact);
    assert_false(is_error(json_read(&a, buf_str(&compact), 8, &root)));
    pretty = yyjson_val_write(root, YYJSON_WRITE_PRETTY_TWO_SPACES, &len);
    assert_non_null(pretty);
    text = arena_printf(&a, "%s\n", pretty);
    free(pretty);
    config_free(&c);
    compare(&a, SOURCE_ROOT "/etc/config.sample.json", text);
    buf_deinit(&compact);
    arena_free(&a);
}

static void the_sample_of_env_has_every_key(void **state)
{
    const struct config_key *keys;
    struct buf out = {0};
    struct arena a = {0};
    size_t n;

    (void)state;
    keys = config_keys(&n);
    buf_append_str(
        &out, STR("# Copy to .env and take the # off the lines you change; the values here are the "
                  "defaults.\n# docs/configuration.md says more.\n"));
    for (size_t i = 0; i < n; i++) {
        buf_printf(&out, "\n# %s%s%s%s\n", keys[i].help, keys[i].unit[0] ? " (" : "", keys[i].unit,
                   keys[i].unit[0] ? ")" : "");
        buf_append_char(&out, '#');
        env_name(keys[i].name, &out);
        buf_printf(&out, "=%s\n", keys[i].default_value);
    }
    compare(&a, SOURCE_ROOT "/etc/env.sample", buf_str(&out));
    buf_deinit(&out);
    arena_free(&a);
}

static void the_samples_load(void **state)
{
    const struct config_sources sources = {.json_path = SOURCE_ROOT "/etc/config.sample.json",
                                           .env_path = SOURCE_ROOT "/etc/env.sample"};
    struct buf ours = {0}, theirs = {0};
    struct config c;

    (void)state;
    assert_false(is_error(config_load(&(struct config_sources){0}, &c)));
    config_print(&c, true, &ours);
    config_free(&c);
    assert_false(is_error(config_load(&sources, &c)));
    config_print(&c, true, &theirs);
    config_free(&c);
    assert_true(str_eq(buf_str(&ours), buf_str(&theirs)));
    buf_deinit(&ours);
    buf_deinit(&theirs);
}

int main(void)
{
#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, enter_directory, leave_directory)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_in_order_and_complete),
        cmocka_unit_test(every_member_has_a_key),
        cmocka_unit_test(the_manual_has_the_table),
        IN_DIRECTORY(the_sample_of_config_json_has_every_key),
        cmocka_unit_test(the_sample_of_env_has_every_key),
        IN_DIRECTORY(the_samples_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
