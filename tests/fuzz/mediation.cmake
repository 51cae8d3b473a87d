slc_fuzz_target(fuzz_mask SOURCES ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_mask.c LINKS slc_gateway)
slc_fuzz_target(fuzz_json_scan SOURCES ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_json_scan.c LINKS slc_gateway)
slc_fuzz_target(fuzz_cursor SOURCES ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_cursor.c LINKS slc_gateway)
# What a file calls beside it is the fuzzer's: the library's own is not linked then.
slc_fuzz_target(fuzz_publish SOURCES ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_publish.c LINKS slc_gateway)
slc_fuzz_target(fuzz_read SOURCES ${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_read.c LINKS slc_gateway)
