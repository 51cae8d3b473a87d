/* What strangers send to be let in: only the sample's own credential opens the sample's event API. The first
 * byte chooses where the text is sent. */
#include <string.h>
#include <strings.h>

#include "common/assert.h"
#include "tests/unit/dataplane/policy/asker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct asker *asker;
    static const char *const places[] = {"?ticket", "X-API-Key", "Authorization", "Origin"};
    char text[768];
    if (asker == NULL)
        asker = asker_new();
    if (size < 1 || size > sizeof text - 1 || memchr(data, '\0', size) != NULL)
        return 0;
    const char *place = places[data[0] % 4];
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    asker->sent_count = 0;
    asker_send(asker, place, text);
    asker->stream = true;
    bool ours = strcmp(text, ASKER_KEY) == 0 || strncasecmp(text, ASKER_BASIC, 6) == 0;
    enum slc_verdict verdict = asker_ask(asker, "GET");
    SLC_BUG_ON(verdict == SLC_ALLOW && !ours);
    SLC_BUG_ON(verdict == SLC_ALLOW && strcmp(asker->principal.application_id, "app-1") != 0);
    SLC_BUG_ON(verdict != SLC_ALLOW && asker->principal.authenticated);
    return 0;
}
