slc_fuzz_target(fuzz_api_path SOURCES fuzz_api_path.c LINKS slc_gateway)
