# Debian packages, made by scripts/package: sluice-control, sluice-gateway and sluicectl.

set(debian ${PROJECT_SOURCE_DIR}/deploy/debian)
set(out ${PROJECT_BINARY_DIR}/package-files)
file(MAKE_DIRECTORY ${out})

# Man pages, completions and the changelog; not part of `all`, so that building stays quick.
set(package_files)
function(package_file name)
  set_property(GLOBAL APPEND PROPERTY SLC_PACKAGE_FILES ${out}/${name})
endfunction()

function(man_page program section)
  add_custom_command(
    OUTPUT ${out}/${program}.${section}.gz
    COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:${program}> -DNAME=${program} -DSECTION=${section}
            -DVERSION=${PROJECT_VERSION} -DOUT=${out}/${program}.${section} -P
            ${PROJECT_SOURCE_DIR}/cmake/man_page.cmake
    COMMAND gzip -9nf ${out}/${program}.${section}
    DEPENDS ${program} ${PROJECT_SOURCE_DIR}/cmake/man_page.cmake VERBATIM)
  package_file(${program}.${section}.gz)
  install(FILES ${out}/${program}.${section}.gz DESTINATION share/man/man${section} COMPONENT ${program} OPTIONAL)
endfunction()
man_page(sluice-control 8)
man_page(sluice-gateway 8)
man_page(sluicectl 1)

foreach(shell IN ITEMS bash zsh)
  add_custom_command(OUTPUT ${out}/completion.${shell}
                     COMMAND sh -c "\"$1\" completion ${shell} > \"$2\"" sh $<TARGET_FILE:sluicectl> ${out}/completion.${shell}
                     DEPENDS sluicectl VERBATIM)
  package_file(completion.${shell})
endforeach()
install(FILES ${out}/completion.bash DESTINATION share/bash-completion/completions RENAME sluicectl
        COMPONENT sluicectl OPTIONAL)
install(FILES ${out}/completion.zsh DESTINATION share/zsh/vendor-completions RENAME _sluicectl COMPONENT sluicectl
        OPTIONAL)

file(WRITE ${out}/changelog "sluice (${PROJECT_VERSION}) unstable; urgency=medium

  * Version ${PROJECT_VERSION}; what changed is in the history of the repository.

 -- The authors of Sluice <sluice@sluice.dev>  Thu, 01 Jan 1970 00:00:00 +0000
")
add_custom_command(OUTPUT ${out}/changelog.gz COMMAND sh -c "gzip -9nc \"$1\" > \"$2\"" sh ${out}/changelog ${out}/changelog.gz
                   DEPENDS ${out}/changelog VERBATIM)
package_file(changelog.gz)

foreach(package IN ITEMS sluice-control sluice-gateway sluicectl)
  install(FILES ${debian}/copyright DESTINATION share/doc/${package} COMPONENT ${package})
  install(FILES ${out}/changelog.gz DESTINATION share/doc/${package} COMPONENT ${package} OPTIONAL)
endforeach()
foreach(part IN ITEMS control gateway)
  install(FILES ${debian}/sluice-${part}.service DESTINATION /lib/systemd/system COMPONENT sluice-${part})
  install(FILES ${debian}/sluice-${part}.sysusers DESTINATION /usr/lib/sysusers.d RENAME sluice-${part}.conf
          COMPONENT sluice-${part})
  install(FILES ${debian}/sluice-${part}.tmpfiles DESTINATION /usr/lib/tmpfiles.d RENAME sluice-${part}.conf
          COMPONENT sluice-${part})
  install(FILES ${debian}/${part}.yaml DESTINATION /etc/sluice COMPONENT sluice-${part})
endforeach()

get_property(package_files GLOBAL PROPERTY SLC_PACKAGE_FILES)
add_custom_target(package-files DEPENDS ${package_files} sluice-control sluice-gateway sluicectl)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sluice)
set(CPACK_PACKAGE_VENDOR "Sluice")
set(CPACK_PACKAGE_CONTACT "The authors of Sluice <sluice@sluice.dev>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL sluice-control sluice-gateway sluicectl)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_SET_DESTDIR OFF)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
    WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

# debian_package(PROGRAM SUMMARY TEXT [EXTRA...]): EXTRA are files of the control archive.
macro(debian_package program summary text)
  string(TOUPPER ${program} component)
  set(CPACK_DEBIAN_${component}_PACKAGE_NAME ${program})
  set(CPACK_COMPONENT_${component}_DESCRIPTION "${summary}\n${text}")
  set(CPACK_DEBIAN_${component}_PACKAGE_CONTROL_EXTRA "${ARGN}")
endmacro()

# Maintainer scripts go by fixed names, one folder a package.
foreach(part IN ITEMS control gateway)
  foreach(script IN ITEMS postinst prerm postrm conffiles)
    configure_file(${debian}/${part}.${script} ${out}/${part}/${script} COPYONLY)
  endforeach()
endforeach()
foreach(part IN ITEMS control gateway)
  set(${part}_extra ${out}/${part}/postinst ${out}/${part}/prerm ${out}/${part}/postrm ${out}/${part}/conffiles)
endforeach()
debian_package(sluice-control "control plane of the event gateway Sluice"
  "Keeps the catalog of event APIs and who may use them, and compiles what\ngateways serve. One is enough; its data is one SQLite database."
  ${control_extra})
debian_package(sluice-gateway "event gateway for Apache Kafka"
  "Serves event streams as REST, server-sent events and native Kafka, under\none identity and one set of policies. Gets its configuration from\nsluice-control."
  ${gateway_extra})
debian_package(sluicectl "command line of the event gateway Sluice"
  "Applies, shows and changes what the control plane has, and publishes and\nreads events.")
foreach(component IN ITEMS SLUICE-CONTROL SLUICE-GATEWAY)
  set(CPACK_DEBIAN_${component}_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles, ca-certificates")
endforeach()
set(CPACK_DEBIAN_SLUICECTL_PACKAGE_DEPENDS ca-certificates)

include(CPack)
