slc_fuzz_target(fuzz_envelope SOURCES fuzz_envelope.c LINKS slc_crypt)
