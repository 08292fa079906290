# The programs: the broker, the pons command, and one per line of agents/catalog.def.
function(pons_program name room main)
  if(EXISTS ${CMAKE_SOURCE_DIR}/${main})
    add_executable(${name} ${main})
    target_link_libraries(${name} PRIVATE pons_${room})
  endif()
endfunction()

pons_program(pons-broker broker bus/broker/main.c)
pons_program(pons ctl bus/ctl/main.c)

if(EXISTS ${CMAKE_SOURCE_DIR}/agents/catalog.def)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS agents/catalog.def)
  file(STRINGS agents/catalog.def agent_lines REGEX "^AGENT\\(")
  foreach(line IN LISTS agent_lines)
    string(REGEX MATCH "^AGENT\\(([a-z0-9_]+)," matched "${line}")
    pons_program(pons-agent-${CMAKE_MATCH_1} agent agents/${CMAKE_MATCH_1}.c)
  endforeach()
endif()
