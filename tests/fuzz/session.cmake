slc_fuzz_target(fuzz_session SOURCES fuzz_session.c ${PROJECT_SOURCE_DIR}/tests/unit/dataplane/proxy/stage.c
                LINKS slc_gateway)
