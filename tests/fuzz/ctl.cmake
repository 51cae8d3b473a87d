# sluicectl's own parsers; without the rest of it, which needs the catalog to be built.
slc_fuzz_target(fuzz_ctl_sse SOURCES fuzz_ctl_sse.c ${PROJECT_SOURCE_DIR}/controlplane/ctl/sse.c
                ${PROJECT_SOURCE_DIR}/controlplane/ctl/bundle.c LINKS slc_common PkgConfig::ZLIB)
