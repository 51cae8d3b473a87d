/* POST /v1/explain: the gateways' own decision about a request that nobody has made. */
#include "catalog/question.h"
#include "catalog/read.h"
#include "controlplane/admin/admin.h"
#include "controlplane/admin/explain_groups.h"
#include "controlplane/admin/handlers.h"

bool slc_route_explain(slc_txn *txn, slc_call *call, slc_error *err)
{
    static const char *const none[] = {NULL};
    if (!slc_call_query_only(call, none, err))
        return false;
    json_t *question = slc_question_read(txn, call->body, err);
    if (question == NULL) {
        const json_t *problems = slc_txn_problems(txn);
        if (problems != NULL && json_array_size(problems) > 0)
            call->problem = json_pack("{s:o}", "errors", json_deep_copy(problems));
        return false;
    }
    call->answer = slc_explain_groups_ask(slc_admin_explained(call->admin), txn, question, err);
    bool ok = call->answer != NULL && slc_question_complete(txn, question, call->answer, err);
    json_decref(question);
    return ok;
}
