/* The table of tables. A table that a migration makes has its row here; bulk_know_all() tells of one
 * that was forgotten. */
#include "db/bulk.h"

#define TEAM  .way = TABLE_OF_TEAM, .team_column = "team_id"
#define WHOLE .way = TABLE_OF_WHOLE, .team_column = "team_id"

/* clang-format off */
static const struct bulk_table table[] = {
    {"teams", .way = TABLE_OF_TEAM, .team_column = "id"},
    {"users", TEAM, .hash_column = "password_hash"},
    {"sites", TEAM},
    {"agents", TEAM, .sealed = {"webhook_token"}, .purpose = SEAL_AGENT_TOKEN},
    {"api_keys", TEAM},
    {"provider_keys", TEAM, .sealed = {"sealed_key"}, .purpose = SEAL_PROVIDER_KEY, .is_all_secret = true},
    {"chats", TEAM},
    {"messages", TEAM, .own = "node_id"},
    {"idempotency", TEAM},
    {"documents", TEAM, .own = "node_id"},
    {"document_chunks", TEAM},
    {"usage_days", TEAM},
    {"audit_log", TEAM},
    {"budgets", TEAM},
    {"budget_spend", TEAM, .leased = "leased_"},
    {"webhooks", TEAM, .sealed = {"secret", "previous_secret"}, .purpose = SEAL_WEBHOOK, .is_all_secret = true},
    {"webhook_deliveries", WHOLE, .why = "told once, by the server that has to"},
    {"agent_failures", WHOLE, .why = "counted anew"},
    {"budget_leases", WHOLE, .why = "of nodes of the old place; they run out"},
    {"revoked_tokens", TEAM, .order = "pos"},
    {"erasures", WHOLE, .why = "gone on with where they were begun"},
    {"refresh_tokens", WHOLE, .why = "logins: people sign in again elsewhere"},
    {"mail_tokens", WHOLE, .why = "links in mails lead to the server that sent them"},
    {"mails", .way = TABLE_OF_WHOLE, .why = "mails that wait are sent once"},
    {"document_vectors", .way = TABLE_LEFT, .why = "made from document_chunks by a server that starts", .is_optional = true},
    {"nodes", .way = TABLE_LEFT, .why = "the servers of this database"},
    {"team_streams", .way = TABLE_LEFT, .why = "what the servers of this database make just now", .is_optional = true},
    {"rates", .way = TABLE_LEFT, .why = "of the last minutes", .is_optional = true},
    {"schema_migrations", .way = TABLE_LEFT, .why = "each database counts its own"},
};
/* clang-format on */

const struct bulk_table *bulk_tables(size_t *n)
{
    *n = sizeof(table) / sizeof(table[0]);
    return table;
}

const struct bulk_table *bulk_table_find(struct str name)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (str_eq(str_from(table[i].name), name))
            return &table[i];
    return NULL;
}
