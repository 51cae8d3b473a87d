slc_fuzz_target(fuzz_session SOURCES fuzz_session.c ${PROJECT_SOURCE_DIR}/tests/unit/dataplane/proxy/stage.c
                LINKS slc_gateway)
slc_fuzz_target(fuzz_proxy_header SOURCES fuzz_proxy_header.c ${PROJECT_SOURCE_DIR}/tests/unit/dataplane/proxy/stage.c
                LINKS slc_gateway)
