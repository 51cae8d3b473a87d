slc_fuzz_target(fuzz_json_scan SOURCES ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_json_scan.c LINKS slc_gateway)
slc_fuzz_target(fuzz_cursor SOURCES ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_cursor.c LINKS slc_gateway)
