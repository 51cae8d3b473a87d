#include "dataplane/crypt/keys_command.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/settings.h"
#include "dataplane/crypt/keystore.h"
#include "dataplane/crypt/options.h"

typedef struct slc_keys_settings {
    char *keystore;
    char *passphrase;
    char *passphrase_file;
    bool yes;
} slc_keys_settings;

static const slc_setting table[] = {
    {"keystore", SLC_SET_STRING, NULL, "the keystore's file", offsetof(slc_keys_settings, keystore), 0, 0},
    {"passphrase", SLC_SET_SECRET, NULL, "opens it; better in the environment or a file",
     offsetof(slc_keys_settings, passphrase), 0, 0},
    {"passphrase-file", SLC_SET_STRING, NULL, "file that holds the passphrase",
     offsetof(slc_keys_settings, passphrase_file), 0, 0},
    {"yes", SLC_SET_BOOL, "false", "destroy without asking: it cannot be undone",
     offsetof(slc_keys_settings, yes), 0, 0},
    {NULL, SLC_SET_STRING, NULL, NULL, 0, 0, 0},
};

static const char usage[] =
    "usage: sluice-gateway keys ACTION [NAME] --keystore FILE --passphrase-file FILE\n"
    "\n"
    "  init           makes an empty keystore\n"
    "  add NAME       adds a key-encryption key\n"
    "  rotate NAME    gives it a new version; older ones still decrypt\n"
    "  destroy NAME   destroys it and with it all that was encrypted under it; needs --yes\n"
    "  list           shows names and versions, never a key\n"
    "\n"
    "SLUICE_KEYSTORE, SLUICE_PASSPHRASE and SLUICE_PASSPHRASE_FILE stand for the flags.\n";

/* An opened keystore and what it takes to write it again. */
struct session {
    const slc_keys_settings *settings;
    slc_keystore *store;
    char *passphrase;
    size_t passphrase_len;
};

/* ---- actions ---- */

static bool list(struct session *session, const char *name, slc_error *err)
{
    (void)name, (void)err;
    printf("%-40s %7s %8s  %-24s  %s\n", "NAME", "VERSION", "VERSIONS", "SINCE", "STATE");
    for (size_t i = 0; i < slc_keystore_count(session->store); i++) {
        slc_keystore_entry entry = slc_keystore_at(session->store, i);
        bool gone = entry.destroyed_ms != 0;
        char since[SLC_RFC3339_CHARS];
        slc_rfc3339_format(gone ? entry.destroyed_ms : entry.rotated_ms, since);
        printf("%-40s %7u %8zu  %-24s  %s\n", entry.name, entry.version, entry.versions, since,
               gone ? "destroyed" : "live");
    }
    return true;
}

static bool init(struct session *session, const char *name, slc_error *err)
{
    (void)session, (void)name, (void)err;
    return true;
}

static bool add(struct session *session, const char *name, slc_error *err)
{
    return slc_keystore_add(session->store, name, err);
}

static bool rotate(struct session *session, const char *name, slc_error *err)
{
    return slc_keystore_rotate(session->store, name, err);
}

static bool destroy(struct session *session, const char *name, slc_error *err)
{
    if (!session->settings->yes)
        return slc_fail(err, SLC_INVALID, NULL,
                        "Whatever was encrypted under %s can never be read again. Say so with --yes.", name);
    return slc_keystore_destroy(session->store, name, err);
}

static const struct action {
    const char *name;
    bool (*run)(struct session *session, const char *name, slc_error *err);
    bool named, writes;
    const char *done;
} actions[] = {
    {"init", init, false, true, "made"},       {"add", add, true, true, "added"},
    {"rotate", rotate, true, true, "rotated"}, {"destroy", destroy, true, true, "destroyed"},
    {"list", list, false, false, NULL},
};

/* ---- around them ---- */

static bool read_passphrase(struct session *session, slc_error *err)
{
    const slc_key_secret secret = {
        .value = session->settings->passphrase,
        .len = session->settings->passphrase != NULL ? strlen(session->settings->passphrase) : 0,
        .file = session->settings->passphrase_file};
    session->passphrase = slc_key_secret_read(&secret, "passphrase", &session->passphrase_len, err);
    return session->passphrase != NULL;
}

/* Two of us at once would lose what the first one wrote. Held until the process ends. */
static bool lock_folder(const char *path, slc_error *err)
{
    char *copy = slc_strdup(path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && flock(fd, LOCK_EX) == 0;
    free(copy);
    return ok || slc_fail(err, SLC_IO, NULL, "cannot lock the folder of %s", path);
}

static bool open_store(struct session *session, bool anew, slc_error *err)
{
    const char *path = session->settings->keystore;
    if (anew && slc_file_exists(path))
        return slc_fail(err, SLC_CONFLICT, NULL, "%s is there already.", path);
    session->store =
        anew ? slc_keystore_new() : slc_keystore_load(path, session->passphrase, session->passphrase_len, err);
    return session->store != NULL;
}

static bool run(const struct action *action, const char *name, const slc_keys_settings *settings,
                slc_error *err)
{
    struct session session = {.settings = settings};
    if (settings->keystore == NULL)
        return slc_fail(err, SLC_INVALID, NULL, "--keystore is missing");
    bool ok = read_passphrase(&session, err) && (!action->writes || lock_folder(settings->keystore, err)) &&
              open_store(&session, action->run == init, err) && action->run(&session, name, err) &&
              (!action->writes || slc_keystore_save(session.store, settings->keystore, session.passphrase,
                                                    session.passphrase_len, err));
    if (ok && action->done != NULL)
        printf("%s: %s\n", name != NULL ? name : settings->keystore, action->done);
    slc_keystore_free(session.store);
    slc_free_secret(session.passphrase, session.passphrase_len);
    return ok;
}

static const struct action *find_action(const char *name)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    return NULL;
}

int slc_keys_command(int argc, char **argv)
{
    slc_keys_settings settings = {0};
    slc_error err = {0};
    const struct action *action = argc > 1 ? find_action(argv[1]) : NULL;
    int taken = 2;
    const char *name = action != NULL && action->named && argc > 2 && argv[2][0] != '-' ? argv[taken++] : NULL;
    if (action == NULL || (action->named && name == NULL)) {
        fputs(usage, stderr);
        return 1;
    }
    argv[taken - 1] = argv[0];
    int loaded = slc_settings_load(table, "sluice-gateway keys", usage, argc - taken + 1, argv + taken - 1,
                                   &settings, &err);
    bool ok = loaded > 0 || (loaded == 0 && run(action, name, &settings, &err));
    if (!ok)
        fprintf(stderr, "sluice-gateway keys: %s\n", err.message);
    slc_settings_release(table, &settings);
    return ok ? 0 : 1;
}
