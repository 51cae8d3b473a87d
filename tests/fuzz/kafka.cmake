slc_fuzz_target(fuzz_kafka_walk SOURCES fuzz_kafka_walk.c LINKS slc_kafka)
slc_fuzz_target(fuzz_sasl SOURCES fuzz_sasl.c LINKS slc_kafka)
slc_fuzz_target(fuzz_kafka_codec SOURCES fuzz_kafka_codec.c LINKS slc_kafka)
