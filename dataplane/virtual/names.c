#include "dataplane/virtual/names.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/glob.h"
#include "dataplane/config/strmap.h"

struct slc_names {
    const Sluice__Snapshot__V1__VirtualCluster *msg;
    bool hide;
    bool identity;
    char *void_prefix; /* the prefix and U+001F */
    size_t prefix_len;
    slc_strmap alias_names, alias_topics; /* values: TopicAlias */
    slc_strmap fixed;                     /* extra topics without wildcards; values: themselves */
    const char **globs;                   /* those with; borrowed */
    size_t glob_count;
};

static const char *const internal_topics[] = {"__consumer_offsets", "__transaction_state",
                                              "__share_group_state", "__cluster_metadata",
                                              "__remote_log_metadata"};

/* Of two aliases of one name or topic, which the catalog refuses, the first counts. */
static void index_aliases(slc_names *names)
{
    const Sluice__Snapshot__V1__VirtualCluster *msg = names->msg;
    slc_strmap_init(&names->alias_names, msg->n_aliases);
    slc_strmap_init(&names->alias_topics, msg->n_aliases);
    for (size_t i = 0; i < msg->n_aliases; i++) {
        Sluice__Snapshot__V1__TopicAlias *alias = msg->aliases[i];
        (void)slc_strmap_add(&names->alias_names, alias->name, strlen(alias->name), alias);
        (void)slc_strmap_add(&names->alias_topics, alias->topic, strlen(alias->topic), alias);
    }
}

static void index_extras(slc_names *names)
{
    const Sluice__Snapshot__V1__VirtualCluster *msg = names->msg;
    slc_strmap_init(&names->fixed, msg->n_extra_topics);
    names->globs = slc_calloc(msg->n_extra_topics + 1, sizeof *names->globs);
    for (size_t i = 0; i < msg->n_extra_topics; i++) {
        char *extra = msg->extra_topics[i];
        if (slc_glob_is_exact(extra))
            (void)slc_strmap_add(&names->fixed, extra, strlen(extra), extra);
        else
            names->globs[names->glob_count++] = extra;
    }
}

slc_names *slc_names_new(const Sluice__Snapshot__V1__VirtualCluster *msg)
{
    if (msg->mode == SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_NONE)
        return NULL;
    slc_names *names = slc_calloc(1, sizeof *names);
    names->msg = msg;
    names->hide = msg->mode == SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_HIDE;
    names->void_prefix = slc_asprintf("%s%c", msg->prefix, SLC_NAMES_VOID);
    names->prefix_len = strlen(msg->prefix);
    index_aliases(names);
    index_extras(names);
    return names;
}

void slc_names_free(slc_names *names)
{
    if (names == NULL)
        return;
    slc_strmap_release(&names->alias_names);
    slc_strmap_release(&names->alias_topics);
    slc_strmap_release(&names->fixed);
    free(names->globs);
    free(names->void_prefix);
    free(names);
}

const slc_names *slc_names_identity(void)
{
    static Sluice__Snapshot__V1__VirtualCluster msg = {
        .mode = SLUICE__SNAPSHOT__V1__NAMESPACE_MODE__NAMESPACE_MODE_HIDE, .prefix = (char *)""};
    static char void_prefix[] = {SLC_NAMES_VOID, '\0'};
    static const slc_names names = {.msg = &msg, .hide = true, .identity = true, .void_prefix = void_prefix};
    return &names;
}

const char *slc_names_backend(const slc_names *names)
{
    return names->msg->backend_id != NULL ? names->msg->backend_id : "";
}

bool slc_names_is_identity(const slc_names *names)
{
    return names->identity;
}

static bool equals(const char *text, const uint8_t *data, size_t len)
{
    return strlen(text) == len && memcmp(text, data, len) == 0;
}

static bool has_prefix(const slc_names *names, const uint8_t *data, size_t len)
{
    return len >= names->prefix_len && memcmp(data, names->msg->prefix, names->prefix_len) == 0;
}

/* ---- topics outside the namespace ---- */

static bool is_internal(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < sizeof internal_topics / sizeof internal_topics[0]; i++)
        if (equals(internal_topics[i], data, len))
            return true;
    return false;
}

static bool is_extra(const slc_names *names, const uint8_t *data, size_t len)
{
    bool matches = names->fixed.count > 0 && slc_strmap_find(&names->fixed, (const char *)data, len) != NULL;
    for (size_t i = 0; i < names->glob_count && !matches; i++)
        matches = slc_glob_match(names->globs[i], (const char *)data, len);
    return matches && !is_internal(data, len);
}

static const Sluice__Snapshot__V1__TopicAlias *alias_named(const slc_names *names, const uint8_t *data,
                                                           size_t len)
{
    return names->alias_names.count > 0 ? slc_strmap_find(&names->alias_names, (const char *)data, len) : NULL;
}

static const Sluice__Snapshot__V1__TopicAlias *alias_of(const slc_names *names, const uint8_t *data, size_t len)
{
    return names->alias_topics.count > 0 ? slc_strmap_find(&names->alias_topics, (const char *)data, len)
                                         : NULL;
}

/* ---- the namespace ---- */

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
}

static bool passes_filter(char *const *globs, size_t count, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < count; i++)
        if (slc_glob_match(globs[i], (const char *)data, len))
            return true;
    return count == 0;
}

/* A name that clients of the namespace may use. `.` and `..` are illegal alone, but would not be behind a
 * prefix.
 */
static bool in_namespace(const slc_names *names, enum slc_name_kind kind, const uint8_t *data, size_t len)
{
    const Sluice__Snapshot__V1__VirtualCluster *msg = names->msg;
    const uint8_t *name = data;
    size_t name_len = len;
    if (!names->hide) {
        if (!has_prefix(names, data, len))
            return false;
        name += names->prefix_len;
        name_len -= names->prefix_len;
    }
    if (names->identity) /* what else is wrong with a name is the broker's to say */
        return len == 0 || data[0] != SLC_NAMES_VOID;
    if (len == 0 || (name_len > 0 && name[0] == SLC_NAMES_VOID))
        return false;
    if (kind == SLC_NAME_TOPIC && (equals(".", data, len) || equals("..", data, len)))
        return false;
    if (kind == SLC_NAME_TOPIC)
        return passes_filter(msg->topic_filter, msg->n_topic_filter, data, len);
    if (kind == SLC_NAME_GROUP)
        return passes_filter(msg->group_filter, msg->n_group_filter, data, len);
    return true;
}

void slc_names_map(const slc_names *names, enum slc_name_kind kind, const uint8_t *data, size_t len,
                   slc_name *name)
{
    *name = (slc_name){.body = {data, len}, .visible = true};
    if (kind == SLC_NAME_TOPIC) {
        const Sluice__Snapshot__V1__TopicAlias *alias = alias_named(names, data, len);
        if (alias != NULL) {
            name->body = (slc_kafka_span){alias->topic, strlen(alias->topic)};
            return;
        }
        if (is_extra(names, data, len))
            return;
    }
    name->visible = name->owned = in_namespace(names, kind, data, len);
    if (!name->visible)
        slc_names_void(names, &name->head);
    else if (names->hide)
        name->head = (slc_kafka_span){names->msg->prefix, names->prefix_len};
}

void slc_names_void(const slc_names *names, slc_kafka_span *head)
{
    *head = (slc_kafka_span){names->void_prefix, names->prefix_len + 1};
}

/* Does the client's name lead to the backend's? */
static bool leads_to(const slc_names *names, enum slc_name_kind kind, const slc_kafka_span *client,
                     const uint8_t *data, size_t len)
{
    slc_name name;
    slc_names_map(names, kind, client->data, client->len, &name);
    return name.head.len + name.body.len == len &&
           (name.head.len == 0 || memcmp(name.head.data, data, name.head.len) == 0) &&
           (name.body.len == 0 || memcmp(name.body.data, data + name.head.len, name.body.len) == 0);
}

bool slc_names_unmap(const slc_names *names, enum slc_name_kind kind, const uint8_t *data, size_t len,
                     slc_kafka_span *name)
{
    if (kind == SLC_NAME_TOPIC) {
        const Sluice__Snapshot__V1__TopicAlias *alias = alias_of(names, data, len);
        if (alias != NULL) {
            *name = (slc_kafka_span){alias->name, strlen(alias->name)};
            if (leads_to(names, kind, name, data, len))
                return true;
        }
        *name = (slc_kafka_span){data, len};
        if (is_extra(names, data, len) && leads_to(names, kind, name, data, len))
            return true;
    }
    if (!has_prefix(names, data, len))
        return false;
    size_t skip = names->prefix_len;
    bool in_void =
        len > skip && data[skip] == SLC_NAMES_VOID; /* what the client wrote, of all kinds of names */
    if (in_void)
        skip++;
    else if (!names->hide)
        skip = 0;
    *name = (slc_kafka_span){data + skip, len - skip};
    return in_void || leads_to(names, kind, name, data, len);
}

bool slc_names_shadowed(const slc_names *names, const uint8_t *data, size_t len, slc_conflict_found *found)
{
    size_t skip = names->hide ? names->prefix_len : 0;
    slc_name name;
    if (!has_prefix(names, data, len))
        return false;
    slc_names_map(names, SLC_NAME_TOPIC, data + skip, len - skip, &name);
    *found = (slc_conflict_found){.vcluster = names->msg->id != NULL ? names->msg->id : "",
                                  .name = data + skip,
                                  .name_len = len - skip,
                                  .topic = data,
                                  .topic_len = len,
                                  .alias = alias_named(names, data + skip, len - skip) != NULL};
    return name.visible && !name.owned;
}

#define TOPIC_NAME_MAX 249

bool slc_names_filtered_out(const slc_names *names, const uint8_t *data, size_t len)
{
    size_t skip = names->prefix_len + 1;
    if (names->msg->n_topic_filter == 0 || len <= skip || memcmp(data, names->void_prefix, skip) != 0)
        return false;
    const uint8_t *name = data + skip;
    size_t name_len = len - skip;
    bool legal = !equals(".", name, name_len) && !equals("..", name, name_len) &&
                 name_len + (names->hide ? names->prefix_len : 0) <= TOPIC_NAME_MAX;
    for (size_t i = 0; legal && i < name_len; i++)
        legal = is_name_byte(name[i]);
    return legal && (names->hide || has_prefix(names, name, name_len)) &&
           !passes_filter(names->msg->topic_filter, names->msg->n_topic_filter, name, name_len);
}

/* ---- free text ---- */

/* The alias whose topic stands at `data`, as a whole word. */
static const Sluice__Snapshot__V1__TopicAlias *alias_at(const slc_names *names, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < names->msg->n_aliases; i++) {
        size_t size = strlen(names->msg->aliases[i]->topic);
        if (size <= len && memcmp(names->msg->aliases[i]->topic, data, size) == 0 &&
            (size == len || !is_name_byte(data[size])))
            return names->msg->aliases[i];
    }
    return NULL;
}

void slc_names_text(const slc_names *names, const uint8_t *data, size_t len, slc_buf *out)
{
    for (size_t at = 0; at < len;) {
        bool begins = at == 0 || !is_name_byte(data[at - 1]);
        const Sluice__Snapshot__V1__TopicAlias *alias = begins ? alias_at(names, data + at, len - at) : NULL;
        if (alias != NULL) {
            slc_buf_adds(out, alias->name);
            at += strlen(alias->topic);
        } else if (begins && has_prefix(names, data + at, len - at) &&
                   ((names->hide && names->prefix_len > 0) ||
                    (at + names->prefix_len < len && data[at + names->prefix_len] == SLC_NAMES_VOID))) {
            at += names->prefix_len;
            at += at < len && data[at] == SLC_NAMES_VOID;
        } else {
            slc_buf_add(out, data + at, 1);
            at++;
        }
    }
}

/* ---- what patterns need ---- */

bool slc_names_hides(const slc_names *names)
{
    return names->hide;
}

const char *slc_names_prefix(const slc_names *names)
{
    return names->msg->prefix;
}

bool slc_names_fixed(const slc_names *names, size_t index, const char **client, const char **backend)
{
    const Sluice__Snapshot__V1__VirtualCluster *msg = names->msg;
    if (index < msg->n_aliases) {
        *client = msg->aliases[index]->name;
        *backend = msg->aliases[index]->topic;
        return true;
    }
    index -= msg->n_aliases;
    for (size_t i = 0; i < msg->n_extra_topics; i++) {
        if (!slc_glob_is_exact(msg->extra_topics[i]) || index-- > 0)
            continue;
        *client = *backend = msg->extra_topics[i];
        return true;
    }
    return false;
}

slc_names_limits slc_names_limits_of(const slc_names *names)
{
    return (slc_names_limits){names->msg->max_topics, names->msg->max_partitions,
                              names->msg->n_topic_configs > 0};
}

void slc_names_add_configs(const slc_names *names, slc_buf *out)
{
    for (size_t i = 0; i < names->msg->n_topic_configs; i++) {
        slc_buf_adds(out, i > 0 ? ", " : "");
        slc_buf_adds(out, names->msg->topic_configs[i]);
    }
}

bool slc_names_may_set(const slc_names *names, const uint8_t *config, size_t len)
{
    for (size_t i = 0; i < names->msg->n_topic_configs; i++)
        if (equals(names->msg->topic_configs[i], config, len))
            return true;
    return names->msg->n_topic_configs == 0;
}

bool slc_names_filters(const slc_names *names, enum slc_name_kind kind)
{
    return (kind == SLC_NAME_TOPIC && names->msg->n_topic_filter > 0) ||
           (kind == SLC_NAME_GROUP && names->msg->n_group_filter > 0);
}

bool slc_names_has_extras(const slc_names *names)
{
    return names->msg->n_extra_topics > 0 || names->msg->n_aliases > 0;
}
