slc_fuzz_target(fuzz_snapshot SOURCES ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_snapshot.c
                ${PROJECT_SOURCE_DIR}/tests/unit/dataplane/config/maker.c LINKS slc_gateway PkgConfig::CHECK)
slc_fuzz_target(fuzz_join SOURCES ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_join.c LINKS slc_common)
