/* ACLs in requests and answers. The pattern type stands behind the name that it belongs to, so what it becomes
 * is kept until it comes. */
#include "dataplane/virtual/acl.h"
#include "dataplane/virtual/view_private.h"

static enum slc_kafka_verdict put(const slc_acl_mapped *mapped, const slc_kafka_event *event, int16_t *pattern,
                                  slc_kafka_value *out)
{
    *pattern = mapped->pattern != event->pattern_type ? mapped->pattern : 0;
    out->head = mapped->head;
    out->body = mapped->body;
    return SLC_KAFKA_REPLACE;
}

static slc_acl_resource resource_of(const slc_kafka_event *event)
{
    return (slc_acl_resource){event->resource_type, event->pattern_type, {event->data, event->len}};
}

enum slc_kafka_verdict slc_view_map_acl(const slc_names *names, int key, const slc_kafka_event *event,
                                        int16_t *pattern, slc_kafka_value *out)
{
    const slc_acl_resource resource = resource_of(event);
    slc_acl_mapped mapped;
    *pattern = 0;
    if (key == KEY_CREATE_ACLS)
        return event->data != NULL && slc_acl_map(names, &resource, &mapped) ? put(&mapped, event, pattern, out)
                                                                             : SLC_KAFKA_REFUSE;
    if (key == KEY_DELETE_ACLS && !slc_acl_is_narrow(&resource))
        return SLC_KAFKA_REFUSE;
    if (event->data == NULL) /* any: what is not the namespace's is left out of the answer */
        return SLC_KAFKA_KEEP;
    slc_acl_map_filter(names, &resource, &mapped);
    return put(&mapped, event, pattern, out);
}

enum slc_kafka_verdict slc_view_unmap_acl(const slc_names *names, const slc_kafka_event *event,
                                          int16_t *pattern, slc_kafka_value *out)
{
    const slc_acl_resource resource = resource_of(event);
    slc_acl_mapped mapped;
    *pattern = 0;
    return event->data != NULL && slc_acl_unmap(names, &resource, &mapped) ? put(&mapped, event, pattern, out)
                                                                           : SLC_KAFKA_DROP;
}

enum slc_kafka_verdict slc_view_put_pattern(const slc_kafka_event *event, int16_t *pattern,
                                            slc_kafka_value *out)
{
    if ((event->field->flags & SLC_KAFKA_FIELD_IS_PATTERN) == 0 || *pattern == 0)
        return SLC_KAFKA_KEEP;
    out->number = *pattern;
    *pattern = 0;
    return SLC_KAFKA_REPLACE;
}
