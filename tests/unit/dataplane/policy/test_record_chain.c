/* Chains of records: order, what a chain says of what it could not judge, dead letters, and who waits. */
#include <pthread.h>
#include <stdlib.h>

#include "common/loop.h"
#include "dataplane/policy/chain_private.h"
#include "dataplane/policy/record_chain.h"
#include "tests/unit/common/unit.h"

static Sluice__Snapshot__V1__VirtualCluster msg;
static slc_backend backend = {.refs = 1};
static slc_vcluster vcluster = {.refs = 1000, .msg = &msg, .backend = &backend};
static slc_record_scratch scratch;
static slc_principal principal;
static struct slc_chain *owner;
static char trail[200];

/* Notes that it was asked; REJECTs the value "bad", withholds "odd", fails "away" for now. */
static enum slc_record_verdict note(void *bound, slc_record_turn *turn, slc_policy_record *record,
                                    slc_record_problem *problem)
{
    (void)turn;
    if (*(const char *)bound == 'x') { /* hides everything, and then goes on */
        record->value = (const uint8_t *)"***";
        record->value_len = 3;
        return SLC_RECORD_CHANGE;
    }
    snprintf(trail + strlen(trail), sizeof trail - strlen(trail), "%s ", (const char *)bound);
    if (record->value_len == 3 && memcmp(record->value, "bad", 3) == 0)
        return slc_record_reject(problem, SLC_INVALID, "it is bad");
    if (record->value_len == 4 && memcmp(record->value, "away", 4) == 0)
        return slc_record_reject(problem, SLC_UNAVAILABLE, "nobody there");
    if (record->value_len != 3 || memcmp(record->value, "odd", 3) != 0)
        return SLC_RECORD_KEEP;
    (void)slc_record_reject(problem, SLC_INVALID, "it is odd");
    return SLC_RECORD_DROP;
}

static const char *letters_to(const void *compiled)
{
    return ((const char *)compiled)[0] == 'l' ? "dead" : NULL;
}

#define OPS(of, place)                                                                                         \
    static const slc_record_ops of = {                                                                         \
        .rank = place, .on_produce_record = note, .on_consume_record = note, .dead_letter_topic = letters_to}; \
    static const slc_policy_type of##_type = {.name = #of, .records = &of}
OPS(schema, SLC_RANK_SCHEMA);
OPS(filter, SLC_RANK_FILTER);
OPS(mask, SLC_RANK_MASK);
OPS(headers, SLC_RANK_HEADERS);
OPS(encrypt, SLC_RANK_ENCRYPT);

static slc_chain_entry entry(const slc_policy_type *type, const char *name)
{
    return (slc_chain_entry){
        .type = type, .compiled = (char *)name, .id = (char *)"1", .name = (char *)name, .chain = owner};
}

static slc_record_chain *bind_all(const slc_chain_entry *entries, size_t count,
                                  enum slc_record_direction direction)
{
    slc_record_policies policies = {0};
    slc_policy_request request = {.principal = &principal};
    const slc_record_subject subject = {.direction = direction,
                                        .vcluster = &vcluster,
                                        .topic = "orders",
                                        .backend_topic = "a.orders",
                                        .request = &request};
    for (size_t i = 0; i < count; i++)
        slc_record_policies_add(&policies, &entries[i]);
    slc_record_chain *chain = slc_record_chain_bind(&policies, &subject);
    slc_record_policies_release(&policies);
    return chain;
}

static unsigned letters;
static bool bare;
static char laid[16]; /* the value of the last letter */

static void put(slc_dead_letters *to, const slc_dead_letter *letter)
{
    (void)to;
    letters++;
    bare = letter->bare;
    snprintf(laid, sizeof laid, "%.*s", (int)letter->record->value_len,
             letter->record->value != NULL ? (const char *)letter->record->value : "");
    ck_assert_str_eq(letter->dead_letter_topic, "dead");
    ck_assert_str_eq(letter->topic, "orders");
    ck_assert(letter->bare == (letter->record->value == NULL));
}

static enum slc_record_verdict run(slc_record_chain *chain, const char *value, slc_record_problem *problem)
{
    slc_dead_letters sink = {put};
    slc_record_turn turn = {.scratch = &scratch};
    slc_policy_record record = {.value = (const uint8_t *)value, .value_len = strlen(value)};
    trail[0] = '\0';
    return slc_record_chain_run(chain, &turn, &sink, &record, problem);
}

static void begin(void)
{
    slc_error err = {0};
    owner = slc_chain_compile_narrow(NULL, 0, &err);
    ck_assert_ptr_nonnull(owner);
    slc_record_scratch_init(&scratch, 1 << 20);
    letters = 0;
}

static void end(void)
{
    slc_chain_free(owner);
    slc_record_scratch_release(&scratch);
}

START_TEST(each_has_its_place)
{
    begin();
    const slc_chain_entry entries[] = {entry(&encrypt_type, "e1"), entry(&headers_type, "h1"),
                                       entry(&mask_type, "m1"),    entry(&headers_type, "h2"),
                                       entry(&filter_type, "f1"),  entry(&encrypt_type, "e2"),
                                       entry(&schema_type, "s1")};
    slc_record_problem problem;
    slc_record_chain *written = bind_all(entries, 7, SLC_RECORDS_PRODUCE),
                     *read = bind_all(entries, 7, SLC_RECORDS_CONSUME);
    ck_assert_int_eq(run(written, "v", &problem), SLC_RECORD_KEEP);
    ck_assert_str_eq(trail, "s1 f1 m1 h1 h2 e1 e2 ");
    ck_assert_int_eq(run(read, "v", &problem), SLC_RECORD_KEEP);
    ck_assert_str_eq(trail, "e2 e1 s1 f1 m1 h1 h2 ");
    slc_record_chain_free(written);
    slc_record_chain_free(read);
    ck_assert_ptr_null(bind_all(entries, 0, SLC_RECORDS_CONSUME));
    end();
}
END_TEST

START_TEST(what_is_rejected_for_good_is_put_aside)
{
    begin();
    const slc_chain_entry entries[] = {entry(&mask_type, "letters"), entry(&headers_type, "h")};
    slc_record_problem problem;
    slc_record_chain *chain = bind_all(entries, 2, SLC_RECORDS_CONSUME);
    ck_assert_int_eq(run(chain, "bad", &problem), SLC_RECORD_REJECT);
    ck_assert_str_eq(trail, "letters ");
    ck_assert_str_eq(problem.policy, "letters");
    ck_assert_str_eq(problem.why, "it is bad");
    ck_assert(letters == 1 && !bare);
    ck_assert_int_eq(run(chain, "odd", &problem), SLC_RECORD_DROP);
    ck_assert_uint_eq(letters, 2);
    ck_assert_int_eq(run(chain, "away", &problem), SLC_RECORD_REJECT); /* it may come through yet */
    ck_assert_uint_eq(letters, 2);
    slc_record_chain_free(chain);
    const slc_chain_entry others[] = {entry(&mask_type, "none")};
    chain = bind_all(others, 1, SLC_RECORDS_CONSUME);
    ck_assert_int_eq(run(chain, "bad", &problem), SLC_RECORD_REJECT);
    ck_assert_uint_eq(letters, 2);
    slc_record_chain_free(chain);
    end();
}
END_TEST

/* What masks would have hidden is not laid where it is not; of what is read they hide nothing that is stored.
 */
START_TEST(what_masks_would_have_hidden_is_not_put_aside)
{
    begin();
    const slc_chain_entry hidden[] = {entry(&schema_type, "letters"), entry(&mask_type, "x")};
    const slc_chain_entry refused[] = {entry(&mask_type, "letters"), entry(&mask_type, "x")};
    slc_record_problem problem;
    slc_record_chain *chain = bind_all(hidden, 2, SLC_RECORDS_PRODUCE);
    ck_assert_int_eq(run(chain, "bad", &problem), SLC_RECORD_REJECT);
    ck_assert_str_eq(problem.why, "it is bad");
    ck_assert(letters == 1 && !bare);
    ck_assert_str_eq(laid, "***");
    slc_record_chain_free(chain);
    chain = bind_all(refused, 2, SLC_RECORDS_PRODUCE);
    ck_assert_int_eq(run(chain, "bad", &problem), SLC_RECORD_REJECT);
    ck_assert_str_eq(problem.why, "it is bad");
    ck_assert(letters == 2 && !bare);
    ck_assert_str_eq(laid, ""); /* it is there, and empty */
    slc_record_chain_free(chain);
    chain = bind_all(hidden, 2, SLC_RECORDS_CONSUME);
    ck_assert_int_eq(run(chain, "bad", &problem), SLC_RECORD_REJECT);
    ck_assert_str_eq(laid, "bad");
    slc_record_chain_free(chain);
    end();
}
END_TEST

/* What is to be encrypted is not laid where it is not. */
START_TEST(of_what_would_be_encrypted_nothing_is_put_aside_but_the_reason)
{
    begin();
    const slc_chain_entry entries[] = {entry(&mask_type, "letters"), entry(&encrypt_type, "e")};
    slc_record_problem problem;
    slc_record_chain *chain = bind_all(entries, 2, SLC_RECORDS_PRODUCE);
    ck_assert_int_eq(run(chain, "bad", &problem), SLC_RECORD_REJECT);
    ck_assert(letters == 1 && bare);
    slc_record_chain_free(chain);
    end();
}
END_TEST

/* ---- waiting ---- */

static slc_loop *loop;
static unsigned told;
static slc_record_waiters list;

static void on_told(slc_record_waiter *waiter)
{
    ck_assert(!slc_record_waits(waiter));
    if (++told == 2)
        slc_loop_stop(loop);
}

static void *tell(void *arg)
{
    (void)arg;
    slc_record_waiters_tell(&list);
    return NULL;
}

START_TEST(those_who_wait_are_told_once_on_their_own_thread)
{
    slc_record_waiter waiters[4] = {{0}};
    pthread_t thread;
    loop = slc_loop_new("unit", NULL);
    for (size_t i = 0; i < 4; i++) {
        waiters[i].ready = on_told;
        waiters[i].mailbox = slc_loop_mailbox(loop);
        slc_record_wait(&list, &waiters[i]);
    }
    slc_record_wait(&list, &waiters[0]); /* again: it waits once */
    slc_record_unwait(&waiters[2]);
    ck_assert(slc_record_waits(&waiters[0]) && !slc_record_waits(&waiters[2]));
    pthread_create(&thread, NULL, tell, NULL);
    pthread_join(thread, NULL);
    slc_record_unwait(&waiters[3]); /* told already, and gone before it hears of it */
    ck_assert_uint_eq(told, 0);
    slc_loop_run(loop);
    ck_assert_uint_eq(told, 2);
    slc_record_wait(&list, &waiters[1]);
    tell(NULL);
    slc_record_unwait(&waiters[1]);
    slc_loop_free(loop); /* with what was posted */
}
END_TEST

UNIT_MAIN("record chain", each_has_its_place, what_is_rejected_for_good_is_put_aside,
          what_masks_would_have_hidden_is_not_put_aside,
          of_what_would_be_encrypted_nothing_is_put_aside_but_the_reason,
          those_who_wait_are_told_once_on_their_own_thread)
