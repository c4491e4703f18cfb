/* The providers, one row each. */
#include "provider.h"

#include <stddef.h>

#define MODEL_GREETING "Asking the model..."
/* n8n runs on Node, which closes connections after 5 idle seconds. */
#define NODE_IDLE_S  4
#define MODEL_IDLE_S 60

static const struct provider providers[] = {
    {.name = "anthropic",
     .greeting = MODEL_GREETING,
     .service = offsetof(struct config, ai_services.anthropic),
     .base_url = "https://api.anthropic.com/v1",
     .models_path = "/models?limit=1000",
     .needs_token = true,
     .key_header = "x-api-key",
     .headers = {{"anthropic-version", "2023-06-01"}},
     .may_repeat = true,
     .max_idle_s = MODEL_IDLE_S,
     .write_request = anthropic_write_request,
     .reader = &anthropic_reader_type},
    {.name = "echo",
     .greeting = "Listening for the echo...",
     .base_url = "",
     .builtin = &echo_type},
    {.name = "gemini",
     .greeting = MODEL_GREETING,
     .service = offsetof(struct config, ai_services.gemini),
     .base_url = "https://generativelanguage.googleapis.com/v1beta",
     .models_path = "/models?pageSize=1000",
     .needs_token = true,
     .hides_auth = true,
     .key_header = "x-goog-api-key",
     .may_repeat = true,
     .max_idle_s = MODEL_IDLE_S,
     .write_request = gemini_write_request,
     .reader = &gemini_reader_type},
    {.name = "groq",
     .greeting = MODEL_GREETING,
     .service = offsetof(struct config, ai_services.groq),
     .base_url = "https://api.groq.com/openai/v1",
     .models_path = "/models",
     .needs_token = true,
     .may_repeat = true,
     .max_idle_s = MODEL_IDLE_S,
     .write_request = openai_write_request,
     .reader = &openai_reader_type},
    {.name = "n8n",
     .greeting = "Sending request to n8n webhook...",
     .max_idle_s = NODE_IDLE_S,
     .write_request = n8n_write_request,
     .reader = &n8n_reader_type},
    {.name = "openai",
     .greeting = MODEL_GREETING,
     .service = offsetof(struct config, ai_services.openai),
     .base_url = "https://api.openai.com/v1",
     .models_path = "/models",
     .needs_token = true,
     .may_repeat = true,
     .max_idle_s = MODEL_IDLE_S,
     .write_request = openai_write_request,
     .reader = &openai_reader_type},
    /* Ollama, vLLM, LM Studio and others: often without a key. */
    {.name = "openai_compatible",
     .greeting = MODEL_GREETING,
     .models_path = "/models",
     .takes_keys = true,
     .may_repeat = true,
     .max_idle_s = NODE_IDLE_S,
     .write_request = openai_write_request,
     .reader = &openai_reader_type},
    {.name = "openrouter",
     .greeting = MODEL_GREETING,
     .service = offsetof(struct config, ai_services.openrouter),
     .base_url = "https://openrouter.ai/api/v1",
     .models_path = "/models",
     .needs_token = true,
     .may_repeat = true,
     .max_idle_s = MODEL_IDLE_S,
     .write_request = openai_write_request,
     .reader = &openai_reader_type},
};

const struct provider *provider_find(struct str name)
{
    for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++)
        if (str_eq(str_from(providers[i].name), name))
            return &providers[i];
    return NULL;
}

const char *provider_name(const struct provider *p)
{
    return p->name;
}

const char *provider_greeting(const struct provider *p)
{
    return p->greeting;
}

static const struct config_service *service_of(const struct provider *p)
{
    return p->service ? (const struct config_service *)((const char *)config() + p->service) : NULL;
}

struct str provider_base_url(const struct provider *p)
{
    const struct config_service *service = service_of(p);

    return service && service->base_url.len > 0 ? service->base_url : str_from(p->base_url);
}

struct config_list provider_keys(const struct provider *p)
{
    const struct config_service *service = service_of(p);

    return service ? service->api_key : (struct config_list){0};
}

static bool is_below(struct str url, struct str base)
{
    while (str_ends_with(base, STR("/")))
        base.len--;
    return base.len > 0 && str_starts_with(url, base) &&
           (url.len == base.len || url.ptr[base.len] == '/');
}

const struct provider *provider_of_url(struct str url)
{
    for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++)
        if (is_below(url, str_from(providers[i].base_url)) ||
            is_below(url, provider_base_url(&providers[i])))
            return &providers[i];
    return provider_find(STR("openai_compatible"));
}

bool provider_needs_url(const struct provider *p)
{
    return p->base_url == NULL;
}

bool provider_needs_key(const struct provider *p)
{
    return p->needs_token;
}

bool provider_takes_keys(const struct provider *p)
{
    return p->needs_token || p->takes_keys;
}

bool provider_has_key(const struct provider *p)
{
    return provider_keys(p).n > 0;
}

const struct provider *provider_at(size_t i)
{
    return i < sizeof(providers) / sizeof(providers[0]) ? &providers[i] : NULL;
}
