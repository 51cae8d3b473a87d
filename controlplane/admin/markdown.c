#include "controlplane/admin/markdown.h"

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CELLS_MAX 20000

/* Whatever the tables are, they have no more cells than the line with the most columns, times the lines. */
static bool has_small_tables(const char *text)
{
    size_t lines = 0, columns_most = 0;
    for (const char *line = text; *line != '\0';) {
        size_t len = strcspn(line, "\r\n"), columns = 1;
        for (size_t i = 0; i < len; i++)
            columns += line[i] == '|';
        columns_most = columns > columns_most ? columns : columns_most;
        lines++;
        line += len + (line[len] != '\0');
    }
    return columns_most == 0 || lines <= CELLS_MAX / columns_most;
}

static void attach(cmark_parser *parser, const char *name)
{
    cmark_syntax_extension *extension = cmark_find_syntax_extension(name);
    if (extension != NULL)
        cmark_parser_attach_syntax_extension(parser, extension);
}

char *slc_markdown_html(const char *text, size_t max_bytes)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, cmark_gfm_core_extensions_ensure_registered);
    cmark_parser *parser = cmark_parser_new(CMARK_OPT_VALIDATE_UTF8);
    attach(parser, "strikethrough");
    attach(parser, "autolink");
    attach(parser, "tagfilter");
    if (has_small_tables(text))
        attach(parser, "table");
    cmark_parser_feed(parser, text, strlen(text));
    cmark_node *document = cmark_parser_finish(parser);
    /* Raw HTML and links such as javascript: are left away unless CMARK_OPT_UNSAFE is asked for. */
    char *html = cmark_render_html(document, CMARK_OPT_DEFAULT, cmark_parser_get_syntax_extensions(parser));
    cmark_node_free(document);
    cmark_parser_free(parser);
    if (html != NULL && strlen(html) <= max_bytes)
        return html;
    free(html);
    return NULL;
}
