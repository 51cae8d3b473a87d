# Compiler flags, sanitizers and the three helper functions that every directory uses.

# Clones of the project share what they have compiled; a debugger may then name the folder of the first.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_C_COMPILER_LAUNCHER})
endif()

add_library(slc_flags INTERFACE)
target_compile_definitions(slc_flags INTERFACE _GNU_SOURCE)
target_include_directories(slc_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
target_compile_options(slc_flags INTERFACE -fno-omit-frame-pointer -fstack-protector-strong)

set(SLC_WARNINGS -Wall -Wextra -Wpedantic $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes> -Wshadow -Wconversion
                 -Wno-sign-conversion $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes> -Wvla -Wformat=2 -Wpointer-arith
                 -Wundef)
if(SLUICE_WERROR)
  list(APPEND SLC_WARNINGS -Werror)
endif()

if(SLUICE_SANITIZE)
  target_compile_options(slc_flags INTERFACE -fsanitize=${SLUICE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(slc_flags INTERFACE -fsanitize=${SLUICE_SANITIZE})
endif()
# What is shipped is hardened as Debian does it.
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo" AND NOT SLUICE_SANITIZE)
  target_compile_definitions(slc_flags INTERFACE _FORTIFY_SOURCE=2)
  target_compile_options(slc_flags INTERFACE -Wformat -Werror=format-security)
  target_link_options(slc_flags INTERFACE LINKER:-z,relro LINKER:-z,now)
endif()
# And the same from any folder. Not for every build: it keeps ccache from sharing between folders.
if(SLUICE_REPRODUCIBLE)
  target_compile_options(slc_flags INTERFACE -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.
                         -ffile-prefix-map=${PROJECT_BINARY_DIR}=build)
endif()
if(SLUICE_FUZZ)
  target_compile_options(slc_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# slc_library(NAME SOURCES ... LINKS ...): a static library of this project, with every warning on.
function(slc_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC slc_flags ${ARG_LINKS})
  target_compile_options(${name} PRIVATE ${SLC_WARNINGS})
endfunction()

# slc_program(NAME SOURCES ... LINKS ...): an installed executable.
function(slc_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE slc_flags ${ARG_LINKS})
  target_compile_options(${name} PRIVATE ${SLC_WARNINGS})
  target_link_options(${name} PRIVATE LINKER:--as-needed)
  install(TARGETS ${name} RUNTIME COMPONENT ${name})
endfunction()

# slc_unit_test(NAME SOURCES ... LINKS ...): a libcheck program, registered with ctest under the label "unit".
function(slc_unit_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE slc_flags ${ARG_LINKS} PkgConfig::CHECK)
  target_compile_options(${name} PRIVATE ${SLC_WARNINGS} -Wno-gnu-zero-variadic-macro-arguments -Wno-pedantic)
  target_compile_definitions(${name} PRIVATE SLC_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_test(NAME unit.${name} COMMAND ${name})
  # Each test in it has a limit of its own, which is for a machine with nothing else to do.
  set_tests_properties(unit.${name} PROPERTIES LABELS unit TIMEOUT 600 ENVIRONMENT CK_TIMEOUT_MULTIPLIER=4)
endfunction()

# slc_fuzz_target(NAME SOURCES ... LINKS ...): built with libFuzzer when SLUICE_FUZZ is on; otherwise the same
# entry point is linked with a small driver that replays the corpus, so that every compiler checks it.
function(slc_fuzz_target name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  if(SLUICE_FUZZ)
    add_executable(${name} ${ARG_SOURCES})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(${name} ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.c)
    add_test(NAME fuzz.${name} COMMAND ${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
    set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 300)
  endif()
  target_link_libraries(${name} PRIVATE slc_flags ${ARG_LINKS})
  target_compile_options(${name} PRIVATE ${SLC_WARNINGS} -Wno-missing-prototypes)
  set_property(GLOBAL APPEND PROPERTY SLC_FUZZ_TARGETS ${name})
endfunction()
