# SPDX-License-Identifier: MIT
# cpack runs it when the packages are made: dpkg-deb makes each anew, the same each time, whatever
# the umask, and without the scripts that cpack adds to call ldconfig, for which there is a trigger.
set(ENV{SOURCE_DATE_EPOCH} ${CPACK_HAKMEM_EPOCH})
foreach(file IN LISTS CPACK_PACKAGE_FILES)
	set(folder ${CPACK_TEMPORARY_DIRECTORY}/finish)
	file(REMOVE_RECURSE ${folder})
	execute_process(COMMAND dpkg-deb -R ${file} ${folder} COMMAND_ERROR_IS_FATAL ANY)
	execute_process(COMMAND chmod -R u+w,a+rX,go-w ${folder} COMMAND_ERROR_IS_FATAL ANY)
	execute_process(COMMAND find ${folder} -exec touch -h -d @${CPACK_HAKMEM_EPOCH} {} +
		COMMAND_ERROR_IS_FATAL ANY)
	foreach(script postinst postrm)
		if(EXISTS ${folder}/DEBIAN/triggers)
			file(REMOVE ${folder}/DEBIAN/${script})
		endif()
	endforeach()
	execute_process(COMMAND dpkg-deb --root-owner-group -Zxz -b ${folder} ${file}
		OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endforeach()
