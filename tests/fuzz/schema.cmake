foreach(name json_schema avro)
  slc_fuzz_target(fuzz_${name} SOURCES fuzz_${name}.c LINKS slc_schema)
endforeach()
