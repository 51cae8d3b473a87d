slc_fuzz_target(fuzz_api_path SOURCES fuzz_api_path.c LINKS slc_gateway)
slc_fuzz_target(fuzz_credential SOURCES fuzz_credential.c
                ${PROJECT_SOURCE_DIR}/tests/unit/dataplane/policy/asker.c
                ${PROJECT_SOURCE_DIR}/tests/unit/dataplane/config/maker.c LINKS slc_gateway PkgConfig::CHECK)
