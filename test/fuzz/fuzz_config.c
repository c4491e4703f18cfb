/* config.json and .env: the first byte says which. What is refused is told with its file and a line
 * that it has, in one line; what is taken is shown as JSON, and read again it is the same. */
#include "base/json.h"
#include "config/internal.h"
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

struct loaded {
    struct config config;
    struct error err;
    struct buf shown;
};

/* A file in memory, in a place of its own below /proc. */
static int write_file(struct str text, char path[64])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    MUST(fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void load(struct loaded *l, struct str text, bool is_json)
{
    struct loader loader = {.config = &l->config, .arena = &l->config.arena};
    char path[64];
    size_t n_keys;
    int fd = write_file(text, path);

    *l = (struct loaded){.err = NO_ERROR};
    config_keys(&n_keys);
    loader.holders = arena_alloc(loader.arena, n_keys * sizeof(*loader.holders));
    MUST(loader.holders != NULL);
    l->err = is_json ? load_json(&loader, path, false) : load_dotenv(&loader, path, false);
    close(fd);
    if (!is_error(l->err))
        config_print(&l->config, true, &l->shown);
}

static void unload(struct loaded *l)
{
    config_free(&l->config);
    buf_deinit(&l->shown);
}

static void check_refusal(struct error err, struct str text)
{
    struct str detail = str_from(err.detail), number;
    size_t n_lines = 1;
    int64_t line;

    MUST(err.status == ERR_INVALID && detail.len > 0);
    MUST(!str_has_control(detail) && utf8_is_valid(detail));
    MUST(str_starts_with(detail, STR("/proc/self/fd/")));
    detail = str_skip(detail, str_find(detail, ':') + 1);
    number = (struct str){detail.ptr, str_find(detail, ':')};
    if (!str_to_i64(number, &line))
        return; /* of the whole file: it is too large */
    for (size_t i = 0; i < text.len; i++)
        n_lines += text.ptr[i] == '\n';
    MUST(line >= 1 && (size_t)line <= n_lines);
}

static void check_shown(struct buf *shown)
{
    struct arena arena = {0};
    struct loaded again;
    yyjson_val *root;

    MUST(!shown->failed && !is_error(json_read(&arena, buf_str(shown), 4, &root)));
    arena_free(&arena);
    load(&again, buf_str(shown), true);
    if (!is_error(again.err)) /* defaults were not loaded: "" and 0 are not taken everywhere */
        MUST(buf_eq(&again.shown, shown));
    unload(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    bool is_json = take_byte(&text) % 2 == 0;
    struct loaded l;

    load(&l, text, is_json);
    if (is_error(l.err))
        check_refusal(l.err, text);
    else
        check_shown(&l.shown);
    unload(&l);
    return 0;
}
