/* Markdown that people wrote (CommonMark with GitHub's tables, strikethrough and autolinks) as HTML without raw
 * HTML and without dangerous links. Any thread. */
#ifndef SLC_CONTROLPLANE_ADMIN_MARKDOWN_H
#define SLC_CONTROLPLANE_ADMIN_MARKDOWN_H

#include <stddef.h>

/* New memory; NULL when the HTML would be larger than `max_bytes`: then show the text as it is. A text whose
 * tables could have more than 20,000 cells is rendered without tables: each row is filled up to the columns of
 * the first, so that 64 KiB could otherwise take gigabytes. */
char *slc_markdown_html(const char *text, size_t max_bytes);

#endif
