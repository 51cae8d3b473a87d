/* What went wrong, told so that people know what to do next. */
#ifndef SLC_CONTROLPLANE_CTL_PROBLEM_H
#define SLC_CONTROLPLANE_CTL_PROBLEM_H

#include <jansson.h>

#include "controlplane/ctl/client.h"

struct slc_ctl;
struct slc_documents;

/* Of an answer that is no success: its problem document on standard error, with a hint by status. */
void slc_problem_tell(const struct slc_ctl *ctl, const slc_ctl_request *request, const slc_ctl_answer *answer);
/* The same, where the body was made of files: each error with its file and line. */
void slc_problem_tell_documents(const struct slc_ctl *ctl, const slc_ctl_request *request,
                                const slc_ctl_answer *answer, const struct slc_documents *documents);
/* After a failure without an answer: what the context has to do with it. */
void slc_problem_unreachable(const struct slc_ctl *ctl, const slc_error *err);

#endif
