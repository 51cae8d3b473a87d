slc_fuzz_target(fuzz_cel SOURCES fuzz_cel.c LINKS slc_cel)
