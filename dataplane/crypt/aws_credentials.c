#include "dataplane/crypt/aws_credentials.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/file.h"

#define FILE_MAX_BYTES 65536

static void free_text(char *text)
{
    slc_free_secret(text, text != NULL ? strlen(text) : 0);
}

void slc_aws_credentials_release(slc_aws_credentials *credentials)
{
    free_text(credentials->id);
    free_text(credentials->secret);
    free_text(credentials->session_token);
    *credentials = (slc_aws_credentials){0};
}

static char *variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? slc_strdup(value) : NULL;
}

static bool from_options(const slc_key_ring_options *options, slc_aws_credentials *out, slc_error *err)
{
    size_t len;
    out->id = slc_strdup(options->access_key_id);
    out->secret = slc_key_secret_read(&options->secret_access_key, "secret_access_key", &len, err);
    if (out->secret != NULL && slc_key_secret_given(&options->session_token))
        out->session_token = slc_key_secret_read(&options->session_token, "session_token", &len, err);
    return out->secret != NULL &&
           (out->session_token != NULL || !slc_key_secret_given(&options->session_token));
}

static char *trimmed(char *text)
{
    text += strspn(text, " \t");
    for (size_t len = strlen(text); len > 0 && strchr(" \t\r", text[len - 1]) != NULL; len--)
        text[len - 1] = '\0';
    return text;
}

static void take_line(char *line, slc_aws_credentials *out)
{
    char *equals = strchr(line, '=');
    if (equals == NULL)
        return;
    *equals = '\0';
    const char *name = trimmed(line), *value = trimmed(equals + 1);
    char **into = strcmp(name, "aws_access_key_id") == 0       ? &out->id
                  : strcmp(name, "aws_secret_access_key") == 0 ? &out->secret
                  : strcmp(name, "aws_session_token") == 0     ? &out->session_token
                                                               : NULL;
    if (into != NULL && *into == NULL && value[0] != '\0')
        *into = slc_strdup(value);
}

static bool from_text(char *text, const char *profile, slc_aws_credentials *out)
{
    bool ours = false;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n")) != NULL) {
        line = trimmed(line);
        size_t len = strlen(line);
        if (line[0] == '[' && len > 1 && line[len - 1] == ']') {
            line[len - 1] = '\0';
            ours = strcmp(trimmed(line + 1), profile) == 0;
        } else if (ours && line[0] != '#' && line[0] != ';') {
            take_line(line, out);
        }
    }
    return out->id != NULL && out->secret != NULL;
}

static bool from_file(slc_aws_credentials *out, slc_error *err)
{
    const char *home = getenv("HOME"), *profile = getenv("AWS_PROFILE");
    char *path = variable("AWS_SHARED_CREDENTIALS_FILE");
    size_t len;
    if (path == NULL && home != NULL)
        path = slc_asprintf("%s/.aws/credentials", home);
    char *text = path != NULL && slc_file_exists(path) ? slc_file_read(path, FILE_MAX_BYTES, &len, err) : NULL;
    bool ok = text != NULL && from_text(text, profile != NULL ? profile : "default", out);
    if (text != NULL)
        slc_free_secret(text, len);
    free(path);
    return ok;
}

bool slc_aws_credentials_find(const slc_key_ring_options *options, slc_aws_credentials *out, slc_error *err)
{
    bool ok;
    *out = (slc_aws_credentials){0};
    if (options->access_key_id != NULL) {
        ok = from_options(options, out, err);
    } else {
        out->id = variable("AWS_ACCESS_KEY_ID");
        out->secret = variable("AWS_SECRET_ACCESS_KEY");
        out->session_token = variable("AWS_SESSION_TOKEN");
        ok = out->id != NULL && out->secret != NULL;
        if (!ok) {
            slc_aws_credentials_release(out);
            ok = from_file(out, err);
        }
    }
    if (ok)
        return true;
    slc_aws_credentials_release(out);
    return slc_fail(
        err, SLC_UNAVAILABLE, NULL,
        "There are no credentials for AWS: neither in the key ring, nor in the environment, nor in a "
        "credentials file.");
}
