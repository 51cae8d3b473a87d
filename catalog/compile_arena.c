/* Memory of one compilation: small pieces of large blocks, all freed together. */
#include <stdlib.h>
#include <string.h>

#include "catalog/compile_private.h"
#include "common/alloc.h"

#define BLOCK_BYTES ((size_t)64 * 1024)
#define ALIGN_BYTES ((size_t)16)

static void *add_block(slc_arena *arena, size_t size_bytes)
{
    if (arena->count == arena->cap) {
        arena->cap = arena->cap == 0 ? 64 : arena->cap * 2;
        arena->blocks = slc_realloc(arena->blocks, arena->cap * sizeof *arena->blocks);
        arena->sizes = slc_realloc(arena->sizes, arena->cap * sizeof *arena->sizes);
    }
    arena->blocks[arena->count] = slc_calloc(1, size_bytes);
    arena->sizes[arena->count] = size_bytes;
    return arena->blocks[arena->count++];
}

static void *take(slc_arena *arena, size_t size_bytes)
{
    size_t size = (size_bytes + ALIGN_BYTES - 1) & ~(ALIGN_BYTES - 1);
    if (arena->count == 0 || arena->used + size > arena->sizes[arena->count - 1]) {
        add_block(arena, size > BLOCK_BYTES ? size : BLOCK_BYTES);
        arena->used = 0;
    }
    void *memory = (uint8_t *)arena->blocks[arena->count - 1] + arena->used;
    arena->used += size;
    return memory;
}

/* Backend passwords and cursor keys passed through it. */
void slc_arena_release(slc_arena *arena)
{
    for (size_t i = 0; i < arena->count; i++)
        slc_free_secret(arena->blocks[i], arena->sizes[i]);
    free(arena->blocks);
    free(arena->sizes);
    memset(arena, 0, sizeof *arena);
}

void *slc_compile_alloc(slc_compile *compile, size_t size_bytes)
{
    return take(&compile->arena, size_bytes);
}

char *slc_compile_text(slc_compile *compile, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return (char *)protobuf_c_empty_string;
    size_t len = strlen(text);
    return memcpy(slc_compile_alloc(compile, len + 1), text, len);
}

char *slc_compile_json_text(slc_compile *compile, const json_t *object, const char *field)
{
    return slc_compile_text(compile, json_string_value(json_object_get(object, field)));
}

ProtobufCBinaryData slc_compile_bytes(slc_compile *compile, const void *data, size_t len)
{
    ProtobufCBinaryData out = {.len = len};
    if (len > 0)
        out.data = memcpy(slc_compile_alloc(compile, len), data, len);
    return out;
}

char **slc_compile_texts(slc_compile *compile, const json_t *array, size_t *count)
{
    *count = json_array_size(array);
    char **texts = slc_compile_alloc(compile, (*count + 1) * sizeof *texts);
    for (size_t i = 0; i < *count; i++)
        texts[i] = slc_compile_text(compile, json_string_value(json_array_get(array, i)));
    return texts;
}

/* ---- unpacking ---- */

static void *arena_alloc(void *arena, size_t size_bytes)
{
    return take(arena, size_bytes);
}

static void arena_free(void *arena, void *memory)
{
    (void)arena, (void)memory;
}

ProtobufCMessage *slc_compile_unpack(slc_compile *compile, const ProtobufCMessageDescriptor *descriptor,
                                     const uint8_t *data, size_t len)
{
    ProtobufCAllocator allocator = {arena_alloc, arena_free, &compile->arena};
    return protobuf_c_message_unpack(descriptor, &allocator, len, data);
}
