/* The dynamic linker writes the address of each function that a library calls into a slot of the library's. The
 * relocations say which slot is whose (ELF, System V ABI: "Dynamic Linking").
 */
#include "dataplane/broker/interposed.h"

#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

_Static_assert(sizeof(void *) == 8, "relocations are read as those of 64 bits");

struct library {
    const struct link_map *map;
    const void *base;
    const ElfW(Sym) * symbols;
    const char *names;
    const ElfW(Rela) * calls, *others; /* NULL: none */
    size_t calls_bytes, others_bytes;
};

/* Of what is loaded and has the address; NULL: nothing. `map` may be NULL. */
static const void *base_of(uintptr_t address, const struct link_map **map)
{
    Dl_info info;
    void *extra = NULL;
    if (dladdr1((const void *)address, &info, &extra, RTLD_DL_LINKMAP) == 0)
        return NULL;
    if (map != NULL)
        *map = extra;
    return info.dli_fbase;
}

/* In most systems they were made addresses when the library was loaded. */
static const void *address_in(const struct library *library, ElfW(Addr) at)
{
    return (const void *)(at < library->map->l_addr ? at + library->map->l_addr : at);
}

static void read_dynamic(struct library *library)
{
    for (const ElfW(Dyn) *entry = library->map->l_ld; entry->d_tag != DT_NULL; entry++) {
        switch (entry->d_tag) {
        case DT_SYMTAB:
            library->symbols = address_in(library, entry->d_un.d_ptr);
            break;
        case DT_STRTAB:
            library->names = address_in(library, entry->d_un.d_ptr);
            break;
        case DT_JMPREL:
            library->calls = address_in(library, entry->d_un.d_ptr);
            break;
        case DT_PLTRELSZ:
            library->calls_bytes = entry->d_un.d_val;
            break;
        case DT_RELA:
            library->others = address_in(library, entry->d_un.d_ptr);
            break;
        case DT_RELASZ:
            library->others_bytes = entry->d_un.d_val;
            break;
        default:
            break;
        }
    }
}

static bool is_bound(const struct library *library, const ElfW(Rela) * relocation, const char *name,
                     uintptr_t function)
{
    uintptr_t bound;
    memcpy(&bound, (const void *)(library->map->l_addr + relocation->r_offset), sizeof bound);
    if (bound == function)
        return true;
    /* Not looked up yet: the slot leads to the code that does. */
    return base_of(bound, NULL) == library->base && (uintptr_t)dlsym(RTLD_DEFAULT, name) == function;
}

static bool any_bound(const struct library *library, const ElfW(Rela) * relocations, size_t bytes,
                      const char *name, uintptr_t function)
{
    for (size_t i = 0; relocations != NULL && i < bytes / sizeof *relocations; i++) {
        const ElfW(Sym) *symbol = &library->symbols[ELF64_R_SYM(relocations[i].r_info)];
        if (symbol->st_shndx == SHN_UNDEF && strcmp(library->names + symbol->st_name, name) == 0)
            return is_bound(library, &relocations[i], name, function);
    }
    return false;
}

bool slc_is_interposed(uintptr_t inside, const char *name, uintptr_t function)
{
    struct library library = {0};
    library.base = base_of(inside, &library.map);
    if (library.base == NULL || library.map == NULL)
        return false;
    if (library.map->l_name == NULL || library.map->l_name[0] == '\0') /* the program */
        return true;
    read_dynamic(&library);
    if (library.symbols == NULL || library.names == NULL)
        return false;
    return any_bound(&library, library.calls, library.calls_bytes, name, function) ||
           any_bound(&library, library.others, library.others_bytes, name, function);
}
