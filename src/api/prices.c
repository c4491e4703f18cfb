/* The operator's price table, by which budgets count money. */
#include "prices.h"

#include "answer.h"
#include "chat/price.h"
#include "config/config.h"
#include "doc.h"

static void write_price(struct str provider, struct str model, const struct price *price,
                        void *state)
{
    struct json *j = state;

    json_begin_object(j);
    json_pair_str(j, "provider", provider);
    json_pair_str(j, "model", model);
    json_pair_int(j, "input_micros", price->input);
    json_pair_int(j, "output_micros", price->output);
    json_end_object(j);
}

static void answer_list(struct flow *f)
{
    struct request *req = request_of(f);
    struct buf body = {0};
    struct json j = {.buf = &body};

    json_begin_object(&j);
    json_pair_str(&j, "currency", config()->budgets.currency);
    json_key(&j, "prices");
    json_begin_array(&j);
    price_each(write_price, &j);
    json_end_array(&j);
    json_end_object(&j);
    answer_json(req, 200, &body);
}

static const struct schema price_schema = {
    "Price",
    .members = MEMBERS(
        {"provider", DOC_TEXT}, {"model", DOC_TEXT, .about = "A `*` at its end: any rest"},
        {"input_micros", DOC_INT,
         .about = "Of a million tokens asked with, in millionths of the currency"},
        {"output_micros", DOC_INT, .about = "Of a million tokens of replies"}),
};
static const struct schema list_schema = {
    "Prices",
    .members = MEMBERS({"currency", DOC_TEXT, .about = "Of all budgets"},
                       {"prices", DOC_OBJECT | DOC_LIST, &price_schema,
                        .about = "The first that fits counts; without one a model costs nothing"}),
};

const struct step prices_list_steps[] = {STEP(answer_list), STEP_END};
const struct route_doc prices_list_doc = {
    TAG_TEAM,
    ANSWERS({200, &list_schema}),
    .about = "The operator's table (`budgets.prices`), as it is in force.",
};
