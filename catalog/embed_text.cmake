# cmake -DFILE=<file> -DSYMBOL=<name> -DHEADER=<header> -DOUT=<file.c> -P embed_text.cmake: a text file as a C array.
file(READ ${FILE} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "/* Generated. */\n#include \"${HEADER}\"\n\nconst char ${SYMBOL}[] = {${bytes}0};\n")
