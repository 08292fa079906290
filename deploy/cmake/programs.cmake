# The programs: the broker, the pons command, and one per line of agents/catalog.def.
# `cmake --build ... --target programs` builds them all and no test.
add_custom_target(programs)

function(pons_program name room)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE pons_${room})
  add_dependencies(programs ${name})
endfunction()

if(EXISTS ${CMAKE_SOURCE_DIR}/bus/broker/main.c)
  pons_program(pons-broker broker bus/broker/main.c)
endif()
if(EXISTS ${CMAKE_SOURCE_DIR}/bus/ctl/main.c)
  pons_program(pons ctl bus/ctl/main.c)
endif()

# An agent is agents/<name>.c, or all of agents/<name>/.
if(EXISTS ${CMAKE_SOURCE_DIR}/agents/catalog.def)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS agents/catalog.def)
  file(STRINGS agents/catalog.def agent_lines REGEX "^AGENT\\(")
  foreach(line IN LISTS agent_lines)
    string(REGEX MATCH "^AGENT\\(([a-z0-9_]+)," matched "${line}")
    if(NOT matched)
      message(FATAL_ERROR "agents/catalog.def: this line is no AGENT(name, ...): ${line}")
    endif()
    set(agent ${CMAKE_MATCH_1})
    file(GLOB sources CONFIGURE_DEPENDS agents/${agent}.c agents/${agent}/*.c)
    if(NOT sources)
      message(FATAL_ERROR "agents/catalog.def names ${agent}, but there is neither agents/${agent}.c nor agents/${agent}/")
    endif()
    pons_program(pons-agent-${agent} agent ${sources})
  endforeach()
endif()
