slc_fuzz_target(fuzz_json SOURCES fuzz_json.c LINKS slc_common)
slc_fuzz_target(fuzz_yaml SOURCES fuzz_yaml.c LINKS slc_common)
slc_fuzz_target(fuzz_text SOURCES fuzz_text.c LINKS slc_common)
slc_fuzz_target(fuzz_http_head SOURCES fuzz_http_head.c LINKS slc_common)
