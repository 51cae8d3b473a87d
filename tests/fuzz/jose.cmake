slc_fuzz_target(fuzz_jwt SOURCES fuzz_jwt.c LINKS slc_jose)
