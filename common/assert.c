#include "common/assert.h"

#include <execinfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void slc_bug(const char *file, int line, const char *func, const char *condition)
{
    char text[512];
    int n = snprintf(text, sizeof(text), "BUG at %s:%d in %s: %s\n", file, line, func, condition);
    if (n > (int)sizeof(text) - 1)
        n = (int)sizeof(text) - 1;
    /* Straight to the descriptor: the state of stdio and of the log is unknown by now. */
    if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
        abort();
    void *frames[64];
    backtrace_symbols_fd(frames, backtrace(frames, 64), STDERR_FILENO);
    abort();
}
