#include "dataplane/virtual/acl.h"

#include <string.h>

static bool kind_of(int16_t type, enum slc_name_kind *kind)
{
    switch (type) {
    case SLC_KAFKA_ACL_TOPIC:
        *kind = SLC_NAME_TOPIC;
        return true;
    case SLC_KAFKA_ACL_GROUP:
        *kind = SLC_NAME_GROUP;
        return true;
    case SLC_KAFKA_ACL_TXN_ID:
        *kind = SLC_NAME_TXN_ID;
        return true;
    default:
        return false;
    }
}

static bool is_wildcard(const slc_kafka_span *name)
{
    return name->len == 1 && *(const char *)name->data == '*';
}

static slc_kafka_span prefix_of(const slc_names *names)
{
    const char *prefix = slc_names_prefix(names);
    return (slc_kafka_span){prefix, strlen(prefix)};
}

static bool begins(const slc_kafka_span *name, const slc_kafka_span *prefix)
{
    return name->len >= prefix->len && memcmp(name->data, prefix->data, prefix->len) == 0;
}

static bool in_void(const slc_kafka_span *name, size_t at)
{
    return name->len > at && ((const char *)name->data)[at] == SLC_NAMES_VOID;
}

/* The start of names, which need not be one. */
static bool map_start(const slc_names *names, const slc_acl_resource *resource, slc_acl_mapped *mapped)
{
    const slc_kafka_span prefix = prefix_of(names), *name = &resource->name;
    bool hides = slc_names_hides(names);
    *mapped = (slc_acl_mapped){.body = *name, .pattern = resource->pattern};
    if (hides)
        mapped->head = prefix;
    return name->len > 0 && (hides || begins(name, &prefix)) && !in_void(name, hides ? 0 : prefix.len);
}

static bool map_everything(const slc_names *names, slc_acl_mapped *mapped)
{
    *mapped = (slc_acl_mapped){.body = prefix_of(names), .pattern = SLC_ACL_PREFIXED};
    return slc_names_hides(names);
}

static bool map_literal(const slc_names *names, enum slc_name_kind kind, const slc_acl_resource *resource,
                        slc_acl_mapped *mapped)
{
    slc_name name;
    if (is_wildcard(&resource->name))
        return map_everything(names, mapped);
    slc_names_map(names, kind, resource->name.data, resource->name.len, &name);
    *mapped = (slc_acl_mapped){.head = name.head, .body = name.body, .pattern = resource->pattern};
    return name.visible && name.owned;
}

bool slc_acl_map(const slc_names *names, const slc_acl_resource *resource, slc_acl_mapped *mapped)
{
    enum slc_name_kind kind;
    if (!kind_of(resource->type, &kind))
        return false;
    if (resource->name.len == 0) {
        *mapped = (slc_acl_mapped){.pattern = resource->pattern};
        return true;
    }
    return resource->pattern == SLC_ACL_LITERAL ? map_literal(names, kind, resource, mapped)
                                                : map_start(names, resource, mapped);
}

static void map_nothing(const slc_names *names, const slc_acl_resource *filter, slc_acl_mapped *mapped)
{
    *mapped = (slc_acl_mapped){.body = filter->name, .pattern = filter->pattern};
    slc_names_void(names, &mapped->head);
}

void slc_acl_map_filter(const slc_names *names, const slc_acl_resource *filter, slc_acl_mapped *mapped)
{
    enum slc_name_kind kind = SLC_NAME_TOPIC;
    bool mapped_well;
    if (!kind_of(filter->type, &kind) && filter->type != SLC_ACL_ANY) {
        *mapped = (slc_acl_mapped){.body = filter->name, .pattern = filter->pattern};
        return;
    }
    if (filter->pattern == SLC_ACL_LITERAL && filter->type != SLC_ACL_ANY)
        mapped_well = filter->name.len > 0 && map_literal(names, kind, filter, mapped);
    else if (is_wildcard(&filter->name) && filter->pattern != SLC_ACL_PREFIXED && slc_names_hides(names)) {
        mapped_well = map_everything(names, mapped);
        /* All that begins with the prefix is one resource among those that match it. */
        if (filter->pattern != SLC_ACL_LITERAL)
            mapped->pattern = filter->pattern;
    } else
        mapped_well = map_start(names, filter, mapped);
    if (!mapped_well)
        map_nothing(names, filter, mapped);
}

bool slc_acl_is_narrow(const slc_acl_resource *filter)
{
    enum slc_name_kind kind;
    return kind_of(filter->type, &kind) && filter->name.data != NULL && filter->pattern != SLC_ACL_MATCH;
}

bool slc_acl_unmap(const slc_names *names, const slc_acl_resource *resource, slc_acl_mapped *mapped)
{
    static const char everything = '*';
    const slc_kafka_span prefix = prefix_of(names), *name = &resource->name;
    bool hides = slc_names_hides(names);
    size_t skip = hides ? prefix.len : 0;
    enum slc_name_kind kind;
    *mapped = (slc_acl_mapped){.pattern = resource->pattern};
    if (!kind_of(resource->type, &kind) || !begins(name, &prefix) || in_void(name, prefix.len))
        return false;
    if (resource->pattern == SLC_ACL_PREFIXED && name->len == prefix.len && hides) {
        *mapped = (slc_acl_mapped){.body = {&everything, 1}, .pattern = SLC_ACL_LITERAL};
        return true;
    }
    mapped->body = (slc_kafka_span){(const char *)name->data + skip, name->len - skip};
    if (resource->pattern == SLC_ACL_PREFIXED)
        return true;
    slc_name back;
    slc_names_map(names, kind, mapped->body.data, mapped->body.len, &back);
    return back.visible && back.owned;
}
