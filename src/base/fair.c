/* The round. See base/fair.h. */
#include "base/fair.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool fair_init(struct fair *q)
{
    *q = (struct fair){0};
    list_init(&q->round);
    list_init(&q->nameless.waiting);
    return map_init(&q->owners, 0);
}

static bool is_named(const struct fair *q, const struct fair_owner *owner)
{
    return owner != &q->nameless;
}

static void forget(struct fair *q, struct fair_owner *owner)
{
    map_remove(&q->owners, &owner->node);
    free(owner);
}

void fair_deinit(struct fair *q)
{
    assert(q->n_waiting == 0);
    if (q->recent)
        forget(q, q->recent);
    q->recent = NULL;
    map_deinit(&q->owners);
}

/* ---- owners ---- */
static struct fair_owner *find(const struct fair *q, struct str id)
{
    struct map_node *node;

    if (q->recent && str_eq(id_str(&q->recent->id), id))
        return q->recent;
    node = map_find(&q->owners, id);
    return node ? container_of(node, struct fair_owner, node) : NULL;
}

/* NULL: no memory. */
static struct fair_owner *make(struct fair *q, struct str id)
{
    struct fair_owner *owner = calloc(1, sizeof(*owner));

    if (!owner)
        return NULL;
    memcpy(owner->id.text, id.ptr, id.len);
    list_init(&owner->waiting);
    map_insert(&q->owners, &owner->node, id_str(&owner->id));
    return owner;
}

static struct fair_owner *owner_of(struct fair *q, struct str id)
{
    struct fair_owner *owner;

    if (id.len != ID_LEN)
        return &q->nameless;
    owner = find(q, id);
    if (!owner)
        owner = make(q, id);
    if (!owner)
        return &q->nameless;
    if (q->recent != owner) {
        if (q->recent && q->recent->n_waiting == 0)
            forget(q, q->recent);
        q->recent = owner;
    }
    return owner;
}

/* An owner that comes waits for one round: it stands behind the others. */
static void count_in(struct fair *q, struct fair_item *item, struct fair_owner *owner)
{
    item->owner = owner;
    q->n_waiting++;
    if (owner->n_waiting++ > 0)
        return;
    list_push(&q->round, &owner->link);
    q->n_owners++;
}

/* ---- items ---- */
bool fair_push(struct fair *q, struct fair_item *item, struct str id, size_t max)
{
    struct fair_owner *owner = owner_of(q, id);

    assert(!item->owner);
    if (owner->n_waiting >= max && is_named(q, owner))
        return false;
    list_push(&owner->waiting, &item->link);
    count_in(q, item, owner);
    return true;
}

void fair_push_front(struct fair *q, struct fair_item *item, struct str id)
{
    struct fair_owner *owner = owner_of(q, id);

    assert(!item->owner);
    list_push_front(&owner->waiting, &item->link);
    count_in(q, item, owner);
}

void fair_remove(struct fair *q, struct fair_item *item)
{
    struct fair_owner *owner = item->owner;

    item->owner = NULL;
    list_remove(&item->link);
    q->n_waiting--;
    if (--owner->n_waiting > 0)
        return;
    list_remove(&owner->link);
    q->n_owners--;
    if (owner != q->recent && is_named(q, owner))
        forget(q, owner);
}

struct fair_item *fair_pop(struct fair *q)
{
    struct list *link = list_pop(&q->round);
    struct fair_owner *owner;
    struct fair_item *item;

    if (!link)
        return NULL;
    owner = container_of(link, struct fair_owner, link);
    list_push(&q->round, link);
    item = container_of(owner->waiting.next, struct fair_item, link);
    fair_remove(q, item);
    return item;
}

/* ---- looking ---- */
size_t fair_n_of(const struct fair *q, struct str id)
{
    const struct fair_owner *owner = id.len == ID_LEN ? find(q, id) : &q->nameless;

    return owner ? owner->n_waiting : 0;
}

size_t fair_n_before(const struct fair *q, size_t n)
{
    size_t n_before = 0;

    for (struct list *it = q->round.next; it != &q->round; it = it->next) {
        const struct fair_owner *owner = container_of(it, struct fair_owner, link);

        n_before += owner->n_waiting < n + 1 ? owner->n_waiting : n + 1;
    }
    return n_before;
}

struct fair_item *fair_newest_of_longest(const struct fair *q)
{
    const struct fair_owner *longest = NULL;

    for (struct list *it = q->round.next; it != &q->round; it = it->next) {
        const struct fair_owner *owner = container_of(it, struct fair_owner, link);

        if (!longest || owner->n_waiting > longest->n_waiting)
            longest = owner;
    }
    return longest ? container_of(longest->waiting.prev, struct fair_item, link) : NULL;
}
