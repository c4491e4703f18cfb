/* A short list under a lock: registrations are rare, and each lasts as long as a call out. */
#include "site_claims.h"

#include "base/list.h"
#include "config/config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct claim {
    struct list link;
    size_t len;
    char site[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list claims = {&claims, &claims};
static uint64_t n_claims;

static struct claim *find(struct str site)
{
    for (struct list *link = claims.next; link != &claims; link = link->next) {
        struct claim *c = container_of(link, struct claim, link);

        if (str_eq((struct str){c->site, c->len}, site))
            return c;
    }
    return NULL;
}

static enum site_claim add(struct str site)
{
    struct claim *c;

    if (n_claims >= config()->callback.at_once)
        return SITES_ARE_MANY;
    c = malloc(sizeof(*c) + site.len);
    if (!c)
        return SITES_ARE_MANY;
    c->len = site.len;
    memcpy(c->site, site.ptr, site.len);
    list_push(&claims, &c->link);
    n_claims++;
    return SITE_IS_OURS;
}

enum site_claim site_claim(struct str site)
{
    enum site_claim result;

    pthread_mutex_lock(&lock);
    result = find(site) ? SITE_IS_TAKEN : add(site);
    pthread_mutex_unlock(&lock);
    return result;
}

bool site_is_claimed(struct str site)
{
    bool is_claimed;

    pthread_mutex_lock(&lock);
    is_claimed = find(site) != NULL;
    pthread_mutex_unlock(&lock);
    return is_claimed;
}

void site_release(struct str site)
{
    struct claim *c;

    pthread_mutex_lock(&lock);
    c = find(site);
    if (c) {
        list_remove(&c->link);
        n_claims--;
        free(c);
    }
    pthread_mutex_unlock(&lock);
}
