/* `sluice-gateway keys`: makes and changes a sealed keystore. */
#ifndef SLC_DATAPLANE_CRYPT_KEYS_COMMAND_H
#define SLC_DATAPLANE_CRYPT_KEYS_COMMAND_H

/* `argv` begins at "keys". Returns the process's exit status: 0, or 1 with a message on stderr. */
int slc_keys_command(int argc, char **argv);

#endif
