/* What an export and an import share: the key of what is sealed. */
#include "team_file.h"

#include "base/crypto.h"
#include "part.h"
#include "secret_input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PASSPHRASE_MIN_CHARS 12
static const struct str mark_text = {"aerie", 5};

struct error team_key_read(struct team_key *k, const char *file, struct str salt)
{
    char line[1024];
    struct error err = NO_ERROR;
    FILE *in = fopen(file, "re");

    if (!in)
        return part_fail("read", file, errno);
    if (secret_input_line(in, line, sizeof(line)) != SECRET_READ ||
        utf8_length(str_from(line)) < PASSPHRASE_MIN_CHARS)
        err = ERROR(ERR_INVALID, 0,
                    "the passphrase is the first line of its file, of 12 to 1000 characters");
    else
        k->is_there = crypto_stretch(str_from(line), salt, k->key);
    if (!is_error(err) && !k->is_there)
        err = ERROR(ERR_NO_MEMORY, 0, NULL);
    explicit_bzero(line, sizeof(line));
    fclose(in);
    return err;
}

struct str team_key_mark(const struct team_key *k, struct arena *a, struct str team_id)
{
    return crypto_seal(a, k->key, team_id, mark_text);
}

bool team_key_fits(const struct team_key *k, struct arena *a, struct str team_id, struct str mark)
{
    return str_eq(crypto_open(a, k->key, team_id, mark), mark_text);
}

bool team_file_is_sealed(const struct bulk_table *table, const struct bulk_columns *columns,
                         size_t i)
{
    for (size_t s = 0; s < 2; s++)
        if (table->sealed[s] && strcmp(columns->items[i].name, table->sealed[s]) == 0)
            return true;
    return false;
}
