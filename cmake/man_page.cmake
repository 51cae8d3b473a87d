# cmake -DPROGRAM=... -DNAME=... -DSECTION=... -DVERSION=... -DOUT=... -P man_page.cmake: the man page of a program, from
# what it says about itself.
if(SECTION EQUAL 1)
  execute_process(COMMAND ${PROGRAM} help --man OUTPUT_FILE ${OUT} COMMAND_ERROR_IS_FATAL ANY)
  return()
endif()
execute_process(COMMAND ${PROGRAM} --help OUTPUT_VARIABLE help COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\\" "\\e" help "${help}")
string(REPLACE "-" "\\-" help "${help}")
string(REGEX REPLACE "(^|\n)([.'])" "\\1\\\\&\\2" help "${help}")
string(TOUPPER ${NAME} title)
string(REPLACE "-" "\\-" name "${NAME}")
file(WRITE ${OUT} ".TH ${title} ${SECTION} \"\" \"Sluice ${VERSION}\" \"Sluice\"
.SH NAME
${name} \\- part of the event gateway Sluice
.SH SYNOPSIS
.B ${name}
[option...]
.SH DESCRIPTION
Each setting is a flag, an environment variable and a key of the YAML file that
.B \\-\\-config
names, in this order of precedence.
.SH OPTIONS
.nf
${help}
.fi
.SH \"SEE ALSO\"
.BR sluicectl (1)
")
