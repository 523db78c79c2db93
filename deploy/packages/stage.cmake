# SPDX-License-Identifier: MIT
# cpack runs it when the components lie in their folders, before packages are made of these: pages
# are compressed, programs and libraries stripped, and each package gets its changelog and its copyright.
execute_process(COMMAND date -R -u -d @${CPACK_HAKMEM_EPOCH} OUTPUT_VARIABLE date
	OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
foreach(component IN LISTS CPACK_COMPONENTS_ALL)
	string(TOUPPER ${component} upper)
	set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component}/usr)
	set(folder ${root}/share/doc/${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
	file(COPY ${CPACK_HAKMEM_FOLDER}/copyright DESTINATION ${folder})
	configure_file(${CPACK_HAKMEM_FOLDER}/changelog.in ${folder}/changelog @ONLY)
	file(GLOB_RECURSE pages ${root}/share/man/*)
	foreach(file ${folder}/changelog ${pages})
		execute_process(COMMAND gzip -9nf ${file} COMMAND_ERROR_IS_FATAL ANY)
	endforeach()
	if(EXISTS ${root}/share/doc/hakmem/reference)
		configure_file(${CPACK_HAKMEM_FOLDER}/hakmem-doc/doc-base
			${root}/share/doc-base/hakmem-doc.hakmem COPYONLY)
	endif()
	file(GLOB programs ${root}/bin/*)
	file(GLOB_RECURSE libraries ${root}/lib/*.so.*.* ${root}/lib/*.a)
	foreach(file ${programs} ${libraries})
		execute_process(COMMAND ${CPACK_HAKMEM_STRIP} --strip-unneeded
			--remove-section=.comment --remove-section=.note
			--enable-deterministic-archives ${file} COMMAND_ERROR_IS_FATAL ANY)
	endforeach()
endforeach()
