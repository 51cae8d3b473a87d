/* What the files of the encrypt policy share with each other and with the commands that work on topics. */
#ifndef SLC_DATAPLANE_POLICY_ENCRYPTION_H
#define SLC_DATAPLANE_POLICY_ENCRYPTION_H

#include "common/cel/attributes.h"
#include "common/encrypt_rule.h"
#include "dataplane/crypt/cipher.h"
#include "dataplane/crypt/keys.h"
#include "dataplane/policy/encrypt.h"
#include "dataplane/policy/record_chain.h"
#include "dataplane/policy/types.h"

#define SLC_ENCRYPT_FIELDS_MAX  50    /* patterns */
#define SLC_ENCRYPT_MATCHES_MAX 10000 /* fields of one record */
#define SLC_ENCRYPT_READ_KEYS   20
#define SLC_FIELD_PREFIX        "slc1."
#define SLC_ENCRYPT_RECENT      8 /* keys that a bound policy remembers */

enum { SLC_ENCRYPT_VALUE = 1, SLC_ENCRYPT_KEY = 2, SLC_ENCRYPT_FIELDS = 4 };

/* The configuration, compiled. */
typedef struct slc_encrypt {
    char *ring;
    char *key; /* a template; NULL: the ring's */
    char **read_keys;
    size_t read_count;
    unsigned what;
    char **fields; /* pointers, with * for any member or element */
    size_t field_count;
    char *context; /* a template */
    bool bind_key;
    slc_cel *decrypt_if; /* NULL: for everybody */
    bool refuse_others;  /* else they get the ciphertext */
    bool pass_plaintext;
    int64_t until_ms; /* 0: for ever */
} slc_encrypt;

/* Encrypts and decrypts parts of records for one policy that is bound. */
typedef struct slc_encryption {
    const slc_encrypt *policy; /* the chain's */
    slc_key_ring *ring;        /* own reference */
    enum { SLC_DECRYPTS, SLC_REFUSES } reader;
    char kek[SLC_KEK_NAME_MAX + 1];
    size_t kek_len;
    char context[SLC_CRYPT_CONTEXT_MAX + 1];
    size_t context_len;
    char topic[250], vcluster[64];            /* for the templates of read_keys */
    slc_data_key *current;                    /* to encrypt with; own reference; NULL: to be asked for */
    int64_t current_ms;                       /* when it was asked for */
    slc_data_key *fixed;                      /* likewise, for keys of records */
    slc_data_key *recent[SLC_ENCRYPT_RECENT]; /* to decrypt with; own references */
    unsigned recent_at;
} slc_encryption;

/* For one topic. `ring_key`: the ring's own key, for a policy that names none. Own reference of the ring;
 * `policy` must outlive it. NULL with err. */
slc_encryption *slc_encryption_new(const slc_encrypt *policy, slc_key_ring *ring, const char *ring_key,
                                   const char *topic, const char *vcluster, slc_error *err) SLC_CHECKED;
void slc_encryption_free(slc_encryption *encryption); /* NULL is fine */
/* Of type slc_policy_record_fn; `bound` is an slc_encryption. */
enum slc_record_verdict slc_encrypt_record(void *bound, slc_record_turn *turn, slc_policy_record *record,
                                           slc_record_problem *problem);
enum slc_record_verdict slc_decrypt_record(void *bound, slc_record_turn *turn, slc_policy_record *record,
                                           slc_record_problem *problem);

/* encrypt_keys.c. The calling thread's contexts; freed with it. */
slc_ciphers *slc_encrypt_ciphers(void);
/* Keys: KEEP when `*key` (borrowed, until the next call) is there, else LATER or REJECT. */
enum slc_record_verdict slc_encrypt_current(slc_encryption *encryption, slc_record_turn *turn,
                                            slc_data_key **key, slc_record_problem *problem);
enum slc_record_verdict slc_encrypt_fixed(slc_encryption *encryption, const char *kek, size_t kek_len,
                                          slc_record_turn *turn, slc_data_key **key,
                                          slc_record_problem *problem);
enum slc_record_verdict slc_encrypt_opening(slc_encryption *encryption, const slc_envelope *envelope,
                                            slc_record_turn *turn, slc_data_key **key,
                                            slc_record_problem *problem);
void slc_encrypt_forget(slc_encryption *encryption);

/* encrypt_fields.c: KEEP (nothing to do), CHANGE (`*out` is the new value), REJECT, LATER. */
enum slc_record_verdict slc_encrypt_seal_fields(slc_encryption *encryption, slc_record_turn *turn,
                                                const slc_policy_record *record, slc_data_key *key,
                                                slc_buf **out, slc_record_problem *problem);
/* `*plain`: some field was not encrypted. */
enum slc_record_verdict slc_encrypt_open_fields(slc_encryption *encryption, slc_record_turn *turn,
                                                const slc_policy_record *record, slc_buf **out, bool *plain,
                                                slc_record_problem *problem);

/* Opens one envelope into `out`, and says REJECT or LATER, else CHANGE. */
enum slc_record_verdict slc_encrypt_open_one(slc_encryption *encryption, slc_record_turn *turn,
                                             const uint8_t *data, size_t len, enum slc_envelope_part part,
                                             const slc_crypt_place *place, slc_buf *out,
                                             slc_record_problem *problem);
slc_crypt_place slc_encrypt_place(const slc_encryption *encryption, const slc_policy_record *record);
enum slc_record_verdict slc_encrypt_reject(slc_record_problem *problem, const slc_error *err);

#endif
