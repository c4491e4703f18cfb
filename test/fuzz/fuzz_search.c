/* What people search for, as SQLite's FTS5 gets it: never an error of syntax, never an operator,
 * and a text is found by any of its own words. */
#include "db/search.h"
#include "fuzz.h"

#include <sqlite3.h>

#define MAX_WORDS 10

static sqlite3_stmt *match;

static void run(sqlite3 *db, const char *sql)
{
    MUST(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
}

static void open_index(void)
{
    sqlite3 *db;

    if (match)
        return;
    MUST(sqlite3_open(":memory:", &db) == SQLITE_OK);
    run(db, "CREATE VIRTUAL TABLE i USING fts5 (content)");
    run(db, "INSERT INTO i VALUES ('not and or near words'), ('other')");
    MUST(sqlite3_prepare_v2(db, "SELECT count(*) FROM i WHERE i MATCH ?", -1, &match, NULL) ==
         SQLITE_OK);
}

static int count_matches(struct str words)
{
    int n;

    MUST(sqlite3_bind_text(match, 1, words.ptr, (int)words.len, SQLITE_STATIC) == SQLITE_OK);
    MUST(sqlite3_step(match) == SQLITE_ROW);
    n = sqlite3_column_int(match, 0);
    sqlite3_reset(match);
    return n;
}

/* Quoted words and joints, nothing else. */
static unsigned count_words(struct str words, struct str joint)
{
    unsigned n = 0;

    while (words.len > 0) {
        MUST(n == 0 || str_starts_with(words, joint));
        words = str_skip(words, n == 0 ? 0 : joint.len);
        MUST(words.len >= 3 && words.ptr[0] == '"');
        words = str_skip(words, 1);
        words = str_skip(words, str_find(words, '"') + 1);
        n++;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct str joints[] = {{" ", 1}, {" OR ", 4}};
    struct str text = {(const char *)data, size};
    struct arena arena = {0};

    open_index();
    for (size_t i = 0; utf8_is_valid(text) && i < 2; i++) {
        struct str words = db_search_words(&arena, text, joints[i].ptr, MAX_WORDS), longer;
        unsigned n_words = count_words(words, joints[i]);

        MUST(words.ptr && n_words <= MAX_WORDS && words.len <= 8 * size);
        if (words.len > 0)
            count_matches(words);
        longer = arena_printf(&arena, "\"near\"%s%.*s", joints[i].ptr, STR_ARG(words));
        if (i == 1 && words.len > 0)
            MUST(count_matches(longer) >= 1);
    }
    arena_free(&arena);
    return 0;
}
