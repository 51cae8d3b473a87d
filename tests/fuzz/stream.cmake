set(fuzz_dir ${PROJECT_SOURCE_DIR}/tests/fuzz)
set(fuzz_catalog ${fuzz_dir}/fuzz_catalog.c ${PROJECT_SOURCE_DIR}/tests/unit/catalog/samples.c)
slc_fuzz_target(fuzz_from_node SOURCES ${fuzz_dir}/fuzz_from_node.c ${fuzz_dir}/fake_rpc.c ${fuzz_catalog}
                LINKS slc_control PkgConfig::CHECK)
slc_fuzz_target(fuzz_to_node SOURCES ${fuzz_dir}/fuzz_to_node.c ${fuzz_dir}/fake_rpc.c
                ${PROJECT_SOURCE_DIR}/controlplane/ca/x509.c LINKS slc_gateway)
slc_fuzz_target(fuzz_admin_request SOURCES ${fuzz_dir}/fuzz_admin_request.c LINKS slc_control)
slc_fuzz_target(fuzz_portal_request SOURCES ${fuzz_dir}/fuzz_portal_request.c LINKS slc_control)
slc_fuzz_target(fuzz_config_document SOURCES ${fuzz_dir}/fuzz_config_document.c ${fuzz_catalog}
                LINKS slc_catalog PkgConfig::CHECK)
