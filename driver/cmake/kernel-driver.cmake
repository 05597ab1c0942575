# drivermon_add_kernel_driver(name source…): one .sys, by whichever compiler this build has.
#
# mingw-w64: what is tested here, under Wine. C sources whose name begins with guarded_ are given to clang, because they
# use __try (see core/guarded_copy.c).
# MSVC with the WDK: UNTESTED until someone runs it. Configure with -DDRIVERMON_WDK_ROOT="C:/Program Files (x86)/Windows
# Kits/10" -DDRIVERMON_WDK_VERSION=10.0.22621.0; the .sys still has to be signed.
include_guard()

if(MSVC)
  set(DRIVERMON_WDK_ROOT "C:/Program Files (x86)/Windows Kits/10" CACHE PATH "Windows Driver Kit")
  set(DRIVERMON_WDK_VERSION "10.0.22621.0" CACHE STRING "Version folder within the WDK")
  # Of CMake's defaults for programs: these checks call a runtime, and a kernel has none.
  foreach(flags CMAKE_C_FLAGS_DEBUG CMAKE_CXX_FLAGS_DEBUG)
    string(REPLACE "/RTC1" "" ${flags} "${${flags}}")
  endforeach()
else()
  find_program(DRIVERMON_CLANG NAMES clang-14 clang)
  if(NOT DRIVERMON_CLANG)
    message(FATAL_ERROR "The kernel build needs clang for its exception handlers: apt-get install clang-14")
  endif()
endif()

function(drivermon_add_kernel_driver name)
  add_library(${name} MODULE)
  set_target_properties(${name} PROPERTIES PREFIX "" SUFFIX ".sys")
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/driver)

  if(MSVC)
    target_sources(${name} PRIVATE ${ARGN})
    set(include ${DRIVERMON_WDK_ROOT}/Include/${DRIVERMON_WDK_VERSION})
    target_include_directories(${name} PRIVATE ${include}/km ${include}/km/crt ${include}/shared)
    target_compile_definitions(${name} PRIVATE _AMD64_ AMD64 _WIN64 _KERNEL_MODE POOL_NX_OPTIN=0)
    # /kernel goes with neither exceptions nor incremental linking, and CMake asks for both unless told otherwise.
    target_compile_options(${name} PRIVATE /kernel /GS- /Zc:threadSafeInit- /W4 /Oi /volatile:ms
      $<$<COMPILE_LANGUAGE:CXX>:/EHs-c->)
    target_link_directories(${name} PRIVATE ${DRIVERMON_WDK_ROOT}/Lib/${DRIVERMON_WDK_VERSION}/km/x64)
    target_link_libraries(${name} PRIVATE ntoskrnl.lib hal.lib)
    target_link_options(${name} PRIVATE /DRIVER /KERNEL /SUBSYSTEM:NATIVE /ENTRY:DriverEntry /NODEFAULTLIB
                        /INCREMENTAL:NO /DYNAMICBASE /NXCOMPAT /INTEGRITYCHECK)
    return()
  endif()

  foreach(source IN LISTS ARGN)
    get_filename_component(file ${source} NAME)
    if(file MATCHES "^guarded_.*\\.c$")
      get_filename_component(path ${source} ABSOLUTE)
      set(object ${CMAKE_CURRENT_BINARY_DIR}/${file}.obj)
      add_custom_command(OUTPUT ${object}
        COMMAND ${DRIVERMON_CLANG} --target=x86_64-w64-mingw32 -fms-extensions -std=c11 -O2 -Wall -Wextra
                -fno-stack-protector -c ${path} -o ${object}
        DEPENDS ${path} VERBATIM)
      set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
      target_sources(${name} PRIVATE ${object})
    else()
      target_sources(${name} PRIVATE ${source})
    endif()
  endforeach()
  target_include_directories(${name} SYSTEM PRIVATE /usr/x86_64-w64-mingw32/include/ddk)
  target_compile_options(${name} PRIVATE -O2 -Wall -Wextra -Wno-unknown-pragmas -fno-stack-protector
    $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti -fno-threadsafe-statics>)
  target_link_libraries(${name} PRIVATE ntoskrnl hal)
  target_link_options(${name} PRIVATE -nostdlib LINKER:--subsystem,native LINKER:--entry,DriverEntry
    LINKER:--dynamicbase LINKER:--nxcompat LINKER:--forceinteg LINKER:--exclude-all-symbols)
endfunction()
