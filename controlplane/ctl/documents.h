/* Declarative documents from files and folders as one, and the way back: which file and line a place of it came
 * from. */
#ifndef SLC_CONTROLPLANE_CTL_DOCUMENTS_H
#define SLC_CONTROLPLANE_CTL_DOCUMENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "controlplane/ctl/command.h"

struct slc_source {
    char *path; /* as it was named; "standard input" */
    char *text;
    size_t len;
    bool is_json;
};

typedef struct slc_documents {
    json_t *document; /* {"manager", "base_revision", "resources"}, of all files together */
    json_t *origins;  /* {kind: [[source, index in its list], ...]} */
    struct slc_source *sources;
    size_t source_count;
    size_t bytes;
    unsigned problems;
    bool gave_up; /* a problem that leaves nothing to go on with */
} slc_documents;

/* Reads every -f of the arguments: files, folders (each *.yaml, *.yml and *.json below, in order of name; none
 * that begins with a dot) and "-". --manager and --base-revision go in. False after saying on standard error
 * what is wrong, with file and line. Release in both cases. */
bool slc_documents_load(slc_documents *documents, const slc_args *args) SLC_CHECKED;
void slc_documents_release(slc_documents *documents);

/* "shop.yaml:12:5" for a pointer into the document; false when it leads to no file. */
bool slc_documents_place(const slc_documents *documents, const char *pointer, char *out, size_t size);
/* Says each {"pointer", "detail"} with its place, on standard error; those beyond 50 are only counted. */
void slc_documents_tell(const slc_documents *documents, const json_t *problems);
/* How many objects there are. */
size_t slc_documents_count(const slc_documents *documents);

#endif
