# SPDX-License-Identifier: MIT
# cpack runs it when the packages are made: dpkg-deb makes each anew, the same each time, whatever
# the umask. Of the library's the scripts go that cpack adds to call ldconfig, for which there is a
# trigger, and dpkg is told that there may be one of each architecture.
set(ENV{SOURCE_DATE_EPOCH} ${CPACK_HAKMEM_EPOCH})
foreach(file IN LISTS CPACK_PACKAGE_FILES)
	set(folder ${CPACK_TEMPORARY_DIRECTORY}/finish)
	file(REMOVE_RECURSE ${folder})
	execute_process(COMMAND dpkg-deb -R ${file} ${folder} COMMAND_ERROR_IS_FATAL ANY)
	execute_process(COMMAND chmod -R u+w,a+rX,go-w ${folder} COMMAND_ERROR_IS_FATAL ANY)
	if(EXISTS ${folder}/DEBIAN/triggers)
		file(REMOVE ${folder}/DEBIAN/postinst ${folder}/DEBIAN/postrm)
		execute_process(COMMAND sed -i "1i Multi-Arch: same" ${folder}/DEBIAN/control
			COMMAND_ERROR_IS_FATAL ANY)
	endif()
	execute_process(COMMAND find ${folder} -exec touch -h -d @${CPACK_HAKMEM_EPOCH} {} +
		COMMAND_ERROR_IS_FATAL ANY)
	execute_process(COMMAND dpkg-deb --root-owner-group -Zxz -b ${folder} ${file}
		OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endforeach()
