/* The queue with a round: whose turn it is, bounds, and who has no name. */
#include "base/fair.h"

#include "../cmocka_all.h"

#include <stdint.h>

struct thing {
    struct fair_item item;
    char name;
};

static struct fair q;
static struct thing things[1000];
static size_t n_things;

static int set_up(void **state)
{
    (void)state;
    n_things = 0;
    return fair_init(&q) ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    while (fair_pop(&q))
        ;
    fair_deinit(&q);
    return 0;
}

/* 'a' … 'z': an owner each; '-': nobody. */
static struct str id_of(char name)
{
    static struct id id;

    if (name == '-')
        return STR_NONE;
    assert_true(id_parse(STR("00000000-0000-4000-8000-000000000000"), &id));
    id.text[0] = name;
    return id_str(&id);
}

static struct thing *thing_new(char name)
{
    struct thing *t = &things[n_things++];

    *t = (struct thing){.name = name};
    return t;
}

static void push(const char *names)
{
    for (; *names; names++)
        assert_true(fair_push(&q, &thing_new(*names)->item, id_of(*names), FAIR_NO_BOUND));
}

static void assert_served(const char *names)
{
    for (; *names; names++) {
        struct fair_item *item = fair_pop(&q);

        assert_non_null(item);
        assert_int_equal(container_of(item, struct thing, item)->name, *names);
    }
}

static void owners_are_served_in_turn(void **state)
{
    (void)state;
    push("aaaabbc");
    assert_int_equal(q.n_owners, 3);
    assert_served("abcab");
    assert_int_equal(q.n_owners, 1);
    push("bd"); /* behind the round */
    assert_served("abda");
    assert_null(fair_pop(&q));
    assert_int_equal(q.n_waiting, 0);
    assert_int_equal(q.n_owners, 0);
}

static void of_one_owner_the_oldest_comes_first(void **state)
{
    struct fair_item *first, *second;

    (void)state;
    push("aab");
    first = &things[0].item;
    second = &things[1].item;
    assert_ptr_equal(fair_pop(&q), first);
    fair_push_front(&q, first, id_of('a'));
    assert_served("b");
    assert_ptr_equal(fair_pop(&q), first);
    assert_ptr_equal(fair_pop(&q), second);
}

static void nobodys_take_turns_with_the_owners_and_have_no_bound(void **state)
{
    (void)state;
    push("a---b");
    assert_true(fair_push(&q, &thing_new('-')->item, id_of('-'), 0));
    assert_int_equal(fair_n_of(&q, STR_NONE), 4);
    assert_served("a-b---");
}

static void an_owner_has_a_bound_and_the_others_do_not_feel_it(void **state)
{
    (void)state;
    push("aaa");
    assert_false(fair_push(&q, &thing_new('a')->item, id_of('a'), 3));
    assert_true(fair_push(&q, &thing_new('b')->item, id_of('b'), 3));
    assert_served("a");
    assert_true(fair_push(&q, &thing_new('a')->item, id_of('a'), 3));
    assert_int_equal(fair_n_of(&q, id_of('a')), 3);
    assert_int_equal(fair_n_of(&q, id_of('c')), 0);
}

static void what_is_removed_is_not_served(void **state)
{
    (void)state;
    push("aab");
    fair_remove(&q, &things[2].item);
    fair_remove(&q, &things[0].item);
    assert_served("a");
    assert_null(fair_pop(&q));
    push("b");
    assert_served("b");
}

static void the_wait_of_one_more_is_known(void **state)
{
    (void)state;
    assert_null(fair_newest_of_longest(&q));
    push("aaaaabbc");
    assert_int_equal(fair_n_before(&q, 0), 3);
    assert_int_equal(fair_n_before(&q, 1), 5);
    assert_int_equal(fair_n_before(&q, 5), 8);
    assert_ptr_equal(fair_newest_of_longest(&q), &things[4].item);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_owner_has_a_bound_and_the_others_do_not_feel_it),
        TEST(nobodys_take_turns_with_the_owners_and_have_no_bound),
        TEST(of_one_owner_the_oldest_comes_first),
        TEST(owners_are_served_in_turn),
        TEST(the_wait_of_one_more_is_known),
        TEST(what_is_removed_is_not_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
